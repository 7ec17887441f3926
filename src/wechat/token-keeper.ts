import { sleep } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { createUnderWay } from '../foundation/under-way.ts'
import { reportDeath } from './refresh-report.ts'
import { refreshToken, type RefreshParts, type TokenAccount } from './refresh-token.ts'
import { createTokenMemory, type TokenAnswer, type TokenMemory } from './token-memory.ts'
import { isFresh, isUsable, nextForcedRefresh } from './token-rules.ts'
import { tokenSourceOf } from './token-sources.ts'
import type { StoredToken, TokenState } from './token-store.ts'

export interface TokenKeeper {
  /** Never throws for what the platform or the database does. */
  getToken(
    account: TokenAccount,
    /** `reread`: look at the row first; for whoever knows that a token has been refused elsewhere. */
    options?: { readonly reread?: boolean },
  ): Promise<TokenAnswer>
  /**
   * The platform refused a token (a code of class `token`). The next `getToken` brings another one, or
   * the one that somebody else has fetched in the meantime; a report about an older version than the
   * current one changes nothing.
   */
  reportRejected(account: TokenAccount, version: string): Promise<void>
  /**
   * A component's or suite's new ticket has been stored: whoever waited for one asks again, here at
   * once and in the other processes within seconds.
   */
  ticketArrived(account: TokenAccount): Promise<void>
  /** Another process has replaced or refused a token of this account: the next question looks anew. */
  changed(accountId: number): void
  /**
   * Replaces a token that works, because somebody else may hold it; within the platform's limits for
   * forced refreshes. For a stable token alone.
   *
   * @throws whatever the database throws.
   */
  forceRefresh(account: TokenAccount): Promise<ForcedRefresh>
  /** Waits until refreshes in the background have ended; for an orderly stop. */
  settle(): Promise<void>
}

type Unavailable = Extract<TokenAnswer, { kind: 'unavailable' }>

/** The version that holds now, or why the token could not be replaced and until when. */
export type ForcedRefresh = { readonly kind: 'refreshed'; readonly version: string } | Unavailable

export interface TokenKeeperParts extends Omit<RefreshParts, 'leaseMs' | 'tokens'> {
  readonly random: () => number
  /** A name no other process has; part of every lease. */
  readonly process: string
  /** Only tests shorten it. */
  readonly leaseMs?: number
}

/** A refresh is at most one call of 10 s per lease (a second call starts the lease anew), plus slack. */
const LEASE_MS = 15_000

/** Between two looks at the row while another process refreshes: far below one platform call. */
const POLL_MS = 50

/** When to ask again where nothing says when. */
const SHORT_PAUSE_MS = 1_000

/** How one look at the account's row ended. */
type Look = TokenAnswer | { readonly kind: 'look_again' } | { readonly kind: 'wait' }

/** One account in this process. */
interface Desk {
  readonly memory: TokenMemory
  /** The look at the row that all callers of this moment share. */
  flight: Promise<TokenAnswer> | null
}

/**
 * Keeps one token per account, for all processes together (promise P7).
 *
 * In this process callers share one look at the row; across processes a lease in the row lets one
 * refresh while the others wait or, in the overlap of two tokens, go on with the old one. A token
 * that depends on another account's is asked for with that account's, kept in the same way. Without
 * the lease the token endpoint is never called: a database that is down means the token in memory
 * until it expires, and then none.
 */
