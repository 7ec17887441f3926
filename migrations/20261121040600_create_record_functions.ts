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
    drop function record_events(integer[], text[], json, json, json);
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
 * Everything a batch says is written by three statements, however many pushes it holds:
 *
 * - p_account_ids, p_subjects: the people concerned, to be locked; for a push without a person its
 *   repeat key stands in, so that the same push in two processes waits for itself.
 * - p_pushes: `{n, account_id, repeat_key (hex), kind, name, subject, occurred_at, effective_at,
 *   document}`, n counting from 1.
 * - p_changes: `{n, account_id, subject, scope, change, effective_at, reason, credits, expires_at}`.
 * - p_extras: `{n, account_id, subject, kind, effective_at, receipts, erase}` of the few pushes that
 *   carry receipts or oblige us to erase. A push that erases comes alone.
 *
 * Answers one row per push: the event it is, whether it was known already, and whether a send that
 * it forbids is under way at this moment.
 */
const RECORD = `
  create function record_events(
    p_account_ids integer[], p_subjects text[], p_pushes json, p_changes json, p_extras json
  ) returns table (n integer, event_id bigint, repeated boolean, call_under_way boolean)
  language plpgsql
  as $$
  declare
    v_any_erasure boolean;
    v_any_sending boolean;
    v_ns integer[];
    v_event_ids bigint[];
    v_new boolean[];
    v_account_ids integer[];
    v_subjects text[];
    v_scopes text[];
    v_extra record;
    v_receipt jsonb;
  begin
    perform lock_subjects(p_account_ids, p_subjects);
    -- most databases have no tombstones and most moments no call: then nobody is looked up
    v_any_erasure := exists (select from erasure);

    with incoming as materialized (
      select
        push.n, push.account_id, decode(push.repeat_key, 'hex') as repeat_key, push.kind, push.name,
        push.subject, push.occurred_at, push.document,
        -- what reaches us after a person was erased, but was said before, is kept without the person
        v_any_erasure and exists (
          select from erasure
          where erasure.account_id = push.account_id
            and erasure.subject_hash = subject_hash(push.account_id, push.subject)
            and erasure.effective_at >= push.effective_at
        ) as erased
      from json_to_recordset(p_pushes) as push (
        n integer, account_id integer, repeat_key text, kind text, name text, subject text,
        occurred_at timestamptz, effective_at timestamptz, document text
      )
    ), inserted as (
      insert into event (account_id, repeat_key, kind, name, subject, occurred_at, document, erased_at)
      select
        incoming.account_id, incoming.repeat_key, incoming.kind, incoming.name,
        case when not incoming.erased then incoming.subject end, incoming.occurred_at,
        case when incoming.erased then '' else incoming.document end,
        case when incoming.erased then clock_timestamp() end
      from incoming
      order by incoming.n
      on conflict (account_id, occurred_at, repeat_key) do nothing
      returning id, account_id, occurred_at, repeat_key
    )
    select
      array_agg(known.n order by known.n),
      array_agg(known.id order by known.n),
      array_agg(known.id is not null and known.place = 1 order by known.n)
    into v_ns, v_event_ids, v_new
    from (
      select
        incoming.n, inserted.id,
        row_number() over (partition by inserted.id order by incoming.n) as place
      from incoming
      left join inserted using (account_id, occurred_at, repeat_key)
    ) as known;

    if array_position(v_event_ids, null) is not null then
      -- repeats of what was recorded before
      select array_agg(coalesce(ours.id, known.id) order by ours.n) into v_event_ids
      from unnest(v_ns, v_event_ids) as ours (n, id)
      left join json_to_recordset(p_pushes) as push (
        n integer, account_id integer, repeat_key text, occurred_at timestamptz
      ) on ours.id is null and push.n = ours.n
      left join event as known
        on known.account_id = push.account_id and known.occurred_at = push.occurred_at
        and known.repeat_key = decode(push.repeat_key, 'hex');
    end if;

    with written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, event_id, reason, credits, expires_at
      )
      select
        change.account_id, change.subject, change.scope, change.change, change.effective_at, 'event',
        ours.id, change.reason, change.credits, change.expires_at
      from json_to_recordset(p_changes) as change (
        n integer, account_id integer, subject text, scope text, change text,
        effective_at timestamptz, reason text, credits integer, expires_at timestamptz
      )
      join unnest(v_ns, v_event_ids, v_new) as ours (n, id, is_new) on ours.n = change.n and ours.is_new
      where not (v_any_erasure and exists (
        select from erasure
        where erasure.account_id = change.account_id
          and erasure.subject_hash = subject_hash(change.account_id, change.subject)
          and erasure.effective_at >= change.effective_at
      ))
      returning id, account_id, subject, scope, change, effective_at, credits, expires_at
    ), projected as (
      -- where the latest word stands, the new words are enough to know it
      insert into consent as held (
        account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at
      )
      select distinct on (written.account_id, written.subject, written.scope)
        written.account_id, written.subject, written.scope, written.change, written.effective_at,
        written.id,
        case when written.change = 'granted' then written.credits end,
        case when written.change = 'granted' then written.expires_at end
      from written
      where written.scope <> 'everything'
        and (written.scope not like 'template:%' or written.scope = 'template:*')
      order by
        written.account_id, written.subject, written.scope,
        written.effective_at desc, consent_severity(written.change) desc, written.id desc
      on conflict (account_id, subject, scope) do update
      set state = excluded.state,
          effective_at = excluded.effective_at,
          ledger_id = excluded.ledger_id,
          credits = case when excluded.credits is not null then greatest(0, excluded.credits + (
            select coalesce(sum(case entry.change when 'reserved' then -1 else 1 end), 0)::integer
            from consent_ledger as entry
            where entry.account_id = excluded.account_id and entry.subject = excluded.subject
              and entry.scope = excluded.scope and entry.effective_at >= excluded.effective_at
              and entry.change in ('reserved', 'returned')
          )) end,
          expires_at = excluded.expires_at,
          updated_at = clock_timestamp()
      where (excluded.effective_at, consent_severity(excluded.state))
        > (held.effective_at, consent_severity(held.state))
    )
    -- the others are projected from all their rows
    select array_agg(touched.account_id), array_agg(touched.subject), array_agg(touched.scope)
    into v_account_ids, v_subjects, v_scopes
    from (
      select written.account_id, written.subject, written.scope
      from written
      where written.scope = 'everything'
        or (written.scope like 'template:%' and written.scope <> 'template:*')
      union
      -- the end of all template rights touches every template the person has
      select held.account_id, held.subject, held.scope
      from written
      join consent as held on held.account_id = written.account_id
        and held.subject = written.subject and held.scope like 'template:%'
      where written.scope = 'template:*' and held.scope <> 'template:*'
      union
      -- a new follow or acceptance may lift a stop
      select held.account_id, held.subject, held.scope
      from written
      join consent as held on held.account_id = written.account_id
        and held.subject = written.subject and held.scope = 'everything'
      where written.change = 'granted'
        and (written.scope = 'follow' or written.scope like 'template:%')
    ) as touched;
    if v_account_ids is not null then
      perform project_consents(v_account_ids, v_subjects, v_scopes);
    end if;

    -- before an erasure takes the person's name from the messages
    v_any_sending := exists (select from message where message.status = 'sending');

    for v_extra in
      select extra.*, ours.id as event_id
      from json_to_recordset(p_extras) as extra (
        n integer, account_id integer, subject text, kind text, effective_at timestamptz,
        receipts jsonb, erase boolean
      )
      join unnest(v_ns, v_event_ids, v_new) as ours (n, id, is_new) on ours.n = extra.n and ours.is_new
      order by extra.n
    loop
      if v_extra.erase then
        perform erase_subject(
          v_extra.account_id, v_extra.subject, v_extra.effective_at, 'platform', v_extra.kind
        );
      else
        for v_receipt in select value from jsonb_array_elements(v_extra.receipts) loop
          perform apply_receipt(v_extra.account_id, v_extra.subject, v_extra.event_id, v_receipt);
        end loop;
      end if;
    end loop;

    return query
    select
      ours.n, ours.id, not ours.is_new,
      v_any_sending and exists (
        select from json_to_recordset(p_changes) as change (
          n integer, account_id integer, subject text, change text
        )
        join message as sending on sending.account_id = change.account_id
          and sending.status = 'sending'
          -- a call whose person has been erased may be to this person
          and (sending.recipient = change.subject or sending.recipient is null)
        where change.n = ours.n and change.change = 'revoked'
      )
    from unnest(v_ns, v_event_ids, v_new) as ours (n, id, is_new)
    order by ours.n;
  end
  $$;
`
