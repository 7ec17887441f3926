import type { Knex } from 'knex'

/**
 * A message whose template the platform refused gets a job that looks for a fallback, in the
 * transaction that records the refusal: a process that dies behind it loses nothing. And what was
 * asked for is forgotten together with the content of its message.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create function seek_fallback() returns trigger
    language plpgsql
    as $$
    begin
      if exists (select from aliased_message as named where named.message_id = new.id)
        or exists (
          select from broadcast
          where broadcast.id = new.broadcast_id and broadcast.template_alias is not null
        )
      then
        perform graphile_worker.add_job(
          'send-fallback', payload => json_build_object('message_id', new.id)
        );
      end if;
      return null;
    end
    $$;

    create trigger message_template_refused
      after update of status on message
      for each row
      when (new.status = 'failed' and new.reason = 'template' and old.status <> 'failed'
        and new.recipient is not null)
      execute function seek_fallback();

    create function forget_asked_data() returns trigger
    language plpgsql
    as $$
    begin
      update aliased_message as named set asked_data = null
      where named.message_id = new.id and named.asked_data is not null;
      return null;
    end
    $$;

    create trigger message_asked_data_is_forgotten
      after update of content on message
      for each row
      when (new.content is null and old.content is not null)
      execute function forget_asked_data();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger message_asked_data_is_forgotten on message;
    drop function forget_asked_data();
    drop trigger message_template_refused on message;
    drop function seek_fallback();
  `)
}
