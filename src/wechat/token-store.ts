import type { Knex } from 'knex'
import { z } from 'zod'
import { AppError } from '../foundation/errors.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import {
  chinaDay,
  type Breaker,
  type BreakerReason,
  type ForcedRefreshes,
  type TokenTimes,
} from './token-rules.ts'
import { createTokenDeathStore, type TokenDeathStore } from './token-death-store.ts'
import { TOKEN_SOURCE_NAMES, type TokenSourceName } from './token-sources.ts'

/** A token with its number; the number grows with every new token of an account. */
export interface StoredToken extends TokenTimes {
  readonly value: string
}

/** Everything that the processes share about one account's token. */
export interface TokenState {
  readonly version: string
  readonly token: StoredToken | null
  /** Whether the platform has refused exactly this version. */
  readonly rejected: boolean
  readonly breaker: { readonly until: Date; readonly reason: string } | null
  readonly failures: number
  readonly forced: ForcedRefreshes
}

/** A right to call the token endpoint, given to one caller at a time. */
export interface Lease {
  readonly accountId: number
  readonly owner: string
}

export interface TokenStore extends TokenDeathStore {
  read(accountId: number): Promise<TokenState>
  /**
   * Takes the lease in one statement: only while nobody holds it, no breaker is open at `now`, and
   * the token is still the one that was read.
   */
  takeLease(wish: LeaseWish): Promise<TokenState | null>
  /** Starts the lease anew for a further call; false when it was lost in the meantime. */
  renewLease(lease: Lease, leaseMs: number): Promise<boolean>
  /**
   * Counts the early replacement of a refused token before it is made, and starts the lease anew for
   * it; false when the lease was lost in the meantime.
   */
  countForced(lease: Lease, leaseMs: number, now: Date): Promise<boolean>
  /**
   * Keeps a token and ends the lease, the breaker and the row of failures. The version stays when
   * the platform gave the same token again, so that a late refusal of it still counts.
   *
   * @returns null when the lease was lost in the meantime; nothing is kept then.
   */
  keep(lease: Lease, token: StoredToken, isNew: boolean): Promise<TokenState | null>
  /** Opens the breaker and ends the lease. */
  refuse(lease: Lease, breaker: Breaker, errcode: number | null): Promise<void>
  /** Marks a version as refused by the platform; false when it is not the current one any more. */
  markRejected(accountId: number, version: string): Promise<boolean>
  /** Closes a breaker that was opened for this reason; false when there is none. */
  endPause(accountId: number, reason: BreakerReason): Promise<boolean>
}

export interface LeaseWish extends Lease {
  readonly kind: TokenSourceName
  readonly version: string
  readonly leaseMs: number
  readonly now: Date
}

const NEVER_FETCHED: TokenState = {
  version: '0',
  token: null,
  rejected: false,
  breaker: null,
  failures: 0,
  forced: { at: null, count: 0, day: null },
}

/**
 * forced_day is asked for as text, because node-postgres makes local midnight of a date. Casts are
 * spelled out, because knex takes a colon before a name for a binding.
 */
const COLUMNS = `kind, sealed, version, fetched_at, expires_at, rejected_version,
  breaker_until, breaker_reason, failures, forced_at, forced_count,
  cast(forced_day as text) as forced_day`

/** Where tokens rest: those of the accounts, and those of the providers behind suites. */
type TokenTable = 'access_token' | 'provider_token'
const OWN: TokenTable = 'access_token'

/** Nobody else can have a provider's token replaced: WeCom hands the same one out to all. */
const NO_DEATHS: TokenDeathStore = {
  recordDeath: () => Promise.resolve(null),
  blameSecret: () => Promise.resolve(),
}

/**
 * The table `access_token`, or its like: one row per account, found by its primary key in every
 * statement here.
 *
 * Leases are measured by the database's clock, the one that all processes share; the token's own
 * times and the breaker come from the caller.
 */
