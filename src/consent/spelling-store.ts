import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { spellingsOf, type SpelledConsent, type Spellings } from './spelling.ts'

/**
 * How people are spelled on record at an account with members; at any other everybody is spelled as
 * they come. Served by consent_member_idx and by the primary key.
 */
export async function findSpellings(
  db: Knex,
  accountId: number,
  subjects: readonly string[],
): Promise<Spellings> {
  const folded = subjects.map((subject) => subject.toLowerCase())
  const { rows } = await db
    .raw<{ rows: SpelledConsent[] }>(
      `select held.subject, held.scope, held.state
       from account
       join consent as held on held.account_id = account.id
       where account.id = ? and account.kind in ('wecom_app', 'wecom_authorizer')
         and held.scope in ('member', 'everything') and lower(held.subject) = any (?::text[])
       union all
       select held.subject, held.scope, held.state
       from account
       join consent as held on held.account_id = account.id
       where account.id = ? and account.kind in ('wecom_app', 'wecom_authorizer')
         and held.subject = any (?::text[])
         and (held.scope like 'external\\_contact:%' or held.scope like 'msgaudit:%')`,
      [accountId, folded, accountId, [...subjects]],
    )
    .timeout(QUICK_QUERY_MS)
  return spellingsOf(rows)
}
