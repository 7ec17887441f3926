import { assertNever } from '../foundation/errors.ts'
import { lookUpErrorCode } from './error-codes.ts'
import {
  isParentTokenDead,
  TOKEN_SOURCES,
  type Need,
  type TokenSourceName,
} from './token-sources.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** What the rules look at in a token; the token itself is not needed. */
export interface TokenTimes {
  readonly kind: TokenSourceName
  /** When it was asked for, by our clock: never later than the platform made it. */
  readonly fetchedAt: Date
  /** `fetchedAt` plus the `expires_in` of the reply. */
  readonly expiresAt: Date
}

/**
 * However short a token's life, it is asked for once a minute at most: 1,440 calls a day stay inside
 * the smallest daily quota of the token endpoints (2,000).
 */
const SHORTEST_REFRESH_INTERVAL_MS = MINUTE

/** Whether the platform still takes this token, as far as its stated life goes. */
export function isUsable(token: TokenTimes, now: Date): boolean {
  return now < token.expiresAt
}

/** Whether a token can be used without thinking of the next one. */
export function isFresh(token: TokenTimes, now: Date): boolean {
  const untilEndMs = token.expiresAt.getTime() - now.getTime()
  const ageMs = now.getTime() - token.fetchedAt.getTime()
  return (
    untilEndMs > TOKEN_SOURCES[token.kind].refreshBeforeEndMs ||
    (untilEndMs > 0 && ageMs < SHORTEST_REFRESH_INTERVAL_MS)
  )
}

/** Why no call to the token endpoint is made for a while. */
export type BreakerReason =
  | 'config'
  | 'ip_whitelist'
  | 'quota_daily'
  | 'rate_minute'
  | 'transient'
  | 'forced_refresh_budget'
  | 'no_ticket'
  | 'not_authorized'
  | 'parent_unavailable'

export interface Breaker {
  readonly until: Date
  readonly reason: BreakerReason
}

/** A token endpoint that did not give a token. */
export interface TokenFailure {
  readonly source: TokenSourceName
  /** null when there was no answer that could be read. */
  readonly errcode: number | null
  readonly now: Date
  /** Failures in a row, this one included (1 for the first). */
  readonly failures: number
}

/**
 * How long to leave the token endpoint alone after it did not give a token.
 *
 * - configuration (a wrong appid or secret, 40001 included: from this endpoint it means the secret)
 *   and everything else that only a person can change: 5 minutes, doubling to 1 hour
 * - the merchant or corp has not authorised us, or not any more: the same
 * - IP not on the whitelist: 10 minutes, the time a change takes; 89507 names 1 hour, 89506 a day
 * - daily quota: 00:00 China time; minute quota: the next clock minute. WeCom has one code for all
 *   its windows (minute, hour, day): 1 minute, doubling to 1 hour
 * - a ticket that is over: 1 minute, doubling to 10, the time between two tickets
 * - the parent's token refused, twice: 30 seconds, doubling to 10 minutes
 * - system busy, no answer, an answer without a token: 1, 2, 4 … 60 seconds
 */
export function breakerFor(failure: TokenFailure): Breaker {
  const { source, errcode } = failure
  const reason = errcode === null ? 'transient' : reasonFor(source, errcode)
  return { reason, until: endOf(reason, failure) }
}

/** How often to look whether something that was missing has been stored; nobody is asked for it. */
const LOOK_FOR_MISSING_MS = MINUTE

/** The pause while a secret is missing without which there is nothing to ask with. */
export function breakerWithout(need: Need, now: Date): Breaker {
  return { reason: REASON_WITHOUT[need], until: later(now, LOOK_FOR_MISSING_MS) }
}

const REASON_WITHOUT = {
  secret: 'config',
  ticket: 'no_ticket',
  refreshToken: 'not_authorized',
  permanentCode: 'not_authorized',
} as const satisfies Record<Need, BreakerReason>

