import type { Knex } from 'knex'

/**
 * The credit of a call whose answer was lost came back while the message waited to be called for again,
 * and for good when the repeat was refused or never made. The platform may have counted the message all
 * the same, so one more than it takes was sent. Now the message keeps its credit while it waits: the
 * repeat goes out with it, and where nobody knows in the end, it is spent.
 *
 * A message of customer service (kf) bears our own name for it from the moment of its call: what the
 * platform says of it later finds it, also when the answer was lost.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(BEGIN)
  await db.raw(FINISH)
  await db.raw(SPEND)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw('drop function spend_kept_credits(uuid[])')
  await db.raw(BEGIN_BEFORE)
  await db.raw(FINISH_BEFORE)
}

/**
 * `kept` is the credit of an earlier call of this message whose end nobody knows; at most one is open,
 * because each call that takes it over closes the one before. Served by attempt_message_id_number_key
 * and consent_ledger_attempt_idx, and looked for only where there was a call.
 *
 * `told` is what need not be called for again: the platform has said meanwhile what became of it.
 */
const BEGIN = `
  create or replace function begin_sends(
    p_process text, p_lease interval, p_message_ids uuid[], p_channels text[],
    p_per_minutes integer[], p_per_hours integer[],
    out message_ids uuid[], out decisions text[], out reasons text[], out scopes text[],
    out attempt_ids bigint[], out numbers integer[], out untils timestamptz[]
  )
  returns record
  language plpgsql
  set plan_cache_mode to 'force_generic_plan'
  set enable_seqscan to 'off'
  set enable_hashjoin to 'off'
  set enable_mergejoin to 'off'
  as $$
  declare
    v_now timestamptz;
    v_reservations jsonb;
    v_settled jsonb;
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
          when wanted.attempt_count > 0 and wanted.receipt_status is not null then 'told'
          when wanted.expires_at <= v_now
            or repeat_is_late(wanted.id, wanted.attempt_count, v_now) then 'expired'
          when limits.reason = 'quiet_hours' then 'later'
          when exists (
            select from message as other
            where other.account_id = wanted.account_id and other.recipient = wanted.recipient
              and other.status = 'sending'
          ) then 'busy'
          when not gate.allowed or limits.reason = 'person_cap' then 'blocked'
          when limits.reason = 'recipient_pace' then 'later'
          else 'allowed'
        end as verdict,
        case
          when gate.allowed or limits.reason = 'quiet_hours' then limits.reason else answer.reason
        end as reason,
        case when not gate.allowed then answer.scope end as missing,
        limits.until, limits.is_counted, answer.scope, answer.evidence, coalesce(
          answer.reserves_at,
          case when gate.allowed and not answer.allowed then greatest(v_now, kept.effective_at) end
        ) as reserves_at,
        kept.attempt_id as kept_attempt_id, kept.scope as kept_scope,
        kept.effective_at as kept_effective_at
      from wanted
      left join unnest(p_channels, p_per_minutes, p_per_hours) as usual (channel, per_minute, per_hour)
        on usual.channel = wanted.channel
      cross join lateral judge_send(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.template_id,
        wanted.consent_scope, v_now
      ) as answer
      cross join lateral judge_limits(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.lane, wanted.id, v_now,
        usual.per_minute, nullif(usual.per_hour, 0)
      ) as limits
      left join lateral (
        select reserved.attempt_id, reserved.scope, reserved.effective_at, (
          select held.effective_at <= reserved.effective_at from consent as held
          where held.account_id = wanted.account_id and held.subject = wanted.recipient
            and held.scope = reserved.scope
        ) as counts
        from attempt as tried
        join consent_ledger as reserved
          on reserved.attempt_id = tried.id and reserved.change = 'reserved'
        where wanted.attempt_count > 0 and tried.message_id = wanted.id
          and tried.number <= wanted.attempt_count
          and not exists (
            select from consent_ledger as settled
            where settled.attempt_id = tried.id and settled.change in ('spent', 'returned')
          )
        limit 1
      ) as kept on true
      cross join lateral (
        -- the window is used up also by this very message: its repeat needs no other credit
        select answer.allowed
          or coalesce(kept.counts and right(answer.reason, 8) = '_used_up', false) as allowed
      ) as gate
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
          when numbered.decision = 'later' then moving.status
          -- the platform has said what became of the call whose answer was lost
          when numbered.decision = 'told' then moving.receipt_status
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
          when 'begun' then case
            when moving.reason not in ('quiet_hours', 'recipient_pace') then moving.reason
          end
          when 'expired' then 'expired'
          when 'told' then null
          else numbered.reason
        end,
        missing_scope = case when numbered.decision = 'blocked'
          then numbered.missing else moving.missing_scope end,
        due_at = case when numbered.decision = 'later' then least(
          numbered.until, moving.expires_at,
          -- a repeat that may not be called for by then is to end soon (repeat_is_late)
          case when moving.attempt_count > 0 then v_now + interval '9 minutes' end
        ) else moving.due_at end,
        counted_at = case when numbered.decision = 'begun' and numbered.is_counted
          then v_now else moving.counted_at end,
        -- what the platform calls it: our own name, without hyphens
        msgid = case when numbered.decision = 'begun' and moving.channel = 'wecom_kf_message'
          then coalesce(moving.msgid, replace(moving.id::text, '-', '')) else moving.msgid end,
        attempt_count = moving.attempt_count + (numbered.decision = 'begun')::integer,
        lease_owner = case when numbered.decision = 'begun' then moving.lease_owner end,
        leased_until = case when numbered.decision = 'begun' then v_now + p_lease end,
        updated_at = v_now,
        finished_at = case when numbered.decision in ('begun', 'later')
          then moving.finished_at else v_now end
      from numbered
      where moving.id = numbered.id
        and numbered.decision in ('begun', 'blocked', 'expired', 'later', 'told')
    )
    select
      array_agg(numbered.id), array_agg(replace(numbered.decision, 'told', 'lost')),
      array_agg(case numbered.decision
        when 'expired' then 'expired' when 'blocked' then numbered.reason
        when 'later' then numbered.reason end),
      array_agg(case when numbered.decision = 'blocked' then numbered.missing end),
      array_agg(numbered.attempt_id), array_agg(numbered.attempt_count + 1),
      array_agg(numbered.until),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.scope, 'change', 'reserved', 'effective_at', numbered.reserves_at,
        'evidence', 'attempt', 'attempt_id', numbered.attempt_id, 'reason', numbered.channel
      )) filter (where numbered.decision = 'begun' and numbered.reserves_at is not null),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.kept_scope,
        'change', case numbered.decision when 'begun' then 'returned' else 'spent' end,
        'effective_at', numbered.kept_effective_at, 'evidence', 'attempt',
        'attempt_id', numbered.kept_attempt_id,
        'reason', case numbered.decision when 'begun' then 'repeated' else 'unknown' end
      )) filter (
        where numbered.kept_attempt_id is not null
          and numbered.decision in ('begun', 'blocked', 'expired', 'told')
      )
    into message_ids, decisions, reasons, scopes, attempt_ids, numbers, untils, v_reservations,
      v_settled
    from numbered;

    if v_reservations is not null or v_settled is not null then
      perform apply_consent_changes(coalesce(v_settled, '[]') || coalesce(v_reservations, '[]'));
    end if;
  end
  $$;
`

