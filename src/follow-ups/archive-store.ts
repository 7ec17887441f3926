import type { Knex } from 'knex'
import type { ConsentState } from '../consent/consent.ts'
import type { ArchivePair } from '../wechat/archive-agreement.ts'

/** A customer and a member of whom something is on record, with what is known of the archive. */
export interface KnownPair extends ArchivePair {
  readonly scope: string
  readonly held: { readonly state: ConsentState; readonly effectiveAt: Date } | null
}

interface PairRow {
  readonly subject: string
  readonly scope: string
  readonly userid: string
  readonly state: ConsentState | null
  readonly effective_at: Date | null
}

/**
 * The next pairs of an account, in the order of the primary key, which serves it: contacts that last,
 * and everybody who has said something about the archive, but in a group. A pair that is both comes
 * twice.
 */
export async function listArchivePairs(
  db: Knex,
  accountId: number,
  page: { readonly after: Pick<KnownPair, 'externalUserid' | 'scope'>; readonly limit: number },
): Promise<KnownPair[]> {
  const { rows } = await db.raw<{ rows: PairRow[] }>(
    `select
       known.subject, known.scope, substring(known.scope from ':(.+)$') as userid,
       archive.state, archive.effective_at
     from consent as known
     left join lateral (
       select said.state, said.effective_at from consent as said
       where said.account_id = known.account_id and said.subject = known.subject
         and said.scope = 'msgaudit:' || substring(known.scope from ':(.+)$')
       offset 0
     ) as archive on true
     where known.account_id = ? and (known.subject, known.scope) > (?, ?)
       and (
         (known.scope like 'msgaudit:%' and not exists (
           select from archive_room
           where archive_room.account_id = known.account_id
             and archive_room.chat_id = substring(known.scope from ':(.+)$')
           offset 0
         ))
         or (known.scope like 'external\\_contact:%' and known.state = 'granted')
       )
     order by known.subject, known.scope
     limit ?`,
    [accountId, page.after.externalUserid, page.after.scope, page.limit],
  )
  return rows.map(({ subject, scope, userid, state, effective_at: effectiveAt }) => ({
    externalUserid: subject,
    scope,
    userid,
    held: state && effectiveAt ? { state, effectiveAt } : null,
  }))
}
