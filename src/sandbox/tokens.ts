import type { Randomness } from './randomness.ts'

/** Classic comes from `/cgi-bin/token`, stable from `/cgi-bin/stable_token`; they are isolated. */
export type TokenKind = 'classic' | 'stable'

export interface IssuedToken {
  readonly value: string
  readonly kind: TokenKind
  readonly expiresAtMs: number
  /** When it was replaced and stopped working before its time; undefined while it is not. */
  replacedAtMs: number | undefined
}

/** What the platform thinks of a token somebody sent. */
export type TokenVerdict = 'valid' | 'unknown' | 'replaced' | 'expired'

/** Lengths of time of the platform's tokens, in seconds. */
export interface TokenRules {
  readonly lifetimeSeconds: number
  readonly overlapSeconds: number
}

/** The tokens of one account. Times are milliseconds since 1970 of the sandbox's clock. */
export interface TokenBook {
  /** A new classic token; the one before works for the overlap more. */
  issueClassic(nowMs: number): IssuedToken
  /** The stable token: the same one until its last 300 s, then a new one beside it. */
  stable(nowMs: number): IssuedToken
  /** A new stable token; every earlier stable one is dead at once. */
  forceStable(nowMs: number): IssuedToken
  /** Every token dies, as when an authorisation is taken back. */
  revokeAll(nowMs: number): void
  judge(value: string, nowMs: number): TokenVerdict
}

/** Older tokens are forgotten and answer like unknown ones: memory stays bounded. */
const KEPT_TOKENS = 2000

/** @param random where token values come from; they look like the platform's, 136 characters. */
export function createTokenBook(random: Randomness, rules: TokenRules): TokenBook {
  const tokens = new Map<string, IssuedToken>()
  const current = new Map<TokenKind, IssuedToken>()

  const issue = (kind: TokenKind, nowMs: number): IssuedToken => {
    const expiresAtMs = nowMs + rules.lifetimeSeconds * 1000
    const value = `${Math.floor(nowMs / 1000) % 100}_${random.urlSafe(133)}`
    const token: IssuedToken = { value, kind, expiresAtMs, replacedAtMs: undefined }
    tokens.set(value, token)
    current.set(kind, token)
    for (const old of tokens.keys()) {
      if (tokens.size <= KEPT_TOKENS) break
      tokens.delete(old)
    }
    return token
  }

  return {
    issueClassic(nowMs) {
      const previous = current.get('classic')
      if (previous) previous.replacedAtMs ??= nowMs + rules.overlapSeconds * 1000
      return issue('classic', nowMs)
    },
    stable(nowMs) {
      const token = current.get('stable')
      const keepUntilMs = (token?.expiresAtMs ?? 0) - rules.overlapSeconds * 1000
      return token && nowMs < keepUntilMs ? token : issue('stable', nowMs)
    },
    forceStable(nowMs) {
      for (const token of tokens.values()) {
        if (token.kind === 'stable') token.replacedAtMs ??= nowMs
      }
      return issue('stable', nowMs)
    },
    revokeAll(nowMs) {
      current.clear()
      for (const token of tokens.values()) token.replacedAtMs = nowMs
    },
    judge(value, nowMs) {
      const token = tokens.get(value)
      if (!token) return 'unknown'
      if (nowMs >= token.expiresAtMs) return 'expired'
      if (token.replacedAtMs !== undefined && nowMs >= token.replacedAtMs) return 'replaced'
      return 'valid'
    },
  }
}
