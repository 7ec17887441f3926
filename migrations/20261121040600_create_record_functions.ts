import type { Knex } from 'knex'

/**
 * The receive path's one statement: pushes, what they change about consent and the receipts they
 * carry are recorded together or not at all.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(RECEIPTS)
  await db.raw(RECORD)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function record_events(jsonb);
    drop function apply_receipt(integer, text, bigint, jsonb);
  `)
}

/**
 * Joins a receipt to the message it is about: by the platform's id where there is one, else by
 * person, template and time. A receipt that comes before the answer of the call it confirms waits.
 */
const RECEIPTS = `
  create function apply_receipt(p_account_id integer, p_subject text, p_event_id bigint, p_receipt jsonb)
  returns uuid
  language plpgsql
  as $$
  declare
    v_status text := p_receipt ->> 'status';
    v_reason text := p_receipt ->> 'reason';
    v_msgid text := p_receipt ->> 'msgid';
    v_channel text := p_receipt ->> 'channel';
    v_template_id text := p_receipt ->> 'template_id';
    v_occurred_at timestamptz := (p_receipt ->> 'occurred_at')::timestamptz;
    v_message message;
    v_attempt_id bigint;
  begin
    if v_msgid is not null then
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.msgid = v_msgid for update;
      if v_message.receipt_at > v_occurred_at then
        return v_message.id; -- a later word about it is known
      end if;
    end if;

    if v_message.id is null and v_channel = 'subscription_message' then
      -- the answer of bizsend names no id: the oldest send of this template still waiting
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.recipient = p_subject
        and wanted.channel = v_channel and wanted.template_id = v_template_id
        and wanted.status in ('sending', 'sent', 'unknown') and wanted.receipt_at is null
        and wanted.updated_at > v_occurred_at - interval '1 day'
      order by wanted.id limit 1 for update;
    end if;

    if v_message.id is null and v_channel = 'template_message' then
      -- the only message to this person whose answer was lost, and none whose answer may still come
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.recipient = p_subject
        and wanted.channel = v_channel and wanted.msgid is null and wanted.receipt_at is null
        and wanted.status = 'unknown'
        and wanted.updated_at between v_occurred_at - interval '15 minutes' and v_occurred_at + interval '15 minutes'
        and not exists (
          select from message as other
          where other.account_id = p_account_id and other.recipient = p_subject
            and other.channel = v_channel and other.receipt_at is null and other.id <> wanted.id
            and (other.status = 'sending' or (other.status = 'unknown' and other.msgid is null))
        )
      limit 1 for update;
    end if;

    if v_message.id is null then
      if v_channel = 'template_message' and v_msgid is not null then
        insert into receipt (account_id, msgid, status, reason, occurred_at, event_id)
        values (p_account_id, v_msgid, v_status, v_reason, v_occurred_at, p_event_id)
        on conflict do nothing;
      elsif v_channel = 'subscription_message' and v_status = 'delivered' then
        -- somebody else sent with this person's credit
        perform apply_consent_changes(jsonb_build_array(jsonb_build_object(
          'account_id', p_account_id, 'subject', p_subject, 'scope', 'template:' || v_template_id,
          'change', 'spent', 'effective_at', v_occurred_at, 'evidence', 'event',
          'event_id', p_event_id, 'reason', 'sent_elsewhere'
        )));
      end if;
      return null;
    end if;

    -- while the call is under way its end decides the status, knowing the receipt
    update message as told set
      receipt_status = v_status, receipt_reason = v_reason, receipt_at = v_occurred_at,
      msgid = coalesce(told.msgid, v_msgid),
      status = case when told.status in ('sent', 'unknown', 'delivered', 'not_delivered')
        then v_status else told.status end,
      reason = case when told.status = 'unknown' then null else told.reason end,
      updated_at = clock_timestamp()
    where told.id = v_message.id;

    if v_message.status = 'unknown' then
      -- of several attempts without an answer it can be any; the message was sent by one of them
      update attempt as told set outcome = 'sent', msgid = coalesce(told.msgid, v_msgid)
      where told.id = (
        select max(unanswered.id) from attempt as unanswered
        where unanswered.message_id = v_message.id and unanswered.outcome = 'unknown'
      );
    end if;
    if v_channel = 'subscription_message' and v_status = 'not_delivered' then
      -- the platform does not take the credit for a message it could not deliver
      select told.id into v_attempt_id from attempt as told
      where told.message_id = v_message.id and told.number = v_message.attempt_count;
      perform settle_credit(v_attempt_id, 'returned', v_reason);
    end if;
    return v_message.id;
  end
  $$;
`

