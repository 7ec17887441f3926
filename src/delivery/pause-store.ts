import type { Knex } from 'knex'
import { FIRST_ID } from '../foundation/ids.ts'
import type { PausedReason } from './endpoint-health.ts'

/** The first failure behind a success is remembered; null forgets it. */
export async function markFailing(db: Knex, id: string, since: Date | null): Promise<void> {
  await db('endpoint').where({ id }).update({ failing_since: since })
}

/**
 * Pauses an endpoint that has taken nothing since a moment; where it has, the moment is forgotten.
 *
 * @returns whether this call paused it.
 */
export async function pauseFailing(db: Knex, id: string, since: Date): Promise<boolean> {
  const paused = await db('endpoint')
    .where({ id, paused_at: null })
    .whereNotExists(
      // the tries of another process may have come between
      db('delivery')
        .where({ endpoint_id: id, status: 'delivered' })
        .where('finished_at', '>=', since),
    )
    .update({ ...pausedFor(db, 'failing'), updated_at: db.raw('clock_timestamp()') })
  if (paused === 0) await markFailing(db, id, null)
  return paused === 1
}

/** Pauses an endpoint; one that is paused stays so, for the reason it has. */
export async function pauseEndpoint(db: Knex, id: string): Promise<void> {
  await db('endpoint')
    .where({ id, paused_at: null })
    .update({ ...pausedFor(db, 'by_request'), updated_at: db.raw('clock_timestamp()') })
}

function pausedFor(db: Knex, reason: PausedReason) {
  return { paused_at: db.raw('clock_timestamp()'), paused_reason: reason }
}

/** Of what is changed at once, so that no statement runs long. */
const SLICE = 5_000

/**
 * Resumes an endpoint: what waits, and what was given up while it took nothing, is tried at once with
 * all tries anew. The deliveries come first: who is interrupted between does it again.
 */
export async function resumeEndpoint(db: Knex, id: string): Promise<void> {
  for (let revived = SLICE; revived === SLICE;) revived = await reviveFailed(db, id)
  let after: WaitingPlace | null = { at: '-infinity', id: FIRST_ID }
  while (after !== null) after = await reviveWaiting(db, id, after)
  await db('endpoint')
    .where({ id })
    .update({
      paused_at: null,
      paused_reason: null,
      failing_since: null,
      updated_at: db.raw('clock_timestamp()'),
    })
}

interface WaitingPlace {
  readonly at: string
  readonly id: string
}

/** Served by delivery_ended_idx, which those that are revived leave. */
async function reviveFailed(db: Knex, endpointId: string): Promise<number> {
  const { rowCount } = await db.raw<{ rowCount: number }>(
    `update delivery as revived
     set status = 'waiting', due_at = clock_timestamp(), attempt_count = 0, finished_at = null
     where revived.endpoint_id = :endpointId and revived.id = any (array(
       select failed.id from delivery as failed
       where failed.endpoint_id = :endpointId and failed.status = 'failed'
         and failed.finished_at >= (
           select endpoint.failing_since from endpoint
           where endpoint.id = :endpointId and endpoint.paused_at is not null
         )
       order by failed.finished_at limit :limit
     )) and revived.status <> 'waiting'`,
    { endpointId, limit: SLICE },
  )
  return rowCount
}

/** Slice by slice in the order of delivery_waiting_age_idx, so that none is read twice. */
async function reviveWaiting(
  db: Knex,
  endpointId: string,
  after: WaitingPlace,
): Promise<WaitingPlace | null> {
  const { rows } = await db.raw<{ rows: WaitingPlace[] }>(
    `with slice as materialized (
       select waiting.id, waiting.created_at from delivery as waiting
       where waiting.endpoint_id = :endpointId and waiting.status = 'waiting'
         and (waiting.created_at, waiting.id) > (:at::timestamptz, :after::uuid)
       order by waiting.created_at, waiting.id limit :limit
     ), revived as (
       update delivery as held set due_at = clock_timestamp(), attempt_count = 0
       where held.endpoint_id = :endpointId and held.id = any (array(select slice.id from slice))
         and held.finished_at is null
         and (held.attempt_count > 0 or held.due_at > clock_timestamp())
         and exists (
           select from endpoint
           where endpoint.id = :endpointId and endpoint.paused_at is not null offset 0
         )
     )
     select slice.created_at::text as at, slice.id from slice
     order by slice.created_at desc, slice.id desc limit 1`,
    { endpointId, at: after.at, after: after.id, limit: SLICE },
  )
  return rows[0] ?? null
}

/**
 * Drops what has waited at paused endpoints for longer than a delivery is kept. Served by
 * delivery_waiting_age_idx.
 *
 * @returns how many of which endpoints.
 */
export async function dropOverslept(
  db: Knex,
  retentionDays: number,
): Promise<{ readonly endpointId: string; readonly dropped: number }[]> {
  const paused = await db('endpoint').whereNotNull('paused_at').select<{ id: string }[]>('id')
  const told: { endpointId: string; dropped: number }[] = []
  for (const { id: endpointId } of paused) {
    const dropped = await dropOfOne(db, endpointId, retentionDays)
    if (dropped > 0) told.push({ endpointId, dropped })
  }
  return told
}

async function dropOfOne(db: Knex, endpointId: string, retentionDays: number): Promise<number> {
  let total = 0
  for (let dropped = SLICE; dropped === SLICE;) {
    const { rowCount } = await db.raw<{ rowCount: number }>(
      `update delivery as dropped
       set status = 'dropped', reason = 'endpoint_paused', finished_at = clock_timestamp()
       where dropped.endpoint_id = :endpointId and dropped.id = any (array(
         select old.id from delivery as old
         where old.endpoint_id = :endpointId and old.status = 'waiting'
           and old.created_at < now() - make_interval(days => :retentionDays)
         order by old.created_at limit :limit
       )) and dropped.finished_at is null`,
      { endpointId, retentionDays, limit: SLICE },
    )
    dropped = rowCount
    total += rowCount
  }
  return total
}
