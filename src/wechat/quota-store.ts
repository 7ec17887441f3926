import type { Knex } from 'knex'
import { z } from 'zod'
import { withTransaction } from '../database/unit-of-work.ts'
import type { QuotaTally } from './quota.ts'
import { chinaDay } from './token-rules.ts'

/** Calls that this process has made and not written down yet. */
export interface CallCount {
  readonly accountId: number
  readonly day: string
  readonly path: string
  readonly calls: number
  /** Whether the platform has said 45009 to one of them. */
  readonly isFull: boolean
}

const TALLY = `account_id, cast(day as text) as day, path,
  cast(calls as double precision) as calls, cast(cleared as double precision) as cleared,
  cast(elsewhere as double precision) as elsewhere,
  cast(daily_limit as double precision) as daily_limit, read_at,
  cast(refused_used as double precision) as refused_used`

/**
 * Adds counts, any number of accounts and paths in one statement, and answers what all processes
 * have counted together. The rows are taken in one order, so that processes never deadlock.
 */
export async function addCalls(db: Knex, counts: readonly CallCount[]): Promise<QuotaTally[]> {
  const rows = counts.map(({ accountId, isFull, ...count }) => {
    return { account_id: accountId, is_full: isFull, ...count }
  })
  const result: unknown = await db.raw(
    `with counted as (
       insert into api_call_count (account_id, day, path, calls, refused_used)
       select account_id, day, path, calls, case when is_full then calls end
       from json_to_recordset(cast(? as json))
         as given(account_id integer, day date, path text, calls bigint, is_full boolean)
       order by account_id, day, path
       on conflict (account_id, day, path) do update
       set calls = api_call_count.calls + excluded.calls,
         refused_used = case
           when excluded.refused_used is null or api_call_count.refused_used is not null
           then api_call_count.refused_used
           else api_call_count.calls + excluded.calls - api_call_count.cleared
             + api_call_count.elsewhere
         end
       returning account_id, day, path, calls, cleared, elsewhere, refused_used
     )
     select ${TALLY} from counted left join api_quota using (account_id, path)`,
    [JSON.stringify(rows)],
  )
  return talliesOf(result)
}

/** What was counted for an account on a China day, and the limits that the platform named for it. */
export async function readTallies(db: Knex, accountId: number, day: string): Promise<QuotaTally[]> {
  const result: unknown = await db.raw(
    `with counted as (select * from api_call_count where account_id = :accountId and day = :day),
     named as (select * from api_quota where account_id = :accountId)
     select
       cast(:accountId as integer) as account_id, cast(:day as text) as day,
       coalesce(counted.path, named.path) as path,
       cast(coalesce(calls, 0) as double precision) as calls,
       cast(coalesce(cleared, 0) as double precision) as cleared,
       cast(coalesce(elsewhere, 0) as double precision) as elsewhere,
       cast(daily_limit as double precision) as daily_limit, read_at,
       cast(refused_used as double precision) as refused_used
     from counted full join named on named.path = counted.path
     order by 3`,
    { accountId, day },
  )
  return talliesOf(result)
}

/**
 * Keeps what the platform said about one API: its limit, and what it has counted beyond ours. Its
 * counter is about 1 % off, and our last second is not written down yet: less than that is nobody's.
 *
 * @param said.lifts whether a counter far below ours means that it was cleared, not by us, and room
 *   that a refusal of the day is over: not right behind the refusal itself.
 */
export async function keepQuota(
  db: Knex,
  said: {
    readonly accountId: number
    readonly path: string
    readonly dailyLimit: number
    readonly used: number
    readonly at: Date
    readonly lifts: boolean
  },
): Promise<void> {
  const { accountId, path, dailyLimit, used, at, lifts } = said
  await withTransaction(db, async (trx) => {
    await trx.raw(
      `insert into api_quota (account_id, path, daily_limit, read_at) values (?, ?, ?, ?)
       on conflict (account_id, path) do update
       set daily_limit = excluded.daily_limit, read_at = excluded.read_at`,
      [accountId, path, dailyLimit, at],
    )
    await trx.raw(
      `insert into api_call_count as counted (account_id, day, path, calls, elsewhere)
       values (:accountId, :day, :path, 0, :used)
       on conflict (account_id, day, path) do update
       set elsewhere = case
         when :used - (counted.calls - counted.cleared) > cast(:used as bigint) / 100
         then :used - (counted.calls - counted.cleared)
         else 0
       end,
       cleared = case
         when :lifts and cast(:used as bigint) * 10 < (counted.calls - counted.cleared) * 9
         then counted.calls - :used
         else counted.cleared
       end,
       refused_used = case
         when :lifts and cast(:used as bigint) * 10 < cast(:dailyLimit as bigint) * 9 then null
         else counted.refused_used
       end`,
      { accountId, day: chinaDay(at), path, used, dailyLimit, lifts },
    )
  })
}

export interface QuotaClear {
  readonly accountId: number
  readonly at: Date
  readonly interface: 'clear_quota' | 'clear_quota/v2'
  readonly actor: string
}

/** The platform has cleared an account's counters: so are ours, one of the month is used, and all processes are told. */
export async function keepClear(db: Knex, clear: QuotaClear): Promise<void> {
  await withTransaction(db, async (trx) => {
    await trx.raw(
      `insert into quota_clear (account_id, cleared_at, interface, actor) values (?, ?, ?, ?)`,
      [clear.accountId, clear.at, clear.interface, clear.actor],
    )
    await trx.raw(
      `update api_call_count set cleared = calls, elsewhere = 0, refused_used = null
       where account_id = ? and day = ?`,
      [clear.accountId, chinaDay(clear.at)],
    )
    await trx.raw(`select pg_notify('account_changed', '')`)
  })
}

/** How often the counters of an account were cleared by us since a moment. */
export async function countClears(db: Knex, accountId: number, since: Date): Promise<number> {
  const result: unknown = await db.raw(
    `select cast(count(*) as integer) as clears from quota_clear where account_id = ? and cleared_at >= ?`,
    [accountId, since],
  )
  const [row] = z.object({ rows: z.array(z.object({ clears: z.int() })) }).parse(result).rows
  return row?.clears ?? 0
}

/** Forgets the counts of days that nobody asks about any more. */
export async function forgetOldCalls(db: Knex): Promise<void> {
  await db.raw(`delete from api_call_count where day < current_date - 100`)
}

const talliesSchema = z.object({
  rows: z.array(
    z.object({
      account_id: z.int(),
      day: z.string(),
      path: z.string(),
      calls: z.number(),
      cleared: z.number(),
      elsewhere: z.number(),
      daily_limit: z.number().nullable(),
      read_at: z.date().nullable(),
      refused_used: z.number().nullable(),
    }),
  ),
})

function talliesOf(result: unknown): QuotaTally[] {
  return talliesSchema.parse(result).rows.map((row) => ({
    accountId: row.account_id,
    day: row.day,
    path: row.path,
    calls: row.calls,
    cleared: row.cleared,
    elsewhere: row.elsewhere,
    dailyLimit: row.daily_limit,
    limitReadAt: row.read_at,
    refusedUsed: row.refused_used,
  }))
}
