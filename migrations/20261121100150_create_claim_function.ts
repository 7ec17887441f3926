import type { Knex } from 'knex'

/**
 * The claim as a function, so that its plan is its own: with a long queue and old statistics the
 * planner would sort all that is due for every claim. And rows that take their changes lightly.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(ROOM_AND_KEYS)
  await db.raw(CLAIM)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function claim_messages(text, interval, integer);
    alter table attempt add constraint attempt_message_id_fkey foreign key (message_id) references message;
    alter table attempt add constraint attempt_account_id_fkey foreign key (account_id) references account;
    alter table message reset (fillfactor);
    alter table attempt reset (fillfactor);
  `)
}

/**
 * A message changes three times on its way, an attempt once: with room in the page the lease and the
 * end of an attempt touch no index. The attempt's foreign keys looked up two rows that the same
 * statement has just locked or joined; nothing removes a message or an account.
 */
const ROOM_AND_KEYS = `
  alter table message set (fillfactor = 50);
  alter table attempt set (fillfactor = 60);
  alter table attempt drop constraint attempt_message_id_fkey;
  alter table attempt drop constraint attempt_account_id_fkey;
`

/**
 * Claims what is due, oldest first, under a lease: message_due_idx in its order, as far as the limit.
 * `skip locked` lets several processes claim at once without waiting for each other.
 */
const CLAIM = `
  create function claim_messages(p_process text, p_lease interval, p_limit integer)
  returns table (
    id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb,
    consent_scope text, sealed_secret text, expires_at timestamptz, due_at timestamptz, earlier jsonb
  )
  language sql volatile
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
    with due as materialized (
      select waiting.id
      from message as waiting
      where waiting.status in ('scheduled', 'queued')
        and waiting.due_at <= now()
        and (waiting.leased_until is null or waiting.leased_until < now())
        and not exists (
          select from sending_pause as pause
          where pause.account_id = waiting.account_id and pause.channel = waiting.channel
            and pause.until > now()
        )
      order by waiting.due_at
      limit p_limit
      for update skip locked
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
      ) end
  $$;
`
