import type { Knex } from 'knex'

/**
 * Following as the platform's own list has it, and consents brought from elsewhere: both are written
 * set-wise, a thousand people at a time, and both can be stopped anywhere and gone on with.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(TABLES)
  await db.raw(WRITE)
  await db.raw(IMPORT)
  await db.raw(HOLD)
  await db.raw(APPLY)
  await db.raw(LEAVE)
  await db.raw(BLOCK)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function lift_blacklisted(bigint, text, integer);
    drop function apply_blacklist(bigint, text, integer, integer, integer);
    drop function leave_followers(bigint, text, integer, integer, text[], text, text[]);
    drop function list_missing_followers(bigint, text, integer);
    drop function apply_followers(bigint, text, integer, integer, integer, integer, json);
    drop function hold_follower_sync(bigint, text);
    drop function import_consents(integer, text[], text[], text[], timestamptz[], text[], integer[], text);
    drop function write_consents(integer, text[], text[], text[], timestamptz[], text[], integer[], text, text);
    drop table follower_sync_page, follower_sync;
  `)
}

const TABLES = `
  create table follower_sync (
    id bigint generated always as identity primary key,
    account_id integer not null references account,
    status text not null default 'running',
    phase text not null default 'list',
    began_at timestamptz,
    cursor text not null default '',
    pages integer not null default 0,
    total bigint,
    listed bigint not null default 0,
    applied bigint not null default 0,
    at_page integer not null default 1,
    at_offset integer not null default 0,
    granted bigint not null default 0,
    revoked bigint not null default 0,
    suppressed bigint not null default 0,
    lifted bigint not null default 0,
    lease_owner text,
    leased_until timestamptz,
    resume_at timestamptz,
    reason text,
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint follower_sync_status_check check (status in ('running', 'paused', 'done', 'failed')),
    constraint follower_sync_phase_check check (
      phase in ('list', 'apply', 'leave', 'block_list', 'block')
    )
  );

  -- one run of an account at a time
  create unique index follower_sync_open_key on follower_sync (account_id) where finished_at is null;
  -- serves the latest run of an account
  create index follower_sync_account_id_idx on follower_sync (account_id, id);

  comment on column follower_sync.began_at is
    'A second of the platform''s clock before anything was listed: what the run found held after it.';

  create table follower_sync_page (
    sync_id bigint not null references follower_sync on delete cascade,
    kind text not null,
    number integer not null,
    subjects text[] not null,
    primary key (sync_id, kind, number),
    constraint follower_sync_page_kind_check check (kind in ('follower', 'missing', 'blocked'))
  );

  comment on table follower_sync_page is 'The lists of a run, until the run has ended.';
`

/**
 * Writes ledger rows of one account and projects them. The caller holds the locks of all subjects.
 * An imported row that stands in the ledger already is not written again; what was so before a
 * person's data was erased is not written at all.
 *
 * Here and below, a lateral join with a limit and an exists with an offset make PostgreSQL look each
 * person up by index. While a table fills quickly it knows nothing of its contents, and would read
 * all of it for each slice.
 */
