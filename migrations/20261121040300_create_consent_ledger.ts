import type { Knex } from 'knex'

/**
 * Who may be sent what: the append-only ledger, the state projected from it, and the tombstones of
 * erased people. The database itself refuses to change or remove a ledger entry.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(TABLES)
  await db.raw(APPEND_ONLY)
  await db.raw(LOCKS)
  await db.raw(PROJECTION)
  await db.raw(CHANGES)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function change_consents(jsonb);
    drop function apply_consent_changes(jsonb);
    drop function project_consents(integer[], text[], text[]);
    drop function consent_severity(text);
    drop function lock_subjects(integer[], text[]);
    drop function subject_hash(integer, text);
    drop table consent, consent_ledger, erasure;
    drop function refuse_ledger_change();
  `)
}

const TABLES = `
  create table consent_ledger (
    account_id integer not null references account,
    id bigint generated always as identity,
    subject text not null,
    scope text not null,
    change text not null,
    effective_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    evidence text not null,
    event_id bigint,
    attempt_id bigint,
    actor text,
    reason text not null,
    credits integer,
    expires_at timestamptz,
    primary key (account_id, id),
    constraint consent_ledger_change_check check (change in (
      'granted', 'revoked', 'suppressed', 'reserved', 'spent', 'returned'
    )),
    constraint consent_ledger_evidence_check check (
      case evidence
        when 'event' then event_id is not null
        when 'attempt' then attempt_id is not null
        when 'api' then actor is not null
        when 'operator' then actor is not null
        when 'import' then actor is not null
        when 'report' then actor is not null
        when 'sync' then true
        else false
      end
    )
  );

  -- serves the projection, the history of a person and the erasure
  create index consent_ledger_subject_idx
    on consent_ledger (account_id, subject, scope, effective_at);
  -- serves the end of an attempt: which credit did it reserve?
  create index consent_ledger_attempt_idx on consent_ledger (attempt_id) where attempt_id is not null;

  create table consent (
    account_id integer not null references account,
    subject text not null,
    scope text not null,
    state text not null,
    effective_at timestamptz not null,
    ledger_id bigint not null,
    credits integer,
    expires_at timestamptz,
    refused boolean not null default false,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (account_id, subject, scope),
    constraint consent_state_check check (state in ('granted', 'revoked', 'suppressed')),
    constraint consent_credits_check check (credits >= 0)
  );

  create table erasure (
    id bigint generated always as identity primary key,
    account_id integer not null references account,
    subject_hash bytea not null,
    effective_at timestamptz not null,
    erased_at timestamptz not null default clock_timestamp(),
    actor text not null,
    reason text not null,
    ledger_rows integer not null,
    events integer not null,
    messages integer not null
  );

  create index erasure_subject_hash_idx on erasure (account_id, subject_hash);

  comment on table erasure is
    'Tombstones: that a person was erased, when and why; the person only as a digest.';
`

const APPEND_ONLY = `
  create function refuse_ledger_change() returns trigger
  language plpgsql
  as $$
  begin
    if tg_op = 'DELETE' and current_setting('wcg.erasing', true) = 'on' then
      return old;
    end if;
    raise exception 'consent_ledger is append-only: a row is never changed or removed'
      using errcode = 'WCG01', hint = 'To erase a person use erase_subject(), which leaves a tombstone.';
  end
  $$;

  create trigger consent_ledger_append_only
    before update or delete on consent_ledger
    for each row execute function refuse_ledger_change();

  create trigger consent_ledger_no_truncate
    before truncate on consent_ledger
    for each statement execute function refuse_ledger_change();
`

/**
 * Everything about one person on one account happens one after the other, in whatever process: who
 * wants to change it takes this lock first, always in the order of the keys, so nobody deadlocks.
 */
const LOCKS = `
  create function lock_subjects(p_account_ids integer[], p_subjects text[]) returns void
  language plpgsql
  as $$
  begin
    perform pg_advisory_xact_lock(wanted.key)
    from (
      select distinct hashtextextended(pair.subject, pair.account_id) as key
      from unnest(p_account_ids, p_subjects) as pair (account_id, subject)
      where pair.subject is not null
      order by key
    ) as wanted;
  end
  $$;

  create function subject_hash(p_account_id integer, p_subject text) returns bytea
  language sql immutable
  return sha256(convert_to(p_account_id || ':' || p_subject, 'UTF8'));
`

/**
 * The state of a consent, computed from its ledger rows alone: whatever order they arrived in, the
 * same rows give the same state. The later change by the platform's clock wins; in the same second
 * the one that allows less.
 */
