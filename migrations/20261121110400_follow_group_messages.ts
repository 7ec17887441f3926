import type { Knex } from 'knex'

/**
 * A group message of customer contact is a task that a member confirms later, and no push says what
 * became of it. Whoever stores that one was sent adds the job that asks, in the same transaction.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create function follow_group_message() returns trigger
    language plpgsql
    as $$
    begin
      perform graphile_worker.add_job(
        'read_group_result',
        json_build_object('account_id', new.account_id, 'message_id', new.id, 'asked', 0),
        run_at => clock_timestamp() + interval '1 minute',
        job_key => 'read_group_result/' || new.id
      );
      return null;
    end
    $$;

    create trigger group_message_is_followed after update of status on message
    for each row
    when (
      new.channel = 'wecom_group_message' and new.status = 'sent' and old.status <> 'sent'
      and new.msgid is not null and new.recipient is not null
    )
    execute function follow_group_message();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger group_message_is_followed on message;
    drop function follow_group_message();
  `)
}
