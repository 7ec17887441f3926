import type { Knex } from 'knex'

/** Rows of before are looked at without keeping anybody out; new ones have been all along. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`alter table delivery validate constraint delivery_subject_check`)
}

/** The constraint goes with the migration that made it. */
export async function down(): Promise<void> {
  // nothing to undo
}
