import type { Knex } from 'knex'

/** The WeChat accounts we serve, their sealed secrets, and the one access token of each. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table account (
      id integer generated always as identity primary key,
      name text not null,
      kind text not null,
      app_id text not null,
      original_id text not null,
      mode text not null,
      settings jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      disabled_at timestamptz,
      constraint account_name_key unique (name),
      constraint account_kind_app_id_key unique (kind, app_id),
      constraint account_kind_check check (kind in ('official_account')),
      constraint account_mode_check check (mode in ('safe', 'compatible', 'plain'))
    );

    create table account_secret (
      account_id integer not null references account,
      name text not null,
      sealed text not null,
      key_id text not null,
      updated_at timestamptz not null default now(),
      primary key (account_id, name),
      constraint account_secret_name_check check (name in (
        'app_secret', 'callback_token', 'callback_aes_key',
        'previous_callback_token', 'previous_callback_aes_key'
      ))
    );

    create table access_token (
      account_id integer primary key references account,
      kind text not null,
      sealed text,
      key_id text,
      version bigint not null default 0,
      fetched_at timestamptz,
      expires_at timestamptz,
      rejected_version bigint,
      lease_owner text,
      leased_until timestamptz,
      breaker_until timestamptz,
      breaker_errcode bigint,
      breaker_reason text,
      failures integer not null default 0,
      forced_at timestamptz,
      forced_count integer not null default 0,
      forced_day date,
      constraint access_token_kind_check check (kind in ('stable', 'classic'))
    );
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table access_token, account_secret, account`)
}
