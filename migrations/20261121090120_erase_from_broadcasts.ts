import type { Knex } from 'knex'

/**
 * A person's erasure reaches the lists of broadcasts: the place in the list stays, so that the counts
 * and the report still agree, but not the person and not what was to be written to them.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create or replace function erase_subject(
      p_account_id integer, p_subject text, p_effective_at timestamptz, p_actor text, p_reason text
    ) returns bigint
    language plpgsql
    as $$
    declare
      v_ledger_rows integer;
      v_events integer;
      v_messages integer;
      v_erasure_id bigint;
    begin
      perform lock_subjects(array[p_account_id], array[p_subject]);

      -- first where lists and messages are made from, so that nothing is made behind our back: the
      -- expansion of an audience locks the consent, the feeder the place in a list
      delete from consent as held
      where held.account_id = p_account_id and held.subject = p_subject;
      update broadcast_recipient as listed set recipient = null, data = null
      from broadcast
      where broadcast.account_id = p_account_id
        and listed.broadcast_id = broadcast.id and listed.recipient = p_subject;

      -- what the platform or the application wrote about a message may name its person
      update attempt as forgotten set errmsg = null
      from message
      where message.account_id = p_account_id and message.recipient = p_subject
        and forgotten.message_id = message.id and forgotten.errmsg is not null;

      -- what is under way keeps its status but not its person; what waits is not sent
      update message as forgotten set
        recipient = null, content = null, purpose = null, request_digest = null,
        idempotency_key = null,
        status = case when status in ('scheduled', 'queued') then 'cancelled' else status end,
        reason = case when status in ('scheduled', 'queued') then 'erased' else reason end,
        finished_at = case when status in ('scheduled', 'queued') then clock_timestamp() else finished_at end,
        updated_at = clock_timestamp()
      where forgotten.account_id = p_account_id and forgotten.recipient = p_subject;
      get diagnostics v_messages = row_count;

      update event set subject = null, document = '', erased_at = clock_timestamp()
      where event.account_id = p_account_id and event.subject = p_subject;
      get diagnostics v_events = row_count;

      perform set_config('wcg.erasing', 'on', true);
      delete from consent_ledger as entry
      where entry.account_id = p_account_id and entry.subject = p_subject;
      get diagnostics v_ledger_rows = row_count;
      perform set_config('wcg.erasing', 'off', true);

      insert into erasure (
        account_id, subject_hash, effective_at, actor, reason, ledger_rows, events, messages
      )
      values (
        p_account_id, subject_hash(p_account_id, p_subject), p_effective_at, p_actor, p_reason,
        v_ledger_rows, v_events, v_messages
      )
      returning id into v_erasure_id;
      return v_erasure_id;
    end
    $$;
  `)
}

/** The function as it was before there were broadcasts. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    create or replace function erase_subject(
      p_account_id integer, p_subject text, p_effective_at timestamptz, p_actor text, p_reason text
    ) returns bigint
    language plpgsql
    as $$
    declare
      v_ledger_rows integer;
      v_events integer;
      v_messages integer;
      v_erasure_id bigint;
    begin
      perform lock_subjects(array[p_account_id], array[p_subject]);

      -- what the platform or the application wrote about a message may name its person
      update attempt as forgotten set errmsg = null
      from message
      where message.account_id = p_account_id and message.recipient = p_subject
        and forgotten.message_id = message.id and forgotten.errmsg is not null;

      -- what is under way keeps its status but not its person; what waits is not sent
      update message as forgotten set
        recipient = null, content = null, purpose = null, request_digest = null,
        idempotency_key = null,
        status = case when status in ('scheduled', 'queued') then 'cancelled' else status end,
        reason = case when status in ('scheduled', 'queued') then 'erased' else reason end,
        finished_at = case when status in ('scheduled', 'queued') then clock_timestamp() else finished_at end,
        updated_at = clock_timestamp()
      where forgotten.account_id = p_account_id and forgotten.recipient = p_subject;
      get diagnostics v_messages = row_count;

      update event set subject = null, document = '', erased_at = clock_timestamp()
      where event.account_id = p_account_id and event.subject = p_subject;
      get diagnostics v_events = row_count;

      perform set_config('wcg.erasing', 'on', true);
      delete from consent_ledger as entry
      where entry.account_id = p_account_id and entry.subject = p_subject;
      get diagnostics v_ledger_rows = row_count;
      perform set_config('wcg.erasing', 'off', true);

      delete from consent as held
      where held.account_id = p_account_id and held.subject = p_subject;

      insert into erasure (
        account_id, subject_hash, effective_at, actor, reason, ledger_rows, events, messages
      )
      values (
        p_account_id, subject_hash(p_account_id, p_subject), p_effective_at, p_actor, p_reason,
        v_ledger_rows, v_events, v_messages
      )
      returning id into v_erasure_id;
      return v_erasure_id;
    end
    $$;
  `)
}
