import { describe, expect, it } from 'vitest'
import { sendingAnswer, sendingWarnings } from '../../src/commands/sending-state.ts'
import { speakIn } from '../../src/commands/words.ts'
import type { OpenBreaker } from '../../src/dispatch/breaker-store.ts'

const acme = { id: 7, name: 'acme', kind: 'official_account', serves: null } as const
const corp = { id: 8, name: 'corp', kind: 'wecom_app', serves: null } as const

const breaker = (owner: OpenBreaker['owner']): OpenBreaker => ({
  owner,
  openedAt: new Date('2026-03-01T01:00:00Z'),
  until: new Date('2026-03-01T01:00:10Z'),
  reason: 'timeout',
})
const ofAcme = breaker({ kind: 'account', accountId: 7 })
const ofWecom = breaker({ kind: 'host', host: 'wecom' })
const state = { breakers: [ofAcme, ofWecom], paces: [], pauses: [] }
const slowed = {
  breakers: [],
  pauses: [],
  paces: [{ accountId: 7, channel: null, perSecond: 12.34, isSlowed: true }],
}
const set = {
  breakers: [],
  pauses: [],
  paces: [{ accountId: 7, channel: null, perSecond: 50, isSlowed: false }],
}
const slowedChannel = {
  breakers: [],
  pauses: [],
  paces: [{ accountId: 7, channel: 'template_message', perSecond: 9, isSlowed: true } as const],
}
const midnight = new Date('2026-03-01T16:00:00Z')
const pause = { until: midnight, reason: 'blocked_account', errcode: 50002 } as const
const resting = {
  breakers: [],
  paces: [],
  pauses: [
    { ...pause, accountId: 7, channel: 'customer_service_message' },
    { ...pause, accountId: 7, channel: 'template_message' },
    { ...pause, accountId: 7, channel: 'wecom_app_message' },
    { ...pause, accountId: 8, channel: 'wecom_app_message', reason: 'rate_minute', errcode: null },
  ],
} as const

describe('sendingAnswer', () => {
  it('names the breaker that concerns an account: its own, or that of its API host', () => {
    expect(sendingAnswer(acme, state)).toEqual({
      breaker: {
        of: 'account',
        reason: 'timeout',
        opened_at: '2026-03-01T01:00:00.000Z',
        until: '2026-03-01T01:00:10.000Z',
      },
      per_second: null,
      slowed: false,
      channels: [],
      rests: [],
    })
    expect(sendingAnswer(corp, state).breaker).toMatchObject({ of: 'host' })
  })

  it('tells a pace that somebody set from one that the platform caused', () => {
    expect(sendingAnswer(acme, set)).toMatchObject({ per_second: 50, slowed: false })
    expect(sendingAnswer(acme, slowed)).toMatchObject({ per_second: 12.34, slowed: true })
    expect(sendingAnswer(corp, slowed)).toMatchObject({ per_second: null, slowed: false })
    expect(sendingAnswer(acme, slowedChannel)).toMatchObject({
      per_second: null,
      slowed: false,
      channels: [{ channel: 'template_message', per_second: 9, slowed: true }],
    })
  })
})

describe('a channel that rests', () => {
  it('is named with its reason and its end, where the account has such a channel', () => {
    const until = midnight.toISOString()
    expect(sendingAnswer(acme, resting).rests).toEqual([
      { channel: 'customer_service_message', reason: 'blocked_account', errcode: 50002, until },
      { channel: 'template_message', reason: 'blocked_account', errcode: 50002, until },
    ])
    expect(sendingAnswer(corp, resting).rests).toEqual([
      { channel: 'wecom_app_message', reason: 'rate_minute', errcode: null, until },
    ])
  })

  it.each(['en', 'zh'] as const)(
    'is warned of, all channels of one rest in one line, in %s',
    (lang) => {
      const [line, ...more] = sendingWarnings(acme, resting, speakIn(lang))
      expect(more).toEqual([])
      expect(line).toContain('customer_service_message, template_message')
      expect(line).toContain('blocked_account, 50002')
      expect(line).toContain(midnight.toISOString())
    },
  )
})

describe('sendingWarnings', () => {
  it.each(['en', 'zh'] as const)('says what holds sends back, in %s', (language) => {
    const say = speakIn(language)
    const [own] = sendingWarnings(acme, state, say)
    expect(own).toContain('acme')
    expect(own).toContain('timeout')
    expect(sendingWarnings(corp, state, say)).not.toEqual([own])
    expect(sendingWarnings(acme, slowed, say).join()).toContain('12.3')
    expect(sendingWarnings(acme, set, say)).toEqual([])
    expect(sendingWarnings(acme, slowedChannel, say).join()).toContain('acme (template_message)')
  })
})
