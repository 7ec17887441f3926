import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'

/** What became of the question for a reply. */
export type ReplyState = 'asked' | 'given' | 'none'

export interface StoredReply {
  readonly state: ReplyState
  /** The reply, sealed for `placeOfReply`; null unless it was given. */
  readonly sealed: string | null
  readonly askedAt: Date
}

/** Whose reply it is: that to an event of an account. */
export interface ReplyKey {
  readonly accountId: number
  readonly eventId: string
}

/** The platform repeats a push within half a minute; ten times that. */
const KEPT_MINUTES = 5

/** Where a reply rests: it says something to a person. */
export function placeOfReply({ accountId, eventId }: ReplyKey): string {
  return `reply/${accountId}/${eventId}`
}

/** Whether the caller is the one who asks; of several, in whatever process, one is. */
export async function claimReply(db: Knex, key: ReplyKey, askedAt: Date): Promise<boolean> {
  const claimed = await db('reply')
    .insert({ account_id: key.accountId, event_id: key.eventId, asked_at: askedAt })
    .onConflict(['account_id', 'event_id'])
    .ignore()
    .returning('event_id')
    .timeout(QUICK_QUERY_MS)
  return claimed.length === 1
}

export async function keepReply(
  db: Knex,
  key: ReplyKey,
  reply: Pick<StoredReply, 'state' | 'sealed'>,
): Promise<void> {
  await db('reply')
    .where({ account_id: key.accountId, event_id: key.eventId })
    .update({ state: reply.state, sealed: reply.sealed })
    .timeout(QUICK_QUERY_MS)
}

export async function findReply(db: Knex, key: ReplyKey): Promise<StoredReply | undefined> {
  const row = await db('reply')
    .where({ account_id: key.accountId, event_id: key.eventId })
    .first<ReplyRow | undefined>('state', 'sealed', 'asked_at')
    .timeout(QUICK_QUERY_MS)
  return row && { state: row.state, sealed: row.sealed, askedAt: row.asked_at }
}

/** Served by reply_asked_at_idx. */
export async function forgetOldReplies(db: Knex): Promise<void> {
  await db.raw(`delete from reply where asked_at < now() - make_interval(mins => ?)`, [
    KEPT_MINUTES,
  ])
}

interface ReplyRow {
  readonly state: ReplyState
  readonly sealed: string | null
  readonly asked_at: Date
}