export function createTokenStore(db: Knex, box: SecretBox, table = OWN): TokenStore {
  const { one, changes } = statementsOf(db)

  function stateOf(accountId: number, row: TokenRow | undefined): TokenState {
    return row
      ? readState(row, (sealed) => openToken(box, sealed, placeOf(table, accountId)))
      : NEVER_FETCHED
  }

  return {
    ...(table === OWN ? createTokenDeathStore(db) : NO_DEATHS),

    async read(accountId) {
      const sql = `select ${COLUMNS} from ${table} where account_id = :accountId`
      return stateOf(accountId, await one(sql, { accountId }))
    },

    async takeLease({ accountId, owner, kind, version, leaseMs, now }) {
      const row = await one(
        `insert into ${table} as held (account_id, kind, lease_owner, leased_until)
         values (:accountId, :kind, :owner, now() + :leaseMs * interval '1 millisecond')
         on conflict (account_id) do update
           set lease_owner = excluded.lease_owner,
               leased_until = excluded.leased_until
         where (held.leased_until is null or held.leased_until <= now())
           and (held.breaker_until is null or held.breaker_until <= :now)
           and held.version = :version
         returning ${COLUMNS}`,
        { accountId, kind, owner, leaseMs, now, version },
      )
      return row ? stateOf(accountId, row) : null
    },

    async renewLease({ accountId, owner }, leaseMs) {
      return changes(
        `update ${table}
         set leased_until = now() + :leaseMs * interval '1 millisecond'
         where account_id = :accountId
           and lease_owner = :owner`,
        { accountId, owner, leaseMs },
      )
    },

    async countForced({ accountId, owner }, leaseMs, now) {
      return changes(
        `update ${table}
         set forced_count = case when forced_day = :day then forced_count + 1 else 1 end,
             forced_day = :day,
             forced_at = :now,
             leased_until = now() + :leaseMs * interval '1 millisecond'
         where account_id = :accountId
           and lease_owner = :owner`,
        { accountId, owner, leaseMs, now, day: chinaDay(now) },
      )
    },

    async keep({ accountId, owner }, token, isNew) {
      const sealed = box.seal(token.value, placeOf(table, accountId))
      const row = await one(
        `update ${table}
         set kind = :kind,
             sealed = :sealed,
             key_id = :keyId,
             version = version + :step,
             fetched_at = :fetchedAt,
             expires_at = :expiresAt,
             lease_owner = null,
             leased_until = null,
             breaker_until = null,
             breaker_errcode = null,
             breaker_reason = null,
             failures = 0
         where account_id = :accountId
           and lease_owner = :owner
         returning ${COLUMNS}`,
        {
          accountId,
          owner,
          kind: token.kind,
          sealed,
          keyId: box.keyIdOf(sealed),
          step: isNew ? 1 : 0,
          fetchedAt: token.fetchedAt,
          expiresAt: token.expiresAt,
        },
      )
      return row ? stateOf(accountId, row) : null
    },

    async refuse({ accountId, owner }, breaker, errcode) {
      await db.raw(
        `update ${table}
         set breaker_until = :until,
             breaker_reason = :reason,
             breaker_errcode = :errcode,
             failures = failures + 1,
             lease_owner = null,
             leased_until = null
         where account_id = :accountId
           and lease_owner = :owner`,
        { accountId, owner, until: breaker.until, reason: breaker.reason, errcode },
      )
    },

    async markRejected(accountId, version) {
      return changes(
        `update ${table}
         set rejected_version = greatest(rejected_version, version)
         where account_id = :accountId
           and version = :version
           and rejected_version is distinct from version`,
        { accountId, version },
      )
    },

    async endPause(accountId, reason) {
      return changes(
        `update ${table}
         set breaker_until = null,
             breaker_errcode = null,
             breaker_reason = null,
             failures = 0
         where account_id = :accountId
           and breaker_reason = :reason`,
        { accountId, reason },
      )
    },
  }
}

/** The two forms of every statement here: one that answers a row, and one that only changes it. */
function statementsOf(db: Knex) {
  async function one(sql: string, bindings: Readonly<Record<string, Knex.Value>>) {
    const result: unknown = await db.raw(sql, bindings)
    return rowsSchema.parse(result).rows[0]
  }

  /** Whether the statement changed the row. */
  async function changes(sql: string, bindings: Readonly<Record<string, Knex.Value>>) {
    const result: unknown = await db.raw(sql, bindings)
    return countSchema.parse(result).rowCount === 1
  }

  return { one, changes }
}

/**
 * A token that does not open (its master key is gone, the row was moved) is as good as none: the next
 * refresh replaces it, and a person would only have to delete it.
 */
function openToken(box: SecretBox, sealed: string, place: string): string | null {
  try {
    return box.open(sealed, place)
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

/** What the seal of a token is bound to. */
function placeOf(table: TokenTable, accountId: number): string {
  return `${table}/${accountId}`
}

const rowSchema = z.object({
  kind: z.enum(TOKEN_SOURCE_NAMES),
  sealed: z.string().nullable(),
  version: z.string(),
  fetched_at: z.date().nullable(),
  expires_at: z.date().nullable(),
  rejected_version: z.string().nullable(),
  breaker_until: z.date().nullable(),
  breaker_reason: z.string().nullable(),
  failures: z.int(),
  forced_at: z.date().nullable(),
  forced_count: z.int(),
  forced_day: z.string().nullable(),
})
type TokenRow = z.infer<typeof rowSchema>

const rowsSchema = z.object({ rows: z.array(rowSchema) })
const countSchema = z.object({ rowCount: z.int() })

function readState(row: TokenRow, open: (sealed: string) => string | null): TokenState {
  const { sealed, fetched_at: fetchedAt, expires_at: expiresAt } = row
  const value = sealed === null ? null : open(sealed)
  const hasToken = value !== null && fetchedAt !== null && expiresAt !== null
  return {
    version: row.version,
    token: hasToken ? { kind: row.kind, value, fetchedAt, expiresAt } : null,
    rejected: row.rejected_version === row.version,
    breaker:
      row.breaker_until === null
        ? null
        : { until: row.breaker_until, reason: row.breaker_reason ?? 'unknown' },
    failures: row.failures,
    forced: { at: row.forced_at, count: row.forced_count, day: row.forced_day },
  }
}
