import type { Knex } from 'knex'

/** A link to the platform's page, as it is kept: the value in its address only as a digest. */
export interface StoredLink {
  readonly digest: Buffer
  readonly accountId: number
  readonly templateId: string
  readonly scene: string
  /** SHA-256 of the only person who may answer; null where anybody may who opens the link. */
  readonly subjectHash: Buffer | null
  /** The application that made it. */
  readonly actor: string
  /** Where the browser goes afterwards; null for a page of ours. */
  readonly returnUrl: string | null
  readonly createdAt: Date
  readonly expiresAt: Date
}

export async function insertLink(db: Knex, link: StoredLink): Promise<void> {
  await db('one_time_link').insert({
    digest: link.digest,
    account_id: link.accountId,
    template_id: link.templateId,
    scene: link.scene,
    subject_hash: link.subjectHash,
    actor: link.actor,
    return_url: link.returnUrl,
    created_at: link.createdAt,
    expires_at: link.expiresAt,
  })
}

/**
 * Takes a link that is neither used nor over: of two redirects that arrive at once one gets it.
 * Served by the primary key.
 */
export async function takeLink(
  db: Knex,
  wanted: {
    readonly digest: Buffer
    readonly accountId: number
    readonly templateId: string
    readonly scene: string
    /** Null for a cancellation, which names nobody. */
    readonly subjectHash: Buffer | null
    readonly now: Date
  },
): Promise<Pick<StoredLink, 'actor' | 'returnUrl'> | undefined> {
  const { digest, accountId, templateId, scene, subjectHash, now } = wanted
  const { rows } = await db.raw<{ rows: { actor: string; return_url: string | null }[] }>(
    `update one_time_link set used_at = ?
     where digest = ? and account_id = ? and template_id = ? and scene = ?
       and used_at is null and expires_at > ?
       and (subject_hash is null or ?::bytea is null or subject_hash = ?::bytea)
     returning actor, return_url`,
    [now, digest, accountId, templateId, scene, now, subjectHash, subjectHash],
  )
  const [row] = rows
  return row && { actor: row.actor, returnUrl: row.return_url }
}

/** Forgets links a day after their end. Served by one_time_link_expires_at_idx. */
export async function forgetOldLinks(db: Knex): Promise<void> {
  await db.raw(`delete from one_time_link where expires_at < now() - interval '1 day'`)
}
