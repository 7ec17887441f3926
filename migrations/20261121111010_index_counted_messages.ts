import type { Knex } from 'knex'

/** Messages are many: built without holding up those who write to them. */
export const config = { transaction: false }

/** Serves caps and paces per person; a message that none of them counts is not in it. */
export async function up(db: Knex): Promise<void> {
  // what an interrupted attempt left is there but not used
  await db.raw(`drop index if exists message_counted_idx`)
  await db.raw(`
    create index concurrently message_counted_idx on message (account_id, recipient, counted_at)
      where counted_at is not null and recipient is not null
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`drop index if exists message_counted_idx`)
}
