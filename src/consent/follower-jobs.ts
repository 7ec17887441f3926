import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import { findAbandoned } from './follower-sync-store.ts'
import type { FollowerSync } from './sync-followers.ts'

const SYNC = 'sync-followers'
const NIGHTLY = 'sync-all-followers'
const RESUME = 'resume-follower-syncs'

const payloadSchema = z.object({ account_id: z.int(), start: z.boolean() })

/** Accounts begin one after the other within this time, so that they do not all call at once. */
const NIGHT_SPREAD_MS = 30 * 60_000

/**
 * Adds the first comparison of an account that is new, or that comes back after a time in which we
 * heard nothing of its people: until it is through, who followed before is unknown, and gets nothing.
 *
 * @param trx the transaction that adds the account.
 */
export async function queueFirstSync(trx: Knex, accountId: number): Promise<void> {
  const payload = { account_id: accountId, start: true }
  await addJob(trx, { task: SYNC, payload, key: `${SYNC}:start:${accountId}` })
}

/**
 * The jobs of the follower sync: one account's run (begun or gone on with), all accounts every
 * night, and every minute a look for runs that rested or whose process has died.
 */
export function createFollowerJobs(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly random: () => number
  readonly followers: FollowerSync
  readonly findAccount: (id: number) => Promise<Account | undefined>
  readonly listAccountIds: () => Promise<readonly number[]>
  /** When to begin every night, China time; null: never. */
  readonly nightlyAt: ScheduledJob['at'] | null
}): { readonly tasks: JobTasks; readonly schedule: readonly ScheduledJob[] } {
  const { db, clock, followers, nightlyAt } = parts

  return {
    tasks: {
      async [SYNC](payload, { signal }) {
        const { account_id: accountId, start } = payloadSchema.parse(payload)
        const account = await parts.findAccount(accountId)
        if (account) await followers.sync(account, { start, signal })
      },

      async [NIGHTLY]() {
        for (const accountId of await parts.listAccountIds()) {
          const runAt = new Date(clock.now().getTime() + parts.random() * NIGHT_SPREAD_MS)
          const key = `${SYNC}:start:${accountId}`
          await addJob(db, {
            task: SYNC,
            payload: { account_id: accountId, start: true },
            runAt,
            key,
          })
        }
      },

      async [RESUME]() {
        for (const accountId of await findAbandoned(db)) {
          const payload = { account_id: accountId, start: false }
          // one that failed and will be tried again keeps its time
          await addJob(db, {
            task: SYNC,
            payload,
            key: `${SYNC}:go_on:${accountId}`,
            keepOld: true,
          })
        }
      },
    },
    schedule: [
      { task: RESUME, at: 'every minute' },
      ...(nightlyAt === null ? [] : [{ task: NIGHTLY, at: nightlyAt }]),
    ],
  }
}
