import type { Knex } from 'knex'

/** A broadcast's way: its list is read or expanded, then fed into the queue, held, resumed, ended. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(ADD_LINES)
  await db.raw(EXPAND)
  await db.raw(HOLD_AND_CANCEL)
  await db.raw(FEED)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function feed_broadcast();
    drop function cancel_broadcast_messages(uuid);
    drop function resume_broadcast_messages(uuid);
    drop function hold_broadcast_messages(uuid);
    drop function new_message_id();
    drop function expand_broadcast(integer);
    drop function add_broadcast_lines(uuid, bigint, bytea, bigint, bytea, json, json, boolean);
  `)
}

/**
 * Stores the next lines of a broadcast's list, or finds that they are stored already. Lines are known
 * by their place and by a digest of everything up to them, so a list that is sent again goes on where
 * it broke off, and another list under the same key is noticed.
 *
 * Answers `stored`, `known` (stored before), `differs` (another list) or `ended` (cancelled before
 * the list was complete).
 */
const ADD_LINES = `
  create function add_broadcast_lines(
    p_broadcast_id uuid, p_before bigint, p_digest_before bytea, p_after bigint, p_digest_after bytea,
    p_recipients json, p_bad json, p_is_last boolean
  ) returns text
  language plpgsql
  as $$
  declare
    v_broadcast broadcast;
    v_given bigint;
    v_stored bigint;
    v_bad bigint;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.id = p_broadcast_id for no key update;

    if v_broadcast.received_at is null and v_broadcast.phase <> 'receiving' then
      return 'ended';
    end if;
    if v_broadcast.received_at is not null
      or v_broadcast.lines_read <> p_before
      or v_broadcast.lines_digest <> p_digest_before
    then
      return case
        when v_broadcast.lines_read > p_after and not p_is_last then 'known'
        when v_broadcast.lines_read = p_after and v_broadcast.lines_digest = p_digest_after then 'known'
        else 'differs'
      end;
    end if;

    with given as (
      select entry.line, entry.recipient, entry.data
      from json_to_recordset(p_recipients) as entry (line bigint, recipient text, data jsonb)
    ), stored as (
      insert into broadcast_recipient (broadcast_id, line, recipient, data)
      select p_broadcast_id, given.line, given.recipient, given.data
      from given order by given.line
      on conflict (broadcast_id, recipient) do nothing
      returning 1
    )
    select (select count(*) from given), (select count(*) from stored) into v_given, v_stored;

    insert into broadcast_bad_line (broadcast_id, line, reason)
    select p_broadcast_id, entry.line, entry.reason
    from json_to_recordset(p_bad) as entry (line bigint, reason text);
    get diagnostics v_bad = row_count;

    update broadcast set
      lines_read = p_after, lines_digest = p_digest_after,
      accepted = accepted + v_stored,
      duplicates = duplicates + v_given - v_stored,
      bad = bad + v_bad,
      received_at = case when p_is_last then clock_timestamp() end,
      phase = case when p_is_last then 'running' else phase end,
      updated_at = clock_timestamp()
    where id = p_broadcast_id;
    if p_is_last then
      perform pg_notify('broadcast_changed', '');
    end if;
    return 'stored';
  end
  $$;
`

/**
 * Adds the next people of an audience: those with live consent of its scope, in the order of the key.
 * It goes on behind the last one, so a process that dies loses nothing and repeats nothing. A person
 * who is being erased at this moment holds the step up until the erasure is over: the rows are locked,
 * and whoever cannot have them at once tries again.
 */
