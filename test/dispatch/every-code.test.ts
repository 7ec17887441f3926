import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { endOfCall, type AttemptEnd } from '../../src/dispatch/outcome.ts'
import { lookUpErrorCode } from '../../src/wechat/error-codes.ts'
import type { CodeSpace } from '../../src/wechat/served-account.ts'
import { readCsv } from '../support/read-csv.ts'

const NOW = new Date('2026-03-01T12:30:21Z')
const LIST = readFileSync(new URL('../fixtures/errcodes.csv', import.meta.url), 'utf8')

/** A send of each platform. A component sends nothing itself; its authorizers are asked like it. */
const SENDS = {
  oa: { channel: 'template_message', templateId: 'T', consentScope: null },
  mini: { channel: 'subscription_message', templateId: 'T', consentScope: null },
  open: { channel: 'template_message', templateId: 'T', consentScope: null },
  wecom: { channel: 'wecom_app_message', templateId: null, consentScope: 'member' },
} as const

/** The list as it was read from the platforms: what is the same everywhere stands for each of them. */
const CODES = readCsv(LIST)
  .slice(1)
  .flatMap(([code = '', platform = '', , , errorClass = '']) => {
    const spaces = platform === 'any' ? Object.keys(SENDS) : [platform]
    return spaces.map((space) => ({ space: space as CodeSpace, code: Number(code), errorClass }))
  })

/** What may be called again, and how often the same answer is met before it is not. */
const CALLS: Readonly<Record<string, number>> = {
  token: 2,
  transient: 4,
  rate_minute: 11,
  quota_daily: Infinity,
}
/** Of the minute limits those that are about the account, not about one person. */
const MINUTE_OF_THE_ACCOUNT = ['oa 45011', 'mini 45011', 'wecom 45009']

/** How an attempt with this answer ends, when so many have met it, this one included. */
function ended({ space, code }: { space: CodeSpace; code: number }, calls = 1): AttemptEnd {
  return endOfCall({
    ...SENDS[space],
    recipient: 'oPerson',
    space,
    meaningOf: (errcode) => lookUpErrorCode(space, errcode),
    call: {
      kind: 'answer',
      errcode: code,
      errmsg: 'the words',
      body: {},
      httpStatus: 200,
      platformTime: NOW,
      rid: null,
    },
    startedAt: NOW,
    now: NOW,
    triesFor: () => calls,
    firstAttemptAt: NOW,
    expiresAt: new Date(NOW.getTime() + 86_400_000),
    random: 0.5,
  })
}

const nameOf = ({ space, code }: { space: string; code: number }) => `${space} ${code}`
const namesWhere = (is: (end: AttemptEnd, errorClass: string) => boolean) =>
  CODES.filter((one) => is(ended(one), one.errorClass)).map(nameOf)
const namesOf = (...classes: string[]) =>
  CODES.filter(({ errorClass }) => classes.includes(errorClass)).map(nameOf)

describe('every code of every platform', () => {
  it('is in the list, in every class', () => {
    expect(CODES.length).toBeGreaterThan(630)
    expect(new Set(CODES.map(({ space }) => space))).toEqual(new Set(Object.keys(SENDS)))
  })

  it('is called again only where its class says so, and never for ever but for the next day', () => {
    expect(namesWhere(({ status }) => status === 'queued')).toEqual(namesOf(...Object.keys(CALLS)))
    for (const one of CODES) {
      const most = CALLS[one.errorClass] ?? 1
      if (most === Infinity) continue
      if (most > 1) expect(ended(one, most - 1).status, nameOf(one)).toBe('queued')
      expect(ended(one, most).status, nameOf(one)).not.toBe('queued')
      expect(ended(one, most).dueAt, nameOf(one)).toBeNull()
    }
  })

  it('counts as sent only where the platform has the message', () => {
    expect(namesWhere(({ status }) => status === 'sent')).toEqual(namesOf('ok', 'duplicate'))
    expect(namesWhere(({ credit }) => credit === 'spent')).toEqual(namesOf('ok', 'duplicate'))
  })

  it('is an opt-out only where the person has refused, and then it always is', () => {
    const optOuts = namesOf('opt_out')
    expect(optOuts).toEqual(expect.arrayContaining(['oa 43004', 'oa 40132', 'oa 43101']))
    expect(namesWhere(({ status }) => status === 'refused')).toEqual(optOuts)
    const revoked = (end: AttemptEnd) => end.changes.some(({ change }) => change === 'revoked')
    const closed = CODES.filter((one) => one.errorClass === 'window_closed').filter((one) =>
      revoked(ended(one)),
    )
    expect(namesWhere(revoked).toSorted()).toEqual([...optOuts, ...closed.map(nameOf)].toSorted())
    expect(closed.every(({ space }) => space !== 'wecom')).toBe(true)
  })

  it('suppresses a person only where the recipient is none', () => {
    const suppressed = (end: AttemptEnd) =>
      end.changes.some(({ change }) => change === 'suppressed')
    expect(namesWhere(suppressed)).toEqual(namesOf('invalid_recipient'))
  })

  it('asks for a new token only where the token was refused', () => {
    expect(namesWhere(({ tokenRejected }) => tokenRejected)).toEqual(namesOf('token'))
  })

  it('rests the channel where the next message would meet the same, and all of a blocked account', () => {
    const resting = namesWhere(({ pause }) => pause !== null)
    const expected = [...namesOf('quota_daily', 'blocked_account'), ...MINUTE_OF_THE_ACCOUNT]
    expect(resting.toSorted()).toEqual(expected.toSorted())
    expect(namesWhere(({ pause }) => pause?.every === true)).toEqual(namesOf('blocked_account'))
  })

  it.each(Object.keys(SENDS) as CodeSpace[])('leaves an unknown code of %s alone', (space) => {
    expect(ended({ space, code: 987_654_321 })).toMatchObject({
      status: 'failed',
      reason: 'other',
      changes: [],
      pause: null,
      tokenRejected: false,
    })
  })
})
