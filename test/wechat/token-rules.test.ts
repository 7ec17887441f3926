import { describe, expect, it } from 'vitest'
import {
  breakerFor,
  breakerForParent,
  breakerWithout,
  chinaDay,
  isFresh,
  isUsable,
  nextChinaDay,
  nextForcedRefresh,
  type TokenTimes,
} from '../../src/wechat/token-rules.ts'

const FETCHED = new Date('2026-01-31T04:00:00Z')

function after(seconds: number): Date {
  return new Date(FETCHED.getTime() + seconds * 1000)
}

function token(kind: TokenTimes['kind'], lifeSeconds: number): TokenTimes {
  return { kind, fetchedAt: FETCHED, expiresAt: after(lifeSeconds) }
}

describe('isFresh', () => {
  it.each([
    ['classic', 7200, 0, true],
    ['classic', 7200, 6899, true],
    ['classic', 7200, 6900, false],
    ['stable', 7200, 6900, true],
    ['stable', 7200, 6914, true],
    ['stable', 7200, 6915, false],
    // A stable token is handed out with what is left of its life.
    ['stable', 301, 0, true],
    ['stable', 301, 15, true],
    ['stable', 301, 61, false],
    // However short the life, once a minute at most.
    ['classic', 120, 0, true],
    ['classic', 120, 59, true],
    ['classic', 120, 60, false],
    ['classic', 60, 60, false],
    ['classic', 7200, 7200, false],
    // About 1 h 50 min.
    ['component', 7200, 6599, true],
    ['component', 7200, 6600, false],
    ['authorizer', 7200, 6600, false],
    // What is left of a token that is handed out until it is over.
    ['wecom', 7200, 6899, true],
    ['wecom', 7200, 6900, false],
    ['wecom', 30, 29, true],
    ['suite', 30, 30, false],
  ] as const)('%s token of %i s, %i s later: %s', (kind, life, later, fresh) => {
    expect(isFresh(token(kind, life), after(later))).toBe(fresh)
  })

  it('lets a stable token be replaced only where the platform gives another one', () => {
    const life = 7200
    for (let second = 0; second < life; second += 1) {
      const isDue = !isFresh(token('stable', life), after(second))
      if (isDue) expect(life - second).toBeLessThanOrEqual(300)
    }
  })
})

describe('isUsable', () => {
  it.each([
    [0, true],
    [7199, true],
    [7200, false],
  ])('%i s into a life of 7200 s: %s', (later, usable) => {
    expect(isUsable(token('stable', 7200), after(later))).toBe(usable)
  })
})

describe('breakerFor', () => {
  const now = new Date('2026-01-31T15:59:30.500Z')
  const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000)

  it.each([
    ['a wrong appid', 40013, 1, 'config', 300],
    ['again', 40013, 2, 'config', 600],
    ['and again', 40013, 4, 'config', 2400],
    ['no longer than an hour', 40013, 5, 'config', 3600],
    ['ever', 40013, 5000, 'config', 3600],
    ['a wrong secret', 40125, 1, 'config', 300],
    ['a frozen secret', 40243, 1, 'config', 300],
    ['40001, here about the secret', 40001, 1, 'config', 300],
    ['a wrong grant_type', 40002, 1, 'config', 300],
    ['no appid', 41002, 1, 'config', 300],
    ['no secret', 41004, 1, 'config', 300],
    ['a blocked account', 50004, 1, 'config', 300],
    ['a code that is in no table', 987_654, 1, 'config', 300],
    ['an address that is not on the whitelist', 40164, 1, 'ip_whitelist', 600],
    ['however often', 40164, 9, 'ip_whitelist', 600],
    ['the other code for it', 61004, 1, 'ip_whitelist', 600],
    ['a pending confirmation', 89503, 1, 'ip_whitelist', 600],
    ['an address that the administrator refused', 89507, 1, 'ip_whitelist', 3600],
    ['twice', 89506, 1, 'ip_whitelist', 86_400],
    ['the daily quota, 29.5 s before midnight in China', 45009, 1, 'quota_daily', 29.5],
    ['the minute quota, 29.5 s before the next minute', 45011, 7, 'rate_minute', 29.5],
    ['a busy system', -1, 1, 'transient', 1],
    ['still busy', -1, 4, 'transient', 8],
    ['busy for long', -1, 7, 'transient', 60],
    ['no answer', null, 1, 'transient', 1],
    ['no answer for long', null, 5000, 'transient', 60],
    ['success without a token', 0, 2, 'transient', 2],
  ] as const)('%s (%s, failure %i): %s, %d s', (_name, errcode, failures, reason, seconds) => {
    expect(breakerFor({ source: 'stable', errcode, now, failures })).toEqual({
      reason,
      until: inSeconds(seconds),
    })
  })

  it('names whole minutes for the minute quota, also on the minute', () => {
    const onTheMinute = new Date('2026-01-31T16:00:00Z')
    expect(
      breakerFor({ source: 'stable', errcode: 45011, now: onTheMinute, failures: 1 }).until,
    ).toEqual(new Date('2026-01-31T16:01:00Z'))
  })
})

