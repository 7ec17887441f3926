import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, type AccountSettings } from '../../src/accounts/account.ts'
import { consentChanges, erases } from '../../src/consent/consent-changes.ts'
import type { ConsentChange } from '../../src/consent/consent.ts'
import { CATALOGUE } from '../../src/events/catalogue.ts'
import type { Fields } from '../../src/events/document.ts'
import { readEvent } from '../../src/events/read-event.ts'

const FOLLOWER = 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa'
const PUSHER = 'oPlat1v0ahKqXlc7GshIDdf2yf7E'
const TEMPLATE_A = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'
const TEMPLATE_B = 'Np4WcXt7QzLk2VbR9yJm1HsGfE0aDuT6oKiMvBqYxZr'
const SECOND = 1767312000
const AT = new Date(SECOND * 1000)
const AFTER_48_HOURS = new Date((SECOND + 172_800) * 1000)
const AFTER_A_MINUTE = new Date((SECOND + 60) * 1000)

const read = (fields: Fields) =>
  readEvent({
    source: 'official_account',
    fields: {
      ToUserName: 'gh_5c1e8a2b7d90',
      FromUserName: FOLLOWER,
      CreateTime: String(SECOND),
      ...fields,
    },
    timestamp: undefined,
    receivedAt: new Date(AT.getTime() + 800),
  })
const event = (name: string, more: Fields = {}) => read({ MsgType: 'event', Event: name, ...more })
const message = (type: string, more: Fields = {}) =>
  read({ MsgType: type, MsgId: '1864323726461255681', ...more })
const changes = (record: ReturnType<typeof read>, settings: Partial<AccountSettings> = {}) =>
  consentChanges(record, { ...DEFAULT_SETTINGS, ...settings })

/** A change of the second of the event; what a row does not say is null. */
const change = (
  scope: string,
  state: ConsentChange['change'],
  reason: string,
  more: Partial<ConsentChange> = {},
): ConsentChange => ({
  scope,
  change: state,
  effectiveAt: AT,
  reason,
  credits: null,
  expiresAt: null,
  ...more,
})
const granted = (scope: string, reason: string, more: Partial<ConsentChange> = {}) =>
  change(scope, 'granted', reason, more)
const revoked = (scope: string, reason: string) => change(scope, 'revoked', reason)
const action = (reason: string) =>
  granted('conversation:action', reason, { credits: 3, expiresAt: AFTER_A_MINUTE })
const conversation = (reason: string) =>
  granted('conversation', reason, { credits: 5, expiresAt: AFTER_48_HOURS })