/** `lost` is what the other calls of the message say where this one says that it was not taken. */
const FINISH = `
  create or replace function finish_sends(
    p_ends json, out attempt_ids bigint[], out statuses text[]
  )
  returns record
  language plpgsql
  set plan_cache_mode to 'force_generic_plan'
  set enable_seqscan to 'off'
  set enable_hashjoin to 'off'
  set enable_mergejoin to 'off'
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
          when lost.known = 'sent' or (ended.status <> 'queued' and lost.known is not null)
            then coalesce(ended.receipt_before, lost.known)
          else ended.status
        end as status_after,
        case
          when ended.outcome in ('sent', 'unknown') or lost.known is null then ended.credit
          when lost.known = 'sent' or ended.status <> 'queued' then 'spent'
        end as credit_after
      from ended
      left join receipt as early
        on ended.outcome = 'sent' and early.account_id = ended.account_id
        and early.msgid = ended.msgid
      left join lateral (
        select case when bool_or(other.outcome = 'sent') then 'sent'
          when bool_or(other.outcome = 'unknown') then 'unknown' end as known
        from attempt as other
        where ended.number > 1 and ended.outcome not in ('sent', 'unknown')
          and other.message_id = ended.message_id and other.id <> ended.attempt_id
      ) as lost on true
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
        reason = case
          when judged.status_after in ('sent', 'delivered', 'not_delivered')
            and judged.outcome <> 'sent' then null else judged.reason
        end,
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
        'attempt_id', judged.attempt_id, 'change', judged.credit_after, 'reason', judged.outcome
      )) filter (
        where judged.credit_after in ('spent', 'returned') and judged.channel <> 'template_message'
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

/** What messages kept that have ended without a call of their own: they may have been delivered. */
const SPEND = `
  create function spend_kept_credits(p_message_ids uuid[])
  returns void
  language plpgsql
  as $$
  begin
    perform lock_subjects(array_agg(ended.account_id), array_agg(ended.recipient))
    from message as ended where ended.id = any (p_message_ids);
    perform settle_credit(tried.id, 'spent', 'unknown')
    from message as ended
    join attempt as tried on tried.message_id = ended.id
    where ended.id = any (p_message_ids)
      and ended.status in ('unknown', 'delivered', 'not_delivered');
  end
  $$;
