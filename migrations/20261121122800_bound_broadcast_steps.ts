import type { Knex } from 'knex'

/**
 * What a paused or cancelled broadcast still has waiting, looked for once a second, was found by going
 * through every message there is: the functions inherited settings that left no better plan. Each row
 * is changed by its key now, and only message_broadcast_queue_idx fits the first look.
 *
 * A step that expands an audience reads so many consents at the most. It went on until it had found
 * enough people: where few of a large account belong to the audience, through all of them.
 *
 * What was asked of the template of a message goes with the message; what messages left behind that
 * have been forgotten goes now.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(ofBroadcast('hold', HOLD, BY_KEY))
  await db.raw(ofBroadcast('cancel', CANCEL, BY_KEY))
  await db.raw(ofBroadcast('resume', RESUME, BY_KEY))
  await db.raw(expand(EXPAND, 'set enable_seqscan = off set enable_bitmapscan = off'))
  await db.raw(`
    alter function spend_kept_credits(uuid[]) set plan_cache_mode = 'force_custom_plan'
  `)
  await db.raw(`
    delete from aliased_message as named
    where not exists (select from message where message.id = named.message_id)
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(ofBroadcast('hold', HOLD_BEFORE, ''))
  await db.raw(ofBroadcast('cancel', CANCEL_BEFORE, ''))
  await db.raw(ofBroadcast('resume', RESUME_BEFORE, ''))
  await db.raw(expand(EXPAND_BEFORE, ''))
  await db.raw(`alter function spend_kept_credits(uuid[]) reset plan_cache_mode`)
}

const BY_KEY = 'set enable_seqscan = off'

const ofBroadcast = (what: 'hold' | 'cancel' | 'resume', body: string, settings: string) => `
  create or replace function ${what}_broadcast_messages(p_broadcast_id uuid)
  returns void
  language sql ${settings}
  as $$${body}$$;
`

const expand = (body: string, settings: string) => `
  create or replace function expand_broadcast(p_limit integer)
  returns table (broadcast_id uuid, account_id integer, added bigint, accepted bigint, done boolean)
  language plpgsql ${settings}
  as $$${body}$$;
`

/**
 * What waits of a broadcast, each to be locked by its key. The second look does not say
 * `status in (…)`: that would invite the index of the whole queue.
 */
const waitingAs = (name: string) => `
    with queue as materialized (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued', 'sending')
    ), ${name} as materialized (
      select message.id from message
      where message.id = any (array(select queue.id from queue))
        and message.status <> 'sending' and message.finished_at is null`

const HOLD = `${waitingAs('waiting')}
        and message.due_at < message.expires_at
        and (message.leased_until is null or message.leased_until < clock_timestamp())
      order by message.id
      for no key update skip locked
    )
    update message set held_due_at = message.due_at,
      due_at = message.expires_at, lease_owner = null, leased_until = null
    where message.id = any (array(select waiting.id from waiting))
`

const CANCEL = `${waitingAs('waiting')}
        and (message.leased_until is null or message.leased_until < clock_timestamp())
        and not exists (
          select from attempt where attempt.message_id = message.id and attempt.outcome = 'unknown'
          offset 0
        )
      order by message.id
      for no key update skip locked
    )
    update message set
      status = 'cancelled', reason = 'broadcast_cancelled', lease_owner = null, leased_until = null,
      updated_at = clock_timestamp(), finished_at = clock_timestamp()
    where message.id = any (array(select waiting.id from waiting))
`

const RESUME = `${waitingAs('held')}
        and message.due_at = message.expires_at
      order by message.id
      for no key update skip locked
    )
    update message set
      due_at = case when message.reason in ('quiet_hours', 'recipient_pace')
        then greatest(message.send_at, clock_timestamp())
        else greatest(message.held_due_at, clock_timestamp()) end,
      held_due_at = null
    where message.id = any (array(select held.id from held)) and message.expires_at > clock_timestamp()
`

const EXPAND = `
  declare
    v_broadcast broadcast;
    c_read constant integer := 10 * p_limit;
    v_read integer;
    v_end text;
    v_last text;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.phase = 'expanding' and wanted.finished_at is null and wanted.paused_at is null
    order by wanted.id limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    -- a step reads so much, however few of them belong to the audience
    select count(*), max(slice.subject) into v_read, v_end from (
      select held.subject from consent as held
      where held.account_id = v_broadcast.account_id
        and held.subject > coalesce(v_broadcast.expanded_after, '')
      order by held.subject limit c_read
    ) as slice;

    begin
      with person as materialized (
        select held.subject
        from consent as held
        where held.account_id = v_broadcast.account_id
          and held.subject > coalesce(v_broadcast.expanded_after, '') and held.subject <= v_end
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
    done := added < p_limit and v_read < c_read;
    update broadcast as wanted set
      expanded_after = coalesce(case when added < p_limit then v_end else v_last end, wanted.expanded_after),
      lines_read = wanted.lines_read + added,
      accepted = expand_broadcast.accepted,
      phase = case when done then 'running' else wanted.phase end,
      received_at = case when done then clock_timestamp() end,
      updated_at = clock_timestamp()
    where wanted.id = v_broadcast.id;
    return next;
  end
`

const HOLD_BEFORE = `
    with waiting as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at < message.expires_at
        and (message.leased_until is null or message.leased_until < clock_timestamp())
      order by message.id
      for no key update skip locked
    )
    update message set held_due_at = message.due_at,
      due_at = message.expires_at, lease_owner = null, leased_until = null
    from waiting where message.id = waiting.id
  `

const CANCEL_BEFORE = `
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
  `

const RESUME_BEFORE = `
    with held as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at = message.expires_at
      order by message.id
      for no key update skip locked
    )
    update message set 
      due_at = case when message.reason in ('quiet_hours', 'recipient_pace')
        then greatest(message.send_at, clock_timestamp())
        else greatest(message.held_due_at, clock_timestamp()) end,
      held_due_at = null
    from held where message.id = held.id and message.expires_at > clock_timestamp()
  `

const EXPAND_BEFORE = `
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
  `
