import { chinaDay, nextChinaDay } from './token-rules.ts'

/**
 * Where a daily limit is from: the platform's answer for this account, a call of today that it
 * refused with 45009, or its published table.
 */
export const LIMIT_SOURCES = ['platform', 'refusal', 'published'] as const
export type LimitSource = (typeof LIMIT_SOURCES)[number]

/** `unlimited`: no limit is known; `resting`: no more calls are made today. */
export const QUOTA_STATES = ['unlimited', 'ok', 'warning', 'critical', 'resting'] as const
export type QuotaState = (typeof QUOTA_STATES)[number]

export interface QuotaLimit {
  readonly perDay: number
  readonly source: LimitSource
  readonly readAt: Date | null
}

/** What all processes together know of one API of one account on one China day. */
export interface QuotaTally {
  readonly accountId: number
  /** The China day, `2026-01-31`. */
  readonly day: string
  readonly path: string
  /** Our calls on that day. */
  readonly calls: number
  /** Of these, the ones before the platform's counters were cleared. */
  readonly cleared: number
  /** What the platform had counted beyond ours when it was last asked. */
  readonly elsewhere: number
  /** The limit that the platform named; null while it has not been asked. */
  readonly dailyLimit: number | null
  readonly limitReadAt: Date | null
  /** How many calls counted when the platform first said 45009 on that day; null: it has not. */
  readonly refusedUsed: number | null
}

/** Shares of the limit that are told, once each. */
const QUOTA_MARKS = [0.8, 0.95] as const
/** From here on the platform is asked again, now and at every mark: others may use the API too. */
const ASK_FROM = 0.5
/** A counter is full. Of class `quota_daily` are other codes too; they are not about calls. */
export const DAY_IS_FULL = 45009

/**
 * Calls a day that the platform publishes for a new account, by path. They are **unconfirmed** for
 * any one account: test accounts have about a tenth, accounts with many followers more. So they are
 * good for warnings; only a limit that the platform named, or met, makes calls rest.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/API_Call_Limits.html
 */
const PUBLISHED_LIMITS: Readonly<Record<string, number>> = {
  '/cgi-bin/token': 2_000,
  '/cgi-bin/stable_token': 500_000,
  '/cgi-bin/message/template/send': 100_000,
  '/cgi-bin/message/template/subscribe': 100,
  '/cgi-bin/message/subscribe/bizsend': 100_000,
  '/cgi-bin/message/subscribe/send': 10_000_000,
  '/cgi-bin/message/custom/send': 500_000,
  '/cgi-bin/user/info': 5_000_000,
  '/cgi-bin/user/get': 500,
}

/** The limit that holds for a tally; null where none is known. A call that was refused proves one. */
export function limitOf(tally: LimitFacts): QuotaLimit | null {
  const { refusedUsed } = tally
  const told = toldLimitOf(tally)
  if (refusedUsed === null) return told
  if (told?.source === 'platform' && told.perDay <= refusedUsed) return told
  return { perDay: refusedUsed, source: 'refusal', readAt: null }
}

type LimitFacts = Pick<QuotaTally, 'path' | 'dailyLimit' | 'limitReadAt' | 'refusedUsed'>

function toldLimitOf({ path, dailyLimit, limitReadAt }: LimitFacts): QuotaLimit | null {
  if (dailyLimit !== null) return { perDay: dailyLimit, source: 'platform', readAt: limitReadAt }
  const published = PUBLISHED_LIMITS[path]
  return published === undefined ? null : { perDay: published, source: 'published', readAt: null }
}

/** Whether the platform has named the limit on the day that is counted: it may change overnight. */
export function isReadThatDay({ day, limitReadAt }: QuotaTally): boolean {
  return limitReadAt !== null && chinaDay(limitReadAt) === day
}

/** Calls that are left before the margin begins; null where no limit is known that makes calls rest. */
export function roomOf(tally: QuotaTally, marginPercent: number, used: number): number | null {
  const limit = limitOf(tally)
  if (!limit || limit.source === 'published') return null
  return (limit.perDay * (100 - marginPercent)) / 100 - used
}

/** Calls that count towards the limit, ours and those of others. */
export function usedOf({ calls, cleared, elsewhere }: QuotaTally): number {
  return calls - cleared + elsewhere
}

/** How full a quota is: 1 is the limit; null where no limit is known. */
export function shareOf(tally: QuotaTally, used = usedOf(tally)): number | null {
  const limit = limitOf(tally)
  if (!limit) return null
  return limit.perDay === 0 ? 1 : used / limit.perDay
}

/**
 * Whether further calls must rest until the next China day, so that the platform never has to say
 * 45009 and other systems of the account keep the margin.
 *
 * @param marginPercent how much of the limit is left untouched.
 */
export function mustRest(tally: QuotaTally, marginPercent: number, used = usedOf(tally)): boolean {
  const room = roomOf(tally, marginPercent, used)
  return room !== null && room <= 0
}

/** The state of a quota, for people. */
export function stateOf(tally: QuotaTally, marginPercent: number): QuotaState {
  const share = shareOf(tally)
  if (share === null) return 'unlimited'
  if (mustRest(tally, marginPercent)) return 'resting'
  if (share >= QUOTA_MARKS[1]) return 'critical'
  return share >= QUOTA_MARKS[0] ? 'warning' : 'ok'
}

/** The marks that the last `added` calls have passed. All processes together pass each once a day. */
export function marksPassed(tally: QuotaTally, added: number): readonly number[] {
  const after = shareOf(tally)
  const before = shareOf(tally, usedOf(tally) - added)
  if (after === null || before === null) return []
  return [ASK_FROM, ...QUOTA_MARKS].filter((mark) => before < mark && after >= mark)
}

/** Whether a mark is one that people are told of; the others only make us ask the platform. */
export function isTold(mark: number): boolean {
  return mark > ASK_FROM
}

/** The platform lets an account clear its counters ten times a calendar month, v2 included. */
export const CLEARS_PER_MONTH = 10

/** 00:00 China time on the first of the month that a moment is in. */
export function chinaMonthStart(now: Date): Date {
  const CHINA_OFFSET_MS = 8 * 3_600_000
  const there = new Date(now.getTime() + CHINA_OFFSET_MS)
  return new Date(Date.UTC(there.getUTCFullYear(), there.getUTCMonth()) - CHINA_OFFSET_MS)
}

/** When the counters of a moment's day begin again. */
export const quotaResetsAt = nextChinaDay
