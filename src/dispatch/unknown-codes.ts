import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { createSilence } from '../foundation/silence.ts'

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

/**
 * Warns of codes that no table has: they count as class `other`, which ends the message, and that may
 * be the wrong thing to do. Once an hour for each code and account.
 */
export function createUnknownCodes(parts: {
  readonly clock: Clock
  readonly log: Log
}): (seen: UnknownCode) => void {
  const isNews = createSilence(parts.clock, SILENCE_MS)
  return (seen) => {
    if (isNews(`${seen.account}:${seen.errcode}`)) parts.log.warn(seen, 'codes.unknown')
  }
}
