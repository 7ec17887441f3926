import type { Knex } from 'knex'

/** Under one message in five seconds an account would not learn when it is better. */
const LEAST_PER_SECOND = 0.2
/** What was sent lately tells the pace that was too much; older calls say nothing. */
const MEASURED_SECONDS = 10
/** More calls than any account makes in that time. */
const MEASURED_CALLS = 20_000

/**
 * Halves the pace of an account in all processes; within five minutes it comes back by itself, evenly.
 * Without a pace so far, half of what all processes have sent for it lately. Twice within a second
 * counts once.
 *
 * @returns messages a second from now on; null where it was slowed a moment ago.
 */
export async function slowAccount(db: Knex, accountId: number): Promise<number | null> {
  const { rows } = await db.raw<{ rows: { slowed_to: number }[] }>(
    `with recent as (
       select account_id, started_at from attempt order by id desc limit ?
     ), measured as (
       select count(*) / greatest(1, extract(epoch from clock_timestamp() - min(started_at)))
         as per_second
       from recent
       where account_id = ? and started_at > clock_timestamp() - make_interval(secs => ?)
     )
     insert into send_pace as pace (account_id, slowed_from, slowed_to, slowed_at)
     select ?, per_second, greatest(?::float8, per_second / 2), now() from measured
     on conflict (account_id) do update set
       slowed_from = case
         when pace.slowed_at > now() - interval '5 minutes' then pace.slowed_from
         else coalesce(pace.per_second, excluded.slowed_from)
       end,
       slowed_to = greatest(?::float8, coalesce(
         pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at),
         excluded.slowed_from
       ) / 2),
       slowed_at = now()
     where pace.slowed_at is null or pace.slowed_at < now() - interval '1 second'
     returning slowed_to`,
    [MEASURED_CALLS, accountId, MEASURED_SECONDS, accountId, LEAST_PER_SECOND, LEAST_PER_SECOND],
  )
  return rows[0]?.slowed_to ?? null
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

/** How many messages a second may be sent for an account at this moment. */
export interface SendPace {
  readonly accountId: number
  readonly perSecond: number
  /** The platform said that it is too much; it comes back by itself. */
  readonly isSlowed: boolean
}

/** The paces of accounts that have one. */
export async function listPaces(db: Knex): Promise<SendPace[]> {
  const { rows } = await db.raw<{
    rows: { account_id: number; per_second: number; is_slowed: boolean }[]
  }>(
    `select account_id, pace.now as per_second, pace.now is distinct from per_second as is_slowed
     from send_pace
     cross join lateral (select pace_now(per_second, slowed_from, slowed_to, slowed_at) as now) as pace
     where account_id > 0 and pace.now is not null
     order by account_id`,
  )
  return rows.map((row) => ({
    accountId: row.account_id,
    perSecond: row.per_second,
    isSlowed: row.is_slowed,
  }))
}

/** Forgets the paces of accounts that nobody has set and that are back where they were. */
export async function forgetOldPaces(db: Knex): Promise<void> {
  await db.raw(
    `delete from send_pace
     where per_second is null
       and (slowed_at is null or slowed_at < clock_timestamp() - interval '1 hour')`,
  )
}
