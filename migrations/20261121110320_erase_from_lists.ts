import type { Knex } from 'knex'

/**
 * A person's erasure reaches the lists of a follower sync that is under way, and the places at which a
 * sync and the expansion of an audience will go on: both are somebody's openid.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(applyFollowers(' and told.subject is not null'))
  await db.raw(applyBlacklist(' and told.subject is not null'))
  await db.raw(eraseSubject(FROM_PLACES))
  await db.raw(`
    update follower_sync set cursor = '' where finished_at is not null and cursor <> '';
    update broadcast set expanded_after = null where phase <> 'expanding' and expanded_after is not null;
  `)
}

/** The functions as they were. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(eraseSubject(''))
  await db.raw(applyBlacklist(''))
  await db.raw(applyFollowers(''))
}

/**
 * A list keeps its places, because a sync counts them; nobody stands in this one any more. A sync
 * that would go on behind this very person reads its list again, and whoever holds it lets go.
 */
const FROM_PLACES = `
    update follower_sync_page as page set subjects = array_replace(page.subjects, p_subject, null)
    from follower_sync as run
    where run.account_id = p_account_id and run.finished_at is null
      and page.sync_id = run.id and p_subject = any (page.subjects);
    with again as (
      update follower_sync as run set
        cursor = '', pages = 0, listed = case run.phase when 'list' then 0 else run.listed end,
        lease_owner = null, leased_until = null, updated_at = clock_timestamp()
      where run.account_id = p_account_id and run.finished_at is null and run.cursor = p_subject
      returning run.id, case run.phase when 'list' then 'follower' else 'blocked' end as kind
    )
    delete from follower_sync_page as page using again
    where page.sync_id = again.id and page.kind = again.kind;
    update broadcast set expanded_after = (
      select max(listed.recipient) from broadcast_recipient as listed
      where listed.broadcast_id = broadcast.id and listed.recipient < p_subject
    )
    where broadcast.account_id = p_account_id and broadcast.expanded_after = p_subject;
`

const eraseSubject = (fromPlaces: string) => `
  create or replace function erase_subject(
    p_account_id integer, p_subject text, p_effective_at timestamptz, p_actor text, p_reason text
  ) returns bigint
  language plpgsql
  as $$
  declare
    v_ledger_rows integer;
    v_events integer;
    v_messages integer;
    v_erasure_id bigint;
  begin
    perform lock_subjects(array[p_account_id], array[p_subject]);

    -- first where lists and messages are made from, so that nothing is made behind our back: the
    -- expansion of an audience locks the consent, the feeder the place in a list
    delete from consent as held
    where held.account_id = p_account_id and held.subject = p_subject;
    update broadcast_recipient as listed set recipient = null, data = null
    from broadcast
    where broadcast.account_id = p_account_id
      and listed.broadcast_id = broadcast.id and listed.recipient = p_subject;

    ${fromPlaces}
    -- what the platform or the application wrote about a message may name its person
    update attempt as forgotten set errmsg = null
    from message
    where message.account_id = p_account_id and message.recipient = p_subject
      and forgotten.message_id = message.id and forgotten.errmsg is not null;

    -- what is under way keeps its status but not its person; what waits is not sent
    update message as forgotten set
      recipient = null, content = null, purpose = null, request_digest = null,
      idempotency_key = null,
      status = case when status in ('scheduled', 'queued') then 'cancelled' else status end,
      reason = case when status in ('scheduled', 'queued') then 'erased' else reason end,
      finished_at = case when status in ('scheduled', 'queued') then clock_timestamp() else finished_at end,
      updated_at = clock_timestamp()
    where forgotten.account_id = p_account_id and forgotten.recipient = p_subject;
    get diagnostics v_messages = row_count;

    update event set subject = null, document = '', erased_at = clock_timestamp()
    where event.account_id = p_account_id and event.subject = p_subject;
    get diagnostics v_events = row_count;

    perform set_config('wcg.erasing', 'on', true);
    delete from consent_ledger as entry
    where entry.account_id = p_account_id and entry.subject = p_subject;
    get diagnostics v_ledger_rows = row_count;
    perform set_config('wcg.erasing', 'off', true);

    insert into erasure (
      account_id, subject_hash, effective_at, actor, reason, ledger_rows, events, messages
    )
    values (
      p_account_id, subject_hash(p_account_id, p_subject), p_effective_at, p_actor, p_reason,
      v_ledger_rows, v_events, v_messages
    )
    returning id into v_erasure_id;
    return v_erasure_id;
  end
  $$;
`

const applyFollowers = (notErased: string) => `
  create or replace function apply_followers(
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
      where held.state is distinct from 'granted'${notErased}
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

const applyBlacklist = (notErased: string) => `
  create or replace function apply_blacklist(
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
    where (held.state is null or (held.state = 'granted' and held.effective_at < v_sync.began_at))${notErased};

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
`
