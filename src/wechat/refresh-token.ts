import type { Account } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import { assertNever, describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { fetchToken, type TokenCredentials, type TokenReply } from './fetch-token.ts'
import type { PlatformClient } from './platform-client.ts'
import { reportFailure, reportKept, reportRefusal } from './refresh-report.ts'
import { breakerFor, nextForcedRefresh } from './token-rules.ts'
import type { Lease, StoredToken, TokenState, TokenStore } from './token-store.ts'

/** What of an account the token parts look at. */
export type TokenAccount = Pick<Account, 'id' | 'name' | 'settings'>

export interface RefreshParts {
  readonly store: TokenStore
  readonly call: PlatformClient['call']
  /** The account's app id and AppSecret, opened. */
  readonly secrets: (accountId: number) => Promise<TokenCredentials>
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
}

/** What a refresh came to, before it is written down. */
type Conclusion =
  | TokenReply
  | { readonly kind: 'over_budget'; readonly until: Date }
  | { readonly kind: 'lease_lost' }

/**
 * Fetches a token under a lease and writes down what came of it: a token, or a breaker. One call of
 * the token endpoint, or two: the second is the forced refresh of a stable token that the platform
 * refused and then gave again.
 *
 * @throws whatever the store throws; the lease then ends by itself.
 */
export async function refreshToken(parts: RefreshParts, refresh: Refresh): Promise<void> {
  const conclusion = await conclude(parts, refresh)
  switch (conclusion.kind) {
    case 'token':
      return keep(parts, refresh, conclusion.token)
    case 'refused': {
      const breaker = breakerFor(conclusion.errcode, parts.clock.now(), failures(refresh))
      await parts.store.refuse(refresh.lease, breaker, conclusion.errcode)
      return reportRefusal(parts, refresh.account, { ...conclusion, breaker })
    }
    case 'failed': {
      const breaker = breakerFor(null, parts.clock.now(), failures(refresh))
      await parts.store.refuse(refresh.lease, breaker, null)
      return reportFailure(parts, refresh.account, { ...conclusion, until: breaker.until })
    }
    case 'over_budget': {
      const { until } = conclusion
      const reason = 'forced_refresh_budget'
      await parts.store.refuse(refresh.lease, { reason, until }, null)
      return reportFailure(parts, refresh.account, { reason, until })
    }
    case 'lease_lost':
      return reportFailure(parts, refresh.account, { reason: 'lease_lost', until: null })
    default:
      return assertNever(conclusion)
  }
}

/** Failures in a row, this one included. */
function failures({ before }: Refresh): number {
  return before.failures + 1
}

async function conclude(parts: RefreshParts, refresh: Refresh): Promise<Conclusion> {
  const { account, before } = refresh
  const kind = account.settings.token_kind
  const credentials = await readSecrets(parts, account)
  if (!credentials) return { kind: 'failed', reason: 'secret_unreadable' }
  const ask = (force: boolean) =>
    fetchToken(parts.call, parts.clock, { ...credentials, kind, force })

  if (!before.rejected) return ask(false)
  if (kind === 'classic') return replaceRefused(parts, refresh, () => ask(true))
  const reply = await ask(false)
  if (!isSameToken(reply, before)) return reply
  // The platform refuses this token and hands it out again: only force makes a new one.
  return replaceRefused(parts, refresh, () => ask(true))
}

/** Replaces a refused token before its time, if the limits allow it now. */
async function replaceRefused(
  parts: RefreshParts,
  { account, lease, before }: Refresh,
  ask: () => Promise<TokenReply>,
): Promise<Conclusion> {
  const kind = account.settings.token_kind
  const now = parts.clock.now()
  const free = nextForcedRefresh(kind, before.forced, now)
  if (free > now) return { kind: 'over_budget', until: free }
  // Counted first: a process that dies now has used one all the same.
  if (!(await parts.store.countForced(lease, parts.leaseMs, now))) return { kind: 'lease_lost' }
  const reply = await ask()
  if (!isSameToken(reply, before)) return reply
  const until = nextForcedRefresh(kind, { ...before.forced, at: now }, now)
  return { kind: 'over_budget', until }
}

function isSameToken(reply: TokenReply, before: TokenState): boolean {
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
