import type { Knex } from 'knex'
import type { Channel } from '../wechat/channels.ts'

/** Under one message in five seconds an account would not learn when it is better. */
const LEAST_PER_SECOND = 0.2
/** What was sent lately tells the pace that was too much; older calls say nothing. */
const MEASURED_SECONDS = 10
/** More calls than any account makes in that time. */
const MEASURED_CALLS = 20_000

/** Whose pace it is: an account's, or that of one API of it, which a channel stands for. */
export interface PaceOwner {
  readonly accountId: number
  readonly channel: Channel | null
}

/**
 * Halves a pace in all processes; within five minutes it comes back by itself, evenly. Without a pace
 * so far, half of what all processes have sent lately. Twice within a second counts once.
 *
 * @returns messages a second from now on; null where it was slowed a moment ago.
 */
export async function slowSends(db: Knex, owner: PaceOwner): Promise<number | null> {
  const parts = owner.channel === null ? OF_ACCOUNT : OF_CHANNEL
  const { rows } = await db.raw<{ rows: { slowed_to: number }[] }>(
    `with recent as (
       select message_id, account_id, started_at from attempt order by id desc limit :most
     ), measured as (
       select count(*) / greatest(1, extract(epoch from clock_timestamp() - min(started_at)))
         as per_second
       from recent
       where account_id = :accountId
         and started_at > clock_timestamp() - make_interval(secs => :seconds)
         ${parts.measures}
     )
     insert into ${parts.table} as pace (${parts.key}, slowed_from, slowed_to, slowed_at)
     select ${parts.values}, per_second, greatest(cast(:least as float8), per_second / 2), now()
     from measured
     on conflict (${parts.key}) do update set
       slowed_from = case
         when pace.slowed_at > now() - interval '5 minutes' then pace.slowed_from
         else coalesce(pace.per_second, excluded.slowed_from)
       end,
       slowed_to = greatest(cast(:least as float8), coalesce(
         pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at),
         excluded.slowed_from
       ) / 2),
       slowed_at = now()
     where pace.slowed_at is null or pace.slowed_at < now() - interval '1 second'
     returning slowed_to`,
    {
      most: MEASURED_CALLS,
      accountId: owner.accountId,
      channel: owner.channel,
      seconds: MEASURED_SECONDS,
      least: LEAST_PER_SECOND,
    },
  )
  return rows[0]?.slowed_to ?? null
}

const OF_ACCOUNT = {
  table: 'send_pace',
  key: 'account_id',
  values: 'cast(:accountId as integer)',
  measures: '',
}
const OF_CHANNEL = {
  table: 'channel_pace',
  key: 'account_id, channel',
  values: 'cast(:accountId as integer), cast(:channel as text)',
  measures: `and exists (
           select from message where message.id = recent.message_id and message.channel = :channel
           offset 0 -- each by its key, or it may read every message of the channel
         )`,
}

/** The pace of the whole gateway, all processes together; 0: as many as there are. */
export async function setGatewayPace(db: Knex, perSecond: number): Promise<void> {
  if (perSecond === 0) {
    await db.raw(`delete from send_pace where account_id = 0`)
    return
  }
  await db.raw(
    `insert into send_pace (account_id, per_second) values (0, ?)
     on conflict (account_id) do update set per_second = excluded.per_second`,
    [perSecond],
  )
}

/** How many messages a second may be sent for an account, or through a channel of it, at this moment. */
export interface SendPace extends PaceOwner {
  readonly perSecond: number
  /** The platform said that it is too much; it comes back by itself. */
  readonly isSlowed: boolean
}

/** The paces of accounts and of their channels, where there are any. */
export async function listPaces(db: Knex): Promise<SendPace[]> {
  const { rows } = await db.raw<{
    rows: {
      account_id: number
      channel: Channel | null
      per_second: number
      is_slowed: boolean
    }[]
  }>(
    `select account_id, channel, pace.now as per_second, pace.now is distinct from per_second as is_slowed
     from (
       select account_id, null as channel, per_second, slowed_from, slowed_to, slowed_at from send_pace
       union all
       select account_id, channel, per_second, slowed_from, slowed_to, slowed_at from channel_pace
     ) as every
     cross join lateral (select pace_now(per_second, slowed_from, slowed_to, slowed_at) as now) as pace
     where account_id > 0 and pace.now is not null
     order by account_id, channel nulls first`,
  )
  return rows.map((row) => ({
    accountId: row.account_id,
    channel: row.channel,
    perSecond: row.per_second,
    isSlowed: row.is_slowed,
  }))
}

/** Forgets the paces that nobody has set and that are back where they were. */
export async function forgetOldPaces(db: Knex): Promise<void> {
  for (const { table } of [OF_ACCOUNT, OF_CHANNEL]) {
    await db.raw(
      `delete from ${table}
       where per_second is null
         and (slowed_at is null or slowed_at < clock_timestamp() - interval '1 hour')`,
    )
  }
}

/** Forgets the robots of messages that have ended, and whose calls no pace counts any more. */
export async function forgetOldRobots(db: Knex): Promise<void> {
  await db.raw(
    `delete from robot_message as known
     where (known.called_at is null or known.called_at < clock_timestamp() - interval '10 minutes')
       and not exists (
         select from message
         where message.id = known.message_id and message.status in ('scheduled', 'queued', 'sending')
         offset 0 -- each by its key, or it may read every message
       )`,
  )
}
