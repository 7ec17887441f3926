import type { Knex } from 'knex'

/** In an account's quiet hours its marketing is not claimed, its broadcasts make no messages. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(REST)
  await db.raw(CLAIM)
  await db.raw(FEED)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(FEED_BEFORE)
  await db.raw(CLAIM_BEFORE)
  await db.raw(`drop function rest_in_quiet_hours(integer)`)
}

/**
 * Makes what is due in quiet hours due at their end, at most p_limit messages of an account; and what
 * rests by quiet hours that have been changed since due at once. Answers how many it moved. One
 * process at a time does an account; message_lane_idx serves it.
 *
 * A change is settled for a while: a gate that asked before it may give back afterwards, and an
 * account in a process's memory is some seconds old when a message is accepted.
 */
const REST = `
  create function rest_in_quiet_hours(p_limit integer) returns bigint
  language plpgsql
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
  declare
    v_policy send_policy;
    v_now timestamptz;
    v_until timestamptz;
    v_count bigint;
    v_moved bigint := 0;
  begin
    for v_policy in
      select * from send_policy as policy
      where policy.changed_at is not null
        or quiet_until(policy.quiet_begins, policy.quiet_ends, clock_timestamp()) is not null
      order by policy.account_id
      for no key update skip locked
    loop
      v_now := clock_timestamp();
      v_until := quiet_until(v_policy.quiet_begins, v_policy.quiet_ends, v_now);

      if v_policy.changed_at is not null then
        with resting as (
          select waiting.id from message as waiting
          where waiting.account_id = v_policy.account_id and waiting.lane = 1
            and waiting.status in ('scheduled', 'queued') and waiting.due_at > v_now
            and waiting.reason = 'quiet_hours' and waiting.attempt_count = 0
            and waiting.due_at is distinct from least(v_until, waiting.expires_at)
            and (waiting.leased_until is null or waiting.leased_until < v_now)
            -- what is paused is held by its broadcast
            and not exists (
              select from broadcast as held
              where held.id = waiting.broadcast_id and held.paused_at is not null
            )
          limit p_limit for no key update skip locked
        )
        update message as moving set
          due_at = greatest(moving.send_at, v_now), reason = null, updated_at = v_now
        from resting where moving.id = resting.id;
        get diagnostics v_count = row_count;
        v_moved := v_moved + v_count;
        if v_count > 0 then
          perform pg_notify('message_queued', '');
        elsif v_policy.changed_at < v_now - interval '15 seconds' then
          update send_policy as policy set changed_at = null
          where policy.account_id = v_policy.account_id;
          delete from send_policy as policy
          where policy.account_id = v_policy.account_id
            and policy.quiet_begins is null and policy.marketing_per_day is null
            and policy.recipient_per_minute is null;
        end if;
      end if;

      if v_until is not null then
        with due as (
          select waiting.id from message as waiting
          where waiting.account_id = v_policy.account_id and waiting.lane = 1
            and waiting.status in ('scheduled', 'queued') and waiting.due_at <= v_now
            and waiting.expires_at > v_now
            and not repeat_is_late(waiting.id, waiting.attempt_count, v_now)
            and (waiting.leased_until is null or waiting.leased_until < v_now)
          limit p_limit for no key update skip locked
        )
        update message as moving set
          due_at = least(
            v_until, moving.expires_at,
            -- a repeat that may not be called for by then is to end soon
            case when moving.attempt_count > 0 then v_now + interval '9 minutes' end
          ),
          reason = 'quiet_hours', updated_at = v_now
        from due where moving.id = due.id;
        get diagnostics v_count = row_count;
        v_moved := v_moved + v_count;
      end if;
    end loop;
    return v_moved;
  end
  $$;
`

/**
 * As before, but of an account in its quiet hours nothing of lane 1 is taken, but for what is over.
 */
