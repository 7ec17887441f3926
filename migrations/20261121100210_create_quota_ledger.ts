import type { Knex } from 'knex'

/**
 * How often each API was called for each account on each China day, by all processes together; what
 * the platform says its daily limit is; and when the counters were cleared there.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table api_call_count (
      account_id integer not null references account,
      day date not null,
      path text not null,
      calls bigint not null check (calls >= 0),
      -- of these, the calls before the platform's counters were cleared
      cleared bigint not null default 0 check (cleared between 0 and calls),
      -- what the platform had counted beyond ours when it was last asked: other systems' calls
      elsewhere bigint not null default 0 check (elsewhere >= 0),
      primary key (account_id, day, path)
    );

    create table api_quota (
      account_id integer not null references account,
      path text not null,
      daily_limit bigint not null check (daily_limit >= 0),
      read_at timestamptz not null,
      primary key (account_id, path)
    );

    create table quota_clear (
      id bigint not null generated always as identity primary key,
      account_id integer not null references account,
      cleared_at timestamptz not null,
      interface text not null check (interface in ('clear_quota', 'clear_quota/v2')),
      actor text not null
    );
    create index quota_clear_account_idx on quota_clear (account_id, cleared_at);
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table quota_clear, api_quota, api_call_count`)
}
