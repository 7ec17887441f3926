import type { Knex } from 'knex'

/**
 * After a lost answer a message is called for again only as long as the platform remembers the first
 * call. What held it back meanwhile, a channel that rested or processes that were down, must not make
 * a second message of it: once that time is over the gate ends it, and it is `unknown`.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(REPEAT_IS_LATE)
  await db.raw(
    beginSends(
      `wanted.expires_at <= v_now or repeat_is_late(wanted.id, wanted.attempt_count, v_now)`,
    ),
  )
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(beginSends(`wanted.expires_at <= v_now`))
  await db.raw(`drop function repeat_is_late(uuid, integer, timestamptz)`)
}

/** The platform remembers for ten minutes; one is for the way and our clocks (dispatch/outcome.ts). */
const REPEAT_IS_LATE = `
  create function repeat_is_late(p_message_id uuid, p_attempt_count integer, p_now timestamptz)
  returns boolean
  language sql stable
  as $$
    select p_attempt_count > 0 and exists (
      select from attempt as tried
      where tried.message_id = p_message_id and tried.number <= p_attempt_count
        and tried.outcome = 'unknown' and tried.started_at < p_now - interval '9 minutes'
    )
  $$;
`

/** @param isOver when a message is not called for any more. */
const beginSends = (isOver: string) => `
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
          when ${isOver} then 'expired'
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
