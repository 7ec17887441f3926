import type { Knex } from 'knex'
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
  let revived = SLICE
  while (revived === SLICE) {
    const { rowCount } = await db.raw<{ rowCount: number }>(
      `update delivery as revived
       set status = 'waiting', due_at = clock_timestamp(), attempt_count = 0, finished_at = null
       from (
         select told.endpoint_id, told.id
         from delivery as told
         join endpoint on endpoint.id = told.endpoint_id and endpoint.paused_at is not null
         where told.endpoint_id = ? and (
           (told.status = 'waiting' and (told.attempt_count > 0 or told.due_at > clock_timestamp()))
           or (told.status = 'failed' and told.finished_at >= endpoint.failing_since)
         )
         limit ?
       ) as told
       where revived.endpoint_id = told.endpoint_id and revived.id = told.id`,
      [id, SLICE],
    )
    revived = rowCount
  }
  await db('endpoint')
    .where({ id })
    .update({
      paused_at: null,
      paused_reason: null,
      failing_since: null,
      updated_at: db.raw('clock_timestamp()'),
    })
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
       where dropped.endpoint_id = :endpointId and dropped.id in (
         select old.id from delivery as old
         where old.endpoint_id = :endpointId and old.status = 'waiting'
           and old.created_at < now() - make_interval(days => :retentionDays)
         limit :limit
       )`,
      { endpointId, retentionDays, limit: SLICE },
    )
    dropped = rowCount
    total += rowCount
  }
  return total
}
