import { describe, expect, it } from 'vitest'
import type { Verdict } from '../../src/messages/channel-plan.ts'
import { waitOf } from '../../src/messages/message.ts'
import { findQuietEnd, limitVerdict, type SendLimit } from '../../src/messages/send-limit.ts'

const until = new Date('2026-03-02T00:00:00Z')
const sooner = new Date('2026-03-01T23:00:00Z')
const later = new Date('2026-03-02T01:00:00Z')
const allowed: Verdict = {
  channel: 'template_message',
  allowed: true,
  reason: null,
  scope: 'follow',
  evidence: ['1'],
}

describe('limitVerdict', () => {
  it.each<[SendLimit['reason'], Date, boolean]>([
    ['quiet_hours', later, true],
    ['quiet_hours', until, false],
    ['quiet_hours', sooner, false],
    ['recipient_pace', later, true],
    ['recipient_pace', sooner, false],
    ['person_cap', later, false],
    ['quota_daily', later, true],
    ['quota_margin', sooner, false],
    ['blocked_account', later, true],
  ])('%s of a message that expires at %o: allowed is %s', (reason, expiresAt, isAllowed) => {
    expect(limitVerdict(allowed, [{ reason, until }], expiresAt)).toEqual({
      ...allowed,
      allowed: isAllowed,
      reason,
      until,
    })
  })

  it('of several says what ends the message, else what lasts longest', () => {
    const quiet = { reason: 'quiet_hours', until: sooner } as const
    const rest = { reason: 'quota_daily', until } as const
    const cap = { reason: 'person_cap', until: sooner } as const
    expect(limitVerdict(allowed, [quiet, rest], later)).toMatchObject({ ...rest, allowed: true })
    expect(limitVerdict(allowed, [rest, cap], later)).toMatchObject({ ...cap, allowed: false })
  })

  it('leaves what nothing stands against, and what consent forbids anyway', () => {
    expect(limitVerdict(allowed, [], later)).toEqual({ ...allowed, until: null })
    const forbidden = { ...allowed, allowed: false, reason: 'follow_unknown' }
    expect(limitVerdict(forbidden, [{ reason: 'quiet_hours', until }], later)).toEqual({
      ...forbidden,
      until: null,
    })
  })
})

describe('findQuietEnd', () => {
  const message = { accountId: 1, to: 'o_1', channel: 'template_message', sendAt: sooner } as const
  const limits = (reason: SendLimit['reason']) => () =>
    Promise.resolve(new Map([[message.channel, [{ reason, until }]] as const]))

  it('is the end of the quiet hours that marketing falls into', async () => {
    const marketing = { ...message, isMarketing: true }
    expect(await findQuietEnd(limits('quiet_hours'), marketing)).toEqual(until)
    expect(await findQuietEnd(limits('person_cap'), marketing)).toBeNull()
  })

  it('asks nothing about what people wait for', async () => {
    const ask = () => Promise.reject(new Error('asked'))
    expect(await findQuietEnd(ask, { ...message, isMarketing: false })).toBeNull()
  })
})

describe('waitOf', () => {
  it.each([
    ['queued', 'quiet_hours', until],
    ['scheduled', 'quiet_hours', until],
    ['queued', null, null],
    ['blocked', 'person_cap', null],
    ['sent', null, null],
  ] as const)('of a message that is %s, reason %s: %o', (status, reason, expected) => {
    const found = waitOf({ status, reason, dueAt: until, rest: null })
    expect(found).toEqual({ reason, until: expected })
  })

  const rest = { reason: 'quota_daily', until } as const
  it.each([
    ['queued', null, sooner, rest],
    ['scheduled', null, sooner, rest],
    ['queued', 'not_sent', sooner, rest],
    ['queued', 'quiet_hours', later, { reason: 'quiet_hours', until: later }],
    ['scheduled', null, later, { reason: null, until: null }],
    ['sending', null, sooner, { reason: null, until: null }],
    ['failed', 'content', sooner, { reason: 'content', until: null }],
  ] as const)(
    'of one that is %s, reason %s, due at %o, whose channel rests: %o',
    (status, reason, dueAt, expected) => {
      expect(waitOf({ status, reason, dueAt, rest })).toEqual(expected)
    },
  )
})
