import type { Knex } from 'knex'
import type { ApiHost } from '../wechat/platform-client.ts'
import { REST_SECONDS } from './breaker.ts'

/** Whose calls rest: one account's, or those of all accounts at an API host. */
export type BreakerOwner =
  | { readonly kind: 'account'; readonly accountId: number }
  | { readonly kind: 'host'; readonly host: ApiHost }

/** An open breaker, as every process sees it. */
export interface OpenBreaker {
  readonly owner: BreakerOwner
  readonly openedAt: Date
  /** Nobody calls before; then one call tries. */
  readonly until: Date
  /** What the last call met. */
  readonly reason: string
}

/**
 * Opens a breaker for all processes, or lets it rest longer when the call that tried has failed too.
 * One that rests already stays as it is.
 *
 * @returns until when it rests now; null where it rested already.
 */
export async function openBreaker(
  db: Knex,
  owner: BreakerOwner,
  reason: string,
): Promise<Date | null> {
  const { rows } = await db.raw<{ rows: { until: Date }[] }>(
    `insert into call_breaker as open (account_id, host, opened_at, until, rests, reason)
     values (?, ?, clock_timestamp(), clock_timestamp() + make_interval(secs => ?), 1, ?)
     on conflict (account_id, host) do update set
       rests = open.rests + 1,
       until = clock_timestamp() + make_interval(
         secs => (?::float8[])[least(open.rests + 1, cardinality(?::float8[]))]
       ),
       reason = excluded.reason
     where open.until <= clock_timestamp()
     returning until`,
    [...keyOf(owner), REST_SECONDS[0], reason, [...REST_SECONDS], [...REST_SECONDS]],
  )
  return rows[0]?.until ?? null
}

/** The platform has answered. @returns whether the breaker was open. */
export async function closeBreaker(db: Knex, owner: BreakerOwner): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `delete from call_breaker where account_id = ? and host = ? returning account_id`,
    keyOf(owner),
  )
  return rows.length > 0
}

/** All breakers that are open, or wait for the call that tries. */
export async function listBreakers(db: Knex): Promise<OpenBreaker[]> {
  const { rows } = await db.raw<{
    rows: { account_id: number; host: string; opened_at: Date; until: Date; reason: string }[]
  }>(`select account_id, host, opened_at, until, reason from call_breaker order by opened_at`)
  return rows.map((row) => ({
    owner:
      row.account_id === 0
        ? { kind: 'host', host: row.host === 'wecom' ? 'wecom' : 'wechat' }
        : { kind: 'account', accountId: row.account_id },
    openedAt: row.opened_at,
    until: row.until,
    reason: row.reason,
  }))
}

function keyOf(owner: BreakerOwner): [accountId: number, host: string] {
  return owner.kind === 'host' ? [0, owner.host] : [owner.accountId, '']
}