const CLAIM = `
  create or replace function claim_messages(
    p_process text, p_lease interval, p_limit integer,
    p_account_ids integer[], p_rooms integer[], p_held integer[], p_other_room integer
  )
  returns table (
    id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb,
    consent_scope text, sealed_secret text, expires_at timestamptz, due_at timestamptz, earlier jsonb,
    on_trial boolean, is_paced boolean, has_more boolean
  )
  language sql volatile
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
    with recursive lane as (
      (
        select head.account_id, head.lane, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
        order by head.account_id, head.lane, head.due_at
        limit 1
      )
      union all
      select after.account_id, after.lane, after.due_at
      from lane
      cross join lateral (
        select head.account_id, head.lane, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
          and (head.account_id, head.lane) > (lane.account_id, lane.lane)
        order by head.account_id, head.lane, head.due_at
        limit 1
      ) as after
    ), bucket as materialized (
      select pace.account_id, filled.tokens
      from send_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        -- no more than a second's, so that a rest is not made up for in one burst
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), paced as materialized (
      select pace.account_id, floor(coalesce(bucket.tokens, 0))::integer as room
      from send_pace as pace
      left join bucket on bucket.account_id = pace.account_id
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), quiet as materialized (
      select policy.account_id from send_policy as policy
      where quiet_until(policy.quiet_begins, policy.quiet_ends, now()) is not null
    ), found as materialized (
      select
        lane.account_id, lane.lane, coalesce(known.held, 0) as held,
        coalesce(own.until, theirs.until) is not null as on_trial,
        paced.room is not null as is_paced,
        lane.lane = 1 and quiet.account_id is not null as is_quiet,
        least(paced.room, case
          when own.until > now() or theirs.until > now() then 0
          when theirs.until is not null and lane.account_id > min(lane.account_id)
            filter (where own.until is null or own.until <= now())
            over (partition by theirs.host) then 0
          when own.until is not null or theirs.until is not null
            then 1 - coalesce(known.held, 0)
          else coalesce(known.room, p_other_room)
        end) as room
      from lane
      left join unnest(p_account_ids, p_rooms, p_held) as known (account_id, room, held)
        on known.account_id = lane.account_id
      -- row by row by the key: a join may read every account there is for each lane
      left join lateral (
        select open.until from call_breaker as open
        where open.account_id = lane.account_id and open.host = '' offset 0
      ) as own on true
      left join lateral (
        select open.host, open.until from call_breaker as open
        where open.account_id = 0 and open.host = (
          select case when owner.kind like 'wecom%' then 'wecom' else 'wechat' end
          from account as owner where owner.id = lane.account_id
        ) offset 0
      ) as theirs on true
      left join paced on paced.account_id = lane.account_id
      left join quiet on quiet.account_id = lane.account_id
      where lane.due_at <= now()
    ), wanted as materialized (
      select found.*,
        greatest(1, (2 * p_limit + count(*) over () - 1) / count(*) over ())::integer as share,
        random() * 7 as luck
      from found where found.room > 0
    ), taken as materialized (
      select
        waiting.id, wanted.account_id, wanted.lane, wanted.held, wanted.room, wanted.on_trial,
        wanted.is_paced, wanted.share, wanted.luck,
        row_number() over (partition by wanted.account_id, wanted.lane order by waiting.due_at)
          as place
      from wanted
      cross join lateral (
        select next.id, next.due_at
        from message as next
        where next.account_id = wanted.account_id and next.lane = wanted.lane
          and next.status in ('scheduled', 'queued')
          and next.due_at <= now()
          and (next.leased_until is null or next.leased_until < now())
          and (
            not wanted.is_quiet and not exists (
              select from sending_pause as pause
              where pause.account_id = next.account_id and pause.channel = next.channel
                and pause.until > now()
            )
            -- no call is made for it: the gate ends it, and nobody waits for that until the rest is over
            or next.expires_at <= now() or repeat_is_late(next.id, next.attempt_count, now())
          )
        order by next.due_at
        limit least(wanted.room, wanted.share)
        for update skip locked
      ) as waiting
    ), turned as materialized (
      select taken.*,
        case taken.lane when 0 then taken.place else 7 * taken.place - taken.luck end as turn
      from taken
    ), due as materialized (
      select
        fitting.id, fitting.account_id, fitting.on_trial, fitting.is_paced,
        fitting.place = fitting.share and fitting.share < fitting.room as has_more
      from (
        select turned.*,
          row_number() over (partition by turned.account_id order by turned.turn, turned.lane)
            as account_place
        from turned
      ) as fitting
      where fitting.account_place <= fitting.room
      order by fitting.held + fitting.turn, fitting.lane
      limit least(p_limit, (select paced.room from paced where paced.account_id = 0))
    ), spent as (
      update send_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from bucket
      cross join lateral (
        select count(*) as count from due where bucket.account_id in (0, due.account_id)
      ) as used
      where pace.account_id = bucket.account_id and used.count > 0
    )
    update message as claimed set lease_owner = p_process, leased_until = now() + p_lease
    from due
    where claimed.id = due.id
    returning
      claimed.id, claimed.account_id, claimed.recipient, claimed.channel, claimed.template_id,
      claimed.content, claimed.consent_scope, claimed.sealed_secret, claimed.expires_at, claimed.due_at,
      case when claimed.attempt_count > 0 then (
        select jsonb_agg(
          jsonb_build_object('started_at', attempt.started_at, 'cause', attempt.cause)
          order by attempt.number
        )
        from attempt where attempt.message_id = claimed.id
      ) end,
      due.on_trial, due.is_paced, due.has_more
  $$;
`

