import type { Knex } from 'knex'

/** A push that the database refused to record, kept as bytes beside the log. */
export interface PushAside {
  readonly accountId: number
  readonly repeatKey: Buffer
  readonly subject: string | null
  readonly kind: string
  readonly document: string
  /** SQLSTATE, and the constraint where one was hurt; no word that could show the row. */
  readonly reason: string
}

/** How many are kept, and the reason of the newest. */
export interface AsideCount {
  readonly count: number
  readonly newestReason: string | null
}

/** As long as an operator may need to notice; it is personal data that serves nobody meanwhile. */
const KEPT_DAYS = 30

/**
 * Keeps a push aside; one that comes again is counted. U+0000 in a name of a person, which no text of
 * PostgreSQL holds, leaves the push without a person.
 *
 * @returns its number.
 */
export async function keepAside(db: Knex, push: PushAside): Promise<string> {
  const subject = push.subject?.includes('\0') ? null : push.subject
  const { rows } = await db.raw<{ rows: { id: string }[] }>(
    `insert into push_aside (account_id, repeat_key, subject_hash, kind, document, reason)
     values (?, ?, subject_hash(?, ?), ?, ?, ?)
     on conflict (account_id, repeat_key) do update
     set times = push_aside.times + 1, last_at = now(), reason = excluded.reason
     returning id`,
    [
      push.accountId,
      push.repeatKey,
      push.accountId,
      subject,
      push.kind,
      Buffer.from(push.document),
      push.reason,
    ],
  )
  return rows[0]?.id ?? ''
}

/** Forgets what has been aside for thirty days. Served by push_aside_last_at_idx. */
export async function forgetOldPushesAside(db: Knex): Promise<void> {
  await db.raw(`delete from push_aside where last_at < now() - make_interval(days => ?)`, [
    KEPT_DAYS,
  ])
}

export async function countPushesAside(db: Knex): Promise<AsideCount> {
  const { rows } = await db.raw<{ rows: { count: string; newest: string | null }[] }>(
    `select count(*), (array_agg(reason order by last_at desc))[1] as newest from push_aside`,
  )
  return { count: Number(rows[0]?.count ?? 0), newestReason: rows[0]?.newest ?? null }
}
