import type { TokenKind } from '../accounts/account.ts'
import { assertNever } from '../foundation/errors.ts'
import { lookUpErrorCode } from './error-codes.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** What the rules look at in a token; the token itself is not needed. */
export interface TokenTimes {
  readonly kind: TokenKind
  /** When it was asked for, by our clock: never later than the platform made it. */
  readonly fetchedAt: Date
  /** `fetchedAt` plus the `expires_in` of the reply. */
  readonly expiresAt: Date
}

/**
 * How long before its end a token is replaced.
 *
 * Old and new token overlap for the last 300 s (both endpoints' pages), so 300 s is the earliest
 * sensible moment. `/cgi-bin/token` gives a new token whenever it is asked. `/cgi-bin/stable_token`
 * gives a new one only inside those 300 s, and the same one before: 15 s of grace for whole seconds
 * and clock error keep us from asking just too early.
 */
const REFRESH_BEFORE_END_MS: Readonly<Record<TokenKind, number>> = {
  classic: 300 * SECOND,
  stable: 285 * SECOND,
}

/**
 * However short a token's life, it is asked for once a minute at most: 1,440 calls a day stay inside
 * the smallest daily quota of the token endpoints (2,000).
 */
const SHORTEST_REFRESH_INTERVAL_MS = MINUTE

/** Whether the platform still takes this token, as far as its stated life goes. */
export function isUsable(token: TokenTimes, now: Date): boolean {
  return now < token.expiresAt
}

/** Whether a token can be used without thinking of the next one. */
export function isFresh(token: TokenTimes, now: Date): boolean {
  const untilEndMs = token.expiresAt.getTime() - now.getTime()
  const ageMs = now.getTime() - token.fetchedAt.getTime()
  return (
    untilEndMs > REFRESH_BEFORE_END_MS[token.kind] ||
    (untilEndMs > 0 && ageMs < SHORTEST_REFRESH_INTERVAL_MS)
  )
}

/** Why no call to the token endpoint is made for a while. */
export type BreakerReason =
  'config' | 'ip_whitelist' | 'quota_daily' | 'rate_minute' | 'transient' | 'forced_refresh_budget'

export interface Breaker {
  readonly until: Date
  readonly reason: BreakerReason
}

/**
 * How long to leave the token endpoint alone after it did not give a token.
 *
 * - configuration (a wrong appid or secret, 40001 included: from this endpoint it means the secret)
 *   and everything else that only a person can change: 5 minutes, doubling to 1 hour
 * - IP not on the whitelist: 10 minutes, the time a change takes; 89507 names 1 hour, 89506 a day
 * - daily quota: 00:00 China time; minute quota: the next clock minute
 * - system busy, no answer, an answer without a token: 1, 2, 4 … 60 seconds
 *
 * @param errcode null when there was no answer that could be read.
 * @param failures failures in a row, this one included (1 for the first).
 */
export function breakerFor(errcode: number | null, now: Date, failures: number): Breaker {
  const reason = errcode === null ? 'transient' : reasonFor(errcode)
  return { reason, until: endOf(reason, { errcode, now, failures }) }
}

function reasonFor(errcode: number): Exclude<BreakerReason, 'forced_refresh_budget'> {
  const kind = lookUpErrorCode('oa', errcode).class
  switch (kind) {
    case 'ip_whitelist':
    case 'quota_daily':
    case 'rate_minute':
    case 'transient':
      return kind
    case 'ok':
      // errcode 0 without a token: not an answer of the platform that we know.
      return 'transient'
    default:
      return 'config'
  }
}

function endOf(
  reason: Exclude<BreakerReason, 'forced_refresh_budget'>,
  failure: { readonly errcode: number | null; readonly now: Date; readonly failures: number },
): Date {
  const { errcode, now, failures } = failure
  switch (reason) {
    case 'config':
      return later(now, growing(5 * MINUTE, HOUR, failures))
    case 'ip_whitelist':
      return later(now, ipPauseMs(errcode))
    case 'quota_daily':
      return nextChinaDay(now)
    case 'rate_minute':
      return new Date((Math.floor(now.getTime() / MINUTE) + 1) * MINUTE)
    case 'transient':
      return later(now, growing(SECOND, MINUTE, failures))
    default:
      return assertNever(reason)
  }
}

function later(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms)
}

/** `firstMs`, doubled with each further failure; 2^30 is past every limit and no overflow. */
function growing(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30))
}

function ipPauseMs(errcode: number | null): number {
  if (errcode === 89506) return DAY
  if (errcode === 89507) return HOUR
  return 10 * MINUTE
}

/** China has one time zone, UTC+8, and no summer time; the platform's quotas count its days. */
const CHINA_OFFSET_MS = 8 * HOUR

/** The next 00:00 China time after a moment. */
export function nextChinaDay(now: Date): Date {
  const day = Math.floor((now.getTime() + CHINA_OFFSET_MS) / DAY) + 1
  return new Date(day * DAY - CHINA_OFFSET_MS)
}

/** The China day of a moment, `2026-01-31`. */
export function chinaDay(now: Date): string {
  return new Date(now.getTime() + CHINA_OFFSET_MS).toISOString().slice(0, 10)
}

/** How often refused tokens of an account have been replaced before their time. */
export interface ForcedRefreshes {
  readonly at: Date | null
  readonly count: number
  /** The China day that `count` belongs to. */
  readonly day: string | null
}

/**
 * How often a refused token may be replaced before its time.
 *
 * `stable`: the platform's own limits for `force_refresh`. `classic`: the platform sets none, but
 * each new token costs one of 2,000 calls a day (200 for a test account), and a platform that refuses
 * every token must not be asked for one per message; 100 leaves half of the smallest quota.
 */
const FORCED_LIMITS = {
  stable: { perDay: 20, intervalMs: 30 * SECOND },
  classic: { perDay: 100, intervalMs: 30 * SECOND },
} as const satisfies Record<TokenKind, { readonly perDay: number; readonly intervalMs: number }>

/** When a refused token may next be replaced: now, or an earlier moment, when nothing forbids it. */
export function nextForcedRefresh(kind: TokenKind, used: ForcedRefreshes, now: Date): Date {
  const { perDay, intervalMs } = FORCED_LIMITS[kind]
  if (used.day === chinaDay(now) && used.count >= perDay) return nextChinaDay(now)
  return used.at === null ? now : later(used.at, intervalMs)
}
