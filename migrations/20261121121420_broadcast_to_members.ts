import type { Knex } from 'knex'

/**
 * A broadcast through a channel whose consent has a name of its own (`wecom_app_message`: `member`)
 * keeps that name for its messages; null where the channel alone says it, as in a message.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`alter table broadcast add column consent_scope text`)
  await db.raw(feedBroadcast(CONSENT_SCOPE))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(feedBroadcast({ column: '', value: '' }))
  await db.raw(`alter table broadcast drop column consent_scope`)
}

const CONSENT_SCOPE = {
  column: ', consent_scope',
  value: ', v_broadcast.consent_scope',
}

/** As before, but with the consent that the messages rely on. */
const feedBroadcast = ({ column, value }: typeof CONSENT_SCOPE) => `
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
            send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line, lane, callback_url${column}
          )
          select
            new_message_id(), v_broadcast.account_id, v_broadcast.application_id, picked.recipient,
            v_broadcast.channel, v_broadcast.template_id,
            case when picked.data is null then v_broadcast.content
              else jsonb_set(
                v_broadcast.content, '{data}', (v_broadcast.content -> 'data') || picked.data
              ) end,
            v_broadcast.purpose, 'queued', v_now, v_broadcast.expires_at, v_now, v_now, v_now,
            v_broadcast.id, picked.line, 1, case when v_broadcast.tells_each then v_broadcast.callback_url end${value}
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
