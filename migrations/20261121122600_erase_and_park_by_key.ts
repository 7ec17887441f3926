import type { Knex } from 'knex'

/**
 * What is done for one person, one tenant or one slice cost what the account or the table has:
 *
 * - a push of a tenant that has left read all events of its suite, in every month of the log;
 * - a slice of an erased corp read every list of its broadcasts;
 * - a slice of lifted stops read the consents of all accounts;
 * - an erasure read all messages of the account, on a connection that had planned it while there were
 *   few, and all lists of all accounts where lists are short.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(parkPush(BY_MONTH_AND_EVENT))
  await db.raw(eraseAccountPeople(SOME_OF_EACH_LIST))
  await db.raw(liftBlacklisted(BY_THE_INDEX_OF_STOPS))
  await db.raw(`
    alter function erase_subject(integer, text, timestamptz, text, text)
      set plan_cache_mode = 'force_custom_plan'
      set enable_seqscan = off
      set enable_hashjoin = off
      set enable_mergejoin = off
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(parkPush(PARK_BEFORE))
  await db.raw(eraseAccountPeople(ALL_OF_EACH_LIST))
  await db.raw(liftBlacklisted(''))
  await db.raw(`alter function erase_subject(integer, text, timestamptz, text, text) reset all`)
}

interface ParkParts {
  readonly declares: string
  readonly before: string
  readonly after: string
  readonly oneByOne: string
}

/** Known before the statement begins, the moment leaves the months out that cannot hold the event. */
const BY_MONTH_AND_EVENT: ParkParts = {
  declares: `
      v_after timestamptz;`,
  before: `v_after := greatest(v_since, clock_timestamp() - interval '1 hour');
      `,
  after: 'v_after',
  oneByOne: `
            offset 0`,
}

const PARK_BEFORE: ParkParts = {
  declares: '',
  before: '',
  after: `greatest(v_since, clock_timestamp() - interval '1 hour')`,
  oneByOne: '',
}

const SOME_OF_EACH_LIST = `select listed.recipient
          from broadcast
          cross join lateral (
            select place.recipient from broadcast_recipient as place
            where place.broadcast_id = broadcast.id and place.recipient is not null
            order by place.recipient limit p_limit
          ) as listed
          where broadcast.account_id = p_account_id`

const ALL_OF_EACH_LIST = `select distinct listed.recipient
          from broadcast
          join broadcast_recipient as listed on listed.broadcast_id = broadcast.id
          where broadcast.account_id = p_account_id and listed.recipient is not null`

/** Says what consent_member_idx holds: of people who are no members, the stops. */
const BY_THE_INDEX_OF_STOPS = `
        and lower(held.subject) is not null`

/** As 20261121121200 describes it. */
const parkPush = (parts: ParkParts) => `
  create or replace function park_push(
    p_parent_id integer, p_tenant text, p_effective_at timestamptz, p_repeat_key bytea,
    p_source text, p_subject text, p_sealed text, p_received_at timestamptz,
    p_most_of_tenant integer, p_most_of_parent integer, out outcome text, out account_id integer
  )
  returns record
  language plpgsql
as $$
    declare
      v_kind text;
      v_state text;
      v_since timestamptz;${parts.declares}
    begin
      perform lock_subjects(array[p_parent_id], array[p_tenant]);
      select account.id, account.kind into account_id, v_kind
      from account
      where account.parent_id = p_parent_id and account.app_id = p_tenant;
      select held.state, held.effective_at into v_state, v_since
      from consent as held
      where held.account_id = p_parent_id and held.subject = p_tenant and held.scope = 'tenant';

      -- a merchant's account stays known when it has left, a corp's is erased
      if account_id is not null and (v_kind = 'authorizer' or v_state is distinct from 'revoked') then
        outcome := 'known';
        return;
      end if;
      -- A corp that comes back is named only once its code is exchanged; until then what is later than
      -- its withdrawal may be of its new authorisation. A code that is not exchanged by then never is.
      ${parts.before}if v_state = 'revoked' and not (p_effective_at > v_since and exists (
        select from event
        where event.account_id = p_parent_id
          and event.occurred_at > ${parts.after}
          and event.kind in ('suite.create_auth', 'suite.reset_permanent_code')
          and not exists (
            select from consent_ledger as entry
            where entry.account_id = p_parent_id and entry.scope = 'tenant'
              and entry.event_id = event.id${parts.oneByOne}
          )
      )) then
        outcome := 'withdrawn';
        return;
      end if;

      outcome := 'parked';
      if exists (
        select from parked_push as parked
        where parked.parent_id = p_parent_id and parked.tenant = p_tenant
          and parked.repeat_key = p_repeat_key
      ) then
        return;
      end if;
      if (
        select count(*) from parked_push as parked
        where parked.parent_id = p_parent_id and parked.tenant = p_tenant
          and parked.dropped_at is null
      ) >= p_most_of_tenant or (
        select count(*) from parked_push as parked
        where parked.parent_id = p_parent_id and parked.dropped_at is null
      ) >= p_most_of_parent then
        outcome := 'full';
        return;
      end if;
      insert into parked_push (
        parent_id, tenant, repeat_key, source, subject_hash, sealed, received_at
      )
      values (
        p_parent_id, p_tenant, p_repeat_key, p_source,
        case when account_id is not null then subject_hash(account_id, p_subject) end,
        p_sealed, p_received_at
      );
    end
    $$;
`

/** As 20261121110320 describes it. */
const eraseAccountPeople = (listed: string) => `
  create or replace function erase_account_people(
    p_account_id integer, p_effective_at timestamptz, p_reason text, p_limit integer
  )
  returns integer
  language plpgsql
as $$
    declare
      v_subjects text[];
    begin
      select array_agg(person.subject) into v_subjects
      from (
        (
          select distinct held.subject from consent as held
          where held.account_id = p_account_id
          limit p_limit
        )
        union
        (
          select distinct entry.subject from consent_ledger as entry
          where entry.account_id = p_account_id
          limit p_limit
        )
        union
        (
          select distinct event.subject from event
          where event.account_id = p_account_id and event.subject is not null
          limit p_limit
        )
        union
        (
          select distinct message.recipient from message
          where message.account_id = p_account_id and message.recipient is not null
          limit p_limit
        )
        union
        (
          ${listed}
          limit p_limit
        )
        limit p_limit
      ) as person;
      if v_subjects is null then
        return 0;
      end if;
      -- all at once and in the order of the keys, as everybody takes them
      perform lock_subjects(
        array_fill(p_account_id, array[cardinality(v_subjects)]), v_subjects
      );
      perform erase_subject(p_account_id, person.subject, p_effective_at, 'platform', p_reason)
      from unnest(v_subjects) as person (subject);
      return cardinality(v_subjects);
    end
    $$;
`

/** As 20261121090020 describes it. */
const liftBlacklisted = (served: string) => `
  create or replace function lift_blacklisted(
    p_sync_id bigint, p_owner text, p_size integer
  )
  returns integer
  language plpgsql
  set enable_hashagg to 'off'
  set statement_timeout to '10min'
  set plan_cache_mode to 'force_custom_plan'
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
      where held.account_id = v_sync.account_id and held.scope = 'everything'${served}
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
