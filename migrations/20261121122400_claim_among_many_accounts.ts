import type { Knex } from 'knex'

/**
 * Where more accounts had something due than a process has in hand at once, those with the lowest
 * numbers went first whenever their last message was through, and the others waited until they had
 * nothing left. And a claim read every account that had something due: 60 ms with a thousand of them.
 *
 * Now a claim looks at a few hundred of them, another few hundred each time, and chance decides between
 * accounts with equally much in hand.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(claim(FROM_ANYWHERE))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(claim(FROM_THE_FIRST))
}

interface ClaimParts {
  /** Which channels of which accounts have something waiting, and since when. */
  readonly lanes: string
  /** What the process has of an account. */
  readonly known: string
  readonly due: string
  readonly isCut: string
  readonly carryCut: string
  readonly thenBy: string
  readonly hasMore: string
}

/** The first channel with something waiting, in the order of message_channel_idx, by one look. */
const head = (after: string) => `
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')${after}
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1`

/** The channels from one on, each by one look. @param goesOn whether one more is looked for. */
const walk = (name: string, first: string, goesOn: string) => `${name} as (
      (${head(first)}
      )
      union all
      select after.account_id, after.lane, after.channel, after.due_at
      from ${name}
      cross join lateral (${head(`
          and (head.account_id, head.lane, head.channel)
            > (${name}.account_id, ${name}.lane, ${name}.channel)`)}
      ) as after
      ${goesOn}
    )`

/**
 * The index is walked from some account to its end, then from its first account to there. The numbers
 * of accounts follow each other, so each is begun at about as often. While an API host rests, all are
 * looked at: one account tries for all, and is the same for every claim.
 */
const FROM_ANYWHERE: ClaimParts = {
  lanes: `with recursive ends as materialized (
      select
        (
          select head.account_id from message as head where head.status in ('scheduled', 'queued')
          order by head.account_id, head.lane, head.channel, head.due_at limit 1
        ) as first,
        (
          select head.account_id from message as head where head.status in ('scheduled', 'queued')
          order by head.account_id desc, head.lane desc, head.channel desc, head.due_at desc limit 1
        ) as last
    ), start as materialized (
      select ends.first + floor(random() * (ends.last - ends.first + 1))::integer as account_id
      from ends
    ), ${walk('later', ' and head.account_id >= (select start.account_id from start)', '')},
    ${walk('earlier', '', 'where earlier.account_id < (select start.account_id from start)')},
    most as materialized (
      select case when not exists (select from call_breaker where call_breaker.account_id = 0)
        then greatest(256, 4 * p_limit) end as lanes
    ), lane as materialized (
      -- no more of the walk is done than this takes of it
      select * from later where later.due_at <= now()
      union all
      select * from earlier
      where earlier.due_at <= now() and earlier.account_id < (select start.account_id from start)
      limit (select most.lanes from most)`,
  known: `from lane
      -- the process names a few hundred accounts: a join would compare each with each
      cross join lateral (
        select array_position(p_account_ids, lane.account_id) as place offset 0
      ) as named
      cross join lateral (
        select p_rooms[named.place] as room, p_held[named.place] as held
      ) as known`,
  due: '',
  isCut: `
        coalesce(count(*) over () >= (select most.lanes from most), false) as is_cut,`,
  carryCut: `
        wanted.is_cut,`,
  thenBy: ', random()',
  hasMore: `fitting.is_cut or (
          fitting.channel_place = fitting.share
          and fitting.share < least(fitting.room, fitting.channel_room)
        )`,
}

const FROM_THE_FIRST: ClaimParts = {
  lanes: `with recursive lane as (
      (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      )
      union all
      select after.account_id, after.lane, after.channel, after.due_at
      from lane
      cross join lateral (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
          and (head.account_id, head.lane, head.channel) > (lane.account_id, lane.lane, lane.channel)
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      ) as after`,
  known: `from lane
      left join unnest(p_account_ids, p_rooms, p_held) as known (account_id, room, held)
        on known.account_id = lane.account_id`,
  due: 'where lane.due_at <= now()',
  isCut: '',
  carryCut: '',
  thenBy: '',
  hasMore: `fitting.channel_place = fitting.share
          and fitting.share < least(fitting.room, fitting.channel_room)`,
}

