import type { Knex } from 'knex'

/** One step over old messages. */
export interface ForgottenBatch {
  readonly removed: number
  /** Where the next step goes on; null when there is none. */
  readonly after: string | null
}

/** What a step over an old broadcast removed. */
export interface ForgottenBroadcast {
  readonly messages: number
  /** Whether the broadcast itself is gone, and its list with it. */
  readonly done: boolean
}

/**
 * Removes single messages that ended before a moment, with their attempts and what was asked of their
 * templates. Messages of broadcasts stay as long as their broadcast. Ids begin with the time, so the
 * oldest come first: served by message_pkey and attempt_message_id_number_key.
 *
 * @param step.below an id of that moment: what was made later cannot have ended before.
 */
export async function forgetMessages(
  db: Knex,
  step: {
    readonly before: Date
    readonly after: string
    readonly below: string
    readonly limit: number
  },
): Promise<ForgottenBatch> {
  const { rows } = await db.raw<{ rows: { removed: string; last: string | null; seen: string }[] }>(
    `with old as materialized (
       select message.id, message.finished_at, message.broadcast_id
       from message
       where message.id > :after and message.id < :below
       order by message.id
       limit :limit
     ), ended as materialized (
       select message.id from message
       where message.id in (
           select old.id from old where old.finished_at < :before and old.broadcast_id is null
         )
         and message.status not in ('scheduled', 'queued', 'sending')
       for update skip locked
     ), gone as (
       delete from message using ended where message.id = ended.id
     ), tried as (
       delete from attempt using ended where attempt.message_id = ended.id
     ), named as (
       delete from aliased_message using ended where aliased_message.message_id = ended.id
     )
     select
       (select count(*) from ended) as removed, (select count(*) from old) as seen,
       (select old.id from old order by old.id desc limit 1) as last`,
    step,
  )
  const row = rows[0]
  const isLast = Number(row?.seen ?? 0) < step.limit
  return { removed: Number(row?.removed ?? 0), after: isLast ? null : (row?.last ?? null) }
}

/** The broadcast that ended longest before a moment; undefined when none did. */
export async function findOldBroadcast(db: Knex, before: Date): Promise<string | undefined> {
  const row = await db('broadcast')
    .where('finished_at', '<', before)
    .orderBy('id')
    .first<{ id: string } | undefined>('id')
  return row?.id
}

/**
 * Removes the next messages of an ended broadcast with their attempts; when there are none, the next
 * part of its list; and at last the broadcast. Served by message_broadcast_line_idx,
 * attempt_message_id_number_key and the keys of the lists.
 */
export async function forgetBroadcast(
  db: Knex,
  id: string,
  limit: number,
): Promise<ForgottenBroadcast> {
  const { rows: removed } = await db.raw<{ rows: { count: string }[] }>(
    `with ended as materialized (
       select message.id from message
       where message.broadcast_id = :id
         and message.status not in ('scheduled', 'queued', 'sending')
       order by message.broadcast_line
       limit :limit
       for update
     ), gone as (
       delete from message using ended where message.id = ended.id
     ), tried as (
       delete from attempt using ended where attempt.message_id = ended.id
     ), named as (
       delete from aliased_message using ended where aliased_message.message_id = ended.id
     )
     select count(*) from ended`,
    { id, limit },
  )
  const messages = Number(removed[0]?.count ?? 0)
  if (messages > 0) return { messages, done: false }
  const listed = (await forgetLines(db, 'broadcast_recipient', { id, limit })) > 0
  if (listed || (await forgetLines(db, 'broadcast_bad_line', { id, limit })) > 0) {
    return { messages, done: false }
  }
  await db('broadcast').where({ id }).del()
  return { messages, done: true }
}

async function forgetLines(
  db: Knex,
  table: 'broadcast_recipient' | 'broadcast_bad_line',
  { id, limit }: { readonly id: string; readonly limit: number },
): Promise<number> {
  const oldest = db(table).select('line').where({ broadcast_id: id }).orderBy('line').limit(limit)
  return db(table).where({ broadcast_id: id }).whereIn('line', oldest).del()
}
