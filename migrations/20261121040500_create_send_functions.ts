import type { Knex } from 'knex'

/**
 * The send path's three moments, each one statement: the decision, the beginning of an attempt
 * (decision, reservation and record together, under the person's lock), and its end.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(DECIDE)
  await db.raw(BEGIN)
  await db.raw(FINISH)
  await db.raw(RECOVER)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function recover_messages(text[], interval, integer);
    drop function finish_attempts(jsonb);
    drop function settle_credit(bigint, text, text);
    drop function begin_attempts(text, interval, uuid[]);
    drop function decide_send(integer, text, text, text, timestamptz);
  `)
}

/**
 * May this be sent now, and what says so? The one place of the decision: the dispatcher's gate and
 * `messages:check` both ask here. What is not known is not allowed.
 */
const DECIDE = `
  create function decide_send(
    p_account_id integer, p_subject text, p_channel text, p_template_id text, p_at timestamptz
  ) returns table (allowed boolean, reason text, scope text, evidence bigint[])
  language plpgsql stable
  as $$
  declare
    v_stop consent;
    v_follow consent;
    v_template consent;
    v_window consent;
  begin
    select * into v_stop from consent as held
    where held.account_id = p_account_id and held.subject = p_subject and held.scope = 'everything';
    if v_stop.state <> 'granted' then
      return query select false, 'stopped', 'everything', array[v_stop.ledger_id];
      return;
    end if;

    if p_template_id is not null then
      select * into v_template from consent as held
      where held.account_id = p_account_id and held.subject = p_subject
        and held.scope = 'template:' || p_template_id;
    end if;

    case p_channel
      when 'template_message' then
        select * into v_follow from consent as held
        where held.account_id = p_account_id and held.subject = p_subject and held.scope = 'follow';
        return query select
          coalesce(v_follow.state = 'granted' and v_template.refused is not true, false),
          case
            when v_follow.state is null then 'follow_unknown'
            when v_follow.state <> 'granted' then 'follow_' || v_follow.state
            when v_template.refused then 'template_refused'
          end,
          case when v_follow.state = 'granted' and v_template.refused
            then v_template.scope else 'follow' end,
          array_remove(array[v_follow.ledger_id, v_template.ledger_id], null);

      when 'subscription_message' then
        return query select
          coalesce(v_template.state = 'granted' and coalesce(v_template.credits, 1) > 0, false),
          case
            when v_template.state is null then 'template_unknown'
            when v_template.refused then 'template_refused'
            when v_template.state <> 'granted' then 'template_' || v_template.state
            when v_template.credits = 0 then 'no_credit_left'
          end,
          'template:' || p_template_id,
          array_remove(array[v_template.ledger_id], null);

      when 'customer_service_message' then
        -- of the open windows the one that closes first is used first
        select * into v_window from consent as held
        where held.account_id = p_account_id and held.subject = p_subject
          and held.scope in ('conversation', 'conversation:action')
        order by
          (held.state = 'granted' and held.expires_at > p_at and held.credits > 0) desc,
          (held.state = 'granted' and held.expires_at > p_at) desc,
          case when held.state = 'granted' and held.expires_at > p_at then held.expires_at end,
          held.effective_at desc
        limit 1;
        return query select
          coalesce(v_window.state = 'granted' and v_window.expires_at > p_at and v_window.credits > 0, false),
          case
            when v_window.state is null then 'conversation_unknown'
            when v_window.state <> 'granted' then 'conversation_' || v_window.state
            when v_window.expires_at <= p_at then 'conversation_expired'
            when v_window.credits = 0 then 'conversation_used_up'
          end,
          coalesce(v_window.scope, 'conversation'),
          array_remove(array[v_window.ledger_id], null);

      else
        return query select false, 'unknown_channel', null::text, array[]::bigint[];
    end case;
  end
  $$;
`