const WRITE = `
  create function write_consents(
    p_account_id integer, p_subjects text[], p_scopes text[], p_changes text[],
    p_effective_ats timestamptz[], p_reasons text[], p_credits integer[], p_evidence text, p_actor text
  ) returns integer
  language plpgsql
  -- the tables may grow from nothing to millions of rows between two calls of one connection
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_any_erasure boolean := exists (select from erasure where erasure.account_id = p_account_id);
    v_subjects text[];
    v_scopes text[];
    v_written integer;
  begin
    with written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, actor, reason, credits
      )
      select distinct
        p_account_id, told.subject, told.scope, told.change, told.effective_at, p_evidence, p_actor,
        told.reason, told.credits
      from unnest(p_subjects, p_scopes, p_changes, p_effective_ats, p_reasons, p_credits)
        as told (subject, scope, change, effective_at, reason, credits)
      where not (v_any_erasure and exists (
          select from erasure
          where erasure.account_id = p_account_id
            and erasure.subject_hash = subject_hash(p_account_id, told.subject)
            and erasure.effective_at >= told.effective_at
        ))
        -- a sync writes news only; a file may be imported again
        and not (p_evidence = 'import' and exists (
          select from consent_ledger as entry
          where entry.account_id = p_account_id
            and entry.subject = told.subject
            and entry.scope = told.scope
            and entry.effective_at = told.effective_at
            and entry.change = told.change
            and entry.evidence = p_evidence
            and entry.reason = told.reason
          offset 0
        ))
      returning id, account_id, subject, scope, change, effective_at, credits
    ), projected as (
      -- where the latest word stands, the new words are enough to know it
      insert into consent as held (account_id, subject, scope, state, effective_at, ledger_id, credits)
      select distinct on (written.subject, written.scope)
        written.account_id, written.subject, written.scope, written.change, written.effective_at,
        written.id, case when written.change = 'granted' then written.credits end
      from written
      where written.scope <> 'everything'
        and (written.scope not like 'template:%' or written.scope = 'template:*')
      order by
        written.subject, written.scope,
        written.effective_at desc, consent_severity(written.change) desc, written.id desc
      on conflict (account_id, subject, scope) do update
      set state = excluded.state,
          effective_at = excluded.effective_at,
          ledger_id = excluded.ledger_id,
          credits = excluded.credits,
          expires_at = null,
          updated_at = clock_timestamp()
      where (excluded.effective_at, consent_severity(excluded.state))
        > (held.effective_at, consent_severity(held.state))
    ), touched as (
      -- the others are projected from all their rows
      select written.subject, written.scope from written
      where written.scope = 'everything'
        or (written.scope like 'template:%' and written.scope <> 'template:*')
      union
      -- the end of all template rights touches every template the person has
      select held.subject, held.scope
      from written
      cross join lateral (
        select known.subject, known.scope from consent as known
        where known.account_id = written.account_id and known.subject = written.subject
          and known.scope like 'template:%' and known.scope <> 'template:*'
        offset 0
      ) as held
      where written.scope = 'template:*'
    )
    select array_agg(touched.subject), array_agg(touched.scope), (select count(*) from written)
    into v_subjects, v_scopes, v_written
    from touched;

    if v_subjects is not null then
      perform project_consents(
        array_fill(p_account_id, array[cardinality(v_subjects)]), v_subjects, v_scopes
      );
    end if;
    return v_written;
  end
  $$;
`

const IMPORT = `
  -- Answers how many rows were new.
  create function import_consents(
    p_account_id integer, p_subjects text[], p_scopes text[], p_changes text[],
    p_effective_ats timestamptz[], p_reasons text[], p_credits integer[], p_actor text
  ) returns integer
  language plpgsql
  as $$
  begin
    perform lock_subjects(array_fill(p_account_id, array[cardinality(p_subjects)]), p_subjects);
    return write_consents(
      p_account_id, p_subjects, p_scopes, p_changes, p_effective_ats, p_reasons, p_credits, 'import',
      p_actor
    );
  end
  $$;
`

/** Whoever writes for a run must still hold it: a process that was given up for dead writes nothing. */
const HOLD = `
  create function hold_follower_sync(p_sync_id bigint, p_owner text) returns follower_sync
  language plpgsql
  as $$
  declare
    v_sync follower_sync;
  begin
    select * into v_sync from follower_sync
    where id = p_sync_id and lease_owner = p_owner and finished_at is null
    for update;
    if not found then
      raise exception 'the follower sync is held by another process'
        using errcode = 'WCG02', hint = 'Nothing was written; the other process goes on with it.';
    end if;
    return v_sync;
  end
  $$;
`

/**
 * Grants 'follow' to those of a slice of a listed page who have none.
 *
 * Being listed proves following at the beginning of the run, for somebody who is unknown or
 * suppressed. It does not outweigh a refusal on record: the list may be older than the refusal, or
 * the refusal may be the platform's word for somebody it still lists. Then, and after an erasure,
 * only a time of following that is later counts. These people are answered, to be asked about; so
 * are the unknown where they are at most p_few. The second call brings the times, and those who
 * have none are left as they are. An answer of no people says that the page has no more.
 */
