import type { Knex } from 'knex'

/**
 * The gate also keeps to what an account wants beside consent: no marketing in quiet hours, so much of
 * it for a person and no more, and to no recipient quicker than the platform delivers.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(JUDGE_LIMITS)
  await db.raw(BEGIN)
  await db.raw(BEGIN_OF_THE_VERSION_BEFORE)
  await db.raw(NEXT_CHANNEL)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(NEXT_CHANNEL_BEFORE)
  await db.raw(BEGIN_BEFORE)
  await db.raw(`
    drop function begin_sends(text, interval, uuid[], text[], integer[], integer[]);
    drop function judge_limits(
      integer, text, text, smallint, uuid, timestamptz, integer, integer
    );
  `)
}

/**
 * What speaks against a send beside consent, and until when; the one place of this decision.
 * `is_counted`: a cap or a pace counts the message, so its call is to be noted in counted_at.
 *
 * - Quiet hours and caps are for lane 1 alone. A cap counts what was sent on that day in China, what
 *   may have been (unknown), and what is on its way; a try that came back counts until its message ends.
 * - A pace per recipient looks back a minute and an hour: of the calls to this recipient through this
 *   channel the one that is as many back as the pace allows says when the next may be made.
 * - Each subselect runs only where its rule holds; message_counted_idx serves them.
 */
const JUDGE_LIMITS = `
  create function judge_limits(
    p_account_id integer, p_subject text, p_channel text, p_lane smallint, p_message_id uuid,
    p_at timestamptz, p_per_minute integer, p_per_hour integer
  )
  returns table (reason text, until timestamptz, is_counted boolean)
  language sql stable
  as $$
    select
      case
        when found.quiet_until is not null then 'quiet_hours'
        when found.is_capped then 'person_cap'
        when found.pace_until is not null then 'recipient_pace'
      end,
      case
        when found.quiet_until is not null then found.quiet_until
        when found.is_capped then (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
        else found.pace_until
      end,
      rule.per_day is not null or rule.per_minute is not null or p_per_hour is not null
    from (select) as asked
    left join send_policy as policy on policy.account_id = p_account_id
    cross join lateral (
      select
        case when p_lane = 1 then policy.marketing_per_day end as per_day,
        coalesce((policy.recipient_per_minute ->> p_channel)::integer, p_per_minute) as per_minute,
        (p_at at time zone 'Asia/Shanghai')::date as day
    ) as rule
    cross join lateral (
      select
        case when p_lane = 1 then quiet_until(policy.quiet_begins, policy.quiet_ends, p_at)
          end as quiet_until,
        case when rule.per_day is not null then (
          select count(*) >= rule.per_day
          from message as counted
          where counted.account_id = p_account_id and counted.recipient = p_subject
            and counted.counted_at >= rule.day::timestamp at time zone 'Asia/Shanghai'
            and counted.counted_at < (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
            and counted.lane = 1 and counted.id is distinct from p_message_id
            and counted.status not in ('blocked', 'refused', 'failed', 'expired', 'cancelled')
        ) end as is_capped,
        case when rule.per_minute is not null or p_per_hour is not null then greatest(
          (
            select recent.counted_at + interval '1 minute'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 minute'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset rule.per_minute - 1 limit case when rule.per_minute is null then 0 else 1 end
          ),
          (
            select recent.counted_at + interval '1 hour'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 hour'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset p_per_hour - 1 limit case when p_per_hour is null then 0 else 1 end
          )
        ) end as pace_until
      offset 0 -- looked for once, however often it is used above
    ) as found
  $$;
`

/**
 * As before, and `later`: given back in the same statement, due when nothing speaks against it any
 * more. The channels with a pace per recipient come with the question: their table is code.
 */
const BEGIN = `
  create function begin_sends(
    p_process text, p_lease interval, p_message_ids uuid[],
    p_channels text[], p_per_minutes integer[], p_per_hours integer[],
    out message_ids uuid[], out decisions text[], out reasons text[], out scopes text[],
    out attempt_ids bigint[], out numbers integer[], out untils timestamptz[]
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

/** Its processes run on while they are replaced; they know `busy`, and find the message given back. */
const BEGIN_OF_THE_VERSION_BEFORE = `
  create or replace function begin_sends(
    p_process text, p_lease interval, p_message_ids uuid[],
    out message_ids uuid[], out decisions text[], out reasons text[], out scopes text[],
    out attempt_ids bigint[], out numbers integer[]
  )
  language sql
  as $$
    select
      begun.message_ids, array_replace(begun.decisions, 'later', 'busy'), begun.reasons, begun.scopes,
      begun.attempt_ids, begun.numbers
    from begin_sends(p_process, p_lease, p_message_ids, '{}', '{}', '{}') as begun
  $$;
`

/** As before, but a message that is blocked by the cap on its person takes no other channel. */
const NEXT_CHANNEL = `
  create or replace function take_next_channel() returns trigger
  language plpgsql
  as $$
  declare
    v_way jsonb;
  begin
    -- it holds for every channel
    if new.reason = 'person_cap' then
      return new;
    end if;
    select listed.way into v_way
    from jsonb_array_elements(new.plan -> 'ways') with ordinality as listed (way, place)
    cross join lateral judge_send(
      new.account_id, new.recipient, listed.way ->> 'channel', listed.way ->> 'template_id', null,
      clock_timestamp()
    ) as answer
    where listed.way ->> 'channel' <> new.channel and answer.allowed
    order by listed.place
    limit 1;
    if found then
      new.channel := v_way ->> 'channel';
      new.template_id := v_way ->> 'template_id';
      new.content := v_way -> 'content';
      new.status := 'queued';
      new.reason := null;
      new.missing_scope := null;
      new.due_at := clock_timestamp();
      new.finished_at := null;
      perform pg_notify('message_queued', '');
    end if;
    return new;
  end
  $$;
`

const NEXT_CHANNEL_BEFORE = `
  create or replace function take_next_channel() returns trigger
  language plpgsql
  as $$
  declare
    v_way jsonb;
  begin
    select listed.way into v_way
    from jsonb_array_elements(new.plan -> 'ways') with ordinality as listed (way, place)
    cross join lateral judge_send(
      new.account_id, new.recipient, listed.way ->> 'channel', listed.way ->> 'template_id', null,
      clock_timestamp()
    ) as answer
    where listed.way ->> 'channel' <> new.channel and answer.allowed
    order by listed.place
    limit 1;
    if found then
      new.channel := v_way ->> 'channel';
      new.template_id := v_way ->> 'template_id';
      new.content := v_way -> 'content';
      new.status := 'queued';
      new.reason := null;
      new.missing_scope := null;
      new.due_at := clock_timestamp();
      new.finished_at := null;
      perform pg_notify('message_queued', '');
    end if;
    return new;
  end
  $$;
`

const BEGIN_BEFORE = `
  create or replace function begin_sends(
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
          when wanted.expires_at <= v_now
            or repeat_is_late(wanted.id, wanted.attempt_count, v_now) then 'expired'
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