describe('breakerFor, by source', () => {
  const now = new Date('2026-01-31T15:59:30.500Z')
  const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000)

  it.each([
    ['component', 40125, 1, 'config', 300],
    ['component', 61004, 1, 'ip_whitelist', 600],
    ['component', 61005, 1, 'no_ticket', 60],
    ['component', 61006, 2, 'no_ticket', 120],
    ['component', 40091, 9, 'no_ticket', 600],
    ['component', 45009, 1, 'quota_daily', 29.5],
    ['authorizer', 61023, 1, 'not_authorized', 300],
    ['authorizer', 61003, 9, 'not_authorized', 3600],
    ['authorizer', 40001, 1, 'parent_unavailable', 30],
    ['authorizer', 42001, 9, 'parent_unavailable', 600],
    ['authorizer', 61014, 1, 'config', 300],
    ['wecom', 40001, 1, 'config', 300],
    ['wecom', 40091, 1, 'config', 300],
    ['wecom', 301007, 1, 'config', 300],
    ['wecom', 60020, 1, 'ip_whitelist', 600],
    ['wecom', 45009, 1, 'rate_minute', 60],
    ['wecom', 45009, 3, 'rate_minute', 240],
    ['wecom', 45033, 9, 'rate_minute', 3600],
    ['wecom', -1, 1, 'transient', 1],
    ['suite', 40080, 1, 'config', 300],
    ['suite', 40083, 1, 'config', 300],
    ['suite', 40085, 1, 'no_ticket', 60],
    ['wecom_corp', 40084, 1, 'not_authorized', 300],
    ['wecom_corp', 48004, 1, 'not_authorized', 300],
    ['wecom_corp', 42009, 1, 'parent_unavailable', 30],
    ['wecom_corp', 40082, 1, 'parent_unavailable', 30],
    ['wecom_corp', 43004, 1, 'config', 300],
    ['wecom_agency', 40001, 1, 'not_authorized', 300],
    ['wecom_agency', 40091, 1, 'not_authorized', 300],
    ['wecom_agency', 48002, 1, 'not_authorized', 300],
    ['wecom_agency', 40013, 1, 'config', 300],
  ] as const)('%s: %i, failure %i: %s, %d s', (source, errcode, failures, reason, seconds) => {
    const breaker = breakerFor({ source, errcode, now, failures })
    expect(breaker).toEqual({ reason, until: inSeconds(seconds) })
  })

  it.each([
    ['secret', 'config'],
    ['ticket', 'no_ticket'],
    ['refreshToken', 'not_authorized'],
    ['permanentCode', 'not_authorized'],
  ] as const)('without a %s: %s, and a look every minute', (need, reason) => {
    expect(breakerWithout(need, now)).toEqual({ reason, until: inSeconds(60) })
  })

  it('waits with the parent, and not longer than for anything else', () => {
    const reason = 'parent_unavailable'
    expect(breakerForParent(inSeconds(20), now)).toEqual({ reason, until: inSeconds(20) })
    expect(breakerForParent(inSeconds(3600), now)).toEqual({ reason, until: inSeconds(60) })
  })
})

describe('nextChinaDay', () => {
  it.each([
    ['2026-01-31T15:59:59.999Z', '2026-01-31T16:00:00Z'],
    ['2026-01-31T16:00:00Z', '2026-02-01T16:00:00Z'],
    ['2025-12-31T20:00:00Z', '2026-01-01T16:00:00Z'],
    ['2028-02-28T16:00:00Z', '2028-02-29T16:00:00Z'],
  ])('after %s is %s', (now, next) => {
    expect(nextChinaDay(new Date(now))).toEqual(new Date(next))
  })
})

describe('chinaDay', () => {
  it.each([
    ['2026-01-31T15:59:59Z', '2026-01-31'],
    ['2026-01-31T16:00:00Z', '2026-02-01'],
  ])('of %s is %s', (now, day) => {
    expect(chinaDay(new Date(now))).toBe(day)
  })
})

describe('nextForcedRefresh', () => {
  const now = new Date('2026-01-31T04:00:00Z')
  const secondsAgo = (seconds: number) => new Date(now.getTime() - seconds * 1000)
  const midnight = new Date('2026-01-31T16:00:00Z')

  it.each([
    ['stable', 'never', { at: null, count: 0, day: null }, now],
    [
      'stable',
      'a moment ago',
      { at: secondsAgo(10), count: 1, day: '2026-01-31' },
      secondsAgo(-20),
    ],
    ['stable', 'long ago', { at: secondsAgo(100), count: 19, day: '2026-01-31' }, secondsAgo(70)],
    ['stable', '20 times today', { at: secondsAgo(100), count: 20, day: '2026-01-31' }, midnight],
    [
      'stable',
      '20 times yesterday',
      { at: secondsAgo(100), count: 20, day: '2026-01-30' },
      secondsAgo(70),
    ],
    [
      'classic',
      '20 times today',
      { at: secondsAgo(100), count: 20, day: '2026-01-31' },
      secondsAgo(70),
    ],
    [
      'classic',
      '100 times today',
      { at: secondsAgo(100), count: 100, day: '2026-01-31' },
      midnight,
    ],
  ] as const)('%s, used %s', (kind, _name, used, next) => {
    expect(nextForcedRefresh(kind, used, now)).toEqual(next)
  })
})