/** As before, but in quiet hours it makes no messages, and is looked at once a second. */
const FEED = `
  create or replace function feed_broadcast()
  returns table (
    broadcast_id uuid, account_id integer, state text, fed bigint, accepted bigint, reason text
  )
  language plpgsql
  -- a list that is just stored has no statistics yet, and a plan that sorts all of it is a disaster
  set enable_seqscan = off
  set enable_bitmapscan = off
  as $$
  declare
    c_least constant integer := 20;
    c_most constant integer := 1000;
    c_ahead_seconds constant double precision := 0.25;
    c_rate_seconds constant double precision := 5;
    v_now timestamptz;
    v_quiet_until timestamptz;
    v_broadcast broadcast;
    v_waiting integer;
    v_sending integer;
    v_seconds double precision;
    v_taken double precision;
    v_limit integer;
    v_picked bigint := 0;
    v_last bigint;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.finished_at is null
      and (wanted.phase = 'cancelled' or (wanted.phase = 'running' and wanted.send_at <= clock_timestamp()))
      and (wanted.fed_at is null or wanted.fed_at <= clock_timestamp() - case
        when wanted.phase = 'running' and wanted.paused_at is null and (
          select quiet_until(policy.quiet_begins, policy.quiet_ends, clock_timestamp())
          from send_policy as policy where policy.account_id = wanted.account_id
        ) is null then interval '50 milliseconds'
        else interval '1 second'
      end)
    order by wanted.fed_at nulls first limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    v_now := clock_timestamp();
    broadcast_id := v_broadcast.id; account_id := v_broadcast.account_id;
    accepted := v_broadcast.accepted; fed := 0; reason := null;
    select quiet_until(policy.quiet_begins, policy.quiet_ends, v_now) into v_quiet_until
    from send_policy as policy where policy.account_id = v_broadcast.account_id;

    if v_broadcast.phase = 'cancelled' then
      state := 'cancelled';
      perform cancel_broadcast_messages(v_broadcast.id);
    elsif v_broadcast.paused_at is not null and v_now < v_broadcast.expires_at then
      state := 'paused';
      perform hold_broadcast_messages(v_broadcast.id);
    elsif v_quiet_until is not null and v_now < v_broadcast.expires_at then
      state := 'resting';
    else
      state := 'running';
    end if;

    select
      count(*) filter (where queue.status <> 'sending'), count(*) filter (where queue.status = 'sending')
    into v_waiting, v_sending
    from message as queue
    where queue.broadcast_id = v_broadcast.id and queue.status in ('scheduled', 'queued', 'sending');

    if state <> 'running' then
      if state = 'cancelled' and v_waiting + v_sending = 0 then
        state := 'ended';
        reason := v_broadcast.reason;
      end if;
      update broadcast as wanted set
        fed_at = v_now, queued_then = v_waiting, feed_window = c_least,
        finished_at = case when state = 'ended' then v_now end
      where wanted.id = v_broadcast.id;
      return next;
      return;
    end if;

    v_seconds := greatest(0.001, extract(epoch from v_now - coalesce(v_broadcast.fed_at, v_now)));
    v_taken := greatest(0, v_broadcast.queued_then - v_waiting) / v_seconds;
    v_broadcast.feed_window := least(c_most, greatest(
      c_least, ceil(v_taken * c_ahead_seconds), ceil(v_broadcast.feed_window * 0.7)
    ));
    v_limit := case when v_now < v_broadcast.expires_at
      then greatest(0, v_broadcast.feed_window - v_waiting) else 0 end;

    if v_limit > 0 then
      begin
        with picked as materialized (
          select listed.line, listed.recipient, listed.data
          from broadcast_recipient as listed
          where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          order by listed.line
          limit v_limit
          for key share nowait
        ), queued as (
          insert into message (
            id, account_id, application_id, recipient, channel, template_id, content, purpose, status,
            send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line, lane
          )
          select
            new_message_id(), v_broadcast.account_id, v_broadcast.application_id, picked.recipient,
            v_broadcast.channel, v_broadcast.template_id,
            case when picked.data is null then v_broadcast.content
              else jsonb_set(
                v_broadcast.content, '{data}', (v_broadcast.content -> 'data') || picked.data
              ) end,
            v_broadcast.purpose, 'queued', v_now, v_broadcast.expires_at, v_now, v_now, v_now,
            v_broadcast.id, picked.line, 1
          from picked
          where picked.recipient is not null -- a person erased before their turn
          order by picked.line
          returning 1
        )
        select (select count(*) from queued), count(*), max(picked.line)
        into fed, v_picked, v_last
        from picked;
      exception when lock_not_available then
        fed := 0; v_picked := v_limit;
      end;
    end if;

    if v_waiting + v_sending + fed = 0 and v_picked < greatest(v_limit, 1) then
      state := 'ended';
      reason := case when v_limit = 0 and exists (
        select from broadcast_recipient as listed
        where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          and listed.recipient is not null
      ) then 'expired' end;
    end if;

    update broadcast as wanted set
      fed_line = coalesce(v_last, wanted.fed_line),
      skipped = wanted.skipped + case when v_last is null then 0 else v_picked - fed end,
      fed_at = v_now, queued_then = v_waiting + fed, feed_window = v_broadcast.feed_window,
      rate = case
        when wanted.fed_at is null then null
        when wanted.rate is null then nullif(v_taken, 0)
        else wanted.rate + (v_taken - wanted.rate) * (1 - exp(- v_seconds / c_rate_seconds))
      end,
      started_at = coalesce(wanted.started_at, v_now),
      phase = case when state = 'ended' then 'completed' else wanted.phase end,
      reason = coalesce(feed_broadcast.reason, wanted.reason),
      finished_at = case when state = 'ended' then v_now end,
      updated_at = case when fed > 0 or state = 'ended' then v_now else wanted.updated_at end
    where wanted.id = v_broadcast.id;
    if fed > 0 then
      perform pg_notify('message_queued', '');
    end if;
    return next;
  end
  $$;
`

