import { z } from 'zod'
import type { NewJob } from '../database/job-queue.ts'

/** The task that delivers what is due at one endpoint; the trigger on `delivery` adds it too. */
export const DELIVER = 'deliver'

const payloadSchema = z.object({ endpoint_id: z.string() })

/** @throws when a job was stored in another form; no version of this program does. */
export function readDeliverPayload(payload: unknown): string {
  return payloadSchema.parse(payload).endpoint_id
}

/** Looks after an endpoint now, or at a time: of the jobs for later only the newest counts. */
export function deliverJob(endpointId: string, runAt?: Date): NewJob {
  const job = { task: DELIVER, payload: { endpoint_id: endpointId } }
  return runAt ? { ...job, runAt, key: `${DELIVER}:${endpointId}` } : job
}
