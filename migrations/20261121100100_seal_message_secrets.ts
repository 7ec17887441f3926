import type { Knex } from 'knex'

/**
 * A message may need a credential of its own: a welcome code, the key of a group robot. It rests
 * sealed beside the message, and only while the message is under way: whoever ends a message, the
 * credential goes with it.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table message add column sealed_secret text;

    create function forget_message_secret() returns trigger
    language plpgsql
    as $$
    begin
      new.sealed_secret := null;
      return new;
    end
    $$;

    create trigger message_secret_is_forgotten before update of status on message
    for each row
    when (
      new.sealed_secret is not null
      and (new.recipient is null or new.status not in ('scheduled', 'queued', 'sending'))
    )
    execute function forget_message_secret();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger message_secret_is_forgotten on message;
    drop function forget_message_secret();
    alter table message drop column sealed_secret;
  `)
}