const CLAIM_BEFORE = `
  create or replace function claim_messages(
    p_process text, p_lease interval, p_limit integer,
    p_account_ids integer[], p_rooms integer[], p_held integer[], p_other_room integer
  )
  returns table (
    id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb,
    consent_scope text, sealed_secret text, expires_at timestamptz, due_at timestamptz, earlier jsonb,
    on_trial boolean, is_paced boolean, has_more boolean
  )
  language sql volatile
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
    with recursive lane as (
      (
        select head.account_id, head.lane, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
        order by head.account_id, head.lane, head.due_at
        limit 1
      )
      union all
      select after.account_id, after.lane, after.due_at
      from lane
      cross join lateral (
        select head.account_id, head.lane, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
          and (head.account_id, head.lane) > (lane.account_id, lane.lane)
        order by head.account_id, head.lane, head.due_at
        limit 1
      ) as after
    ), bucket as materialized (
      select pace.account_id, filled.tokens
      from send_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        -- no more than a second's, so that a rest is not made up for in one burst
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), paced as materialized (
      select pace.account_id, floor(coalesce(bucket.tokens, 0))::integer as room
      from send_pace as pace
      left join bucket on bucket.account_id = pace.account_id
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), found as materialized (
      select
        lane.account_id, lane.lane, coalesce(known.held, 0) as held,
        coalesce(own.until, theirs.until) is not null as on_trial,
        paced.room is not null as is_paced,
        least(paced.room, case
          when own.until > now() or theirs.until > now() then 0
          when theirs.until is not null and lane.account_id > min(lane.account_id)
            filter (where own.until is null or own.until <= now())
            over (partition by theirs.host) then 0
          when own.until is not null or theirs.until is not null
            then 1 - coalesce(known.held, 0)
          else coalesce(known.room, p_other_room)
        end) as room
      from lane
      left join unnest(p_account_ids, p_rooms, p_held) as known (account_id, room, held)
        on known.account_id = lane.account_id
      -- row by row by the key: a join may read every account there is for each lane
      left join lateral (
        select open.until from call_breaker as open
        where open.account_id = lane.account_id and open.host = '' offset 0
      ) as own on true
      left join lateral (
        select open.host, open.until from call_breaker as open
        where open.account_id = 0 and open.host = (
          select case when owner.kind like 'wecom%' then 'wecom' else 'wechat' end
          from account as owner where owner.id = lane.account_id
        ) offset 0
      ) as theirs on true
      left join paced on paced.account_id = lane.account_id
      where lane.due_at <= now()
    ), wanted as materialized (
      select found.*,
        greatest(1, (2 * p_limit + count(*) over () - 1) / count(*) over ())::integer as share,
        random() * 7 as luck
      from found where found.room > 0
    ), taken as materialized (
      select
        waiting.id, wanted.account_id, wanted.lane, wanted.held, wanted.room, wanted.on_trial,
        wanted.is_paced, wanted.share, wanted.luck,
        row_number() over (partition by wanted.account_id, wanted.lane order by waiting.due_at)
          as place
      from wanted
      cross join lateral (
        select next.id, next.due_at
        from message as next
        where next.account_id = wanted.account_id and next.lane = wanted.lane
          and next.status in ('scheduled', 'queued')
          and next.due_at <= now()
          and (next.leased_until is null or next.leased_until < now())
          and (
            not exists (
              select from sending_pause as pause
              where pause.account_id = next.account_id and pause.channel = next.channel
                and pause.until > now()
            )
            -- no call is made for it: the gate ends it, and nobody waits for that until the rest is over
            or next.expires_at <= now() or repeat_is_late(next.id, next.attempt_count, now())
          )
        order by next.due_at
        limit least(wanted.room, wanted.share)
        for update skip locked
      ) as waiting
    ), turned as materialized (
      select taken.*,
        case taken.lane when 0 then taken.place else 7 * taken.place - taken.luck end as turn
      from taken
    ), due as materialized (
      select
        fitting.id, fitting.account_id, fitting.on_trial, fitting.is_paced,
        fitting.place = fitting.share and fitting.share < fitting.room as has_more
      from (
        select turned.*,
          row_number() over (partition by turned.account_id order by turned.turn, turned.lane)
            as account_place
        from turned
      ) as fitting
      where fitting.account_place <= fitting.room
      order by fitting.held + fitting.turn, fitting.lane
      limit least(p_limit, (select paced.room from paced where paced.account_id = 0))
    ), spent as (
      update send_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from bucket
      cross join lateral (
        select count(*) as count from due where bucket.account_id in (0, due.account_id)
      ) as used
      where pace.account_id = bucket.account_id and used.count > 0
    )
    update message as claimed set lease_owner = p_process, leased_until = now() + p_lease
    from due
    where claimed.id = due.id
    returning
      claimed.id, claimed.account_id, claimed.recipient, claimed.channel, claimed.template_id,
      claimed.content, claimed.consent_scope, claimed.sealed_secret, claimed.expires_at, claimed.due_at,
      case when claimed.attempt_count > 0 then (
        select jsonb_agg(
          jsonb_build_object('started_at', attempt.started_at, 'cause', attempt.cause)
          order by attempt.number
        )
        from attempt where attempt.message_id = claimed.id
      ) end,
      due.on_trial, due.is_paced, due.has_more
  $$;
`