const APPLY = `
  create function apply_followers(
    p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_size integer, p_few integer,
    p_times json, out asked text[], out people integer
  )
  language plpgsql
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_listed text[];
    v_any_erasure boolean := exists (select from erasure where erasure.account_id = v_sync.account_id);
    v_unknown text[];
    v_in_doubt text[];
    v_subjects text[];
    v_times timestamptz[];
    v_granted integer := 0;
  begin
    select page.subjects[p_offset + 1 : p_offset + p_size] into v_listed
    from follower_sync_page as page
    where page.sync_id = p_sync_id and page.kind = 'follower' and page.number = p_page;
    asked := array[]::text[];
    people := coalesce(cardinality(v_listed), 0);
    if people = 0 then
      return;
    end if;

    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_listed)]), v_listed
    );

    with listed as (
      select told.subject, held.state, held.effective_at,
        v_any_erasure and exists (
          select from erasure
          where erasure.account_id = v_sync.account_id
            and erasure.subject_hash = subject_hash(v_sync.account_id, told.subject)
        ) as erased
      from unnest(v_listed) as told (subject)
      left join lateral (
        select known.state, known.effective_at from consent as known
        where known.account_id = v_sync.account_id
          and known.subject = told.subject and known.scope = 'follow'
        limit 1
      ) as held on true
      where held.state is distinct from 'granted'
    )
    select
      array_agg(subject) filter (where not erased and (
        state is null or (state = 'suppressed' and effective_at < v_sync.began_at)
      )),
      array_agg(subject) filter (where erased or state = 'revoked')
    into v_unknown, v_in_doubt
    from listed;

    if p_times is null and coalesce(cardinality(v_unknown), 0) <= p_few then
      v_in_doubt := v_in_doubt || v_unknown;
      v_unknown := null;
    end if;
    if p_times is null then
      v_subjects := v_unknown;
      v_times := array_fill(v_sync.began_at, array[coalesce(cardinality(v_unknown), 0)]);
    else
      -- a follower whose time the platform does not say follows since the run began at the latest
      select
        array_agg(told.subject),
        array_agg(case held.state
          when 'suppressed' then v_sync.began_at else coalesce(told.at, v_sync.began_at) end)
      into v_subjects, v_times
      from json_to_recordset(p_times) as told (subject text, at timestamptz)
      left join lateral (
        select known.state, known.effective_at from consent as known
        where known.account_id = v_sync.account_id
          and known.subject = told.subject and known.scope = 'follow'
        limit 1
      ) as held on true
      where told.subject = any (v_listed)
        and case coalesce(held.state, 'unknown')
          when 'unknown' then told.at is not null or not (v_any_erasure and exists (
            select from erasure
            where erasure.account_id = v_sync.account_id
              and erasure.subject_hash = subject_hash(v_sync.account_id, told.subject)
          ))
          when 'suppressed' then held.effective_at < v_sync.began_at
          when 'revoked' then held.effective_at < told.at
          else false
        end;
      v_in_doubt := null;
    end if;

    if v_subjects is not null then
      v_granted := write_consents(
        v_sync.account_id, v_subjects,
        array_fill('follow'::text, array[cardinality(v_subjects)]),
        array_fill('granted'::text, array[cardinality(v_subjects)]),
        v_times,
        array_fill('sync_following'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;

    update follower_sync set
      granted = granted + v_granted,
      applied = applied + case when v_in_doubt is null then cardinality(v_listed) else 0 end,
      at_page = p_page,
      at_offset = p_offset + case when v_in_doubt is null then cardinality(v_listed) else 0 end,
      updated_at = clock_timestamp()
    where id = p_sync_id;
    asked := coalesce(v_in_doubt, asked);
  end
  $$;
`

/**
 * Who is on record as following since before the run, and is not in the list. They are asked about
 * once more before anything is taken from them; leave_followers takes it, with p_also, from those
 * who still have it since before the run. A follow that came in the meantime stands.
 */
const LEAVE = `
  create function list_missing_followers(p_sync_id bigint, p_owner text, p_size integer) returns bigint
  language plpgsql
  set enable_hashagg = off
  set statement_timeout = '10min'
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_missing bigint;
  begin
    -- 'except' sorts both sides, whatever their sizes are believed to be, and on disk if need be
    with missing as (
      select gone.subject, row_number() over (order by gone.subject) - 1 as place
      from (
        select held.subject collate "C" as subject
        from consent as held
        where held.account_id = v_sync.account_id and held.scope = 'follow'
          and held.state = 'granted' and held.effective_at < v_sync.began_at
        except
        select unnest(page.subjects) collate "C"
        from follower_sync_page as page
        where page.sync_id = p_sync_id and page.kind = 'follower'
      ) as gone
    ), made as (
      insert into follower_sync_page (sync_id, kind, number, subjects)
      select p_sync_id, 'missing', missing.place / p_size + 1, array_agg(missing.subject order by missing.place)
      from missing
      group by missing.place / p_size
      on conflict (sync_id, kind, number) do update set subjects = excluded.subjects
      returning cardinality(subjects) as people
    )
    select coalesce(sum(people), 0) into v_missing from made;
    update follower_sync set
      phase = 'leave', pages = (v_missing + p_size - 1) / p_size, at_page = 1, at_offset = 0,
      updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_missing;
  end
  $$;

  create function leave_followers(
    p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_subjects text[],
    p_change text, p_also text[]
  ) returns integer
  language plpgsql
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_left text[];
    v_subjects text[];
    v_scopes text[];
    v_count integer := 0;
  begin
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(p_subjects)]), p_subjects
    );
    select array_agg(held.subject) into v_left
    from unnest(p_subjects) as told (subject)
    cross join lateral (
      select known.subject, known.state, known.effective_at from consent as known
      where known.account_id = v_sync.account_id
        and known.subject = told.subject and known.scope = 'follow'
      limit 1
    ) as held
    where held.state = 'granted' and held.effective_at < v_sync.began_at;

    if v_left is not null then
      v_count := cardinality(v_left);
      select array_agg(gone.subject), array_agg(ended.scope) into v_subjects, v_scopes
      from unnest(v_left) as gone (subject)
      cross join unnest(array['follow'] || p_also) as ended (scope);
      perform write_consents(
        v_sync.account_id, v_subjects, v_scopes,
        array_fill(p_change, array[cardinality(v_subjects)]),
        array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
        array_fill('sync_not_following'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;

    update follower_sync set
      revoked = revoked + case p_change when 'revoked' then v_count else 0 end,
      suppressed = suppressed + case p_change when 'suppressed' then v_count else 0 end,
      at_page = p_page, at_offset = p_offset, updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_count;
  end
  $$;
`