/**
 * Begins attempts for messages the caller has claimed. For each, in one step under the person's
 * lock: is it still ours and still wanted, does consent hold at this moment, and if so the attempt
 * is recorded and a credit reserved. Whoever revokes must wait for this step or comes before it.
 *
 * One call per person at a time: what the platform answers to one message is in the ledger before
 * the next is decided, and nobody is written to twice in one instant.
 *
 * decision: `begun`, `blocked`, `expired`, `busy` (another call to this person is under way), or
 * `lost` (no longer ours: cancelled, taken, finished).
 */
const BEGIN = `
  create function begin_attempts(p_process text, p_lease interval, p_message_ids uuid[])
  returns table (message_id uuid, decision text, reason text, scope text, attempt_id bigint, number integer)
  language plpgsql
  as $$
  declare
    v_message message;
    v_held consent;
    v_answer record;
    v_now timestamptz;
    v_attempt_id bigint;
    v_maybe_sent boolean;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from message as wanted where wanted.id = any (p_message_ids);

    for v_message in
      select * from message as wanted where wanted.id = any (p_message_ids) order by wanted.id for update
    loop
      v_now := clock_timestamp();
      message_id := v_message.id; reason := null; scope := null; attempt_id := null; number := null;

      if v_message.status not in ('queued', 'scheduled')
        or v_message.lease_owner is distinct from p_process
        or v_message.leased_until <= v_now
      then
        decision := 'lost';
        return next;
        continue;
      end if;

      -- an earlier attempt whose answer was lost may have been delivered: that stays the truth
      v_maybe_sent := v_message.attempt_count > 0 and exists (
        select from attempt as tried
        where tried.message_id = v_message.id and tried.outcome = 'unknown'
      );

      if v_message.expires_at <= v_now then
        update message as ended set status = case when v_maybe_sent then 'unknown' else 'expired' end,
          reason = 'expired', lease_owner = null, leased_until = null, updated_at = v_now,
          finished_at = v_now
        where ended.id = v_message.id;
        decision := 'expired';
        reason := 'expired';
        return next;
        continue;
      end if;

      if exists (
        select from message as other
        where other.account_id = v_message.account_id and other.recipient = v_message.recipient
          and other.status = 'sending'
      ) then
        decision := 'busy';
        return next;
        continue;
      end if;

      select * into v_answer from decide_send(
        v_message.account_id, v_message.recipient, v_message.channel, v_message.template_id, v_now
      );
      reason := v_answer.reason;
      scope := v_answer.scope;

      if not v_answer.allowed then
        update message as ended set status = case when v_maybe_sent then 'unknown' else 'blocked' end,
          reason = v_answer.reason, missing_scope = v_answer.scope,
          lease_owner = null, leased_until = null, updated_at = v_now, finished_at = v_now
        where ended.id = v_message.id;
        decision := 'blocked';
        return next;
        continue;
      end if;

      number := v_message.attempt_count + 1;
      insert into attempt (message_id, account_id, number, started_at, evidence, process)
      values (v_message.id, v_message.account_id, number, v_now, v_answer.evidence, p_process)
      returning id into v_attempt_id;

      v_held := null;
      if v_answer.scope <> 'follow' then
        select * into v_held from consent as held
        where held.account_id = v_message.account_id and held.subject = v_message.recipient
          and held.scope = v_answer.scope and held.credits is not null;
      end if;
      if v_held.scope is not null then
        perform apply_consent_changes(jsonb_build_array(jsonb_build_object(
          'account_id', v_message.account_id, 'subject', v_message.recipient,
          'scope', v_answer.scope, 'change', 'reserved',
          -- a template's credit belongs to the acceptance it draws on and ends with it, whatever our
          -- clock says; an answer in a conversation counts in the window that is open when it is sent
          'effective_at', case when v_answer.scope like 'template:%' then v_held.effective_at
            else greatest(v_now, v_held.effective_at) end,
          'evidence', 'attempt', 'attempt_id', v_attempt_id, 'reason', v_message.channel
        )));
      end if;

      update message set status = 'sending', attempt_count = number,
        leased_until = v_now + p_lease, updated_at = v_now
      where id = v_message.id;
      attempt_id := v_attempt_id;
      decision := 'begun';
      return next;
    end loop;
  end
  $$;
`

