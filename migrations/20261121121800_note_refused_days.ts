import type { Knex } from 'knex'

/** A 45009 is knowledge too: the day's limit of an API is no more than what had been called. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table api_call_count add column refused_used bigint
      constraint api_call_count_refused_used_check check (refused_used >= 0);
    comment on column api_call_count.refused_used is
      'What counted towards the limit when the platform first said 45009 on that day; null: it has not.';
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`alter table api_call_count drop column refused_used`)
}
