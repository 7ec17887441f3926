import type { Knex } from 'knex'
import { z } from 'zod'
import { DEATH_CAUSES, type DeathCause, type TokenDeath } from './token-death.ts'

export interface TokenDeathStore {
  /**
   * Records that the account's current token was refused. Nothing is recorded, and null answered,
   * when it was at its end anyway, when a forced refresh of ours is under way that kills it, when it
   * is not the current one any more, or when its death is known.
   */
  recordDeath(accountId: number, version: string, now: Date): Promise<TokenDeath | null>
  /** The token endpoint has told the cause: it does not take our AppSecret any more. */
  blameSecret(accountId: number, version: string): Promise<void>
}

/** Clocks differ and answers travel: what dies in its last minute has lived its life. */
const LAST_BREATH = '60 seconds'

/** The table `token_death`. */
export function createTokenDeathStore(db: Knex): TokenDeathStore {
  return {
    async recordDeath(accountId, version, now) {
      const result: unknown = await db.raw(
        `insert into token_death
           (account_id, version, kind, fetched_at, expires_at, died_at, cause)
         select account_id, version, kind, fetched_at, expires_at, cast(:now as timestamptz),
           case kind
             when 'classic' then 'classic_elsewhere'
             when 'stable' then 'forced_elsewhere'
             else 'replaced_elsewhere'
           end
         from access_token
         where account_id = :accountId
           and version = :version
           and expires_at > cast(:now as timestamptz) + cast(:lastBreath as interval)
           and (forced_at is null or forced_at <= fetched_at)
         on conflict (account_id, version) do nothing
         returning version, fetched_at, expires_at, died_at, cause`,
        { accountId, version, now, lastBreath: LAST_BREATH },
      )
      return deathsOf(result)[0] ?? null
    },

    async blameSecret(accountId, version) {
      const cause: DeathCause = 'secret_reset'
      await db.raw(
        `update token_death set cause = :cause where account_id = :accountId and version = :version`,
        { accountId, version, cause },
      )
    },
  }
}

/** The early deaths of an account's tokens since a moment, newest first. */
export async function listDeaths(db: Knex, accountId: number, since: Date): Promise<TokenDeath[]> {
  const result: unknown = await db.raw(
    `select version, fetched_at, expires_at, died_at, cause
     from token_death
     where account_id = ? and died_at >= ?
     order by died_at desc`,
    [accountId, since],
  )
  return deathsOf(result)
}

/** Forgets deaths that nobody looks into any more. */
export async function forgetOldDeaths(db: Knex): Promise<void> {
  await db.raw(`delete from token_death where died_at < now() - interval '100 days'`)
}

const deathsSchema = z.object({
  rows: z.array(
    z.object({
      version: z.string(),
      fetched_at: z.date(),
      expires_at: z.date(),
      died_at: z.date(),
      cause: z.enum(DEATH_CAUSES),
    }),
  ),
})

function deathsOf(result: unknown): TokenDeath[] {
  return deathsSchema.parse(result).rows.map((row) => ({
    version: row.version,
    fetchedAt: row.fetched_at,
    expiresAt: row.expires_at,
    diedAt: row.died_at,
    cause: row.cause,
  }))
}
