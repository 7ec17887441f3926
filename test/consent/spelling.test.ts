import { describe, expect, it } from 'vitest'
import { respell, spellingsOf, type SpelledConsent } from '../../src/consent/spelling.ts'
import { readEvent } from '../../src/events/read-event.ts'

const held = (subject: string, scope = 'member', state: SpelledConsent['state'] = 'granted') => ({
  ...{ subject, scope, state },
})

describe('spellingsOf', () => {
  it.each<[string, readonly SpelledConsent[], string]>([
    ['nobody on record', [], 'zhangsan'],
    ['a member', [held('ZhangSan')], 'ZhangSan'],
    ['a stop of a member', [held('ZhangSan', 'everything', 'revoked')], 'ZhangSan'],
    ['what no member has', [held('ZhangSan', 'follow')], 'zhangsan'],
    ['somebody else', [held('ZhangSan2')], 'zhangsan'],
    ['two at once', [held('zhangsan'), held('ZhangSan')], 'ZhangSan'],
    ['a refusal among two', [held('zhangsan'), held('ZHANGSAN', 'member', 'revoked')], 'ZHANGSAN'],
  ])('of %s', (_what, known, spelled) => {
    expect(spellingsOf(known).subjectOf('zhangsan')).toBe(spelled)
  })

  it.each([
    ['external_contact:zhangsan', 'external_contact:ZhangSan'],
    ['msgaudit:ZHANGSAN', 'msgaudit:zhangsan'],
    ['external_contact:other', 'external_contact:other'],
    ['kf:WKONE', 'kf:WKONE'],
    ['everything', 'everything'],
  ])('keeps the employee of %s as on record', (asked, spelled) => {
    const known = ['external_contact:ZhangSan', 'msgaudit:zhangsan', 'kf:wkone'].map((scope) =>
      held('wmOne', scope),
    )
    const spellings = spellingsOf([...known, held('wmTwo', 'external_contact:OTHER')])
    expect(spellings.scopeOf('wmOne', asked)).toBe(spelled)
  })
})

describe('respell', () => {
  const event = (more: object) =>
    readEvent({
      source: 'wecom',
      fields: { MsgType: 'event', FromUserName: 'sys', CreateTime: '1767312800', ...more },
      timestamp: undefined,
      receivedAt: new Date('2026-01-02T00:13:21Z'),
    })

  it('puts the member on record into what is read of the event', () => {
    const told = event({ Event: 'change_contact', ChangeType: 'delete_user', UserID: 'zhangsan' })
    const respelled = respell(told, spellingsOf([held('ZhangSan')]))
    expect(respelled).toMatchObject({ subject: 'ZhangSan', fields: { UserID: 'ZhangSan' } })
  })

  it('puts the employee on record, and leaves the customer as they came', () => {
    const told = event({
      ...{ Event: 'change_external_contact', ChangeType: 'del_follow_user' },
      ...{ UserID: 'zhangsan', ExternalUserID: 'wmOne' },
    })
    const known = [held('wmOne', 'external_contact:ZhangSan'), held('WMONE', 'external_contact:X')]
    const respelled = respell(told, spellingsOf(known))
    expect(respelled).toMatchObject({ subject: 'wmOne', fields: { UserID: 'ZhangSan' } })
  })
})
