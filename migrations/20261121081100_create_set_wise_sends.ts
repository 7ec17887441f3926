import type { Knex } from 'knex'

/**
 * The send path's statements, made for batches: `begin_sends` and `finish_sends` replace
 * `begin_attempts` and `finish_attempts`, and `judge_send` replaces `decide_send`; the old ones stay
 * until no process of the version before calls them any more.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(INDEXES)
  await db.raw(SCOPE)
  await db.raw(DECIDE)
  await db.raw(BEGIN)
  await db.raw(FINISH)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function finish_sends(json);
    drop function begin_sends(text, interval, uuid[]);
    drop function judge_send(integer, text, text, text, text, timestamptz);
    alter table message drop column consent_scope;
    drop index message_idempotency_key_idx;
    alter table message add constraint message_application_id_idempotency_key_key
      unique (application_id, idempotency_key);
    create index message_awaiting_receipt_idx on message (account_id, recipient, channel)
      where status in ('sending', 'sent', 'unknown') and receipt_at is null;
  `)
}

/**
 * A change of status writes every index of the table anew. Most messages carry no idempotency key,
 * and what waits for a receipt is found among the few messages of its person.
 */
const INDEXES = `
  alter table message drop constraint message_application_id_idempotency_key_key;
  create unique index message_idempotency_key_idx on message (application_id, idempotency_key)
    where idempotency_key is not null;
  drop index message_awaiting_receipt_idx;
`

/** The consent a message relies on; null where its channel alone says it, and for a group. */
const SCOPE = `alter table message add column consent_scope text`

/**
 * May this be sent now, and what says so? The one place of the decision: the dispatcher's gate and
 * `messages:check` both ask here. What is not known is not allowed. It is one statement of SQL, so
 * that it becomes part of the statement that asks.
 *
 * Three channels have rules of their own. Every other one relies on the scope that the message names:
 * granted, not expired, a credit left where it counts credits. A group robot writes to nobody's
 * account and needs no consent. Nothing is sent for an account whose owner has not let us act for it.
 *
 * `reserves_at` is the time of the reservation where the send draws on a credit: that of a template or
 * a scene belongs to the acceptance it draws on and ends with it, whatever our clock says; an answer
 * in a conversation counts in the window that is open when it is sent.
 */