describe('consentChanges', () => {
  it.each([
    ['a follow', event('subscribe', { EventKey: '' })],
    ['a follow without EventKey', event('subscribe')],
    [
      'a follow by QR code',
      event('subscribe', { EventKey: 'qrscene_spring_2026', Ticket: 'gQH47joAAAAAAAAAAS' }),
    ],
    ['a follow after a payment', event('subscribe', { EventKey: 'last_trade_no_42000028' })],
  ])('lets a person be written to after %s', (_name, record) => {
    expect(changes(record)).toEqual([
      granted('follow', 'event.subscribe'),
      action('event.subscribe'),
    ])
  })

  it.each([
    ['an unfollow', event('unsubscribe', { EventKey: '' })],
    [
      'an unfollow after a payment',
      event('unsubscribe', { EventKey: 'last_trade_no_4200002876202601017318264059' }),
    ],
  ])('ends every right at %s', (_name, record) => {
    expect(changes(record)).toEqual([
      revoked('follow', 'event.unsubscribe'),
      revoked('conversation', 'event.unsubscribe'),
      revoked('conversation:action', 'event.unsubscribe'),
      revoked('template:*', 'event.unsubscribe'),
    ])
  })

  it('leaves template rights at an unfollow where the account keeps them', () => {
    const scopes = changes(event('unsubscribe'), { keep_templates_on_unfollow: true })
    expect(scopes.map(({ scope }) => scope)).toEqual([
      'follow',
      'conversation',
      'conversation:action',
    ])
  })

  it.each([
    ['SCAN', { EventKey: 'spring_2026', Ticket: 'gQH47joAAAAAAAAAAS' }],
    ['CLICK', { EventKey: 'menu_1' }],
    ['scancode_push', { EventKey: 'k', ScanCodeInfo: { ScanType: 'qrcode', ScanResult: '1' } }],
    ['scancode_waitmsg', { EventKey: 'k' }],
  ])('opens the one-minute window, and nothing else, at %s', (name, more) => {
    expect(changes(event(name, more))).toEqual([action(`event.${name.toLowerCase()}`)])
  })

  it.each(['text', 'image', 'voice', 'video', 'shortvideo', 'location', 'link'])(
    'opens the 48-hour window at a message of type %s',
    (type) => {
      const record = message(type, { Content: 'hello' })
      expect(changes(record)).toEqual([conversation(`message.${type}`)])
    },
  )

  it('counts a click in a message menu as a menu click', () => {
    const record = message('text', { Content: '满意', bizmsgmenuid: '101' })
    expect(changes(record)).toEqual([action('message.text')])
  })

  describe('keywords', () => {
    const stopped = [conversation('message.text'), revoked('everything', 'keyword')]

    it.each(['退订', 'TD', 'td', ' Td\n', 'ＴＤ', '　退订　'])('stop everything at %j', (text) => {
      expect(changes(message('text', { Content: text }))).toEqual(stopped)
    })

    it.each(['', ' ', 'TDD', '我要退订', '请不要退订我'])('do not stop anything at %j', (text) => {
      expect(changes(message('text', { Content: text }))).toEqual([conversation('message.text')])
    })

    it('stop everything when clicked in a message menu', () => {
      const record = message('text', { Content: '退订', bizmsgmenuid: '9' })
      expect(changes(record)).toEqual([action('message.text'), revoked('everything', 'keyword')])
    })

    it('are the ones of the account', () => {
      const settings = { opt_out_keywords: [' Stop ', ''] }
      expect(changes(message('text', { Content: 'STOP' }), settings)).toEqual(stopped)
      const others = [message('text', { Content: 'TD' }), message('text', { Content: '' })]
      for (const record of [...others, message('text')]) {
        expect(changes(record, settings)).toEqual([conversation('message.text')])
      }
    })

    it('count in texts only', () => {
      const record = message('link', { Content: 'TD', Title: 'TD' })
      expect(changes(record)).toEqual([conversation('message.link')])
    })
  })

  describe('a subscription popup', () => {
    const POPUP = 'event.subscribe_msg_popup_event'
    const answer = (TemplateId: string, SubscribeStatusString: string): Fields => ({
      TemplateId,
      SubscribeStatusString,
      PopupScene: '1',
    })
    const popup = (...List: Fields[]) =>
      event('subscribe_msg_popup_event', { SubscribeMsgPopupEvent: { List } })
    const credit = (id: string) => granted(`template:${id}`, `${POPUP}:accept`, { credits: 1 })

    it.each(['accept', 'acceptWithAudio', ' Accept '])('gives one credit for %j', (status) => {
      expect(changes(popup(answer(TEMPLATE_A, status)))).toEqual([credit(TEMPLATE_A)])
    })

    it('gives a standing right to a long-term template', () => {
      const settings = { long_term_templates: [TEMPLATE_A] }
      expect(changes(popup(answer(TEMPLATE_A, 'accept')), settings)[0]).toEqual(
        granted(`template:${TEMPLATE_A}`, `${POPUP}:accept`, { credits: null }),
      )
    })

    it('is read template by template', () => {
      const record = popup(answer(TEMPLATE_A, 'accept'), answer(TEMPLATE_B, 'reject'))
      expect(changes(record)).toEqual([
        credit(TEMPLATE_A),
        revoked(`template:${TEMPLATE_B}`, `${POPUP}:reject`),
      ])
    })

    it('lifts a stop once, however many templates were accepted', () => {
      const record = popup(answer(TEMPLATE_A, 'accept'), answer(TEMPLATE_B, 'accept'))
      expect(changes(record)).toEqual([credit(TEMPLATE_A), credit(TEMPLATE_B)])
    })

    it('is read in the JSON form with one item', () => {
      const record = event('subscribe_msg_popup_event', { List: answer(TEMPLATE_A, 'accept') })
      expect(changes(record)).toContainEqual(credit(TEMPLATE_A))
    })

    it('does not lift a stop when everything was refused', () => {
      expect(changes(popup(answer(TEMPLATE_A, 'reject')))).toEqual([
        revoked(`template:${TEMPLATE_A}`, `${POPUP}:reject`),
      ])
    })

    it.each(['ban', 'filter', '', 'accepted', 'something new'])(
      'gives nothing for %j',
      (status) => {
        expect(changes(popup(answer(TEMPLATE_A, status)))).toEqual([])
      },
    )

    it.each(['', ' ', '*', 'x'.repeat(129), 'a\u0000b'])('ignores the template %j', (id) => {
      expect(changes(popup(answer(id, 'accept'), answer(id, 'reject')))).toEqual([])
    })

    it('counts a template named twice once', () => {
      const record = popup(answer(TEMPLATE_A, 'accept'), answer(` ${TEMPLATE_A}`, 'accept'))
      expect(changes(record)).toEqual([credit(TEMPLATE_A)])
    })

    it.each([
      ['accept', 'reject'],
      ['reject', 'accept'],
    ])('lets the refusal stay where one template is both: %s, %s', (one, other) => {
      const record = popup(answer(TEMPLATE_A, one), answer(TEMPLATE_A, other))
      expect(changes(record)).toContainEqual(revoked(`template:${TEMPLATE_A}`, `${POPUP}:reject`))
      expect(changes(record)).not.toContainEqual(credit(TEMPLATE_A))
    })
  })

  describe('a switch in the settings', () => {
    const CHANGE = 'event.subscribe_msg_change_event'
    const switched = (SubscribeStatusString: string, TemplateId = TEMPLATE_A) =>
      event('subscribe_msg_change_event', {
        SubscribeMsgChangeEvent: { List: { TemplateId, SubscribeStatusString } },
      })

    it('ends the right when switched off', () => {
      expect(changes(switched('reject'))).toEqual([
        revoked(`template:${TEMPLATE_A}`, `${CHANGE}:reject`),
      ])
    })

    it.each([[], [TEMPLATE_A]])('gives no right to send when switched on', (...longTerm) => {
      expect(changes(switched('accept'), { long_term_templates: longTerm })).toEqual([
        granted(`template:${TEMPLATE_A}`, `${CHANGE}:accept`, { credits: 0 }),
      ])
    })

    it.each([
      ['ban', TEMPLATE_A],
      ['reject', '*'],
      ['reject', ''],
    ])('means nothing as %j of %j', (status, id) => {
      expect(changes(switched(status, id))).toEqual([])
    })
  })

  describe('the result of a template message', () => {
    const finished = (Status: string, more: Fields = {}) =>
      event('TEMPLATESENDJOBFINISH', { MsgID: '3847261950172635104', Status, ...more })

    it.each(['failed:user block', 'failed: user block', 'FAILED:USER BLOCK'])(
      'ends every right to write at %j',
      (status) => {
        expect(changes(finished(status))).toEqual([
          revoked('follow', 'event.templatesendjobfinish:user_block'),
          revoked('conversation', 'event.templatesendjobfinish:user_block'),
          revoked('conversation:action', 'event.templatesendjobfinish:user_block'),
        ])
      },
    )

    it('ends them even where it names no message', () => {
      expect(changes(finished('failed:user block', { MsgID: '' }))).toHaveLength(3)
    })

    it.each(['success', 'failed: system failed', 'failed:freq limit', 'failed:new', ''])(
      'changes nothing at %j',
      (status) => {
        expect(changes(finished(status))).toEqual([])
      },
    )
  })

  describe('a withdrawn authorisation', () => {
    it.each<[string, Fields]>([
      ['user_authorization_revoke', { OpenID: FOLLOWER, RevokeInfo: '205' }],
      ['user_authorization_revoke', { ' OpenID': FOLLOWER, ' RevokeInfo': '201' }],
      ['user_authorization_revoke', { openid: FOLLOWER, RevokeInfo: '301,999' }],
      ['user_authorization_cancellation', { OpenID: FOLLOWER }],
    ])('stops everything: %s', (name, more) => {
      const record = event(name, { FromUserName: PUSHER, ...more })
      expect(record.subject).toBe(FOLLOWER)
      expect(changes(record)).toEqual([revoked('everything', `event.${name}`)])
    })

    it('changes nothing for the platform’s own pusher', () => {
      const record = event('user_authorization_revoke', { FromUserName: PUSHER })
      expect(changes(record)).toEqual([])
    })
  })

  it.each(
    CATALOGUE.official_account.filter((row) => row.effect === 'none' || row.effect === 'signal'),
  )('changes nothing at $kind', ({ kind, name }) => {
    const record = kind.startsWith('event.')
      ? event(name.replace('*', 'x'), { OpenID: FOLLOWER, Content: 'TD' })
      : message(name, { Content: 'TD' })
    expect(record.kind).toBe(kind)
    expect(changes(record)).toEqual([])
  })

  it.each([
    ['subscribe_msg_sent_event', { List: { TemplateId: TEMPLATE_A, ErrorCode: '0' } }],
    ['MASSSENDJOBFINISH', { Status: 'send success', FilterCount: '3' }],
    ['unheard_of', {}],
    ['', {}],
  ])('changes nothing at the event %j', (name, more) => {
    expect(changes(event(name, more))).toEqual([])
  })

  it.each(['subscribe', 'unsubscribe', 'CLICK', 'subscribe_msg_popup_event'])(
    'changes nothing at %s of nobody',
    (name) => {
      const more = { FromUserName: '', List: { TemplateId: 'a', SubscribeStatusString: 'accept' } }
      expect(changes(event(name, more))).toEqual([])
    },
  )

  it('counts windows from the time of effect where the platform’s time lies ahead', () => {
    const [, window] = changes(event('subscribe', { CreateTime: '9999999999' }))
    expect(window).toEqual(action('event.subscribe'))
  })
})

