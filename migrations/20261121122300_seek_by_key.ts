import type { Knex } from 'knex'

/**
 * Three conditions had plans that grew with what they did not ask for. While no such rows were known,
 * PostgreSQL took it for cheap to read all there were:
 *
 * - whether another call to the person is under way read every call under way, for each batch of sends;
 * - the credit that a repeat has kept read every entry of the ledger that belongs to an attempt;
 * - whether a push forbids a call under way read every call under way of the account, for each consent
 *   that the batch ends.
 *
 * Each is looked for by its key now, row by row: `offset 0` keeps a subquery as it is written.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(beginSends(SOUGHT_BY_KEY))
  await db.raw(recordPushes(LOOKED_FOR_APART))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(beginSends(BEGIN_BEFORE))
  await db.raw(recordPushes(RECORD_BEFORE))
}

interface BeginParts {
  /** Whether a repeat may not be called for any more. */
  readonly isLate: string
  readonly oneByOne: string
  /** Where the credit of an earlier call is, if its end is open. */
  readonly kept: string
}

const SOUGHT_BY_KEY: BeginParts = {
  // a call of a function for each message, where one in a hundred is a repeat
  isLate: `(
              wanted.attempt_count > 0
              and repeat_is_late(wanted.id, wanted.attempt_count, v_now)
            )`,
  oneByOne: `offset 0 -- each by its key, or it may read every call under way`,
  kept: `from attempt as tried
        cross join lateral (
          select entry.attempt_id, entry.scope, entry.effective_at
          from consent_ledger as entry
          where entry.attempt_id = tried.id and entry.change = 'reserved'
          offset 0 -- each by its key, or it may read every entry of an attempt
        ) as reserved
        where wanted.attempt_count > 0 and tried.message_id = wanted.id
          and tried.number <= wanted.attempt_count
          and not exists (
            select from consent_ledger as settled
            where settled.attempt_id = tried.id and settled.change in ('spent', 'returned')
            offset 0
          )`,
}

const BEGIN_BEFORE: BeginParts = {
  isLate: `repeat_is_late(wanted.id, wanted.attempt_count, v_now)`,
  oneByOne: '',
  kept: `from attempt as tried
        join consent_ledger as reserved
          on reserved.attempt_id = tried.id and reserved.change = 'reserved'
        where wanted.attempt_count > 0 and tried.message_id = wanted.id
          and tried.number <= wanted.attempt_count
          and not exists (
            select from consent_ledger as settled
            where settled.attempt_id = tried.id and settled.change in ('spent', 'returned')
          )`,
}

interface RecordParts {
  readonly declares: string
  /** Which pushes forbid a call that is under way. */
  readonly callUnderWay: string
}

const LOOKED_FOR_APART: RecordParts = {
  declares: `
    v_ending integer[];`,
  callUnderWay: `-- before an erasure takes the person's name from the messages
    if exists (select from message where message.status = 'sending') then
      select coalesce(array_agg(change.push), '{}') into v_ending
      from unnest(c_pushes, c_changes) as change (push, change)
      where change.change = 'revoked';

      select array_agg(push.n = any (v_ending) and (
        exists (
          select from message as sending
          where sending.account_id = push.account_id and sending.recipient = push.subject
            and sending.status = 'sending'
          offset 0
        )
        -- a call whose person has been erased may be to this person; it stands last in the index
        or coalesce((
          select sending.recipient is null from message as sending
          where sending.account_id = push.account_id and sending.status = 'sending'
          order by sending.recipient desc nulls first limit 1
        ), false)
      ) order by push.n)
      into call_under_way
      from unnest(p_account_ids, p_subjects) with ordinality as push (account_id, subject, n);
    end if;`,
}

const RECORD_BEFORE: RecordParts = {
  declares: '',
  callUnderWay: `-- before an erasure takes the person's name from the messages
    if exists (select from message where message.status = 'sending') then
      select array_agg(exists (
        select from unnest(c_pushes, c_changes) as change (push, change)
        join message as sending on sending.account_id = push.account_id
          and sending.status = 'sending'
          -- a call whose person has been erased may be to this person
          and (sending.recipient = push.subject or sending.recipient is null)
        where change.push = push.n and change.change = 'revoked'
      ) order by push.n)
      into call_under_way
      from unnest(p_account_ids, p_subjects) with ordinality as push (account_id, subject, n);
    end if;`,
}

