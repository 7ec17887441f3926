import type { Knex } from 'knex'

/** The table is large where many events are told: built without holding up those who write to it. */
export const config = { transaction: false }

/**
 * What of an endpoint has ended, by how and when. Whether it took anything lately, what it is to be
 * told again when it resumes, and what is old enough to forget read all of its deliveries, or those
 * of all endpoints.
 */
export async function up(db: Knex): Promise<void> {
  // what an interrupted attempt left is there but not used
  await db.raw(`drop index if exists delivery_ended_idx`)
  await db.raw(`
    create index concurrently delivery_ended_idx on delivery (endpoint_id, status, finished_at)
      where finished_at is not null
  `)
  await db.raw(`drop index concurrently if exists delivery_finished_at_idx`)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`
    create index concurrently delivery_finished_at_idx on delivery (finished_at)
      where finished_at is not null
  `)
  await db.raw(`drop index if exists delivery_ended_idx`)
}