const PROJECTION = `
  create function consent_severity(p_change text) returns integer
  language sql immutable
  return case p_change when 'revoked' then 2 when 'suppressed' then 1 else 0 end;

  create function project_consents(p_account_ids integer[], p_subjects text[], p_scopes text[])
  returns void
  language plpgsql
  as $$
  begin
    -- 'follow', 'conversation', 'conversation:action', 'template:*': the latest word stands. A
    -- window's cap is what its opening gave, less what has been reserved in it and not returned.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at, updated_at
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      latest.change, latest.effective_at, latest.id,
      case when latest.change = 'granted' and latest.credits is not null
        then greatest(0, latest.credits + used.balance) end,
      case when latest.change = 'granted' then latest.expires_at end,
      clock_timestamp()
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at, entry.credits, entry.expires_at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.change in ('granted', 'revoked', 'suppressed')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    cross join lateral (
      select coalesce(sum(case entry.change when 'reserved' then -1 when 'returned' then 1 end), 0)::integer
        as balance
      from consent_ledger as entry
      where latest.credits is not null
        and entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.effective_at >= latest.effective_at
        and entry.change in ('reserved', 'returned')
    ) as used
    where wanted.scope <> 'everything'
      and (wanted.scope not like 'template:%' or wanted.scope = 'template:*')
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        credits = excluded.credits,
        expires_at = excluded.expires_at,
        updated_at = excluded.updated_at;

    -- 'template:<id>': an unfollow ('template:*') ends it too. Credits are those accepted since the
    -- last revocation, less those reserved or spent elsewhere since. A refusal of this very
    -- template is kept apart: it outlives an unfollow and a new follow.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, credits, refused, updated_at
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      latest.change, latest.effective_at, latest.id,
      case when latest.change = 'granted' and not credit.standing then greatest(0, credit.balance) end,
      coalesce(own.change = 'revoked', false),
      clock_timestamp()
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope in (wanted.scope, 'template:*')
        and entry.change in ('granted', 'revoked', 'suppressed')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    left join lateral (
      select entry.change
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.change in ('granted', 'revoked')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as own on true
    cross join lateral (
      select coalesce(max(entry.effective_at), '-infinity') as at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope in (wanted.scope, 'template:*')
        and entry.change = 'revoked'
    ) as ended
    cross join lateral (
      select
        coalesce(bool_or(entry.change = 'granted' and entry.credits is null), false) as standing,
        coalesce(sum(case
          when entry.change = 'granted' then entry.credits
          when entry.change = 'reserved' then -1
          when entry.change = 'returned' then 1
          when entry.change = 'spent' and entry.attempt_id is null then -1
        end), 0)::integer as balance
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.effective_at > ended.at
    ) as credit
    where wanted.scope like 'template:%' and wanted.scope <> 'template:*'
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        credits = excluded.credits,
        refused = excluded.refused,
        updated_at = excluded.updated_at;

    -- 'everything': a stop. It ends by an operator's word, or by the person's own later act: a new
    -- follow, a newly accepted template.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, updated_at
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      coalesce(act.change, latest.change),
      coalesce(act.effective_at, latest.effective_at),
      coalesce(act.id, latest.id),
      clock_timestamp()
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = 'everything'
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    left join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where latest.change <> 'granted'
        and entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and (entry.scope = 'follow' or entry.scope like 'template:%')
        and entry.change = 'granted'
        and entry.credits is distinct from 0
        and entry.evidence in ('event', 'report')
        and entry.effective_at > latest.effective_at
      order by entry.effective_at desc, entry.id desc
      limit 1
    ) as act on true
    where wanted.scope = 'everything'
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        updated_at = excluded.updated_at;
  end
  $$;
`

/**
 * The one way into the ledger. The caller holds the locks of all subjects. What a person said before
 * their data was erased is not written again when it arrives late.
 */
const CHANGES = `
  create function apply_consent_changes(p_changes jsonb) returns integer
  language plpgsql
  as $$
  declare
    v_account_ids integer[];
    v_subjects text[];
    v_scopes text[];
    v_written integer;
  begin
    with incoming as (
      select change.*
      from jsonb_to_recordset(p_changes) as change (
        account_id integer, subject text, scope text, change text, effective_at timestamptz,
        evidence text, event_id bigint, attempt_id bigint, actor text, reason text,
        credits integer, expires_at timestamptz
      )
    ), written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at
      )
      select
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at
      from incoming
      where not exists (
        select from erasure
        where erasure.account_id = incoming.account_id
          and erasure.subject_hash = subject_hash(incoming.account_id, incoming.subject)
          and erasure.effective_at >= incoming.effective_at
      )
      returning account_id, subject, scope
    ), touched as (
      select account_id, subject, scope from written
      union
      -- the end of all template rights touches every template the person has
      select held.account_id, held.subject, held.scope
      from written
      join consent as held using (account_id, subject)
      where written.scope = 'template:*' and held.scope like 'template:%'
      union
      -- a new follow or acceptance may lift a stop
      select held.account_id, held.subject, held.scope
      from written
      join consent as held using (account_id, subject)
      where (written.scope = 'follow' or written.scope like 'template:%') and held.scope = 'everything'
    )
    select array_agg(account_id), array_agg(subject), array_agg(scope), (select count(*) from written)
    into v_account_ids, v_subjects, v_scopes, v_written
    from touched;

    if v_account_ids is not null then
      perform project_consents(v_account_ids, v_subjects, v_scopes);
    end if;
    return v_written;
  end
  $$;

  create function change_consents(p_changes jsonb) returns integer
  language plpgsql
  as $$
  begin
    perform lock_subjects(array_agg(change.account_id), array_agg(change.subject))
    from jsonb_to_recordset(p_changes) as change (account_id integer, subject text);
    -- a refusal that is told to us now comes after all that is on record, also where the platform's
    -- clock is ahead of ours
    return apply_consent_changes((
      select jsonb_agg(
        case when change ->> 'change' = 'revoked' and change ->> 'evidence' in ('api', 'operator')
          then change || jsonb_build_object('effective_at', greatest(
            (change ->> 'effective_at')::timestamptz,
            (
              select max(held.effective_at) from consent as held
              where held.account_id = (change ->> 'account_id')::integer
                and held.subject = change ->> 'subject'
            )
          ))
          else change
        end
      )
      from jsonb_array_elements(p_changes) as change
    ));
  end
  $$;
`
