import type { Knex } from 'knex'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { Courier } from './deliver-due.ts'
import { DELIVER, deliverJob, readDeliverPayload } from './delivery-job.ts'
import { findOverdueEndpoints, forgetOldDeliveries, measureDeliveries } from './delivery-store.ts'
import { dropOverslept } from './pause-store.ts'
import { forgetOldReplies } from './reply-store.ts'

const SWEEP = 'deliver-overdue'

/** A job that is merely late has this long; with many due, a turn lasts ten seconds. */
const OVERDUE_SECONDS = 30

/**
 * The jobs of deliveries: one endpoint's turn, and every minute a look for endpoints whose job was
 * lost. The deliveries themselves are rows, so a job may be lost, or run twice.
 */
export function createDeliveryJobs(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly courier: Courier
}): {
  readonly tasks: JobTasks
  readonly schedule: readonly ScheduledJob[]
} {
  const { db, clock, courier } = parts
  return {
    tasks: {
      [DELIVER]: (payload, { signal }) => courier.deliver(readDeliverPayload(payload), signal),
      async [SWEEP]() {
        for (const endpointId of await findOverdueEndpoints(db, OVERDUE_SECONDS)) {
          // with a time it has a key: one that fails again and again stays one
          await addJob(db, deliverJob(endpointId, clock.now()))
        }
      },
    },
    schedule: [{ task: SWEEP, at: 'every minute' }],
  }
}

/** Once an hour: what ended long ago is forgotten, and what has waited as long at a paused endpoint. */
export async function tidyDeliveries(
  { db, log }: { readonly db: Knex; readonly log: Log },
  retentionDays: number,
): Promise<void> {
  for (const { endpointId, dropped } of await dropOverslept(db, retentionDays)) {
    log.warn({ endpoint_id: endpointId, dropped, reason: 'endpoint_paused' }, 'delivery.dropped')
  }
  await forgetOldDeliveries(db, retentionDays)
  await forgetOldReplies(db)
}

/** Every few seconds: how long the oldest delivery has been waiting, and which endpoints rest. */
export async function measureDeliveryAge(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly metrics: Metrics
}): Promise<void> {
  const { oldestCreatedAt, pausedEndpoints } = await measureDeliveries(parts.db)
  parts.metrics.endpointsPaused.set(pausedEndpoints)
  const ageMs = oldestCreatedAt ? parts.clock.now().getTime() - oldestCreatedAt.getTime() : 0
  parts.metrics.deliveryAge.set(Math.max(0, ageMs / 1000))
}
