import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'

/** An answer with a code that is in no table, and about which no operator has decided. */
export interface UnknownCode {
  readonly account: string
  readonly channel: string
  readonly message_id: string
  readonly errcode: number
  readonly rid: string | null
}

/** A code that the platform has begun to answer is answered to everybody; one line an hour says it. */
const SILENCE_MS = 3_600_000
/** More codes than anybody meets; what lies beyond is said again. */
const MOST_REMEMBERED = 1_000

/**
 * Warns of codes that no table has: they count as class `other`, which ends the message, and that may
 * be the wrong thing to do. Once an hour for each code and account.
 */
export function createUnknownCodes(parts: {
  readonly clock: Clock
  readonly log: Log
}): (seen: UnknownCode) => void {
  const toldAtMs = new Map<string, number>()
  return (seen) => {
    const key = `${seen.account}:${seen.errcode}`
    const nowMs = parts.clock.monotonicMs()
    if (nowMs - (toldAtMs.get(key) ?? -Infinity) < SILENCE_MS) return
    if (toldAtMs.size >= MOST_REMEMBERED) toldAtMs.clear()
    toldAtMs.set(key, nowMs)
    parts.log.warn(seen, 'codes.unknown')
  }
}