`

const BEGIN_BEFORE = `
  create or replace function begin_sends(
    p_process text, p_lease interval, p_message_ids uuid[], p_channels text[],
    p_per_minutes integer[], p_per_hours integer[],
    out message_ids uuid[], out decisions text[], out reasons text[], out scopes text[],
    out attempt_ids bigint[], out numbers integer[], out untils timestamptz[]
  )
  returns record
  language plpgsql
  set plan_cache_mode to 'force_generic_plan'
  set enable_seqscan to 'off'
  set enable_hashjoin to 'off'
  set enable_mergejoin to 'off'
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
          when wanted.expires_at <= v_now
            or repeat_is_late(wanted.id, wanted.attempt_count, v_now) then 'expired'
          when limits.reason = 'quiet_hours' then 'later'
          when exists (
            select from message as other
            where other.account_id = wanted.account_id and other.recipient = wanted.recipient
              and other.status = 'sending'
          ) then 'busy'
          when not answer.allowed or limits.reason = 'person_cap' then 'blocked'
          when limits.reason = 'recipient_pace' then 'later'
          else 'allowed'
        end as verdict,
        case
          when answer.allowed or limits.reason = 'quiet_hours' then limits.reason else answer.reason
        end as reason,
        case when not answer.allowed then answer.scope end as missing,
        limits.until, limits.is_counted, answer.scope, answer.evidence, answer.reserves_at
      from wanted
      left join unnest(p_channels, p_per_minutes, p_per_hours) as usual (channel, per_minute, per_hour)
        on usual.channel = wanted.channel
      cross join lateral judge_send(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.template_id,
        wanted.consent_scope, v_now
      ) as answer
      cross join lateral judge_limits(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.lane, wanted.id, v_now,
        usual.per_minute, nullif(usual.per_hour, 0)
      ) as limits
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
          when numbered.decision = 'later' then moving.status
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
          when 'begun' then case
            when moving.reason not in ('quiet_hours', 'recipient_pace') then moving.reason
          end
          when 'expired' then 'expired'
          else numbered.reason
        end,
        missing_scope = case when numbered.decision = 'blocked'
          then numbered.missing else moving.missing_scope end,
        due_at = case when numbered.decision = 'later' then least(
          numbered.until, moving.expires_at,
          -- a repeat that may not be called for by then is to end soon (repeat_is_late)
          case when moving.attempt_count > 0 then v_now + interval '9 minutes' end
        ) else moving.due_at end,
        counted_at = case when numbered.decision = 'begun' and numbered.is_counted
          then v_now else moving.counted_at end,
        attempt_count = moving.attempt_count + (numbered.decision = 'begun')::integer,
        lease_owner = case when numbered.decision = 'begun' then moving.lease_owner end,
        leased_until = case when numbered.decision = 'begun' then v_now + p_lease end,
        updated_at = v_now,
        finished_at = case when numbered.decision in ('begun', 'later')
          then moving.finished_at else v_now end
      from numbered
      where moving.id = numbered.id and numbered.decision in ('begun', 'blocked', 'expired', 'later')
    )
    select
      array_agg(numbered.id), array_agg(numbered.decision),
      array_agg(case numbered.decision
        when 'expired' then 'expired' when 'blocked' then numbered.reason
        when 'later' then numbered.reason end),
      array_agg(case when numbered.decision = 'blocked' then numbered.missing end),
      array_agg(numbered.attempt_id), array_agg(numbered.attempt_count + 1),
      array_agg(numbered.until),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.scope, 'change', 'reserved', 'effective_at', numbered.reserves_at,
        'evidence', 'attempt', 'attempt_id', numbered.attempt_id, 'reason', numbered.channel
      )) filter (where numbered.decision = 'begun' and numbered.reserves_at is not null)
    into message_ids, decisions, reasons, scopes, attempt_ids, numbers, untils, v_reservations
    from numbered;

    if v_reservations is not null then
      perform apply_consent_changes(v_reservations);
    end if;
  end
  $$;
`

const FINISH_BEFORE = `
  create or replace function finish_sends(
    p_ends json, out attempt_ids bigint[], out statuses text[]
  )
  returns record
  language plpgsql
  set plan_cache_mode to 'force_generic_plan'
  set enable_seqscan to 'off'
  set enable_hashjoin to 'off'
  set enable_mergejoin to 'off'
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
