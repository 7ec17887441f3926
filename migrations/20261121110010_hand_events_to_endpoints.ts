import type { Knex } from 'knex'

/**
 * A new event is handed to the endpoints that want it in the transaction that records it, so that it
 * is neither lost nor handed over twice.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(recordPushes(HAND_OVER))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(recordPushes(''))
}

const recordPushes = (moreAtTheEnd: string) => `
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
    v_extra record;
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

    -- before an erasure takes the person's name from the messages
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
    end if;

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

    ${moreAtTheEnd}
  end
  $$;
`

/** Most accounts have nobody who wants their events; then one look is all it costs. */
const HAND_OVER = `
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
`
