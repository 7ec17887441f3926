import type { Knex } from 'knex'

/** What is known about an account beside its settings, for the person who looks after it. */
export interface AccountState {
  readonly token: TokenState | null
  /** When the platform's last push was recorded. */
  readonly lastPushAt: Date | null
  /** When the platform made the newest ticket of a component or suite. */
  readonly ticketAt: Date | null
}

/** The account's row of `access_token`, without the token. */
export interface TokenState {
  readonly fetchedAt: Date | null
  readonly expiresAt: Date | null
  /** While in the future, the token endpoint is not called. */
  readonly breakerUntil: Date | null
  readonly breakerErrcode: string | null
  /** Why it rests, where no errcode says it: `no_ticket`, a network’s failure. */
  readonly breakerReason: string | null
  readonly failures: number
}

interface StateRow {
  readonly has_token: boolean
  readonly fetched_at: Date | null
  readonly expires_at: Date | null
  readonly breaker_until: Date | null
  readonly breaker_errcode: string | null
  readonly breaker_reason: string | null
  readonly failures: number | null
  readonly last_push_at: Date | null
  readonly ticket_at: Date | null
}

/**
 * The state of an account by its id. The last push is the last by the platform's time, by which the
 * log is ordered.
 */
export async function readAccountState(db: Knex, accountId: number): Promise<AccountState> {
  const { rows } = await db.raw<{ rows: StateRow[] }>(
    `select
       access_token.account_id is not null as has_token,
       access_token.fetched_at,
       access_token.expires_at,
       access_token.breaker_until,
       access_token.breaker_errcode,
       access_token.breaker_reason,
       access_token.failures,
       (
         select event.received_at
         from event
         where event.account_id = account.id
         order by event.account_id, event.occurred_at desc
         limit 1
       ) as last_push_at,
       (
         select account_secret.effective_at
         from account_secret
         where account_secret.account_id = account.id
           and account_secret.name = 'ticket'
       ) as ticket_at
     from account
     left join access_token on access_token.account_id = account.id
     where account.id = ?`,
    [accountId],
  )
  const row = rows[0]
  return {
    token: row?.has_token
      ? {
          fetchedAt: row.fetched_at,
          expiresAt: row.expires_at,
          breakerUntil: row.breaker_until,
          breakerErrcode: row.breaker_errcode,
          breakerReason: row.breaker_reason,
          failures: row.failures ?? 0,
        }
      : null,
    lastPushAt: row?.last_push_at ?? null,
    ticketAt: row?.ticket_at ?? null,
  }
}

/** The database's own time, to compare clocks with. */
export async function readDatabaseTime(db: Knex): Promise<Date> {
  const { rows } = await db.raw<{ rows: { now: Date }[] }>('select clock_timestamp() as now')
  return rows[0]?.now ?? new Date(NaN)
}
