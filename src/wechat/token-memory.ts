import type { Clock } from '../foundation/clock.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { isFresh, isUsable } from './token-rules.ts'
import type { StoredToken, TokenState } from './token-store.ts'

/** A token to call with, or why there is none and until when it makes no sense to ask again. */
export type TokenAnswer =
  | {
      readonly kind: 'token'
      readonly token: string
      /** Name this version when the platform refuses the token. */
      readonly version: string
      readonly expiresAt: Date
    }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly until: Date }

/** What this process remembers of one account's row, so that most calls need not look at it. */
export interface TokenMemory {
  /** The answer, while the row was looked at a moment ago; null when it is time to look again. */
  answer(now: Date): TokenAnswer | null
  /** The token of the last look, however old the look is: for a database that does not answer. */
  lastResort(now: Date): TokenAnswer | null
  /** Keeps what was read; a look that was overtaken by a newer one changes nothing. */
  remember(state: TokenState): void
  /** Does not use this version again; false when a newer one is known already. */
  reject(version: string): boolean
  isRejected(version: string): boolean
  /** Looks at the row before the next answer, however fresh the last look is. */
  forget(): void
}

/**
 * How long a good token, or an open breaker, is used without a look at the row. A token that was
 * refused in another process is used for this long at most.
 */
const LOOK_EVERY_MS = 5_000

/** The same for an old token that somebody is replacing just now. */
const LOOK_EVERY_MS_WHILE_REPLACED = 250

/** An empty memory of one account; keeps its gauges up to date. */
export function createTokenMemory(clock: Clock, metrics: Metrics, name: string): TokenMemory {
  let state: TokenState | null = null
  let lookedAtMs = -Infinity
  let rejectedVersion: string | null = null

  function usableToken(now: Date): StoredToken | null {
    if (!state?.token || state.rejected || state.version === rejectedVersion) return null
    return isUsable(state.token, now) ? state.token : null
  }

  function tokenAnswer(version: string, token: StoredToken): TokenAnswer {
    return { kind: 'token', token: token.value, version, expiresAt: token.expiresAt }
  }

  return {
    answer(now) {
      if (!state) return null
      const ageMs = clock.monotonicMs() - lookedAtMs
      const token = usableToken(now)
      if (token) {
        const limitMs = isFresh(token, now) ? LOOK_EVERY_MS : LOOK_EVERY_MS_WHILE_REPLACED
        return ageMs < limitMs ? tokenAnswer(state.version, token) : null
      }
      const { breaker } = state
      if (!breaker || breaker.until <= now || ageMs >= LOOK_EVERY_MS) return null
      return { kind: 'unavailable', ...breaker }
    },

    lastResort(now) {
      const token = usableToken(now)
      if (!state || !token) return null
      // Asking a database that is down once per call would only make every call slow.
      lookedAtMs = clock.monotonicMs()
      return tokenAnswer(state.version, token)
    },

    remember(read) {
      if (state && isOlder(read.version, state.version)) return
      state = read
      lookedAtMs = clock.monotonicMs()
      if (rejectedVersion !== read.version) rejectedVersion = null
      const now = clock.now()
      const isOpen = read.breaker !== null && read.breaker.until > now
      metrics.tokenBreaker.set({ account: name }, isOpen ? 1 : 0)
      if (read.token) {
        const ageMs = now.getTime() - read.token.fetchedAt.getTime()
        metrics.tokenAge.set({ account: name }, ageMs / 1000)
      }
    },

    reject(version) {
      if (state && isOlder(version, state.version)) return false
      rejectedVersion = version
      return true
    },

    isRejected: (version) => version === rejectedVersion,

    forget() {
      lookedAtMs = -Infinity
    },
  }
}

/** Versions are whole numbers that only grow; as text, because the database's are 64 bits wide. */
function isOlder(version: string, than: string): boolean {
  return BigInt(version) < BigInt(than)
}
