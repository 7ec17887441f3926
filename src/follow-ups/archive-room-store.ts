import type { Knex } from 'knex'
import type { ConsentState } from '../consent/consent.ts'

/** What an event told about a customer group. */
export interface ToldRoom {
  readonly accountId: number
  readonly chatId: string
  readonly toldAt: Date
  readonly dismissed: boolean
}

/** Keeps what the latest event told of a group; an older one changes nothing. */
export async function noteRoom(db: Knex, room: ToldRoom): Promise<void> {
  await db.raw(
    `insert into archive_room as known (account_id, chat_id, told_at, dismissed)
     values (?, ?, ?, ?)
     on conflict (account_id, chat_id) do update
     set told_at = excluded.told_at, dismissed = excluded.dismissed
     where excluded.told_at > known.told_at
       or (excluded.told_at = known.told_at and excluded.dismissed)`,
    [room.accountId, room.chatId, room.toldAt, room.dismissed],
  )
}

/**
 * The groups that have not been asked about for longest, and not since a moment. Served by
 * archive_room_asked_at_idx.
 */
export async function listRooms(
  db: Knex,
  accountId: number,
  page: { readonly notSince: Date; readonly limit: number },
): Promise<string[]> {
  const { rows } = await db.raw<{ rows: { chat_id: string }[] }>(
    `select chat_id from archive_room
     where account_id = ? and not dismissed and (asked_at is null or asked_at < ?)
     order by account_id, asked_at nulls first, chat_id
     limit ?`,
    [accountId, page.notSince, page.limit],
  )
  return rows.map((row) => row.chat_id)
}

export async function markAsked(
  db: Knex,
  room: { readonly accountId: number; readonly chatId: string },
  at: Date,
): Promise<void> {
  await db('archive_room')
    .where({ account_id: room.accountId, chat_id: room.chatId })
    .update({ asked_at: at })
}

export interface HeldAgreement {
  readonly state: ConsentState
  readonly effectiveAt: Date
}

/** What is on record for these people under one scope, by person. Served by the primary key. */
export async function findHeld(
  db: Knex,
  accountId: number,
  of: { readonly scope: string; readonly subjects: readonly string[] },
): Promise<ReadonlyMap<string, HeldAgreement>> {
  const rows = await db('consent')
    .where({ account_id: accountId, scope: of.scope })
    .whereIn('subject', of.subjects)
    .select<{ subject: string; state: ConsentState; effective_at: Date }[]>(
      'subject',
      'state',
      'effective_at',
    )
  return new Map(
    rows.map(({ subject, state, effective_at: effectiveAt }) => [subject, { state, effectiveAt }]),
  )
}
