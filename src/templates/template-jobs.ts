import type { Knex } from 'knex'
import { z } from 'zod'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import type { TokenAccount } from '../wechat/refresh-token.ts'
import { beginSync } from './template-store.ts'

const SYNC = 'sync-templates'
const NIGHTLY = 'sync-all-templates'

const payloadSchema = z.object({ account_id: z.int(), refused: z.boolean() })

/** Accounts begin within this time, so that they do not all call at once. */
const NIGHT_SPREAD_MS = 30 * 60_000
/** A refused template asks for the lists no sooner than so long after they were last asked for. */
const REST_SECONDS = 600
/** The next night tries again; about four minutes in all. */
const TRIES = 6

/**
 * The jobs of the template registry: one account's lists compared, and that of all accounts every
 * night.
 */
export function createTemplateJobs(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly random: () => number
  readonly sync: (account: TokenAccount) => Promise<unknown>
  readonly findAccount: (id: number) => Promise<TokenAccount | undefined>
  readonly listAccountIds: () => Promise<readonly number[]>
  /** When to begin every night, China time; null: never. */
  readonly nightlyAt: ScheduledJob['at'] | null
}): { readonly tasks: JobTasks; readonly schedule: readonly ScheduledJob[] } {
  const { db, clock, nightlyAt } = parts
  return {
    tasks: {
      async [SYNC](payload, { attempt }) {
        const { account_id: accountId, refused } = payloadSchema.parse(payload)
        const account = await parts.findAccount(accountId)
        if (!account) return
        // a second try goes on with what the first one began
        const restSeconds = refused && attempt === 1 ? REST_SECONDS : 0
        if (await beginSync(db, { accountId, restSeconds })) await parts.sync(account)
      },

      async [NIGHTLY]() {
        for (const accountId of await parts.listAccountIds()) {
          const runAt = new Date(clock.now().getTime() + parts.random() * NIGHT_SPREAD_MS)
          await addJob(db, {
            task: SYNC,
            payload: { account_id: accountId, refused: false },
            runAt,
            key: `${SYNC}:night:${accountId}`,
            maxAttempts: TRIES,
          })
        }
      },
    },
    schedule: nightlyAt === null ? [] : [{ task: NIGHTLY, at: nightlyAt }],
  }
}

/** Adds the job that compares an account's lists because one of its templates was refused. */
export async function queueSyncAfterRefusal(db: Knex, accountId: number): Promise<void> {
  await addJob(db, {
    task: SYNC,
    payload: { account_id: accountId, refused: true },
    key: `${SYNC}:refused:${accountId}`,
    maxAttempts: TRIES,
  })
}
