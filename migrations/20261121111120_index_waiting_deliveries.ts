import type { Knex } from 'knex'

/**
 * What waits, by endpoint and age: the age of the oldest leaves out the endpoints that are paused, and
 * what waits there is dropped when it is too old. In the place of an index by age alone.
 *
 * Built beside running gateways, so outside a transaction; doing it again after a crash is safe.
 */
export const config = { transaction: false }

export async function up(db: Knex): Promise<void> {
  await build(db, 'delivery_waiting_age_idx', 'endpoint_id, created_at')
  await db.raw(`drop index concurrently if exists delivery_waiting_idx`)
}

export async function down(db: Knex): Promise<void> {
  await build(db, 'delivery_waiting_idx', 'created_at')
  await db.raw(`drop index concurrently if exists delivery_waiting_age_idx`)
}

/** What an interrupted build leaves behind is not valid, and does not become so by itself. */
async function build(db: Knex, name: string, columns: string): Promise<void> {
  await db.raw(`drop index concurrently if exists ${name}`)
  await db.raw(`
    create index concurrently ${name} on delivery (${columns}) where status = 'waiting'
  `)
}