/** The pause while the parent has no token, at most as long as anything else that is missing. */
export function breakerForParent(parentUntil: Date, now: Date): Breaker {
  const latest = later(now, LOOK_FOR_MISSING_MS)
  return { reason: 'parent_unavailable', until: parentUntil < latest ? parentUntil : latest }
}

/** WeCom's words for a secret that is none, or none of this corp: here the permanent code is over. */
const WRONG_SECRET: readonly number[] = [40001, 40091]

type RefusalReason = Exclude<BreakerReason, 'forced_refresh_budget'>

function reasonFor(source: TokenSourceName, errcode: number): RefusalReason {
  const { space, ticketCodes, needs } = TOKEN_SOURCES[source]
  if (ticketCodes.includes(errcode)) return 'no_ticket'
  if (source === 'wecom_agency' && WRONG_SECRET.includes(errcode)) return 'not_authorized'
  if (isParentTokenDead(source, errcode)) return 'parent_unavailable'
  const kind = lookUpErrorCode(space, errcode).class
  switch (kind) {
    case 'ip_whitelist':
    case 'quota_daily':
    case 'rate_minute':
    case 'transient':
      return kind
    case 'permission':
      return needs.includes('refreshToken') || needs.includes('permanentCode')
        ? 'not_authorized'
        : 'config'
    case 'ok':
      // errcode 0 without a token: not an answer of the platform that we know.
      return 'transient'
    default:
      return 'config'
  }
}

function endOf(reason: RefusalReason, { source, errcode, now, failures }: TokenFailure): Date {
  switch (reason) {
    case 'config':
    case 'not_authorized':
      return later(now, growing(5 * MINUTE, HOUR, failures))
    case 'ip_whitelist':
      return later(now, ipPauseMs(errcode))
    case 'quota_daily':
      return nextChinaDay(now)
    case 'rate_minute':
      return TOKEN_SOURCES[source].space === 'wecom'
        ? later(now, growing(MINUTE, HOUR, failures))
        : new Date((Math.floor(now.getTime() / MINUTE) + 1) * MINUTE)
    case 'no_ticket':
      return later(now, growing(MINUTE, 10 * MINUTE, failures))
    case 'parent_unavailable':
      return later(now, growing(30 * SECOND, 10 * MINUTE, failures))
    case 'transient':
      return later(now, growing(SECOND, MINUTE, failures))
    default:
      return assertNever(reason)
  }
}

function later(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms)
}

/** `firstMs`, doubled with each further failure; 2^30 is past every limit and no overflow. */
function growing(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30))
}

function ipPauseMs(errcode: number | null): number {
  if (errcode === 89506) return DAY
  if (errcode === 89507) return HOUR
  return 10 * MINUTE
}

/** China has one time zone, UTC+8, and no summer time; the platform's quotas count its days. */
const CHINA_OFFSET_MS = 8 * HOUR

/** The next 00:00 China time after a moment. */
export function nextChinaDay(now: Date): Date {
  const day = Math.floor((now.getTime() + CHINA_OFFSET_MS) / DAY) + 1
  return new Date(day * DAY - CHINA_OFFSET_MS)
}

/** The China day of a moment, `2026-01-31`. */
export function chinaDay(now: Date): string {
  return new Date(now.getTime() + CHINA_OFFSET_MS).toISOString().slice(0, 10)
}

/** How often refused tokens of an account have been replaced before their time. */
export interface ForcedRefreshes {
  readonly at: Date | null
  readonly count: number
  /** The China day that `count` belongs to. */
  readonly day: string | null
}

/** When a refused token may next be replaced: now, or an earlier moment, when nothing forbids it. */
export function nextForcedRefresh(source: TokenSourceName, used: ForcedRefreshes, now: Date): Date {
  const { perDay, intervalMs } = TOKEN_SOURCES[source].early
  if (used.day === chinaDay(now) && used.count >= perDay) return nextChinaDay(now)
  return used.at === null ? now : later(used.at, intervalMs)
}