/**
 * Ends attempts: outcome, what it says about consent, the credit's fate and the message's next
 * status, all or nothing. A late end (the attempt was given up as unknown) still tells the truth.
 */
const FINISH = `
  create function settle_credit(p_attempt_id bigint, p_change text, p_reason text) returns void
  language plpgsql
  as $$
  begin
    perform apply_consent_changes(jsonb_build_array(jsonb_build_object(
      'account_id', reserved.account_id, 'subject', reserved.subject, 'scope', reserved.scope,
      'change', p_change, 'effective_at', reserved.effective_at,
      'evidence', 'attempt', 'attempt_id', p_attempt_id, 'reason', p_reason
    )))
    from consent_ledger as reserved
    where reserved.attempt_id = p_attempt_id
      and reserved.change = 'reserved'
      and not exists (
        select from consent_ledger as settled
        where settled.attempt_id = p_attempt_id
          and (settled.change = 'returned' or settled.change = p_change)
      );
  end
  $$;

  create function finish_attempts(p_ends jsonb)
  returns table (attempt_id bigint, message_id uuid, status text, reason text)
  language plpgsql
  as $$
  declare
    v_end record;
    v_attempt attempt;
    v_message message;
    v_receipt receipt;
    v_now timestamptz;
    v_status text;
    v_relied_on timestamptz;
    v_was_unknown boolean;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from jsonb_to_recordset(p_ends) as ending (attempt_id bigint)
    join attempt on attempt.id = ending.attempt_id
    join message as wanted on wanted.id = attempt.message_id;

    for v_end in
      select * from jsonb_to_recordset(p_ends) as ending (
        attempt_id bigint, outcome text, cause text, errcode bigint, errmsg text, http_status integer, rid text,
        msgid text, credit text, status text, reason text, due_at timestamptz, changes jsonb
      )
      order by ending.attempt_id
    loop
      v_now := clock_timestamp();
      -- the message first, then its attempt, as everybody does: an erased message has no person to lock
      select wanted.* into v_message from message as wanted
      join attempt as tried on tried.message_id = wanted.id
      where tried.id = v_end.attempt_id for update of wanted;
      v_was_unknown := exists (
        select from attempt as tried where tried.id = v_end.attempt_id and tried.outcome = 'unknown'
      );
      update attempt as ended set
        finished_at = v_now, outcome = v_end.outcome, cause = v_end.cause, errcode = v_end.errcode,
        -- the platform's words may name the person, and this one has been erased
        errmsg = case when v_message.recipient is not null then v_end.errmsg end,
        http_status = v_end.http_status, rid = v_end.rid, msgid = v_end.msgid
      where ended.id = v_end.attempt_id and (ended.outcome is null or ended.outcome = 'unknown')
      returning * into v_attempt;
      continue when not found;

      -- a template message draws on no credit
      if v_end.credit in ('spent', 'returned') and v_message.channel <> 'template_message' then
        perform settle_credit(v_attempt.id, v_end.credit, v_end.outcome);
      end if;
      -- a person erased meanwhile is not written about again
      if v_message.recipient is not null and jsonb_array_length(coalesce(v_end.changes, '[]')) > 0 then
        -- the platform knew what the call relied on when it refused: a clock that is a second behind
        -- must not date the refusal before it
        select max(relied_on.effective_at) into v_relied_on from consent_ledger as relied_on
        where relied_on.account_id = v_attempt.account_id and relied_on.id = any (v_attempt.evidence);
        perform apply_consent_changes((
          select jsonb_agg(change || jsonb_build_object(
            'effective_at', greatest((change ->> 'effective_at')::timestamptz, v_relied_on)
          ))
          from jsonb_array_elements(v_end.changes) as change
        ));
      end if;

      attempt_id := v_attempt.id; message_id := v_message.id;
      -- a newer attempt, or a receipt, has already said more than this one can. What waits to be
      -- called again because this answer was missing, or was cancelled then, is told the truth.
      if v_message.attempt_count <> v_attempt.number or not (
        v_message.status in ('sending', 'unknown')
        or (v_was_unknown and v_message.status = 'queued' and v_end.outcome <> 'unknown')
        or (v_was_unknown and v_message.status = 'cancelled' and v_end.outcome = 'sent')
      ) then
        status := v_message.status; reason := v_message.reason;
        return next;
        continue;
      end if;

      v_status := v_end.status;
      if v_status in ('refused', 'failed') and exists (
        select from attempt as tried
        where tried.message_id = v_message.id and tried.outcome = 'unknown'
      ) then
        v_status := 'unknown';
      end if;
      v_receipt := null;
      if v_end.outcome = 'sent' and v_end.msgid is not null then
        delete from receipt as early
        where early.account_id = v_message.account_id and early.msgid = v_end.msgid
        returning * into v_receipt;
      end if;
      if v_end.outcome in ('sent', 'unknown') then
        v_status := coalesce(v_receipt.status, v_message.receipt_status, v_status);
      end if;

      update message as ended set
        status = v_status,
        reason = v_end.reason,
        msgid = coalesce(v_end.msgid, ended.msgid),
        receipt_status = coalesce(v_receipt.status, ended.receipt_status),
        receipt_reason = coalesce(v_receipt.reason, ended.receipt_reason),
        receipt_at = coalesce(v_receipt.occurred_at, ended.receipt_at),
        due_at = coalesce(v_end.due_at, ended.due_at),
        lease_owner = null, leased_until = null, updated_at = v_now,
        finished_at = case when v_status = 'queued' then null else v_now end
      where ended.id = v_message.id;
      status := v_status; reason := v_end.reason;
      return next;
    end loop;
  end
  $$;
`

