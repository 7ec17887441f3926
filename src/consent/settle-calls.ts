import type { Knex } from 'knex'
import { sleep, systemClock } from '../foundation/clock.ts'
import { databaseTime, isCallUnderWay } from './consent-store.ts'

/**
 * For how long a decision to send may be acted on. The dispatcher begins the platform call within
 * this time of asking, or asks again; so whoever has waited longer than this after recording an
 * opt-out knows that every call decided before it has begun. See docs/adr/0006.
 */
export const DECISION_VALID_MS = 1_000

/** By then every call decided before has begun or never will, with 2 s to end. Inside the platform's 5 s. */
const SETTLE_LIMIT_MS = DECISION_VALID_MS + 2_000

/** A platform call usually takes 20–100 ms. */
const POLL_MS = 10

/**
 * Waits, after an opt-out has been committed, until the calls to this person that were decided
 * before it are over, at most three seconds. Only then is the opt-out acknowledged: after the
 * acknowledgement no call begins, from any process (promise P4).
 */
export async function settleCalls(db: Knex, accountId: number, subject: string): Promise<void> {
  const untilMs = systemClock.monotonicMs() + SETTLE_LIMIT_MS
  const recordedAt = await databaseTime(db)
  while (await isCallUnderWay(db, { accountId, subject }, recordedAt)) {
    if (systemClock.monotonicMs() >= untilMs) return
    await sleep(POLL_MS)
  }
}