const DECIDE = `
  create function judge_send(
    p_account_id integer, p_subject text, p_channel text, p_template_id text, p_scope text,
    p_at timestamptz
  ) returns table (
    allowed boolean, reason text, scope text, evidence bigint[], reserves_at timestamptz
  )
  language sql stable
  as $$
    select
      verdict.reason is null,
      verdict.reason,
      case
        when verdict.reason like 'tenant%' then 'tenant'
        when verdict.reason = 'stopped' then 'everything'
        when p_channel = 'template_message' and follow.state = 'granted' and template.refused
          then template.scope
        when p_channel = 'template_message' then 'follow'
        when p_channel = 'subscription_message' then 'template:' || p_template_id
        when p_channel = 'customer_service_message'
          then coalesce(talk.scope, 'conversation')
        else p_scope
      end,
      case
        when verdict.reason like 'tenant%' then array_remove(array[tenant.ledger_id], null)
        when verdict.reason = 'stopped' then array[stop.ledger_id]
        else array_remove(array[
          follow.ledger_id, template.ledger_id, talk.ledger_id, named.ledger_id,
          case when verdict.reason is null then tenant.ledger_id end
        ], null)
      end,
      case
        when verdict.reason is not null then null
        when p_channel = 'subscription_message' and template.credits is not null
          then template.effective_at
        when p_channel = 'customer_service_message' and talk.credits is not null
          then greatest(p_at, talk.effective_at)
        when named.credits is not null and named.expires_at is not null
          then greatest(p_at, named.effective_at)
        when named.credits is not null then named.effective_at
      end
    from (select) as asked
    left join account as home on home.id = p_account_id and home.parent_id is not null
    left join consent as tenant
      on tenant.account_id = home.parent_id and tenant.subject = home.app_id
      and tenant.scope = 'tenant'
    left join consent as stop
      on p_channel <> 'wecom_robot_message'
      and stop.account_id = p_account_id and stop.subject = p_subject and stop.scope = 'everything'
    left join consent as follow
      on p_channel = 'template_message' and follow.account_id = p_account_id
      and follow.subject = p_subject and follow.scope = 'follow'
    left join consent as template
      on p_channel in ('template_message', 'subscription_message')
      and template.account_id = p_account_id and template.subject = p_subject
      and template.scope = 'template:' || p_template_id
    left join consent as named
      on p_channel not in ('template_message', 'subscription_message', 'customer_service_message')
      and named.account_id = p_account_id and named.subject = p_subject and named.scope = p_scope
    left join lateral (
      -- of the open windows the one that closes first is used first
      select held.*
      from consent as held
      where p_channel = 'customer_service_message'
        and held.account_id = p_account_id and held.subject = p_subject
        and held.scope in ('conversation', 'conversation:action')
      order by
        (held.state = 'granted' and held.expires_at > p_at and held.credits > 0) desc,
        (held.state = 'granted' and held.expires_at > p_at) desc,
        case when held.state = 'granted' and held.expires_at > p_at then held.expires_at end,
        held.effective_at desc
      limit 1
    ) as talk on true
    cross join lateral (
      select case
        when home.id is not null and tenant.state is null then 'tenant_unknown'
        when tenant.state <> 'granted' then 'tenant_' || tenant.state
        when stop.state <> 'granted' then 'stopped'
        when p_channel = 'template_message' then case
          when follow.state is null then 'follow_unknown'
          when follow.state <> 'granted' then 'follow_' || follow.state
          when template.refused then 'template_refused'
        end
        when p_channel = 'subscription_message' then case
          when template.state is null then 'template_unknown'
          when template.refused then 'template_refused'
          when template.state <> 'granted' then 'template_' || template.state
          when template.credits = 0 then 'no_credit_left'
        end
        when p_channel = 'customer_service_message' then case
          when talk.state is null then 'conversation_unknown'
          when talk.state <> 'granted' then 'conversation_' || talk.state
          when talk.expires_at <= p_at then 'conversation_expired'
          when talk.credits = 0 then 'conversation_used_up'
        end
        when p_channel = 'wecom_robot_message' then null
        when split_part(p_scope, ':', 1)
          in ('template', 'one_time', 'member', 'external_contact', 'kf')
        then case
          when named.state is null then split_part(p_scope, ':', 1) || '_unknown'
          when named.refused then 'template_refused'
          when named.state <> 'granted' then split_part(p_scope, ':', 1) || '_' || named.state
          when named.expires_at <= p_at then split_part(p_scope, ':', 1) || '_expired'
          when named.credits = 0 and p_scope like 'template:%' then 'no_credit_left'
          when named.credits = 0 then split_part(p_scope, ':', 1) || '_used_up'
        end
        else 'unknown_channel'
      end as reason
    ) as verdict
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
 * Answers by place, in no special order. decision: begun, blocked, expired, busy (another call to
 * this person is under way), or lost (no longer ours: cancelled, taken, finished).
 */
const BEGIN = `
  create function begin_sends(
    p_process text, p_lease interval, p_message_ids uuid[],
    out message_ids uuid[], out decisions text[], out reasons text[], out scopes text[],
    out attempt_ids bigint[], out numbers integer[]
  )
  language plpgsql
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
  declare
    v_now timestamptz;
    v_reservations jsonb;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from message as wanted where wanted.id = any (p_message_ids);
    v_now := clock_timestamp();

    with wanted as materialized (
      select * from message where message.id = any (p_message_ids) order by message.id for update
    ), judged as materialized (
      select
        wanted.id, wanted.account_id, wanted.recipient, wanted.channel, wanted.attempt_count,
        case
          when wanted.status not in ('queued', 'scheduled')
            or wanted.lease_owner is distinct from p_process
            or wanted.leased_until <= v_now then 'lost'
          when wanted.expires_at <= v_now then 'expired'
          when exists (
            select from message as other
            where other.account_id = wanted.account_id and other.recipient = wanted.recipient
              and other.status = 'sending'
          ) then 'busy'
          when not answer.allowed then 'blocked'
          else 'allowed'
        end as verdict,
        answer.reason, answer.scope, answer.evidence, answer.reserves_at
      from wanted
      cross join lateral judge_send(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.template_id,
        wanted.consent_scope, v_now
      ) as answer
    ), placed as materialized (
      -- of several messages to one person the first goes now
      select judged.*,
        case
          when judged.verdict <> 'allowed' then judged.verdict
          when row_number() over (
            partition by judged.verdict, judged.account_id, judged.recipient order by judged.id
          ) = 1 then 'begun'
          else 'busy'
        end as decision
      from judged
    ), numbered as materialized (
      select placed.*,
        case when placed.decision = 'begun' then nextval('attempt_id_seq') end as attempt_id
      from placed
    ), begun as (
      insert into attempt (id, message_id, account_id, number, started_at, evidence, process)
      overriding system value
      select
        numbered.attempt_id, numbered.id, numbered.account_id, numbered.attempt_count + 1, v_now,
        numbered.evidence, p_process
      from numbered where numbered.decision = 'begun'
    ), moved as (
      update message as moving set
        status = case
          when numbered.decision = 'begun' then 'sending'
          -- an earlier attempt whose answer was lost may have been delivered: that stays the truth
          when moving.attempt_count > 0 and exists (
            select from attempt as tried
            where tried.message_id = moving.id and tried.outcome = 'unknown'
              -- true of all; without it there is a plan that reads every attempt there is
              and tried.number <= moving.attempt_count
          ) then 'unknown'
          else numbered.decision
        end,
        reason = case numbered.decision
          when 'begun' then moving.reason when 'expired' then 'expired' else numbered.reason end,
        missing_scope = case when numbered.decision = 'blocked'
          then numbered.scope else moving.missing_scope end,
        attempt_count = moving.attempt_count + (numbered.decision = 'begun')::integer,
        lease_owner = case when numbered.decision = 'begun' then moving.lease_owner end,
        leased_until = case when numbered.decision = 'begun' then v_now + p_lease end,
        updated_at = v_now,
        finished_at = case when numbered.decision = 'begun' then moving.finished_at else v_now end
      from numbered
      where moving.id = numbered.id and numbered.decision in ('begun', 'blocked', 'expired')
    )
    select
      array_agg(numbered.id), array_agg(numbered.decision),
      array_agg(case numbered.decision
        when 'expired' then 'expired' when 'blocked' then numbered.reason end),
      array_agg(case when numbered.decision = 'blocked' then numbered.scope end),
      array_agg(numbered.attempt_id), array_agg(numbered.attempt_count + 1),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.scope, 'change', 'reserved', 'effective_at', numbered.reserves_at,
        'evidence', 'attempt', 'attempt_id', numbered.attempt_id, 'reason', numbered.channel
      )) filter (where numbered.decision = 'begun' and numbered.reserves_at is not null)
    into message_ids, decisions, reasons, scopes, attempt_ids, numbers, v_reservations
    from numbered;

    if v_reservations is not null then
      perform apply_consent_changes(v_reservations);
    end if;
  end
  $$;