/**
 * Takes up what a dead process left behind. Where the platform itself drops repeats of a message
 * (and still does so at this age) it is queued again; otherwise nobody can know whether it was sent:
 * the status is 'unknown' and the credit counts as spent until a receipt says otherwise.
 */
const RECOVER = `
  create function recover_messages(p_deduplicated text[], p_within interval, p_limit integer)
  returns table (message_id uuid, account_id integer, channel text, status text)
  language plpgsql
  as $$
  declare
    v_ids uuid[];
    v_message message;
    v_attempt attempt;
    v_first timestamptz;
    v_now timestamptz;
  begin
    select array_agg(left_behind.id) into v_ids from (
      select wanted.id from message as wanted
      where wanted.status = 'sending' and wanted.leased_until < clock_timestamp()
      order by wanted.id limit p_limit
    ) as left_behind;
    if v_ids is null then
      return;
    end if;
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from message as wanted where wanted.id = any (v_ids);

    for v_message in
      select * from message as wanted
      where wanted.id = any (v_ids) and wanted.status = 'sending' and wanted.leased_until < clock_timestamp()
      order by wanted.id for update
    loop
      v_now := clock_timestamp();
      select min(tried.started_at) into v_first from attempt as tried where tried.message_id = v_message.id;
      update attempt as tried set
        outcome = case when v_message.receipt_status is null then 'unknown' else 'sent' end,
        cause = 'unclear', finished_at = v_now,
        errmsg = 'the process ended before the answer was recorded'
      where tried.message_id = v_message.id and tried.number = v_message.attempt_count
        and tried.outcome is null
      returning * into v_attempt;

      message_id := v_message.id; account_id := v_message.account_id; channel := v_message.channel;
      if v_message.channel = any (p_deduplicated) and v_first > v_now - p_within
        and v_message.receipt_status is null
      then
        status := 'queued';
      else
        status := coalesce(v_message.receipt_status, 'unknown');
        perform settle_credit(v_attempt.id, 'spent', 'unknown');
      end if;

      update message as ended set
        status = recover_messages.status,
        reason = case when recover_messages.status = 'unknown' then 'process_ended' end,
        due_at = case when recover_messages.status = 'queued' then v_now else ended.due_at end,
        lease_owner = null, leased_until = null, updated_at = v_now,
        finished_at = case when recover_messages.status = 'queued' then null else v_now end
      where ended.id = v_message.id;
      return next;
    end loop;
  end
  $$;
`