/**
 * The blacklist is the account's own act: who is on it is suppressed, not opted out, and lifted
 * again by the first run that no longer finds them there. A stop by the person is left as it is.
 * apply_blacklist answers the people of the slice; none says that the page has no more.
 */
const BLOCK = `
  create function apply_blacklist(
    p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_size integer
  ) returns integer
  language plpgsql
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_listed text[];
    v_subjects text[];
    v_count integer := 0;
  begin
    select page.subjects[p_offset + 1 : p_offset + p_size] into v_listed
    from follower_sync_page as page
    where page.sync_id = p_sync_id and page.kind = 'blocked' and page.number = p_page;
    if coalesce(cardinality(v_listed), 0) = 0 then
      return 0;
    end if;
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_listed)]), v_listed
    );
    select array_agg(told.subject) into v_subjects
    from unnest(v_listed) as told (subject)
    left join lateral (
      select known.state, known.effective_at from consent as known
      where known.account_id = v_sync.account_id
        and known.subject = told.subject and known.scope = 'everything'
      limit 1
    ) as held on true
    where held.state is null or (held.state = 'granted' and held.effective_at < v_sync.began_at);

    if v_subjects is not null then
      v_count := write_consents(
        v_sync.account_id, v_subjects,
        array_fill('everything'::text, array[cardinality(v_subjects)]),
        array_fill('suppressed'::text, array[cardinality(v_subjects)]),
        array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
        array_fill('sync_blacklisted'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;
    update follower_sync set
      suppressed = suppressed + v_count,
      at_page = p_page, at_offset = p_offset + cardinality(v_listed), updated_at = clock_timestamp()
    where id = p_sync_id;
    return cardinality(v_listed);
  end
  $$;

  create function lift_blacklisted(p_sync_id bigint, p_owner text, p_size integer) returns integer
  language plpgsql
  set enable_hashagg = off
  set statement_timeout = '10min'
  set plan_cache_mode = 'force_custom_plan'
  as $$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_subjects text[];
    v_count integer := 0;
  begin
    select array_agg(free.subject) into v_subjects
    from (
      select held.subject collate "C" as subject
      from consent as held
      cross join lateral (
        select entry.evidence, entry.reason from consent_ledger as entry
        where entry.account_id = held.account_id and entry.id = held.ledger_id
        limit 1
      ) as said
      where held.account_id = v_sync.account_id and held.scope = 'everything'
        and held.state = 'suppressed' and held.effective_at < v_sync.began_at
        and said.evidence = 'sync' and said.reason = 'sync_blacklisted'
      except
      select unnest(page.subjects) collate "C"
      from follower_sync_page as page
      where page.sync_id = p_sync_id and page.kind = 'blocked'
      limit p_size
    ) as free;
    if v_subjects is null then
      return 0;
    end if;
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_subjects)]), v_subjects
    );
    -- a stop that came while we waited for the lock is later, and wins
    v_count := write_consents(
      v_sync.account_id, v_subjects,
      array_fill('everything'::text, array[cardinality(v_subjects)]),
      array_fill('granted'::text, array[cardinality(v_subjects)]),
      array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
      array_fill('sync_not_blacklisted'::text, array[cardinality(v_subjects)]),
      array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
    );
    update follower_sync set lifted = lifted + v_count, updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_count;
  end
  $$;
`
