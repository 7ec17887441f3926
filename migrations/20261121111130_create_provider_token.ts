import type { Knex } from 'knex'

/**
 * The token of the provider behind a suite, beside the suite's own. A table apart from `access_token`,
 * which has one row for each account, also for the release before this one.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table provider_token (
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
      constraint provider_token_kind_check check (kind = 'provider')
    );
    comment on table provider_token is 'As access_token; the account is the suite.';

    create trigger provider_token_changed
      after update of version, rejected_version on provider_token
      for each row
      when (old.version is distinct from new.version
        or old.rejected_version is distinct from new.rejected_version)
      execute function notify_token_change();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table provider_token`)
}
