import type { Knex } from 'knex'
import { DELIVERY_STATUSES, type Delivery, type DeliveryStatus } from './delivery.ts'

/** A delivery that this process has taken. */
export interface ClaimedDelivery {
  readonly id: string
  readonly eventId: string | null
  readonly eventOccurredAt: Date | null
  readonly messageId: string | null
  readonly broadcastId: string | null
  /** Tries so far, without the one to come. */
  readonly attemptCount: number
}

/** What is written about a delivery after a try, or instead of one. */
export interface DeliveryEnd {
  readonly id: string
  readonly status: DeliveryStatus
  /** When it is tried again; null when it is not. */
  readonly dueAt: Date | null
  /** 1 after a try, 0 where there was none. */
  readonly tries: 0 | 1
  readonly httpStatus: number | null
  readonly reason: string | null
}

export interface DeliveryFilter {
  readonly endpointId: string
  readonly status?: DeliveryStatus | undefined
  /** Only deliveries made before this one. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/**
 * Takes deliveries of an endpoint that are due, oldest first: for as long as `leaseSeconds` nobody
 * else does. Served by delivery_due_idx and delivery_pkey.
 */
export async function claimDeliveries(
  db: Knex,
  endpointId: string,
  { limit, leaseSeconds }: { readonly limit: number; readonly leaseSeconds: number },
): Promise<ClaimedDelivery[]> {
  const { rows } = await db.raw<{ rows: ClaimedRow[] }>(
    `update delivery as taken
     set due_at = clock_timestamp() + make_interval(secs => ?)
     where taken.endpoint_id = ? and taken.id = any (array(
       select due.id from delivery as due
       where due.endpoint_id = ? and due.status = 'waiting' and due.due_at <= clock_timestamp()
       order by due.due_at
       limit ?
       for update skip locked
     ))
     returning taken.id, taken.event_id, taken.event_occurred_at, taken.message_id,
       taken.broadcast_id, taken.attempt_count`,
    [leaseSeconds, endpointId, endpointId, limit],
  )
  return rows
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((row) => ({
      id: row.id,
      eventId: row.event_id,
      eventOccurredAt: row.event_occurred_at,
      messageId: row.message_id,
      broadcastId: row.broadcast_id,
      attemptCount: row.attempt_count,
    }))
}

/**
 * Writes what became of deliveries; one that has ended meanwhile stays as it is. Served by
 * delivery_pkey: `status = 'waiting'` would invite a plan that reads all that wait, so what has not
 * ended is told by its end.
 */
export async function endDeliveries(
  db: Knex,
  endpointId: string,
  ends: readonly DeliveryEnd[],
): Promise<void> {
  const told = ends.map((end) => ({
    id: end.id,
    status: end.status,
    due_at: end.dueAt,
    tries: end.tries,
    http_status: end.httpStatus,
    reason: end.reason,
  }))
  await db.raw(
    `update delivery as ended set
       status = told.status,
       due_at = coalesce(told.due_at, ended.due_at),
       attempt_count = ended.attempt_count + told.tries,
       http_status = case when told.tries = 1 then told.http_status else ended.http_status end,
       reason = case
         when told.tries = 1 or told.status = 'dropped' then told.reason else ended.reason end,
       finished_at = case when told.status <> 'waiting' then clock_timestamp() end
     from jsonb_to_recordset(?) as told (
       id uuid, status text, due_at timestamptz, tries integer, http_status integer, reason text
     )
     where ended.endpoint_id = ? and ended.id = any (?::uuid[]) and ended.id = told.id
       and ended.finished_at is null`,
    [JSON.stringify(told), endpointId, ends.map(({ id }) => id)],
  )
}

/** Ends deliveries that nobody wants any more, a slice at a time; answers how many it ended. */
export async function dropDeliveries(db: Knex, endpointId: string, limit: number): Promise<number> {
  const { rowCount } = await db.raw<{ rowCount: number }>(
    `update delivery as dropped
     set status = 'dropped', reason = 'endpoint_disabled', finished_at = clock_timestamp()
     where dropped.endpoint_id = ? and dropped.id = any (array(
       select waiting.id from delivery as waiting
       where waiting.endpoint_id = ? and waiting.status = 'waiting'
       limit ?
     )) and dropped.finished_at is null`,
    [endpointId, endpointId, limit],
  )
  return rowCount
}

/** When the next delivery of an endpoint is due; null when none waits, or the endpoint is paused. */
export async function nextDueAt(db: Knex, endpointId: string): Promise<Date | null> {
  const found = await db('delivery')
    .where({ endpoint_id: endpointId, status: 'waiting' })
    .whereNotExists(db('endpoint').where({ id: endpointId }).whereNotNull('paused_at'))
    .min<{ due_at: Date | null }>('due_at as due_at')
    .first()
  return found?.due_at ?? null
}

/**
 * Endpoints with deliveries that should have been tried by now: a job was lost or has died. Served by
 * delivery_due_idx, whose first entry of an endpoint is all there is to see.
 */
export async function findOverdueEndpoints(db: Knex, overdueSeconds: number): Promise<string[]> {
  const { rows } = await db.raw<{ rows: { id: string }[] }>(
    `select endpoint.id
     from endpoint
     where (endpoint.paused_at is null or endpoint.disabled_at is not null) and (
       select delivery.due_at from delivery
       where delivery.endpoint_id = endpoint.id and delivery.status = 'waiting'
       order by delivery.due_at
       limit 1
     ) < clock_timestamp() - make_interval(secs => ?)`,
    [overdueSeconds],
  )
  return rows.map(({ id }) => id)
}

/** Newest first. */
export async function listDeliveries(db: Knex, filter: DeliveryFilter): Promise<Delivery[]> {
  const query = deliveries(db)
    .where('endpoint_id', filter.endpointId)
    .orderBy('id', 'desc')
    .limit(filter.limit)
  if (filter.status !== undefined) void query.where('status', filter.status)
  if (filter.beforeId !== undefined) void query.where('id', '<', filter.beforeId)
  return (await query).map(deliveryOf)
}

/** Begins a delivery anew, with all its tries; undefined when there is none. */
export async function retryDelivery(
  db: Knex,
  endpointId: string,
  id: string,
): Promise<Delivery | undefined> {
  await db('delivery')
    .where({ endpoint_id: endpointId, id })
    .update({
      status: 'waiting',
      due_at: db.raw('clock_timestamp()'),
      attempt_count: 0,
      finished_at: null,
    })
  const row = await deliveries(db).where({ endpoint_id: endpointId, id }).first()
  return row && deliveryOf(row)
}

/**
 * Since when the oldest delivery waits that is not held by a pause, and how many endpoints are paused.
 * Served by delivery_waiting_age_idx.
 */
export async function measureDeliveries(
  db: Knex,
): Promise<{ readonly oldestCreatedAt: Date | null; readonly pausedEndpoints: number }> {
  const { rows } = await db.raw<{ rows: { oldest: Date | null; paused: string }[] }>(
    `select min(waiting.created_at) as oldest,
       count(*) filter (where endpoint.paused_at is not null and endpoint.disabled_at is null) as paused
     from endpoint
     left join lateral (
       select delivery.created_at from delivery
       where delivery.endpoint_id = endpoint.id and delivery.status = 'waiting'
         and endpoint.paused_at is null
       order by delivery.created_at limit 1
     ) as waiting on true`,
  )
  return { oldestCreatedAt: rows[0]?.oldest ?? null, pausedEndpoints: Number(rows[0]?.paused ?? 0) }
}

/** Of what is forgotten at once, so that no statement runs long. */
const SLICE = 5_000

/** What a delivery that has ended can be. */
const ENDED = DELIVERY_STATUSES.filter((status) => status !== 'waiting')

/** Forgets deliveries that ended this long ago, and endpoints that were removed and have none left. */
export async function forgetOldDeliveries(db: Knex, retentionDays: number): Promise<void> {
  const endpoints = await db('endpoint').select<{ id: string }[]>('id')
  for (const { id } of endpoints) {
    for (const status of ENDED) {
      let forgotten = SLICE
      while (forgotten === SLICE) forgotten = await forgetSlice(db, { id, status, retentionDays })
    }
  }
  await db.raw(
    `delete from endpoint
     where removed_at < now() - interval '1 day'
       and not exists (select from delivery where delivery.endpoint_id = endpoint.id)`,
  )
}

/** Served by delivery_ended_idx, oldest first, and delivery_pkey. @returns how many it forgot. */
async function forgetSlice(
  db: Knex,
  old: { readonly id: string; readonly status: DeliveryStatus; readonly retentionDays: number },
): Promise<number> {
  const { rowCount } = await db.raw<{ rowCount: number }>(
    `delete from delivery where delivery.endpoint_id = :id and delivery.id = any (array(
       select old.id from delivery as old
       where old.endpoint_id = :id and old.status = :status
         and old.finished_at < now() - make_interval(days => :retentionDays)
       order by old.finished_at limit :limit
     )) and delivery.status <> 'waiting'`,
    { ...old, limit: SLICE },
  )
  return rowCount
}

function deliveries(db: Knex) {
  return db('delivery').select<DeliveryRow[]>(
    'id',
    'endpoint_id',
    'event_id',
    'message_id',
    'broadcast_id',
    'status',
    'due_at',
    'attempt_count',
    'http_status',
    'reason',
    'created_at',
    'finished_at',
  )
}

interface ClaimedRow {
  readonly id: string
  readonly event_id: string | null
  readonly event_occurred_at: Date | null
  readonly message_id: string | null
  readonly broadcast_id: string | null
  readonly attempt_count: number
}

interface DeliveryRow {
  readonly id: string
  readonly endpoint_id: string
  readonly event_id: string | null
  readonly message_id: string | null
  readonly broadcast_id: string | null
  readonly status: DeliveryStatus
  readonly due_at: Date
  readonly attempt_count: number
  readonly http_status: number | null
  readonly reason: string | null
  readonly created_at: Date
  readonly finished_at: Date | null
}

function deliveryOf(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    messageId: row.message_id,
    broadcastId: row.broadcast_id,
    status: row.status,
    attemptCount: row.attempt_count,
    httpStatus: row.http_status,
    reason: row.reason,
    createdAt: row.created_at,
    nextAttemptAt: row.status === 'waiting' ? row.due_at : null,
    finishedAt: row.finished_at,
  }
}
