import type { Knex } from 'knex'

/** The queue is long when this matters most: built without holding up those who write to it. */
export const config = { transaction: false }

/**
 * Serves the claim: what is due, account by account, lane by lane and channel by channel, oldest
 * first. What waits for one channel stands before no other.
 */
export async function up(db: Knex): Promise<void> {
  // what an interrupted attempt left is there but not used
  await db.raw(`drop index if exists message_channel_idx`)
  await db.raw(`
    create index concurrently message_channel_idx on message (account_id, lane, channel, due_at)
      where status in ('scheduled', 'queued')
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`drop index if exists message_channel_idx`)
}
