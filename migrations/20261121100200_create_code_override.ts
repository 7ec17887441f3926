import type { Knex } from 'knex'

/**
 * What operators decided about error codes, per account: one row per decision, which stays when it
 * is taken back, so that an old attempt can be explained by what held at the time.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table code_override (
      id bigint not null generated always as identity primary key,
      account_id integer not null references account,
      code integer not null check (code <> 0),
      class text not null check (class <> 'ok'),
      actor text not null,
      reason text not null,
      created_at timestamptz not null default now(),
      removed_at timestamptz,
      removed_by text,
      removal_reason text,
      check ((removed_at is null) = (removed_by is null))
    );
    create unique index code_override_live_key on code_override (account_id, code)
      where removed_at is null;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table code_override`)
}
