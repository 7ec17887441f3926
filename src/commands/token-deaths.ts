import type { AccountOverview } from '../accounts/account-store.ts'
import type { Gateway } from '../compose.ts'
import type { TokenDeath } from '../wechat/token-death.ts'
import type { Say } from './words.ts'

/** A death longer ago says nothing about who refreshes today. */
const LOOK_BACK_MS = 7 * 86_400_000

/** The tokens of an account that died early in the last seven days, newest first. */
export function recentDeaths(
  parts: Gateway['parts'],
  account: Pick<AccountOverview, 'id'>,
): Promise<TokenDeath[]> {
  return parts.tokenDeaths(account.id, new Date(Date.now() - LOOK_BACK_MS))
}

/** What to do about the newest of them; none is the normal case. */
export function deathWarnings(name: string, deaths: readonly TokenDeath[], say: Say): string[] {
  const [newest] = deaths
  if (!newest) return []
  const minutes = Math.round((newest.expiresAt.getTime() - newest.diedAt.getTime()) / 60_000)
  return [
    [
      say('token_died', {
        name,
        count: deaths.length,
        time: newest.diedAt.toISOString(),
        minutes,
      }),
      say(`died_${newest.cause}`, { name }),
    ].join(' '),
  ]
}

/** For `--json`. */
export function deathsAnswer(deaths: readonly TokenDeath[]) {
  return deaths.map(({ version, fetchedAt, expiresAt, diedAt, cause }) => ({
    version,
    fetched_at: fetchedAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    died_at: diedAt.toISOString(),
    cause,
  }))
}
