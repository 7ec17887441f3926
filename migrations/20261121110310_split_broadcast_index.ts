import type { Knex } from 'knex'

/**
 * The messages of a broadcast, by status, in two indexes instead of one: those under way, which the
 * feeder looks at ten times a second and which are at most some thousands, and those that have ended.
 * With one index for all, a plan that reads every message of a broadcast looked as good. A message
 * is in one of the two, so neither costs more than the one did.
 *
 * Built beside running gateways, so outside a transaction; doing it again after a crash is safe.
 */
export const config = { transaction: false }

export async function up(db: Knex): Promise<void> {
  const underWay = `status in ('scheduled', 'queued', 'sending')`
  const ended = `status not in ('scheduled', 'queued', 'sending')`
  await build(db, 'message_broadcast_queue_idx', `broadcast_id is not null and ${underWay}`)
  await build(db, 'message_broadcast_ended_idx', `broadcast_id is not null and ${ended}`)
  await db.raw(`drop index concurrently if exists message_broadcast_status_idx`)
}

export async function down(db: Knex): Promise<void> {
  await build(db, 'message_broadcast_status_idx', 'broadcast_id is not null')
  await db.raw(`drop index concurrently if exists message_broadcast_queue_idx`)
  await db.raw(`drop index concurrently if exists message_broadcast_ended_idx`)
}

/** What an interrupted build leaves behind is not valid, and does not become so by itself. */
async function build(db: Knex, name: string, condition: string): Promise<void> {
  await db.raw(`drop index concurrently if exists ${name}`)
  await db.raw(`
    create index concurrently ${name} on message (broadcast_id, status) where ${condition}
  `)
}
