import type { Knex } from 'knex'

/** Tokens that the platform refused before the end of their stated life, one row per token. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table token_death (
      account_id integer not null references account,
      version bigint not null,
      kind text not null,
      fetched_at timestamptz not null,
      expires_at timestamptz not null,
      died_at timestamptz not null,
      cause text not null check (
        cause in ('classic_elsewhere', 'forced_elsewhere', 'replaced_elsewhere', 'secret_reset')
      ),
      primary key (account_id, version)
    );
    create index token_death_died_idx on token_death (account_id, died_at);
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table token_death`)
}
