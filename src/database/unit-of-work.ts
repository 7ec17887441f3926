import type { Knex } from 'knex'
import { sleep } from '../foundation/clock.ts'
import { errorCode } from './availability.ts'

/**
 * Failures after which PostgreSQL has undone everything and says that another try may pass:
 * 40001 serialization failure, 40P01 deadlock (ours was chosen to give way).
 */
const RETRYABLE_STATES = new Set(['40001', '40P01'])

/** Tries in all. Two transactions that deadlock once rarely meet again; three is generous. */
const MAX_ATTEMPTS = 3

/** Pause before the second try; it grows by as much for each further one. */
const PAUSE_MS = 20

/**
 * Runs `work` in one transaction: everything it writes is committed together, or nothing is. The
 * one place that opens transactions.
 *
 * After a deadlock or a serialization failure the whole of `work` runs again, up to three times in
 * all; so it must touch nothing but the transaction it is given.
 *
 * @returns what `work` returns, once the commit is durable.
 * @throws whatever `work` or the commit throws; the transaction is rolled back.
 */
export async function withTransaction<Result>(
  db: Knex,
  work: (trx: Knex.Transaction) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction(work)
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error
      await sleep(PAUSE_MS * attempt)
    }
  }
}

/** Whether PostgreSQL has undone a transaction in favour of another; the same may pass later. */
export function isRetryable(error: unknown): boolean {
  return RETRYABLE_STATES.has(errorCode(error) ?? '')
}