describe('consentChanges of a member who can see an app', () => {
  const subscribed = (more: Fields) =>
    readEvent({
      source: 'wecom',
      fields: { MsgType: 'event', FromUserName: 'LiXiaoMing', CreateTime: String(SECOND), ...more },
      timestamp: undefined,
      receivedAt: AT,
    })

  it.each([
    ['the same app', '1000007', '1000007'],
    ['an app it does not name', '', '1000007'],
    ['an account without AgentID', '1000008', null],
  ])('grants %s', (_name, AgentID, agentId) => {
    const record = subscribed({ Event: 'subscribe', AgentID })
    expect(consentChanges(record, DEFAULT_SETTINGS, agentId)).toEqual([
      granted('member', 'wecom.subscribe'),
    ])
  })

  it('grants nothing for another app of the corp', () => {
    const record = subscribed({ Event: 'subscribe', AgentID: '1000008' })
    expect(consentChanges(record, DEFAULT_SETTINGS, '1000007')).toEqual([])
  })

  it('ends what it can whichever app the event names', () => {
    const record = subscribed({ Event: 'unsubscribe', AgentID: '1000008' })
    expect(consentChanges(record, DEFAULT_SETTINGS, '1000007')).toEqual([
      revoked('member', 'wecom.unsubscribe'),
    ])
  })

  it.each(['', '*', 'a\u0000'])('knows no contact of the employee %j', (UserID) => {
    const more = { ChangeType: 'add_external_contact', UserID, ExternalUserID: 'wmQ7kZBgAA' }
    const record = subscribed({ Event: 'change_external_contact', ...more })
    expect(record.subject).toBe('wmQ7kZBgAA')
    expect(changes(record)).toEqual([])
  })
})

