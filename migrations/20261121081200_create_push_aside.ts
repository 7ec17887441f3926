import type { Knex } from 'knex'

/**
 * Pushes that PostgreSQL refused one by one, with its reason: nothing the platform said is lost, also
 * where we cannot record it. The document is kept as bytes, because its text may be what is refused.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table push_aside (
      id bigint generated always as identity primary key,
      account_id integer not null,
      repeat_key bytea not null,
      subject_hash bytea,
      kind text not null,
      document bytea not null,
      reason text not null,
      times integer not null default 1,
      first_at timestamptz not null default now(),
      last_at timestamptz not null default now(),
      constraint push_aside_account_id_repeat_key_key unique (account_id, repeat_key)
    );

    create index push_aside_subject_hash_idx on push_aside (account_id, subject_hash);
    create index push_aside_last_at_idx on push_aside (last_at);

    create function forget_pushes_aside() returns trigger
    language plpgsql
    as $$
    begin
      delete from push_aside
      where push_aside.account_id = new.account_id and push_aside.subject_hash = new.subject_hash;
      return new;
    end
    $$;

    -- whoever is erased is erased here too
    create trigger erasure_forgets_pushes_aside
      after insert on erasure
      for each row execute function forget_pushes_aside();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger erasure_forgets_pushes_aside on erasure;
    drop function forget_pushes_aside();
    drop table push_aside;
  `)
}
