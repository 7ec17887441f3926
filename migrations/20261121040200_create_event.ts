import type { Knex } from 'knex'

/**
 * The log of what the platform said: one row per push, however often it was sent.
 *
 * The repeat key holds the platform's time beside the digest because both follow from the document
 * alone: the log can later be partitioned by time and still tell a repeat by one unique key.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table event (
      account_id integer not null references account,
      id bigint generated always as identity,
      repeat_key bytea not null,
      kind text not null,
      name text not null,
      subject text,
      occurred_at timestamptz not null,
      received_at timestamptz not null default now(),
      document text not null,
      erased_at timestamptz,
      primary key (account_id, occurred_at, repeat_key),
      constraint event_repeat_key_check check (octet_length(repeat_key) = 32)
    );

    create index event_id_idx on event (id);
    create index event_subject_idx on event (account_id, subject, id) where subject is not null;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table event`)
}
