import type { Knex } from 'knex'

/**
 * A pause of a broadcast overwrote when its waiting messages were due, and the end of the pause made
 * them all due at once: a message that the platform wanted tried again in the next minute was called
 * for within a second. The due time is kept beside, and holds again after the pause. What waited by
 * our own judgement (quiet hours, the pace of its recipient) is judged anew, because what it was
 * judged by may have changed meanwhile.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table message add column held_due_at timestamptz;
    comment on column message.held_due_at is
      'While its broadcast is paused: when it was to be tried.';
  `)
  await db.raw(`${hold('held_due_at = message.due_at,')} ${resume(KEPT_DUE_TIME)}`)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`${hold('')} ${resume('due_at = clock_timestamp()')}`)
  await db.raw(`alter table message drop column held_due_at`)
}

// greatest() passes over null: held before this was kept
const KEPT_DUE_TIME = `
      due_at = case when message.reason in ('quiet_hours', 'recipient_pace')
        then greatest(message.send_at, clock_timestamp())
        else greatest(message.held_due_at, clock_timestamp()) end,
      held_due_at = null`

/** @param orKeep what else is set, before a comma. */
const hold = (orKeep: string) => `
  create or replace function hold_broadcast_messages(p_broadcast_id uuid) returns void
  language sql as $function$
    with waiting as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at < message.expires_at
        and (message.leased_until is null or message.leased_until < clock_timestamp())
      order by message.id
      for no key update skip locked
    )
    update message set ${orKeep}
      due_at = message.expires_at, lease_owner = null, leased_until = null
    from waiting where message.id = waiting.id
  $function$;
`

/** @param setDueTime what becomes of a held message. */
const resume = (setDueTime: string) => `
  create or replace function resume_broadcast_messages(p_broadcast_id uuid) returns void
  language sql as $function$
    with held as (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued')
        and message.due_at = message.expires_at
      order by message.id
      for no key update skip locked
    )
    update message set ${setDueTime}
    from held where message.id = held.id and message.expires_at > clock_timestamp()
  $function$;
`
