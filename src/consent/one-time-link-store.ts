import type { Knex } from 'knex'
import { sha256 } from '../foundation/ids.ts'

/** A link to the platform's page, as it is kept: the value in its address only as a digest. */
export interface StoredLink {
  readonly digest: Buffer
  readonly accountId: number
  readonly templateId: string
  readonly scene: string
  /** The only person who may answer, who also declines; null where anybody may who opens the link. */
  readonly subject: string | null
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
    subject: link.subject,
    // what the version before asks for
    subject_hash: link.subject === null ? null : sha256(link.subject),
    actor: link.actor,
    return_url: link.returnUrl,
    created_at: link.createdAt,
    expires_at: link.expiresAt,
  })
}

/** How a link was answered. */
export type LinkAction = 'confirm' | 'cancel'

/**
 * Takes a link that is neither used nor over, and notes how it was answered: of two redirects that
 * arrive at once one gets it.
 * Served by the primary key.
 */
export async function takeLink(
  db: Knex,
  wanted: {
    readonly digest: Buffer
    readonly accountId: number
    readonly templateId: string
    readonly scene: string
    readonly action: LinkAction
    /** Who says so; null for a cancellation, which names nobody. */
    readonly subject: string | null
    readonly now: Date
  },
): Promise<Pick<StoredLink, 'actor' | 'returnUrl' | 'subject'> | undefined> {
  const { digest, accountId, templateId, scene, action, subject, now } = wanted
  const subjectHash = subject === null ? null : sha256(subject)
  const { rows } = await db.raw<{ rows: TakenRow[] }>(
    `update one_time_link set used_at = ?, action = ?
     where digest = ? and account_id = ? and template_id = ? and scene = ?
       and used_at is null and expires_at > ?
       and (subject_hash is null or ?::bytea is null or subject_hash = ?::bytea)
     returning actor, return_url, subject`,
    [now, action, digest, accountId, templateId, scene, now, subjectHash, subjectHash],
  )
  const [row] = rows
  return row && { actor: row.actor, returnUrl: row.return_url, subject: row.subject }
}

interface TakenRow {
  readonly actor: string
  readonly return_url: string | null
  readonly subject: string | null
}

/**
 * Whether a person's unused confirmation of a scene is for another template than this one. Served by
 * consent_pkey.
 */
export async function isForOtherTemplate(
  db: Knex,
  held: {
    readonly accountId: number
    readonly subject: string
    readonly scope: string
    readonly templateId: string
  },
): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `select from consent
     where account_id = ? and subject = ? and scope = ?
       and state = 'granted' and credits > 0 and template_id <> ?`,
    [held.accountId, held.subject, held.scope, held.templateId],
  )
  return rows.length > 0
}

/** Forgets links a day after their end. Served by one_time_link_expires_at_idx. */
export async function forgetOldLinks(db: Knex): Promise<void> {
  await db.raw(`delete from one_time_link where expires_at < now() - interval '1 day'`)
}