/** As 20261121121300 describes it. */
const beginSends = (parts: BeginParts) => `
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
            or ${parts.isLate} then 'expired'
          when limits.reason = 'quiet_hours' then 'later'
          when exists (
            select from message as other
            where other.account_id = wanted.account_id and other.recipient = wanted.recipient
              and other.status = 'sending'
            ${parts.oneByOne}
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
        ${parts.kept}
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

/** As 20261121110010 left it. */
const recordPushes = (parts: RecordParts) => `
  create or replace function record_pushes(
    p_lock_names text[],
    p_account_ids integer[], p_repeat_keys bytea, p_kinds text[], p_names text[], p_subjects text[],
    p_occurred_at bigint[], p_effective_at bigint[], p_documents text[],
    c_pushes integer[], c_scopes text[], c_changes text[], c_effective_at bigint[],
    c_reasons text[], c_credits integer[], c_expires_at bigint[], c_latest boolean[],
    p_extras json,
    out event_ids bigint[], out is_new boolean[], out call_under_way boolean[]
  )
  language plpgsql
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
  declare
    v_first timestamptz;
    v_last timestamptz;
    v_any_erasure boolean;
    v_erased boolean[];
    v_ledger_ids bigint[];
    v_account_ids integer[];
    v_subjects text[];
    v_scopes text[];
    v_extra record;${parts.declares}
    v_receipt jsonb;
  begin
    perform lock_subjects(p_account_ids, p_lock_names);

    -- known before the statement begins, they leave the months out that cannot hold a repeat
    select to_timestamp(min(at)), to_timestamp(max(at)) into v_first, v_last
    from unnest(p_occurred_at) as at;

    select array_agg(coalesce(push.known, nextval('event_id_seq')) order by push.n),
      array_agg(push.known is null order by push.n)
    into event_ids, is_new
    from (
      select incoming.n, (
        select known.id from event as known
        where known.account_id = incoming.account_id
          and known.occurred_at = to_timestamp(incoming.occurred_at)
          and known.occurred_at between v_first and v_last
          and known.repeat_key = substring(p_repeat_keys from incoming.n::integer * 32 - 31 for 32)
      ) as known
      from unnest(p_account_ids, p_occurred_at) with ordinality as incoming (account_id, occurred_at, n)
      offset 0
    ) as push;

    -- what reaches us after a person was erased, but was said before, is kept without the person;
    -- most databases have no tombstones, and then nobody is looked up
    v_any_erasure := exists (select from erasure);
    if v_any_erasure then
      select array_agg(exists (
        select from erasure
        where erasure.account_id = push.account_id
          and erasure.subject_hash = subject_hash(push.account_id, push.subject)
          and erasure.effective_at >= to_timestamp(push.effective_at)
      ) order by push.n)
      into v_erased
      from unnest(p_account_ids, p_subjects, p_effective_at) with ordinality
        as push (account_id, subject, effective_at, n);
    end if;

    insert into event (
      account_id, id, repeat_key, kind, name, subject, occurred_at, document, erased_at
    ) overriding system value
    select
      push.account_id, event_ids[push.n],
      substring(p_repeat_keys from push.n::integer * 32 - 31 for 32), push.kind, push.name,
      case when v_any_erasure and v_erased[push.n] then null else push.subject end,
      to_timestamp(push.occurred_at),
      case when v_any_erasure and v_erased[push.n] then '' else push.document end,
      case when v_any_erasure and v_erased[push.n] then clock_timestamp() end
    from unnest(p_account_ids, p_kinds, p_names, p_subjects, p_occurred_at, p_documents)
      with ordinality as push (account_id, kind, name, subject, occurred_at, document, n)
    where is_new[push.n];

    if cardinality(c_pushes) > 0 then
      select array_agg(nextval('consent_ledger_id_seq')) into v_ledger_ids
      from generate_series(1, cardinality(c_pushes));

      insert into consent_ledger (
        account_id, id, subject, scope, change, effective_at, evidence, event_id, reason, credits,
        expires_at
      ) overriding system value
      select
        p_account_ids[change.push], v_ledger_ids[change.n], p_subjects[change.push], change.scope,
        change.change, to_timestamp(change.effective_at), 'event', event_ids[change.push],
        change.reason, change.credits, to_timestamp(change.expires_at)
      from unnest(c_pushes, c_scopes, c_changes, c_effective_at, c_reasons, c_credits, c_expires_at)
        with ordinality
        as change (push, scope, change, effective_at, reason, credits, expires_at, n)
      where is_new[change.push] and not (v_any_erasure and v_erased[change.push]);

      -- where the latest word stands, the new words are enough to know it
      insert into consent as held (
        account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at
      )
      select
        p_account_ids[change.push], p_subjects[change.push], change.scope, change.change,
        to_timestamp(change.effective_at), v_ledger_ids[change.n],
        case when change.change = 'granted' then change.credits end,
        case when change.change = 'granted' then to_timestamp(change.expires_at) end
      from unnest(c_pushes, c_scopes, c_changes, c_effective_at, c_credits, c_expires_at, c_latest)
        with ordinality as change (push, scope, change, effective_at, credits, expires_at, latest, n)
      where change.latest and is_new[change.push] and not (v_any_erasure and v_erased[change.push])
      on conflict (account_id, subject, scope) do update
      set state = excluded.state,
          effective_at = excluded.effective_at,
          ledger_id = excluded.ledger_id,
          credits = case when excluded.credits is not null then greatest(0, excluded.credits + (
            select coalesce(sum(case entry.change when 'reserved' then -1 else 1 end), 0)::integer
            from consent_ledger as entry
            where entry.account_id = excluded.account_id and entry.subject = excluded.subject
              and entry.scope = excluded.scope and entry.effective_at >= excluded.effective_at
              and entry.change in ('reserved', 'returned')
          )) end,
          expires_at = excluded.expires_at,
          updated_at = clock_timestamp()
      where (excluded.effective_at, consent_severity(excluded.state))
        > (held.effective_at, consent_severity(held.state));

      -- the others are projected from all their rows
      select array_agg(touched.account_id), array_agg(touched.subject), array_agg(touched.scope)
      into v_account_ids, v_subjects, v_scopes
      from (
        select p_account_ids[change.push], p_subjects[change.push], change.scope
        from unnest(c_pushes, c_scopes) as change (push, scope)
        where is_new[change.push]
          and (change.scope = 'everything'
            or (change.scope like 'template:%' and change.scope <> 'template:*'))
        union
        -- the end of all template rights touches every template the person has
        select held.account_id, held.subject, held.scope
        from unnest(c_pushes, c_scopes) as change (push, scope)
        join consent as held on held.account_id = p_account_ids[change.push]
          and held.subject = p_subjects[change.push] and held.scope like 'template:%'
        where change.scope = 'template:*' and is_new[change.push] and held.scope <> 'template:*'
        union
        -- a new follow or acceptance may lift a stop
        select held.account_id, held.subject, held.scope
        from unnest(c_pushes, c_scopes, c_changes) as change (push, scope, change)
        join consent as held on held.account_id = p_account_ids[change.push]
          and held.subject = p_subjects[change.push] and held.scope = 'everything'
        where change.change = 'granted' and is_new[change.push]
          and (change.scope = 'follow' or change.scope like 'template:%')
      ) as touched (account_id, subject, scope);
      if v_account_ids is not null then
        perform project_consents(v_account_ids, v_subjects, v_scopes);
      end if;
    end if;

    ${parts.callUnderWay}

    for v_extra in
      select extra.*
      from json_to_recordset(p_extras) as extra (
        push integer, kind text, receipts jsonb, erase boolean, ticket jsonb, job jsonb
      )
      where is_new[extra.push]
      order by extra.push
    loop
      if v_extra.erase then
        perform erase_subject(
          p_account_ids[v_extra.push], p_subjects[v_extra.push],
          to_timestamp(p_effective_at[v_extra.push]), 'platform', v_extra.kind
        );
      else
        for v_receipt in select value from jsonb_array_elements(v_extra.receipts) loop
          perform apply_receipt(
            p_account_ids[v_extra.push], p_subjects[v_extra.push], event_ids[v_extra.push], v_receipt
          );
        end loop;
      end if;
      if v_extra.ticket is not null then
        perform keep_ticket(
          p_account_ids[v_extra.push], v_extra.ticket ->> 'sealed', v_extra.ticket ->> 'key_id',
          to_timestamp(p_effective_at[v_extra.push])
        );
      end if;
      if v_extra.job is not null then
        perform graphile_worker.add_job(
          v_extra.job ->> 'task',
          ((v_extra.job -> 'payload') || jsonb_build_object('event_id', event_ids[v_extra.push]))::json
        );
      end if;
    end loop;

    if exists (
      select from endpoint
      where endpoint.account_id = any (p_account_ids) and endpoint.purpose = 'events'
        and endpoint.disabled_at is null
    ) then
      insert into delivery (endpoint_id, event_id, event_occurred_at)
      select endpoint.id, event_ids[push.n], to_timestamp(push.occurred_at)
      from unnest(p_account_ids, p_kinds, p_occurred_at)
        with ordinality as push (account_id, kind, occurred_at, n)
      join endpoint on endpoint.account_id = push.account_id and endpoint.purpose = 'events'
        and endpoint.disabled_at is null
        and endpoint.kinds && array['*', push.kind]
      where is_new[push.n] and not (v_any_erasure and v_erased[push.n]);
    end if;
  end
  $$;
`