describe('erases', () => {
  const left = (source: 'wecom' | 'wecom_suite') =>
    readEvent({
      source,
      fields: {
        MsgType: 'event',
        [source === 'wecom' ? 'Event' : 'InfoType']: 'change_contact',
        ChangeType: 'delete_user',
        UserID: 'LiXiaoMing',
      },
      timestamp: undefined,
      receivedAt: AT,
    })

  it.each(['wecom', 'wecom_suite'] as const)('the member who left the corp: %s', (source) => {
    expect(erases(left(source), DEFAULT_SETTINGS)).toBe(true)
    expect(erases(left(source), { ...DEFAULT_SETTINGS, erase_on_cancellation: false })).toBe(false)
  })

  it('who unfollows, only where the account says so', () => {
    const gone = event('unsubscribe')
    expect(erases(gone, DEFAULT_SETTINGS)).toBe(false)
    expect(erases(gone, { ...DEFAULT_SETTINGS, erase_on_unfollow: true })).toBe(true)
  })

  const cancelled = { FromUserName: PUSHER, OpenID: FOLLOWER }
  const keep = { ...DEFAULT_SETTINGS, erase_on_cancellation: false }

  it.each([
    ['user_authorization_cancellation', cancelled, DEFAULT_SETTINGS, true],
    ['user_authorization_cancellation', cancelled, keep, false],
    ['user_authorization_cancellation', { FromUserName: PUSHER }, DEFAULT_SETTINGS, false],
    ['user_authorization_revoke', cancelled, DEFAULT_SETTINGS, false],
    ['unsubscribe', {}, DEFAULT_SETTINGS, false],
  ])('of %s', (name, more, settings, expected) => {
    expect(erases(event(name, more), settings)).toBe(expected)
  })
})
