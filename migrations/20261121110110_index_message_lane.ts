import type { Knex } from 'knex'

/** The queue is long when this matters most: built without holding up those who write to it. */
export const config = { transaction: false }

/** Serves the claim: what is due, account by account and lane by lane, oldest first. */
export async function up(db: Knex): Promise<void> {
  // what an interrupted attempt left is there but not used
  await db.raw(`drop index if exists message_lane_idx`)
  await db.raw(`
    create index concurrently message_lane_idx on message (account_id, lane, due_at)
      where status in ('scheduled', 'queued')
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`drop index if exists message_lane_idx`)
}