export function createTokenKeeper(parts: TokenKeeperParts): TokenKeeper {
  const { store, clock, log } = parts
  const leaseMs = parts.leaseMs ?? LEASE_MS
  const desks = new Map<number, Desk>()
  const background = createBackground(log)
  let leases = 0

  function deskOf(account: TokenAccount): Desk {
    const known = desks.get(account.id)
    if (known) return known
    const desk = { memory: createTokenMemory(clock, parts.metrics, account.name), flight: null }
    desks.set(account.id, desk)
    return desk
  }

  async function obtain(account: TokenAccount, memory: TokenMemory): Promise<TokenAnswer> {
    // As long as the lease of a holder that died, and a moment to take it over.
    const deadlineMs = clock.monotonicMs() + leaseMs + SHORT_PAUSE_MS
    try {
      for (;;) {
        const found = await look(account, memory)
        if (found.kind === 'token' || found.kind === 'unavailable') return found
        if (clock.monotonicMs() > deadlineMs) return unavailable('refresh_in_progress', clock.now())
        if (found.kind === 'wait') await sleep(POLL_MS * (0.5 + parts.random()))
      }
    } catch (error) {
      log.warn({ account: account.name, error: nameOf(error) }, 'token.row_unreachable')
      return memory.lastResort(clock.now()) ?? unavailable('database_unavailable', clock.now())
    }
  }

  async function look(account: TokenAccount, memory: TokenMemory): Promise<Look> {
    const state = await readState(account, memory)
    const now = clock.now()
    const token = state.token && !state.rejected && isUsable(state.token, now) ? state.token : null
    const old = token && answerOf(state.version, token)
    if (old && token && isFresh(token, now)) return old
    if (state.breaker && state.breaker.until > now) {
      return old ?? { kind: 'unavailable', ...state.breaker }
    }
    const refresh = await startRefresh(account, state)
    if (!refresh) return old ?? { kind: 'wait' }
    if (old) {
      background.leave(account, refresh.done)
      return old
    }
    await refresh.done
    return { kind: 'look_again' }
  }

  async function readState(account: TokenAccount, memory: TokenMemory): Promise<TokenState> {
    const read = await store.read(account.id)
    // A refusal that could not be written down when it was reported.
    const isMissing = !read.rejected && memory.isRejected(read.version)
    if (isMissing) await writeDownRefusal(parts, account, read.version)
    const state = isMissing ? { ...read, rejected: true } : read
    memory.remember(state)
    return state
  }

  /** The refresh that now runs, or null when another has the lease or the row has moved on. */
  async function startRefresh(
    account: TokenAccount,
    state: TokenState,
    isForced = false,
  ): Promise<{ readonly done: Promise<void> } | null> {
    leases += 1
    const lease = { accountId: account.id, owner: `${parts.process}:${leases}` }
    const before = await store.takeLease({
      ...lease,
      kind: tokenSourceOf(account),
      version: state.version,
      leaseMs,
      now: clock.now(),
    })
    const call: RefreshParts['call'] = (one) => parts.call({ ...one, accountId: account.id })
    const refreshParts = { ...parts, call, leaseMs, tokens: keeper }
    return before && { done: refreshToken(refreshParts, { account, lease, before, isForced }) }
  }

  const keeper: TokenKeeper = {
    async getToken(account, { reread = false } = {}) {
      const desk = deskOf(account)
      const known = reread ? null : desk.memory.answer(clock.now())
      if (known) return known
      if (desk.flight && !reread) return desk.flight
      const flight = obtain(account, desk.memory).finally(() => {
        if (desk.flight === flight) desk.flight = null
      })
      desk.flight = flight
      return flight
    },

    async reportRejected(account, version) {
      const desk = deskOf(account)
      if (desk.memory.isRejected(version) || !desk.memory.reject(version)) return
      // The look under way may have seen the row before this; later callers start their own.
      desk.flight = null
      try {
        await writeDownRefusal(parts, account, version)
      } catch (error) {
        log.warn({ account: account.name, error: nameOf(error) }, 'token.row_unreachable')
      }
    },

    async ticketArrived(account) {
      try {
        if (await store.endPause(account.id, 'no_ticket')) deskOf(account).memory.forget()
      } catch (error) {
        log.warn({ account: account.name, error: nameOf(error) }, 'token.row_unreachable')
      }
    },

    async forceRefresh(account) {
      const before = await store.read(account.id)
      const now = clock.now()
      const free = nextForcedRefresh(tokenSourceOf(account), before.forced, now)
      if (free > now) return { kind: 'unavailable', reason: 'forced_refresh_budget', until: free }
      await (
        await startRefresh(account, before, true)
      )?.done
      const after = await store.read(account.id)
      deskOf(account).memory.remember(after)
      return forcedAnswer(before, after, now)
    },

    changed(accountId) {
      desks.get(accountId)?.memory.forget()
    },

    settle: () => background.settle(),
  }
  return keeper
}

/** Refreshes that nobody waits for. */
function createBackground(log: Log) {
  const running = createUnderWay()
  return {
    leave(account: TokenAccount, refresh: Promise<void>): void {
      running.begin()
      void refresh
        .catch((error: unknown) => {
          log.warn({ account: account.name, error: nameOf(error) }, 'token.row_unreachable')
        })
        .finally(() => running.end())
    },

    /** Also for those of parents, which the refresh of one account may have begun. */
    settle: () => running.none(),
  }
}

function unavailable(reason: string, now: Date): Unavailable {
  return { kind: 'unavailable', reason, until: new Date(now.getTime() + SHORT_PAUSE_MS) }
}

/** What a forced refresh came to: another version, a breaker, or somebody else's refresh. */
function forcedAnswer(before: TokenState, after: TokenState, now: Date): ForcedRefresh {
  if (after.version !== before.version) return { kind: 'refreshed', version: after.version }
  const { breaker } = after
  return breaker && breaker.until > now
    ? { kind: 'unavailable', ...breaker }
    : unavailable('refresh_in_progress', now)
}

/** Tells all processes that the current token is dead, and everybody else if that came too early. */
async function writeDownRefusal(
  parts: Pick<TokenKeeperParts, 'store' | 'clock' | 'log' | 'metrics'>,
  account: TokenAccount,
  version: string,
): Promise<void> {
  const { store, clock, log } = parts
  if (!(await store.markRejected(account.id, version))) return
  log.info({ account: account.name, version }, 'token.rejected')
  const death = await store.recordDeath(account.id, version, clock.now())
  if (death) reportDeath(parts, account, death)
}

function answerOf(version: string, token: StoredToken): TokenAnswer {
  return { kind: 'token', token: token.value, version, expiresAt: token.expiresAt }
}

/** A query's error text can repeat its bindings, so the log has the code or the class alone. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