const EXPAND = `
  create function expand_broadcast(p_limit integer)
  returns table (broadcast_id uuid, account_id integer, added bigint, accepted bigint, done boolean)
  language plpgsql
  as $$
  declare
    v_broadcast broadcast;
    v_last text;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.phase = 'expanding' and wanted.finished_at is null and wanted.paused_at is null
    order by wanted.id limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    begin
      with person as materialized (
        select held.subject
        from consent as held
        where held.account_id = v_broadcast.account_id
          and held.subject > coalesce(v_broadcast.expanded_after, '')
          and held.scope = v_broadcast.audience_scope
          and held.state = 'granted'
          and (held.expires_at is null or held.expires_at > clock_timestamp())
          and held.credits is distinct from 0
        order by held.subject
        limit p_limit
        for key share nowait
      ), stored as (
        insert into broadcast_recipient (broadcast_id, line, recipient)
        select v_broadcast.id,
          v_broadcast.lines_read + row_number() over (order by person.subject), person.subject
        from person
        returning 1
      )
      select (select count(*) from stored), max(person.subject) into added, v_last from person;
    exception when lock_not_available then
      return;
    end;

    broadcast_id := v_broadcast.id; account_id := v_broadcast.account_id;
    accepted := v_broadcast.accepted + added;
    done := added < p_limit;
    update broadcast as wanted set
      expanded_after = coalesce(v_last, wanted.expanded_after),
      lines_read = wanted.lines_read + added,
      accepted = expand_broadcast.accepted,
      phase = case when done then 'running' else wanted.phase end,
      received_at = case when done then clock_timestamp() end,
      updated_at = clock_timestamp()
    where wanted.id = v_broadcast.id;
    return next;
  end
  $$;
`

/**
 * What waits in the queue for a broadcast and no worker has in hand: held until its broadcast is
 * resumed (a message that is due when it expires is never called for), or cancelled. A message whose
 * first answer was lost is left alone: it may have arrived, and “cancelled” could be a lie. Nobody is
 * waited for: what a worker locks at this moment is in its hands.
 */
const HOLD_AND_CANCEL = `
  create function hold_broadcast_messages(p_broadcast_id uuid) returns void
  language sql
  as $$
    with waiting as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at < message.expires_at
        and (message.leased_until is null or message.leased_until < clock_timestamp())
      order by message.id
      for no key update skip locked
    )
    update message set due_at = message.expires_at, lease_owner = null, leased_until = null
    from waiting where message.id = waiting.id
  $$;

  create function resume_broadcast_messages(p_broadcast_id uuid) returns void
  language sql
  as $$
    with held as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at = message.expires_at
      order by message.id
      for no key update skip locked
    )
    update message set due_at = clock_timestamp()
    from held where message.id = held.id and message.expires_at > clock_timestamp()
  $$;

  create function cancel_broadcast_messages(p_broadcast_id uuid) returns void
  language sql
  as $$
    with waiting as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and (message.leased_until is null or message.leased_until < clock_timestamp())
        and not exists (
          select from attempt where attempt.message_id = message.id and attempt.outcome = 'unknown'
        )
      order by message.id
      for no key update skip locked
    )
    update message set
      status = 'cancelled', reason = 'broadcast_cancelled', lease_owner = null, leased_until = null,
      updated_at = clock_timestamp(), finished_at = clock_timestamp()
    from waiting where message.id = waiting.id
  $$;
`

/**
 * Works on one broadcast, the one that has waited longest: makes messages of its next recipients, or
 * sees to it that it stays held, or ends it. One broadcast per call, because the rows of recipients
 * are locked against an erasure that runs at the same moment, and two lists would be a second order.
 *
 * The queue holds a quarter of a second of work for each broadcast: the window follows the rate at
 * which the workers took messages since the last time. So a single message never waits behind more
 * than that, and where the queue is long already, hardly anything is added to it.
 */
const FEED = `
  -- version 7 of RFC 9562, as the gateway makes its ids: lists are in the order of the ids
  create function new_message_id() returns uuid
  language sql volatile
  as $$
    select (
      lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
      || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)
    )::uuid
  $$;

  create function feed_broadcast()
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
            send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line
          )
          select
            new_message_id(), v_broadcast.account_id, v_broadcast.application_id, picked.recipient,
            v_broadcast.channel, v_broadcast.template_id,
            case when picked.data is null then v_broadcast.content
              else jsonb_set(
                v_broadcast.content, '{data}', (v_broadcast.content -> 'data') || picked.data
              ) end,
            v_broadcast.purpose, 'queued', v_now, v_broadcast.expires_at, v_now, v_now, v_now,
            v_broadcast.id, picked.line
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
