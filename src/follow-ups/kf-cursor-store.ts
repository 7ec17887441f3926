import type { Knex } from 'knex'

/** A customer-service account of ours. */
export interface KfDesk {
  readonly accountId: number
  readonly openKfId: string
}

interface CursorRow {
  readonly account_id: number
  readonly open_kfid: string
  readonly cursor: string
}

/** Behind which item to read on; null: from the beginning. */
export async function readKfCursor(db: Knex, desk: KfDesk): Promise<string | null> {
  const row = await db<CursorRow>('kf_cursor').where(whereOf(desk)).first('cursor')
  return row?.cursor ?? null
}

/**
 * Moves the cursor behind a page whose items are recorded.
 *
 * @returns false, and it stays, when another process has moved it meanwhile.
 */
export async function moveKfCursor(
  db: Knex,
  desk: KfDesk,
  move: { readonly from: string | null; readonly to: string },
): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `insert into kf_cursor (account_id, open_kfid, cursor) values (:accountId, :openKfId, :to)
     on conflict (account_id, open_kfid) do update
     set cursor = excluded.cursor, updated_at = now()
     where kf_cursor.cursor = cast(:from as text)
     returning open_kfid`,
    { ...desk, to: move.to, from: move.from },
  )
  return rows.length === 1
}

/** Forgets how far the accounts were read that are no longer ours. */
export async function dropKfCursors(
  db: Knex,
  accountId: number,
  but: readonly string[],
): Promise<void> {
  await db<CursorRow>('kf_cursor')
    .where({ account_id: accountId })
    .whereNotIn('open_kfid', [...but])
    .delete()
}

function whereOf({ accountId, openKfId }: KfDesk) {
  return { account_id: accountId, open_kfid: openKfId }
}
