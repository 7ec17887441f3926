import type { Knex } from 'knex'

/** Who goes first: 0, what one person waits for; 1, what a broadcast makes. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table message add column lane smallint not null default 0
      constraint message_lane_check check (lane in (0, 1))
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`alter table message drop column lane`)
}
