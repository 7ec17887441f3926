import type { Knex } from 'knex'

/**
 * Links to the platform's page for one-time subscriptions. What proves that a redirect answers one of
 * them is a value that only its address holds; here rests its SHA-256.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    create table one_time_link (
      digest bytea primary key,
      account_id integer not null references account (id),
      template_id text not null,
      scene text not null,
      subject_hash bytea,
      actor text not null,
      return_url text,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz
    );
    create index one_time_link_expires_at_idx on one_time_link (expires_at);
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table one_time_link`)
}
