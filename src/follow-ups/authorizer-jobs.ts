import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Reconciliation } from './reconcile-authorizers.ts'

const RECONCILE = 'reconcile-authorizers'
const NIGHTLY = 'reconcile-all-authorizers'

const payloadSchema = z.object({ account_id: z.int() })

/** Components begin one after the other within this time, so that they do not all call at once. */
const NIGHT_SPREAD_MS = 10 * 60_000
/** About two hours in all; then the next night's. */
const TRIES = 9

/** The jobs that compare each component's merchants with the platform's list, every night. */
export function createAuthorizerJobs(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly random: () => number
  readonly findAccount: (id: number) => Promise<Account | undefined>
  readonly listComponentIds: () => Promise<readonly number[]>
  readonly reconcile: (component: Account, signal: AbortSignal) => Promise<Reconciliation>
  /** When to begin every night, China time; null: never. */
  readonly nightlyAt: ScheduledJob['at'] | null
}): { readonly tasks: JobTasks; readonly schedule: readonly ScheduledJob[] } {
  const { db, clock, nightlyAt } = parts
  return {
    tasks: {
      async [RECONCILE](payload, { signal }) {
        const component = await parts.findAccount(payloadSchema.parse(payload).account_id)
        if (component?.kind === 'component') await parts.reconcile(component, signal)
      },

      async [NIGHTLY]() {
        for (const accountId of await parts.listComponentIds()) {
          await addJob(db, {
            task: RECONCILE,
            payload: { account_id: accountId },
            runAt: new Date(clock.now().getTime() + parts.random() * NIGHT_SPREAD_MS),
            key: `${RECONCILE}:${accountId}`,
            maxAttempts: TRIES,
          })
        }
      },
    },
    schedule: nightlyAt === null ? [] : [{ task: NIGHTLY, at: nightlyAt }],
  }
}
