import type { Knex } from 'knex'

/** The business applications that may ask, and the accounts each may use. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table application (
      id uuid primary key,
      name text not null,
      key_hash bytea not null,
      key_hint text not null,
      created_at timestamptz not null default now(),
      revoked_at timestamptz,
      constraint application_name_key unique (name),
      constraint application_key_hash_key unique (key_hash)
    );

    create table application_account (
      application_id uuid not null references application,
      account_id integer not null references account,
      primary key (application_id, account_id)
    );
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table application_account, application`)
}