/** As 20261121111060 describes it. */
const claim = (parts: ClaimParts) => `
  create or replace function claim_messages(
    p_process text, p_lease interval, p_limit integer,
    p_account_ids integer[], p_rooms integer[], p_held integer[], p_other_room integer
  )
  returns table (
    id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb,
    consent_scope text, sealed_secret text, expires_at timestamptz, due_at timestamptz, earlier jsonb,
    on_trial boolean, is_paced boolean, has_more boolean, lane smallint
  )
  language sql volatile
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
    ${parts.lanes}
    ), bucket as materialized (
      select pace.account_id, filled.tokens
      from send_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        -- no more than a second's, so that a rest is not made up for in one burst
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), paced as materialized (
      select pace.account_id, floor(coalesce(bucket.tokens, 0))::integer as room
      from send_pace as pace
      left join bucket on bucket.account_id = pace.account_id
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), channel_bucket as materialized (
      select pace.account_id, pace.channel, filled.tokens
      from channel_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), channel_paced as materialized (
      select pace.account_id, pace.channel, floor(coalesce(bucket.tokens, 0))::integer as room
      from channel_pace as pace
      left join channel_bucket as bucket
        on bucket.account_id = pace.account_id and bucket.channel = pace.channel
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), quiet as materialized (
      select policy.account_id from send_policy as policy
      where quiet_until(policy.quiet_begins, policy.quiet_ends, now()) is not null
    ), found as materialized (
      select
        lane.account_id, lane.lane, lane.channel, coalesce(known.held, 0) as held,
        coalesce(own.until, theirs.until) is not null as on_trial,
        paced.room is not null or channel_paced.room is not null as is_paced,
        channel_paced.room as channel_room,
        lane.lane = 1 and quiet.account_id is not null as is_quiet,${parts.isCut}
        least(paced.room, case
          when own.until > now() or theirs.until > now() then 0
          when theirs.until is not null and lane.account_id > min(lane.account_id)
            filter (where own.until is null or own.until <= now())
            over (partition by theirs.host) then 0
          when own.until is not null or theirs.until is not null
            then 1 - coalesce(known.held, 0)
          else coalesce(known.room, p_other_room)
        end) as room
      ${parts.known}
      -- row by row by the key: a join may read every account there is for each lane
      left join lateral (
        select open.until from call_breaker as open
        where open.account_id = lane.account_id and open.host = '' offset 0
      ) as own on true
      left join lateral (
        select open.host, open.until from call_breaker as open
        where open.account_id = 0 and open.host = (
          select case when owner.kind like 'wecom%' then 'wecom' else 'wechat' end
          from account as owner where owner.id = lane.account_id
        ) offset 0
      ) as theirs on true
      left join paced on paced.account_id = lane.account_id
      left join channel_paced
        on channel_paced.account_id = lane.account_id and channel_paced.channel = lane.channel
      left join quiet on quiet.account_id = lane.account_id
      ${parts.due}
    ), wanted as materialized (
      select found.*,
        greatest(1, (2 * p_limit + count(*) over () - 1) / count(*) over ())::integer as share,
        random() * 7 as luck
      from found where least(found.room, found.channel_room) > 0
    ), taken as materialized (
      select
        waiting.id, wanted.account_id, wanted.lane, wanted.channel, wanted.held, wanted.room,
        wanted.channel_room, wanted.on_trial, wanted.is_paced, wanted.share, wanted.luck,${parts.carryCut}
        -- what is due at the same moment goes as it came, not by the names of the channels
        row_number() over (
          partition by wanted.account_id, wanted.lane order by waiting.due_at, waiting.id
        ) as place,
        row_number() over (
          partition by wanted.account_id, wanted.lane, wanted.channel
          order by waiting.due_at, waiting.id
        ) as channel_place
      from wanted
      cross join lateral (
        select next.id, next.due_at
        from message as next
        where next.account_id = wanted.account_id and next.lane = wanted.lane
          and next.channel = wanted.channel
          and next.status in ('scheduled', 'queued')
          and next.due_at <= now()
          and (next.leased_until is null or next.leased_until < now())
          and (
            not wanted.is_quiet and not exists (
              select from sending_pause as pause
              where pause.account_id = next.account_id and pause.channel = next.channel
                and pause.until > now()
            )
            -- no call is made for it: the gate ends it, and nobody waits for that until the rest is over
            or next.expires_at <= now() or repeat_is_late(next.id, next.attempt_count, now())
          )
        order by next.due_at
        limit least(wanted.room, wanted.channel_room, wanted.share)
        for update skip locked
      ) as waiting
    ), turned as materialized (
      select taken.*,
        -- one draw for a lane, however many channels it has
        case taken.lane when 0 then taken.place else 7 * taken.place - min(taken.luck)
          over (partition by taken.account_id, taken.lane) end as turn
      from taken
    ), due as materialized (
      select
        fitting.id, fitting.account_id, fitting.channel, fitting.on_trial, fitting.is_paced,
        ${parts.hasMore} as has_more
      from (
        select turned.*,
          row_number() over (partition by turned.account_id order by turned.turn, turned.lane)
            as account_place
        from (
          select turned.*,
            row_number() over (
              partition by turned.account_id, turned.channel order by turned.turn, turned.lane
            ) as both_lanes_place
          from turned
        ) as turned
        where turned.channel_room is null or turned.both_lanes_place <= turned.channel_room
      ) as fitting
      where fitting.account_place <= fitting.room
      order by fitting.held + fitting.turn, fitting.lane${parts.thenBy}
      limit least(p_limit, (select paced.room from paced where paced.account_id = 0))
    ), spent as (
      update send_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from bucket
      cross join lateral (
        select count(*) as count from due where bucket.account_id in (0, due.account_id)
      ) as used
      where pace.account_id = bucket.account_id and used.count > 0
    ), channel_spent as (
      update channel_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from channel_bucket as bucket
      cross join lateral (
        select count(*) as count from due
        where due.account_id = bucket.account_id and due.channel = bucket.channel
      ) as used
      where pace.account_id = bucket.account_id and pace.channel = bucket.channel and used.count > 0
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
      ) end,
      due.on_trial, due.is_paced, due.has_more, claimed.lane
  $$;
`
