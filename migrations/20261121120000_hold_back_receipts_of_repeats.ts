import type { Knex } from 'knex'

/**
 * A receipt of a template message without a known id went to the only message of its person of which
 * nobody knew whether it arrived, also when another one waited to be repeated because its answer had
 * been lost. If that one had arrived, the first was called delivered, and nobody has it.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(applyReceipt(ALSO_TO_BE_REPEATED))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(applyReceipt(ENDED_OR_UNDER_WAY))
}

const ENDED_OR_UNDER_WAY = `(
              other.status = 'sending' or (other.status = 'unknown' and other.msgid is null)
            )`

const ALSO_TO_BE_REPEATED = `(
              other.status = 'sending' or (other.status = 'unknown' and other.msgid is null)
              or (other.status = 'queued' and other.attempt_count > 0 and exists (
                select from attempt as lost
                where lost.message_id = other.id and lost.outcome = 'unknown'
              ))
            )`

/** @param orFor whether a receipt without a known id can as well be for this other template message. */
const applyReceipt = (orFor: string) => `
  create or replace function apply_receipt(p_account_id integer, p_subject text, p_event_id bigint, p_receipt jsonb)
  returns uuid
  language plpgsql
  set plan_cache_mode to 'force_custom_plan'
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
      -- the answer of bizsend names no id. What the platform has taken waits for a receipt, the oldest
      -- first; then what it is being asked to take; of the others nobody knows whether they arrived.
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.recipient = p_subject
        and wanted.channel = v_channel and wanted.template_id = v_template_id
        and wanted.status in ('sending', 'sent', 'unknown') and wanted.receipt_at is null
        -- a send whose id is known has another receipt: that id was looked for above
        and (wanted.msgid is null or v_msgid is null)
        and wanted.updated_at > v_occurred_at - interval '1 day'
      order by array_position(array['sent', 'sending', 'unknown'], wanted.status), wanted.id
      limit 1 for update;
      if v_message.status in ('sending', 'unknown') and exists (
        select from message as other
        where other.account_id = p_account_id and other.recipient = p_subject
          and other.channel = v_channel and other.template_id = v_template_id
          and other.status = 'unknown' and other.receipt_at is null and other.msgid is null
          and other.updated_at > v_occurred_at - interval '1 day' and other.id <> v_message.id
      ) then
        -- it can be for either; both have spent their credit. Where it names an id, an answer may still
        -- tell whose it is.
        if v_msgid is not null then
          insert into receipt (account_id, msgid, status, reason, occurred_at, event_id)
          values (p_account_id, v_msgid, v_status, v_reason, v_occurred_at, p_event_id)
          on conflict do nothing;
        end if;
        return null;
      end if;
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
            and ${orFor}
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
