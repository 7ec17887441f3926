import type { Knex } from 'knex'

/**
 * The platform counts what one group robot sends, whatever an application calls its group: two names
 * for one robot had two paces here, and ran into 45009 together. Now the pace is that of the key.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(ROBOTS)
  await db.raw(judgeLimits(BY_ROBOT))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(judgeLimits(BY_NAME))
  await db.raw(`
    drop function take_robot_place(uuid, timestamptz, integer);
    drop table robot_message;
  `)
}

/**
 * A place among the calls that a robot may make in a minute, taken for this message; or until when
 * there is none, and then nothing is taken. Taking it again moves it: a message has one.
 *
 * It is taken where it is judged: the gate judges several messages in one statement, and holds no lock
 * that two names have in common. The lock is one for all robots, held until the gate commits; a lock
 * for each could be taken in two orders.
 */
const ROBOTS = `
  create table robot_message (
    message_id uuid primary key,
    robot bytea not null,
    called_at timestamptz
  );
  create index robot_message_robot_idx on robot_message (robot, called_at)
    where called_at is not null;
  comment on table robot_message is
    'Messages of group robots that wait or were called for lately; the row outlives its message for some minutes.';
  comment on column robot_message.robot is 'SHA-256 of the robot''s key.';
  comment on column robot_message.called_at is 'When its last call began.';

  create function take_robot_place(p_message_id uuid, p_at timestamptz, p_per_minute integer)
  returns timestamptz
  language plpgsql
  volatile -- each statement sees what was committed before it, and what this transaction has taken
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  as $$
  declare
    v_robot bytea;
    v_in_the_way timestamptz;
  begin
    select asked.robot into v_robot from robot_message as asked
    where asked.message_id = p_message_id;
    -- accepted by the version before
    if not found then
      return null;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('robot', 0));
    select recent.called_at into v_in_the_way from robot_message as recent
    where recent.robot = v_robot and recent.called_at > p_at - interval '1 minute'
      and recent.message_id <> p_message_id
    order by recent.called_at desc
    offset p_per_minute - 1 limit 1;
    if found then
      return v_in_the_way + interval '1 minute';
    end if;
    update robot_message as taken set called_at = p_at where taken.message_id = p_message_id;
    return null;
  end
  $$;
`

const BY_NAME = `
        case when rule.per_minute is not null or p_per_hour is not null then greatest(`

/** A question about no message names no robot: it is answered for the name. */
const BY_ROBOT = `
        case when p_channel = 'wecom_robot_message' and p_message_id is not null then case
          when rule.per_minute is not null
            then take_robot_place(p_message_id, p_at, rule.per_minute)
        end when rule.per_minute is not null or p_per_hour is not null then greatest(`

/** As before, but for where the pace of a recipient is looked for. */
const judgeLimits = (pace: string) => `
  create or replace function judge_limits(
    p_account_id integer, p_subject text, p_channel text, p_lane smallint, p_message_id uuid,
    p_at timestamptz, p_per_minute integer, p_per_hour integer
  )
  returns table (reason text, until timestamptz, is_counted boolean)
  language sql stable
  as $$
    select
      case
        when found.quiet_until is not null then 'quiet_hours'
        when found.is_capped then 'person_cap'
        when found.pace_until is not null then 'recipient_pace'
      end,
      case
        when found.quiet_until is not null then found.quiet_until
        when found.is_capped then (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
        else found.pace_until
      end,
      rule.per_day is not null or rule.per_minute is not null or p_per_hour is not null
    from (select) as asked
    left join send_policy as policy on policy.account_id = p_account_id
    cross join lateral (
      select
        case when p_lane = 1 then policy.marketing_per_day end as per_day,
        coalesce((policy.recipient_per_minute ->> p_channel)::integer, p_per_minute) as per_minute,
        (p_at at time zone 'Asia/Shanghai')::date as day
    ) as rule
    cross join lateral (
      select
        case when p_lane = 1 then quiet_until(policy.quiet_begins, policy.quiet_ends, p_at)
          end as quiet_until,
        case when rule.per_day is not null then (
          select count(*) >= rule.per_day
          from message as counted
          where counted.account_id = p_account_id and counted.recipient = p_subject
            and counted.counted_at >= rule.day::timestamp at time zone 'Asia/Shanghai'
            and counted.counted_at < (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
            and counted.lane = 1 and counted.id is distinct from p_message_id
            and counted.status not in ('blocked', 'refused', 'failed', 'expired', 'cancelled')
        ) end as is_capped,${pace}
          (
            select recent.counted_at + interval '1 minute'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 minute'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset rule.per_minute - 1 limit case when rule.per_minute is null then 0 else 1 end
          ),
          (
            select recent.counted_at + interval '1 hour'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 hour'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset p_per_hour - 1 limit case when p_per_hour is null then 0 else 1 end
          )
        ) end as pace_until
      offset 0 -- looked for once, however often it is used above
    ) as found
  $$;
`
