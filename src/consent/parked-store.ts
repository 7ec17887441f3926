import type { Knex } from 'knex'
import type { EventSource } from '../accounts/account.ts'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { InvariantError } from '../foundation/errors.ts'
import { TENANT } from './consent.ts'

/** A merchant or corp as the platform names it, behind the component or suite that it names. */
export interface ParkingPlace {
  readonly parentId: number
  /** The appid, the corpid. */
  readonly tenant: string
}

/** A push to be parked. */
export interface NewParkedPush extends ParkingPlace {
  readonly repeatKey: Buffer
  /** Null where it follows from what the merchant is. */
  readonly source: EventSource | null
  readonly subject: string | null
  readonly effectiveAt: Date
  readonly sealed: string
  readonly receivedAt: Date
}

/** A push that waits for its tenant's account. */
export interface ParkedPush {
  readonly id: string
  readonly repeatKey: Buffer
  readonly source: EventSource | null
  readonly sealed: string
  readonly receivedAt: Date
}

/**
 * What became of a push that was to be parked: it waits; its tenant has an account, so that it is to
 * be recorded there; its tenant has left, so that nothing of it may be kept; too much waits already.
 */
export interface Parking {
  readonly outcome: 'parked' | 'known' | 'withdrawn' | 'full'
}

/**
 * Bounds, so that nobody can fill the database with what may never be recorded: of one tenant, and of
 * all behind one component or suite. An exchange takes seconds.
 */
const MOST_OF_TENANT = 1_000
const MOST_OF_PARENT = 10_000

/** How long a push waits. Jobs are tried for four days, but no code lives that long. */
const PARKED_DAYS = 3
/** A code that is not exchanged by then never is; `park_push` knows the same hour. */
const RETURN_HOURS = 1
/** How long it stays known that one was dropped. */
const KNOWN_DAYS = 30

/** Parks a push unless its tenant has an account or has left; see `park_push`. A repeat parks once. */
export async function parkPush(db: Knex, push: NewParkedPush): Promise<Parking> {
  const { rows } = await db
    .raw<{ rows: Parking[] }>(`select outcome from park_push(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, [
      push.parentId,
      push.tenant,
      push.effectiveAt,
      push.repeatKey,
      push.source,
      push.subject,
      push.sealed,
      push.receivedAt,
      MOST_OF_TENANT,
      MOST_OF_PARENT,
    ] as Knex.RawBinding[])
    .timeout(QUICK_QUERY_MS)
  const [parking] = rows
  if (!parking) throw new InvariantError('park_push answers one row')
  return parking
}

/** What waits for a tenant, in the order of arrival, and stays locked until the transaction ends. */
export async function takeParked(
  trx: Knex.Transaction,
  { parentId, tenant }: ParkingPlace,
): Promise<ParkedPush[]> {
  const { rows } = await trx.raw<{
    rows: {
      id: string
      repeat_key: Buffer
      source: EventSource | null
      sealed: string
      received_at: Date
    }[]
  }>(
    `select id, repeat_key, source, sealed, received_at from parked_push
     where parent_id = ? and tenant = ? and dropped_at is null
     order by id
     for update`,
    [parentId, tenant],
  )
  return rows.map((row) => ({
    id: row.id,
    repeatKey: row.repeat_key,
    source: row.source,
    sealed: row.sealed,
    receivedAt: row.received_at,
  }))
}

/** Forgets what has been recorded. */
export async function removeParked(trx: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await trx('parked_push').whereIn('id', ids).delete()
}

/** Forgets the document of a push that cannot be recorded; that there was one stays known a while. */
export async function dropParked(trx: Knex.Transaction, id: string, reason: string): Promise<void> {
  await trx('parked_push')
    .where({ id })
    .update({ sealed: null, subject_hash: null, dropped_at: trx.fn.now(), dropped_reason: reason })
}

/** Forgets all that waits for a tenant, or what came until `until`. */
export async function forgetParked(
  trx: Knex.Transaction,
  { parentId, tenant }: ParkingPlace,
  until: Date | null,
): Promise<void> {
  const parked = trx('parked_push').where({ parent_id: parentId, tenant })
  if (until !== null) void parked.where('received_at', '<=', until)
  await parked.delete()
}

/**
 * Drops what has waited too long; answers how many, by the name of the component or suite. What waited
 * for the return of a corp that has not come back is forgotten sooner, without a word: nothing of it
 * may be kept.
 */
export async function dropOldParked(
  db: Knex,
): Promise<{ readonly account: string; readonly count: number }[]> {
  await db.raw(`delete from parked_push where received_at < now() - make_interval(days => ?)`, [
    KNOWN_DAYS,
  ])
  await db.raw(
    `delete from parked_push as parked
     where parked.received_at < now() - make_interval(hours => ?) and exists (
       select from consent as held
       where held.account_id = parked.parent_id and held.subject = parked.tenant
         and held.scope = ? and held.state = 'revoked'
       offset 0
     )`,
    [RETURN_HOURS, TENANT],
  )
  const { rows } = await db.raw<{ rows: { account: string; count: string }[] }>(
    `with dropped as (
       update parked_push
       set sealed = null, subject_hash = null, dropped_at = now(), dropped_reason = 'too_old'
       where dropped_at is null and received_at < now() - make_interval(days => ?)
       returning parent_id
     )
     select account.name as account, count(*) from dropped
     join account on account.id = dropped.parent_id
     group by account.name
     order by account.name`,
    [PARKED_DAYS],
  )
  return rows.map(({ account, count }) => ({ account, count: Number(count) }))
}

/** What waits or was dropped behind one component or suite. */
export interface ParkedCount {
  readonly account: string
  readonly waiting: number
  /** When the oldest that waits came; null when none does. */
  readonly oldestAt: Date | null
  readonly dropped: number
}

export async function countParked(db: Knex): Promise<ParkedCount[]> {
  const { rows } = await db.raw<{
    rows: { account: string; waiting: string; oldest_at: Date | null; dropped: string }[]
  }>(
    `select account.name as account,
       count(*) filter (where parked.dropped_at is null) as waiting,
       min(parked.received_at) filter (where parked.dropped_at is null) as oldest_at,
       count(*) filter (where parked.dropped_at is not null) as dropped
     from parked_push as parked
     join account on account.id = parked.parent_id
     group by account.name
     order by account.name`,
  )
  return rows.map((row) => ({
    account: row.account,
    waiting: Number(row.waiting),
    oldestAt: row.oldest_at,
    dropped: Number(row.dropped),
  }))
}
