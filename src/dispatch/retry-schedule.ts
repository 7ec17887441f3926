import { nextChinaDay } from '../wechat/token-rules.ts'

/**
 * When a message is tried again, by what went wrong. Null means never. docs/dispatch.md prints this
 * schedule; the test prints it too.
 */

/** Why another try is due. */
export type RetryCause =
  /** The platform was busy (−1 and its kin): three more tries, as its documents say. */
  | 'transient'
  /** The request never left: nothing can have arrived, so trying goes on until the message expires. */
  | 'not_sent'
  /** The answer was lost, and the platform drops repeats of this message. */
  | 'unclear'
  /** The token had died; a new one is fetched. Once, at once. */
  | 'token'
  /** Too many calls in this minute. */
  | 'rate_minute'
  /** The day's calls are used up. */
  | 'quota_daily'
  /** Consent was checked too long before the call could begin; it is asked again. */
  | 'late_decision'

/** sending.md §9.5: about 1 s, 2 s and 4 s. */
const TRANSIENT_DELAYS_MS = [1_000, 2_000, 4_000]
/** While the platform cannot be reached the pauses double up to five minutes. */
const LONGEST_PAUSE_MS = 300_000
/** A clock minute that stays full ten times over is not a passing rush. */
const MAX_MINUTES = 10
/** Spread of those who wait for the same moment. */
const MINUTE_SPREAD_MS = 5_000
const DAY_SPREAD_MS = 60_000

/**
 * The time of the next try.
 *
 * @param input.tries attempts made for this cause so far, this one included; from 1.
 * @param input.random from 0 up to 1; spreads tries that would fall together.
 */
export function nextTry(input: {
  readonly cause: RetryCause
  readonly tries: number
  readonly now: Date
  readonly random: number
}): Date | null {
  const { cause, tries, now, random } = input
  switch (cause) {
    case 'transient':
    case 'unclear': {
      const delayMs = TRANSIENT_DELAYS_MS[tries - 1]
      return delayMs === undefined ? null : later(now, jittered(delayMs, random))
    }
    case 'not_sent':
      return later(now, jittered(Math.min(1_000 * 2 ** (tries - 1), LONGEST_PAUSE_MS), random))
    case 'token':
    case 'late_decision':
      return cause === 'token' && tries > 1 ? null : now
    case 'rate_minute':
      return tries > MAX_MINUTES ? null : later(nextClockMinute(now), random * MINUTE_SPREAD_MS)
    case 'quota_daily':
      return later(nextChinaDay(now), random * DAY_SPREAD_MS)
  }
}

/** Minute quotas are clock minutes, not sliding windows (sending.md, conventions). */
function nextClockMinute(now: Date): Date {
  return new Date((Math.floor(now.getTime() / 60_000) + 1) * 60_000)
}

function later(time: Date, ms: number): Date {
  return new Date(time.getTime() + Math.round(ms))
}

/** Up to a fifth more or less. */
function jittered(ms: number, random: number): number {
  return ms * (0.8 + 0.4 * random)
}
