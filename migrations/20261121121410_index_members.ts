import type { Knex } from 'knex'

/** The table is large where the account has followers: built without holding up those who write to it. */
export const config = { transaction: false }

/**
 * WeCom takes userids for the same in any case. Serves the look for how one is spelled on record; of
 * followers and other people it holds the stops alone. Only who asks for the folded userid can be
 * planned with it: the gate, which looks for a stop by account and subject, would else read all stops.
 */
export async function up(db: Knex): Promise<void> {
  // what an interrupted attempt left is there but not used
  await db.raw(`drop index if exists consent_member_idx`)
  await db.raw(`
    create index concurrently consent_member_idx on consent (account_id, lower(subject))
      where scope in ('member', 'everything') and lower(subject) is not null
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`drop index if exists consent_member_idx`)
}