/**
 * p_pushes: a list of {account_id, repeat_key (hex), kind, name, subject, occurred_at, effective_at,
 * document, changes, receipts, erase}. Answers one row per push in its order: the event it is, whether it was
 * known already, and whether a send that it forbids is under way at this moment.
 */
const RECORD = `
  create function record_events(p_pushes jsonb)
  returns table (ordinal integer, event_id bigint, repeated boolean, call_under_way boolean)
  language plpgsql
  as $$
  declare
    v_push record;
    v_event_id bigint;
    v_erased boolean;
    v_changes jsonb := '[]';
    v_results jsonb := '[]';
    v_receipt jsonb;
  begin
    perform lock_subjects(array_agg(push.account_id), array_agg(coalesce(push.subject, push.repeat_key)))
    from jsonb_to_recordset(p_pushes) as push (account_id integer, subject text, repeat_key text);

    for v_push in
      select push.*, listed.ordinal::integer as ordinal
      from jsonb_array_elements(p_pushes) with ordinality as listed (value, ordinal),
        jsonb_to_record(listed.value) as push (
          account_id integer, repeat_key text, kind text, name text, subject text,
          occurred_at timestamptz, effective_at timestamptz, document text, changes jsonb,
          receipts jsonb, erase boolean
        )
      order by listed.ordinal
    loop
      -- what reaches us after a person was erased, but was said before, is kept without the person
      v_erased := exists (
        select from erasure
        where erasure.account_id = v_push.account_id
          and erasure.subject_hash = subject_hash(v_push.account_id, v_push.subject)
          and erasure.effective_at >= v_push.effective_at
      );
      insert into event (account_id, repeat_key, kind, name, subject, occurred_at, document, erased_at)
      values (
        v_push.account_id, decode(v_push.repeat_key, 'hex'), v_push.kind, v_push.name,
        case when v_erased then null else v_push.subject end, v_push.occurred_at,
        case when v_erased then '' else v_push.document end,
        case when v_erased then clock_timestamp() end
      )
      on conflict (account_id, occurred_at, repeat_key) do nothing
      returning id into v_event_id;

      if v_event_id is null then
        select known.id into v_event_id from event as known
        where known.account_id = v_push.account_id and known.occurred_at = v_push.occurred_at
          and known.repeat_key = decode(v_push.repeat_key, 'hex');
        v_results := v_results || jsonb_build_object('ordinal', v_push.ordinal, 'event_id', v_event_id, 'repeated', true);
        continue;
      end if;
      v_results := v_results || jsonb_build_object('ordinal', v_push.ordinal, 'event_id', v_event_id, 'repeated', false);

      select v_changes || coalesce(jsonb_agg(change || jsonb_build_object(
        'account_id', v_push.account_id, 'subject', v_push.subject,
        'evidence', 'event', 'event_id', v_event_id
      )), '[]')
      into v_changes
      from jsonb_array_elements(v_push.changes) as change;

      if v_push.erase then
        -- earlier changes of this batch come first, so that the erasure covers them
        perform apply_consent_changes(v_changes);
        v_changes := '[]';
        perform erase_subject(
          v_push.account_id, v_push.subject, v_push.effective_at, 'platform', v_push.kind
        );
        continue;
      end if;
      for v_receipt in select value from jsonb_array_elements(v_push.receipts) loop
        perform apply_receipt(v_push.account_id, v_push.subject, v_event_id, v_receipt);
      end loop;
    end loop;

    if jsonb_array_length(v_changes) > 0 then
      perform apply_consent_changes(v_changes);
    end if;

    return query
    select
      result.ordinal, result.event_id, result.repeated,
      exists (
        select from message as sending
        where sending.account_id = push.account_id
          and sending.status = 'sending'
          -- a call whose person has been erased may be to this person
          and (sending.recipient = push.subject or sending.recipient is null)
          and exists (
            select from jsonb_array_elements(push.changes) as change where change ->> 'change' = 'revoked'
          )
      )
    from jsonb_to_recordset(v_results) as result (ordinal integer, event_id bigint, repeated boolean)
    join lateral (
      select * from jsonb_to_record(p_pushes -> (result.ordinal - 1)) as push (
        account_id integer, subject text, changes jsonb
      )
    ) as push on true
    order by result.ordinal;
  end
  $$;
`
