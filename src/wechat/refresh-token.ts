import type { AccountKind } from '../accounts/account.ts'
import type { Account } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import { assertNever, describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { askForToken, type Ask, type AskOutcome } from './ask-for-token.ts'
import type { PlatformClient } from './platform-client.ts'
import { reportFailure, reportKept, reportRefusal } from './refresh-report.ts'
import type { TokenKeeper } from './token-keeper.ts'
import {
  breakerFor,
  breakerForParent,
  breakerWithout,
  nextForcedRefresh,
  type Breaker,
} from './token-rules.ts'
import { TOKEN_SOURCES, tokenSourceOf, type Need, type TokenCredentials } from './token-sources.ts'
import type { Lease, StoredToken, TokenState, TokenStore } from './token-store.ts'

/** What of an account the token parts look at. */
export interface TokenAccount extends Pick<Account, 'id' | 'name' | 'settings'> {
  readonly kind: AccountKind
  /** Whose token is meant: that of the provider behind a suite, not the suite's; see `providerOf`. */
  readonly holder?: 'provider'
}

export interface RefreshParts {
  readonly store: TokenStore
  readonly call: PlatformClient['call']
  /** The account's id at the platform and its secrets, opened. */
  readonly secrets: (accountId: number) => Promise<TokenCredentials>
  /** The account that an authorizer's or a corp's token needs first; undefined when it is disabled. */
  readonly findAccount: (
    accountId: number,
  ) => Promise<(TokenAccount & Pick<Account, 'appId'>) | undefined>
  /**
   * Stores an authorizer's new refresh token, sealed, in the place of the one that was used; false,
   * and nothing is stored, when that one is not the current one any more.
   */
  readonly replaceRefreshToken: (
    accountId: number,
    change: { readonly used: string; readonly next: string },
  ) => Promise<boolean>
  /** The tokens of parents. */
  readonly tokens: Pick<TokenKeeper, 'getToken' | 'reportRejected'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Longer than one call can take, so that a lease ends under a dead holder only. */
  readonly leaseMs: number
}

/** One refresh: whose, under which lease, and how things stood when the lease was taken. */
export interface Refresh {
  readonly account: TokenAccount
  readonly lease: Lease
  readonly before: TokenState
  /** Kills a token that works: a leak drill. */
  readonly isForced: boolean
}

/** What a refresh came to, before it is written down. */
type Conclusion =
  | AskOutcome
  | { readonly kind: 'over_budget'; readonly until: Date }
  | { readonly kind: 'without'; readonly need: Need }

/**
 * Fetches a token under a lease and writes down what came of it: a token, or a breaker. One call of
 * the token endpoint, or two: the second is the forced refresh of a stable token that the platform
 * refused and then gave again, or another try with a new token of the parent or a recovered refresh
 * token.
 *
 * @throws whatever the store throws; the lease then ends by itself.
 */
export async function refreshToken(parts: RefreshParts, refresh: Refresh): Promise<void> {
  const conclusion = await conclude(parts, refresh)
  switch (conclusion.kind) {
    case 'token':
      return keep(parts, refresh, conclusion.token)
    case 'refused': {
      const { errcode } = conclusion
      const breaker = breakerFor({ ...failureOf(parts, refresh), errcode })
      await parts.store.refuse(refresh.lease, breaker, errcode)
      if (refresh.before.rejected && breaker.reason === 'config') {
        await parts.store.blameSecret(refresh.account.id, refresh.before.version)
      }
      const source = tokenSourceOf(refresh.account)
      return reportRefusal(parts, refresh.account, { ...conclusion, breaker, source })
    }
    case 'failed': {
      const breaker = breakerFor({ ...failureOf(parts, refresh), errcode: null })
      return rest(parts, refresh, { ...breaker, told: conclusion.reason })
    }
    case 'without':
      return rest(parts, refresh, breakerWithout(conclusion.need, parts.clock.now()))
    case 'waiting':
      return rest(parts, refresh, breakerForParent(conclusion.until, parts.clock.now()))
    case 'over_budget':
      return rest(parts, refresh, { reason: 'forced_refresh_budget', until: conclusion.until })
    case 'lease_lost':
      return reportFailure(parts, refresh.account, { reason: 'lease_lost', until: null })
    default:
      return assertNever(conclusion)
  }
}

/** What the length of a pause depends on, beside the code: failures in a row, this one included. */
function failureOf({ clock }: RefreshParts, { account, before }: Refresh) {
  return { source: tokenSourceOf(account), now: clock.now(), failures: before.failures + 1 }
}

/** Leaves the token endpoint alone for a while, without a code of the platform. */
async function rest(
  parts: RefreshParts,
  { account, lease }: Refresh,
  { told, ...breaker }: Breaker & { readonly told?: string },
): Promise<void> {
  await parts.store.refuse(lease, breaker, null)
  reportFailure(parts, account, { reason: told ?? breaker.reason, until: breaker.until })
}

async function conclude(parts: RefreshParts, refresh: Refresh): Promise<Conclusion> {
  const { account, before, lease } = refresh
  const source = tokenSourceOf(account)
  const { needs, canForce } = TOKEN_SOURCES[source]
  const credentials = await readSecrets(parts, account)
  if (!credentials) return { kind: 'failed', reason: 'secret_unreadable' }
  const missing = needs.find((need) => !credentials[need])
  if (missing) return { kind: 'without', need: missing }
  const question: Ask = { account, source, lease, credentials, known: before.token?.value ?? null }
  const ask = (force: boolean) => askForToken(parts, question, force)

  if (refresh.isForced) return replaceRefused(parts, refresh, () => ask(true))
  if (!before.rejected) return ask(false)
  if (!canForce) return replaceRefused(parts, refresh, () => ask(false))
  const reply = await ask(false)
  if (!isSameToken(reply, before)) return reply
  // The platform refuses this token and hands it out again: only force makes a new one.
  return replaceRefused(parts, refresh, () => ask(true))
}

/** Replaces a refused token before its time, if the limits allow it now. */
async function replaceRefused(
  parts: RefreshParts,
  { account, lease, before }: Refresh,
  ask: () => Promise<AskOutcome>,
): Promise<Conclusion> {
  const source = tokenSourceOf(account)
  const now = parts.clock.now()
  const free = nextForcedRefresh(source, before.forced, now)
  if (free > now) return { kind: 'over_budget', until: free }
  // Counted first: a process that dies now has used one all the same.
  if (!(await parts.store.countForced(lease, parts.leaseMs, now))) return { kind: 'lease_lost' }
  const reply = await ask()
  if (!isSameToken(reply, before)) return reply
  const until = nextForcedRefresh(source, { ...before.forced, at: now }, now)
  return { kind: 'over_budget', until }
}

function isSameToken(reply: AskOutcome, before: TokenState): boolean {
  return reply.kind === 'token' && reply.token.value === before.token?.value
}

async function readSecrets(
  { secrets, log }: RefreshParts,
  account: TokenAccount,
): Promise<TokenCredentials | null> {
  try {
    return await secrets(account.id)
  } catch (error) {
    log.error({ account: account.name, error: describeError(error) }, 'token.secret_unreadable')
    return null
  }
}

async function keep(parts: RefreshParts, refresh: Refresh, token: StoredToken): Promise<void> {
  const { account, lease, before } = refresh
  const isNew = token.value !== before.token?.value
  const after = await parts.store.keep(lease, token, isNew)
  if (after) return reportKept(parts, account, { token, isNew, version: after.version })
  // We were slow and another process took over; its token is the one that counts.
  return reportFailure(parts, account, { reason: 'lease_lost', until: null })
}
