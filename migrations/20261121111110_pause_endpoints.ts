import type { Knex } from 'knex'

/**
 * An endpoint can be paused: what is for it goes on being kept, and nothing is posted until it is
 * resumed. One that has taken nothing for days is paused by the gateway.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table endpoint
      add column failing_since timestamptz,
      add column paused_at timestamptz,
      add column paused_reason text,
      add constraint endpoint_paused_check check ((paused_at is null) = (paused_reason is null));
    comment on column endpoint.failing_since is
      'The first failure behind its last success; null while it takes what it is given.';
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table endpoint
      drop column paused_reason, drop column paused_at, drop column failing_since;
  `)
}
