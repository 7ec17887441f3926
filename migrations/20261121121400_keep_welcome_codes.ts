import type { Knex } from 'knex'

/**
 * The codes that new customers come with, for applications that welcome them: sealed together with the
 * two people, so that a row says nothing to whoever reads it. A code is good for twenty seconds; the
 * row stays a little longer, so that who comes too late is told so.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table welcome_code (
      event_id bigint primary key,
      account_id integer not null,
      sealed text not null,
      effective_at timestamptz not null
    );

    comment on table welcome_code is
      'Written by the statement that records the event; forgotten about an hour after it.';

    create index welcome_code_effective_at_idx on welcome_code (effective_at);
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table welcome_code`)
}