`

/**
 * Ends attempts: outcome, what it says about consent, the credit's fate and the message's next
 * status, all or nothing. A late end (the attempt was given up as unknown) still tells the truth. No
 * two ends of one call may be of the same message.
 *
 * p_ends: [{attempt_id, outcome, cause, errcode, errmsg, http_status, rid, msgid, credit, status,
 * reason, due_at, changes}]. Answers the attempts that were open and what their messages became.
 */
const FINISH = `
  create function finish_sends(
    p_ends json, out attempt_ids bigint[], out statuses text[]
  )
  language plpgsql
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
  declare
    v_now timestamptz;
    v_settled jsonb;
    v_refusals jsonb;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from json_to_recordset(p_ends) as ending (attempt_id bigint)
    join attempt on attempt.id = ending.attempt_id
    join message as wanted on wanted.id = attempt.message_id;
    v_now := clock_timestamp();

    with ended as materialized (
      -- the message first, then its attempt, as everybody does: an erased message has no person to lock
      select
        ending.*, tried.number, tried.evidence, coalesce(tried.outcome = 'unknown', false) as was_unknown,
        told.id as message_id, told.account_id, told.recipient, told.channel,
        told.status as status_before, told.receipt_status as receipt_before,
        told.attempt_count = tried.number as is_newest,
        -- not a condition of the join: it would invite a plan that reads every attempt there is
        tried.outcome is null or tried.outcome = 'unknown' as is_open
      from json_to_recordset(p_ends) as ending (
        attempt_id bigint, outcome text, cause text, errcode bigint, errmsg text, http_status integer,
        rid text, msgid text, credit text, status text, reason text, due_at timestamptz, changes jsonb
      )
      join attempt as tried on tried.id = ending.attempt_id
      join message as told on told.id = tried.message_id
      order by told.id
      for update of told
    ), judged as materialized (
      select
        ended.*,
        early.status as early_status, early.reason as early_reason, early.occurred_at as early_at,
        -- a newer attempt, or a receipt, has already said more than this one can. What waits to be
        -- called again because this answer was missing, or was cancelled then, is told the truth.
        ended.is_newest and (
          ended.status_before in ('sending', 'unknown')
          or (ended.was_unknown and ended.status_before = 'queued' and ended.outcome <> 'unknown')
          or (ended.was_unknown and ended.status_before = 'cancelled' and ended.outcome = 'sent')
        ) as decides,
        case
          when ended.outcome in ('sent', 'unknown')
            then coalesce(early.status, ended.receipt_before, ended.status)
          when ended.status in ('refused', 'failed') and exists (
            select from attempt as other
            where other.message_id = ended.message_id and other.outcome = 'unknown'
              and other.id <> ended.attempt_id
          ) then 'unknown'
          else ended.status
        end as status_after
      from ended
      left join receipt as early
        on ended.outcome = 'sent' and early.account_id = ended.account_id
        and early.msgid = ended.msgid
      where ended.is_open
    ), closed as (
      update attempt as closing set
        finished_at = v_now, outcome = judged.outcome, cause = judged.cause,
        errcode = judged.errcode,
        -- the platform's words may name the person, and this one has been erased
        errmsg = case when judged.recipient is not null then judged.errmsg end,
        http_status = judged.http_status, rid = judged.rid, msgid = judged.msgid
      from judged
      where closing.id = judged.attempt_id
    ), moved as (
      update message as moving set
        status = judged.status_after,
        reason = judged.reason,
        msgid = coalesce(judged.msgid, moving.msgid),
        receipt_status = coalesce(judged.early_status, moving.receipt_status),
        receipt_reason = coalesce(judged.early_reason, moving.receipt_reason),
        receipt_at = coalesce(judged.early_at, moving.receipt_at),
        due_at = coalesce(judged.due_at, moving.due_at),
        lease_owner = null, leased_until = null, updated_at = v_now,
        finished_at = case when judged.status_after = 'queued' then null else v_now end
      from judged
      where moving.id = judged.message_id and judged.decides
    ), forgotten as (
      delete from receipt as early
      using judged
      where judged.early_status is not null and judged.decides
        and early.account_id = judged.account_id and early.msgid = judged.msgid
    )
    select
      array_agg(judged.attempt_id),
      array_agg(case when judged.decides then judged.status_after else judged.status_before end),
      -- a template message draws on no credit
      jsonb_agg(jsonb_build_object(
        'attempt_id', judged.attempt_id, 'change', judged.credit, 'reason', judged.outcome
      )) filter (
        where judged.credit in ('spent', 'returned') and judged.channel <> 'template_message'
      ),
      -- a person erased meanwhile is not written about again
      jsonb_agg(jsonb_build_object(
        'account_id', judged.account_id, 'evidence', to_jsonb(judged.evidence),
        'changes', judged.changes
      )) filter (
        where judged.recipient is not null and jsonb_array_length(judged.changes) > 0
      )
    into attempt_ids, statuses, v_settled, v_refusals
    from judged;

    if v_settled is not null then
      perform settle_credit(settled.attempt_id, settled.change, settled.reason)
      from jsonb_to_recordset(v_settled) as settled (attempt_id bigint, change text, reason text);
    end if;
    if v_refusals is not null then
      -- the platform knew what the call relied on when it refused: a clock that is a second behind
      -- must not date the refusal before it
      perform apply_consent_changes(jsonb_agg(change || jsonb_build_object(
        'effective_at', greatest((change ->> 'effective_at')::timestamptz, (
          select max(relied_on.effective_at)
          from jsonb_array_elements_text(refusal.evidence) as named (id)
          cross join lateral (
            select entry.effective_at from consent_ledger as entry
            where entry.id = named.id::bigint and entry.account_id = refusal.account_id
            offset 0 -- row by row by the key: a join may read the whole ledger
          ) as relied_on
        ))
      )))
      from jsonb_to_recordset(v_refusals) as refusal (account_id integer, evidence jsonb, changes jsonb)
      cross join lateral jsonb_array_elements(refusal.changes) as change;
    end if;
  end
  $$;
`
