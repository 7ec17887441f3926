import type { Knex } from 'knex'

/**
 * A token that was replaced or refused is known to every process at once, not only when it next looks
 * at the row. Notifications leave with the commit.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create function notify_token_change() returns trigger
    language plpgsql
    as $$
    begin
      perform pg_notify('token_changed', new.account_id::text);
      return new;
    end
    $$;

    create trigger access_token_changed
      after update of version, rejected_version on access_token
      for each row
      when (old.version is distinct from new.version
        or old.rejected_version is distinct from new.rejected_version)
      execute function notify_token_change();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger access_token_changed on access_token;
    drop function notify_token_change();
  `)
}