const FEED_BEFORE = `
  create or replace function feed_broadcast()
  returns table (
    broadcast_id uuid, account_id integer, state text, fed bigint, accepted bigint, reason text
  )
  language plpgsql
  -- a list that is just stored has no statistics yet, and a plan that sorts all of it is a disaster
  set enable_seqscan = off
  set enable_bitmapscan = off
  as $$
  declare
    c_least constant integer := 20;
    c_most constant integer := 1000;
    c_ahead_seconds constant double precision := 0.25;
    c_rate_seconds constant double precision := 5;
    v_now timestamptz;
    v_broadcast broadcast;
    v_waiting integer;
    v_sending integer;
    v_seconds double precision;
    v_taken double precision;
    v_limit integer;
    v_picked bigint := 0;
    v_last bigint;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.finished_at is null
      and (wanted.phase = 'cancelled' or (wanted.phase = 'running' and wanted.send_at <= clock_timestamp()))
      and (wanted.fed_at is null or wanted.fed_at <= clock_timestamp() - case
        when wanted.phase = 'running' and wanted.paused_at is null then interval '50 milliseconds'
        else interval '1 second'
      end)
    order by wanted.fed_at nulls first limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    v_now := clock_timestamp();
    broadcast_id := v_broadcast.id; account_id := v_broadcast.account_id;
    accepted := v_broadcast.accepted; fed := 0; reason := null;

    if v_broadcast.phase = 'cancelled' then
      state := 'cancelled';
      perform cancel_broadcast_messages(v_broadcast.id);
    elsif v_broadcast.paused_at is not null and v_now < v_broadcast.expires_at then
      state := 'paused';
      perform hold_broadcast_messages(v_broadcast.id);
    else
      state := 'running';
    end if;

    select
      count(*) filter (where queue.status <> 'sending'), count(*) filter (where queue.status = 'sending')
    into v_waiting, v_sending
    from message as queue
    where queue.broadcast_id = v_broadcast.id and queue.status in ('scheduled', 'queued', 'sending');

    if state <> 'running' then
      if state = 'cancelled' and v_waiting + v_sending = 0 then
        state := 'ended';
        reason := v_broadcast.reason;
      end if;
      update broadcast as wanted set
        fed_at = v_now, queued_then = v_waiting, feed_window = c_least,
        finished_at = case when state = 'ended' then v_now end
      where wanted.id = v_broadcast.id;
      return next;
      return;
    end if;

    v_seconds := greatest(0.001, extract(epoch from v_now - coalesce(v_broadcast.fed_at, v_now)));
    v_taken := greatest(0, v_broadcast.queued_then - v_waiting) / v_seconds;
    v_broadcast.feed_window := least(c_most, greatest(
      c_least, ceil(v_taken * c_ahead_seconds), ceil(v_broadcast.feed_window * 0.7)
    ));
    v_limit := case when v_now < v_broadcast.expires_at
      then greatest(0, v_broadcast.feed_window - v_waiting) else 0 end;

    if v_limit > 0 then
      begin
        with picked as materialized (
          select listed.line, listed.recipient, listed.data
          from broadcast_recipient as listed
          where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          order by listed.line
          limit v_limit
          for key share nowait
        ), queued as (
          insert into message (
            id, account_id, application_id, recipient, channel, template_id, content, purpose, status,
            send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line, lane
          )
          select
            new_message_id(), v_broadcast.account_id, v_broadcast.application_id, picked.recipient,
            v_broadcast.channel, v_broadcast.template_id,
            case when picked.data is null then v_broadcast.content
              else jsonb_set(
                v_broadcast.content, '{data}', (v_broadcast.content -> 'data') || picked.data
              ) end,
            v_broadcast.purpose, 'queued', v_now, v_broadcast.expires_at, v_now, v_now, v_now,
            v_broadcast.id, picked.line, 1
          from picked
          where picked.recipient is not null -- a person erased before their turn
          order by picked.line
          returning 1
        )
        select (select count(*) from queued), count(*), max(picked.line)
        into fed, v_picked, v_last
        from picked;
      exception when lock_not_available then
        fed := 0; v_picked := v_limit;
      end;
    end if;

    if v_waiting + v_sending + fed = 0 and v_picked < greatest(v_limit, 1) then
      state := 'ended';
      reason := case when v_limit = 0 and exists (
        select from broadcast_recipient as listed
        where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          and listed.recipient is not null
      ) then 'expired' end;
    end if;

    update broadcast as wanted set
      fed_line = coalesce(v_last, wanted.fed_line),
      skipped = wanted.skipped + case when v_last is null then 0 else v_picked - fed end,
      fed_at = v_now, queued_then = v_waiting + fed, feed_window = v_broadcast.feed_window,
      rate = case
        when wanted.fed_at is null then null
        when wanted.rate is null then nullif(v_taken, 0)
        else wanted.rate + (v_taken - wanted.rate) * (1 - exp(- v_seconds / c_rate_seconds))
      end,
      started_at = coalesce(wanted.started_at, v_now),
      phase = case when state = 'ended' then 'completed' else wanted.phase end,
      reason = coalesce(feed_broadcast.reason, wanted.reason),
      finished_at = case when state = 'ended' then v_now end,
      updated_at = case when fed > 0 or state = 'ended' then v_now else wanted.updated_at end
    where wanted.id = v_broadcast.id;
    if fed > 0 then
      perform pg_notify('message_queued', '');
    end if;
    return next;
  end
  $$;
`
