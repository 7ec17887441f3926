import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EVENT_SOURCES, type EventSource } from '../../src/accounts/account.ts'
import { CATALOGUE } from '../../src/events/catalogue.ts'
import type { Field, Fields } from '../../src/events/document.ts'
import {
  readEvent,
  readItems,
  readReceipt,
  readTemplateStatus,
} from '../../src/events/read-event.ts'
import { readIdentifier } from '../../src/events/read-values.ts'

const FOLLOWER = 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa'
const PUSHER = 'oPlat1v0ahKqXlc7GshIDdf2yf7E'
const TEMPLATE_A = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'
const TEMPLATE_B = 'Np4WcXt7QzLk2VbR9yJm1HsGfE0aDuT6oKiMvBqYxZr'
const SENT_AT = 1767312000
const RECEIVED_AT = new Date('2026-01-02T00:00:01.250Z')

const at = (seconds: number) => new Date(seconds * 1000)
const readAs = (source: EventSource, fields: Fields, timestamp?: string) =>
  readEvent({ source, fields, timestamp, receivedAt: RECEIVED_AT })
const read = (fields: Fields, timestamp?: string) => readAs('official_account', fields, timestamp)
const event = (name: string, more: Fields = {}): Fields => ({
  ToUserName: 'gh_5c1e8a2b7d90',
  FromUserName: FOLLOWER,
  CreateTime: String(SENT_AT),
  MsgType: 'event',
  Event: name,
  ...more,
})
const without = (fields: Fields, name: string): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name))

describe('readEvent', () => {
  it('reads a follow', () => {
    const fields = event('subscribe', { EventKey: '' })
    expect(read(fields)).toEqual({
      source: 'official_account',
      kind: 'event.subscribe',
      name: 'subscribe',
      subject: FOLLOWER,
      tenant: null,
      occurredAt: at(SENT_AT),
      effectiveAt: at(SENT_AT),
      msgId: null,
      fields,
    })
  })

  it('reads a message, its MsgId with all digits and its content untouched', () => {
    const record = read({
      ...without(event(''), 'Event'),
      MsgType: 'text',
      Content: '  two spaces, kept ',
      MsgId: ' 1864323726461255681\n',
    })
    expect(record).toMatchObject({
      kind: 'message.text',
      name: 'text',
      subject: FOLLOWER,
      msgId: '1864323726461255681',
      fields: { Content: '  two spaces, kept ' },
    })
  })

  it('reads MsgID of an event, not MsgId', () => {
    const record = read(
      event('TEMPLATESENDJOBFINISH', { MsgID: '3847261950172635104', MsgId: '1' }),
    )
    expect(record.msgId).toBe('3847261950172635104')
  })

  it('trims identifiers and keeps the case of the name', () => {
    const record = read(event(' SCAN\n', { FromUserName: ` ${FOLLOWER}\n`, MsgType: ' Event ' }))
    expect(record).toMatchObject({ kind: 'event.scan', name: 'SCAN', subject: FOLLOWER })
  })

  describe('unknown pushes', () => {
    it.each([
      ['an unknown event', event('invented_tomorrow'), 'event.unknown', 'invented_tomorrow'],
      ['an empty Event', event(''), 'event.unknown', ''],
      ['no Event', without(event('x'), 'Event'), 'event.unknown', ''],
      ['two Events', event('x', { Event: ['subscribe', 'unsubscribe'] }), 'event.unknown', ''],
      ['an unknown MsgType', { MsgType: 'hologram' }, 'message.unknown', 'hologram'],
      ['no MsgType', { InfoType: 'component_verify_ticket' }, 'message.unknown', ''],
      ['an empty document', {}, 'message.unknown', ''],
    ])('keeps %s', (_name, fields, kind, name) => {
      expect(read(fields)).toMatchObject({ kind, name, fields })
    })

    it('cuts a name to 128 characters and takes out what the database refuses', () => {
      expect(read(event('x'.repeat(200))).name).toBe('x'.repeat(128))
      expect(read(event('a\u0000b\ud800')).name).toBe('a\uFFFDb\uFFFD')
    })
  })

  describe('the subject', () => {
    const revoke = (more: Fields) =>
      event('user_authorization_revoke', { FromUserName: PUSHER, RevokeInfo: '205', ...more })

    it.each<[string, Fields, string | null]>([
      ['OpenID', revoke({ OpenID: FOLLOWER }), FOLLOWER],
      ['OpenID under MsgType Event', revoke({ OpenID: FOLLOWER, MsgType: 'Event' }), FOLLOWER],
      ['openid', revoke({ openid: FOLLOWER }), FOLLOWER],
      ['" OpenID"', revoke({ ' OpenID': FOLLOWER }), FOLLOWER],
      ['OpenID before openid', revoke({ openid: 'oOther', OpenID: FOLLOWER }), FOLLOWER],
      ['openid where OpenID is empty', revoke({ OpenID: '', openid: FOLLOWER }), FOLLOWER],
      ['nobody without OpenID', revoke({}), null],
      ['nobody where OpenID is nested', revoke({ OpenID: { a: FOLLOWER } }), null],
      ['nobody of a mass send', event('MASSSENDJOBFINISH', { FromUserName: PUSHER }), null],
      ['nobody for an empty FromUserName', event('subscribe', { FromUserName: ' ' }), null],
      ['nobody without FromUserName', without(event('subscribe'), 'FromUserName'), null],
      ['nobody of two', event('subscribe', { FromUserName: [FOLLOWER, PUSHER] }), null],
      ['nobody for 129 characters', event('subscribe', { FromUserName: 'o'.repeat(129) }), null],
      ['nobody for a control character', event('subscribe', { FromUserName: 'o\u0000x' }), null],
    ])('is %s', (_name, fields, subject) => {
      expect(read(fields).subject).toBe(subject)
    })

    it.each(['user_info_modified', 'user_authorization_cancellation', 'user_authorization_new'])(
      'of %s is never FromUserName',
      (name) => {
        expect(read(event(name, { FromUserName: PUSHER })).subject).toBeNull()
        expect(read(event(name, { FromUserName: PUSHER, OpenID: FOLLOWER })).subject).toBe(FOLLOWER)
      },
    )
  })

  describe('names with outer spaces', () => {
    it('are read as if they had none, at every depth', () => {
      const record = read(event('x', { ' List': [{ ' TemplateId ': 'a' }, 'b'] }))
      expect(record.fields).toEqual(event('x', { List: [{ TemplateId: 'a' }, 'b'] }))
    })

    it('yield to the exact name', () => {
      const record = read(event('user_authorization_revoke', { OpenID: 'oB', ' OpenID': 'oA' }))
      expect(record.subject).toBe('oB')
    })
  })

  describe('the time', () => {
    const second = at(Math.floor(RECEIVED_AT.getTime() / 1000))
    it.each<[string, Field | undefined, string | undefined, Date]>([
      ['CreateTime', '1767312000', '1767312009', at(1767312000)],
      ['CreateTime without its spaces', ' 1767312000\n', undefined, at(1767312000)],
      ['the query where CreateTime is missing', undefined, '1767311999', at(1767311999)],
      ['the query where CreateTime is in ms', '1767312000000', '1767311999', at(1767311999)],
      ['the query where CreateTime is no number', '1e9', '1767311999', at(1767311999)],
      ['the query where CreateTime is negative', '-5', '1767311999', at(1767311999)],
      ['the query where CreateTime is zero', '0', '1767311999', at(1767311999)],
      ['the query where CreateTime is twice there', ['1', '2'], '1767311999', at(1767311999)],
      ['the second of arrival without either', undefined, undefined, second],
      ['the second of arrival for a query in ms', undefined, '1767312000000', second],
    ])('is %s', (_name, createTime, timestamp, expected) => {
      const record = read({ ...event('unsubscribe'), CreateTime: createTime }, timestamp)
      expect(record.occurredAt).toEqual(expected)
      expect(record.effectiveAt).toEqual(expected)
    })

    const received = Math.floor(RECEIVED_AT.getTime() / 1000)
    it.each([
      ['long ago', received - 86_400, received - 86_400],
      ['a minute ahead', received + 60, received + 60],
      ['more than a minute ahead', received + 62, received],
      ['in the year 2286', 9_999_999_999, received],
    ])('takes effect, when it lies %s, no later than it can', (_name, createTime, effective) => {
      const record = read(event('unsubscribe', { CreateTime: String(createTime) }))
      expect(record.occurredAt).toEqual(at(createTime))
      expect(record.effectiveAt).toEqual(at(effective))
    })

    it('is held back too where it comes from the query', () => {
      const record = read(without(event('unsubscribe'), 'CreateTime'), '9999999999')
      expect(record.effectiveAt).toEqual(second)
    })
  })

  it('gives every document a normal form that the database can keep', () => {
    const { field } = fc.letrec<{ field: Field; fields: Fields }>((tie) => ({
      field: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        tie('fields'),
        fc.array(tie('field'), { maxLength: 3 }),
      ),
      fields: fc.dictionary(
        fc.oneof(
          fc.constantFrom('MsgType', 'Event', ' Event', 'CreateTime', 'FromUserName', 'OpenID'),
          fc.string(),
        ),
        tie('field'),
        { maxKeys: 6 },
      ),
    }))
    const document = fc.dictionary(
      fc.constantFrom('MsgType', 'Event', 'InfoType', 'ChangeType', 'FromUserName', 'MsgID'),
      field,
    )
    fc.assert(
      fc.property(fc.constantFrom(...EVENT_SOURCES), document, (source, fields) => {
        const record = readAs(source, fields)
        expect(CATALOGUE[source].map((row) => row.kind)).toContain(record.kind)
        expect(record.name.length).toBeLessThanOrEqual(128)
        const { name, subject, tenant, msgId } = record
        for (const text of [name, subject ?? '', tenant ?? '', msgId ?? '']) {
          expect(text).not.toMatch(/\p{Cc}/u)
          expect(text.isWellFormed()).toBe(true)
        }
        expect(record.effectiveAt.getTime() % 1000).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})

describe('readEvent of the other sources', () => {
  const notice = (InfoType: string, more: Fields = {}): Fields => ({
    AppId: 'wx9e1c5a7b3d2f4068',
    CreateTime: String(SENT_AT),
    InfoType,
    ...more,
  })
  const suite = (InfoType: string, more: Fields = {}): Fields => ({
    SuiteId: 'ww8a4c2e6b0d1f3957',
    InfoType,
    TimeStamp: String(SENT_AT),
    ...more,
  })
  const CORP = 'ww3c7e1a9b5d2f8064'
  const MEMBER = 'LiXiaoMing'
  const CUSTOMER = 'wmQ7kZBgAAx2VdT9nLrYcH5uJpEw8fSA'
  const AUTHORIZER = 'wx7f3a9c2e5b8d1046'

  it('reads a notice to a component: its appid is subject and tenant', () => {
    const fields = notice('authorized', { AuthorizerAppid: ` ${AUTHORIZER}\n`, appid: 'wxother' })
    expect(readAs('component', fields)).toEqual({
      source: 'component',
      kind: 'component.authorized',
      name: 'authorized',
      subject: AUTHORIZER,
      tenant: AUTHORIZER,
      occurredAt: at(SENT_AT),
      effectiveAt: at(SENT_AT),
      msgId: null,
      fields,
    })
  })

  it('tells AppId, appid and authorizer_appid apart', () => {
    const registered = notice('notify_third_fasteregister', { appid: 'wx4c6e8a0b2d1f3579' })
    expect(readAs('component', registered).subject).toBe('wx4c6e8a0b2d1f3579')
    const filed = notice('notify_apply_icpfiling_result', { appid: 'x', authorizer_appid: 'wxb' })
    expect(readAs('component', filed).subject).toBe('wxb')
    expect(readAs('component', notice('unauthorized', { authorizerappid: 'x' })).subject).toBeNull()
  })

  it("reads a suite's notice: TimeStamp is its time, the person its subject", () => {
    const fields = suite('change_external_contact', {
      AuthCorpId: CORP,
      ChangeType: ' del_follow_user ',
      UserID: MEMBER,
      ExternalUserID: CUSTOMER,
    })
    expect(readAs('wecom_suite', fields)).toMatchObject({
      kind: 'suite.change_external_contact.del_follow_user',
      name: 'change_external_contact.del_follow_user',
      subject: CUSTOMER,
      tenant: CORP,
      occurredAt: at(SENT_AT),
    })
  })

  it.each<[string, Fields, Date]>([
    ['TimeStamp before CreateTime', { CreateTime: '1767312009' }, at(SENT_AT)],
    [
      'CreateTime where TimeStamp is none',
      { TimeStamp: 'x', CreateTime: '1767312009' },
      at(1767312009),
    ],
    ['the query without either', { TimeStamp: undefined }, at(1767311999)],
  ])("takes as a suite's time %s", (_name, more, expected) => {
    const record = readAs('wecom_suite', suite('cancel_auth', more), '1767311999')
    expect(record.occurredAt).toEqual(expected)
  })

  it.each<EventSource>(['official_account', 'mini_program', 'component', 'wecom'])(
    'does not take TimeStamp for the time of %s',
    (source) => {
      const fields = { TimeStamp: '1767312009', MsgType: 'event', Event: 'subscribe' }
      expect(readAs(source, fields, '1767311999').occurredAt).toEqual(at(1767311999))
    },
  )

  it('reads InfoType behind a space, as the published ticket has it', () => {
    const record = readAs('wecom_suite', suite(' suite_ticket', { SuiteTicket: 't' }))
    expect(record).toMatchObject({ kind: 'suite.suite_ticket', name: 'suite_ticket' })
  })

  it("reads event_type of the data zone's JSON", () => {
    const record = readAs('wecom_suite', {
      AuthCorpId: CORP,
      event_type: 'chat_archive_audit_approved_single',
      TimeStamp: String(SENT_AT),
      ExternalUserID: CUSTOMER,
    })
    expect(record).toMatchObject({
      kind: 'suite.chat_archive_audit_approved_single',
      subject: CUSTOMER,
    })
  })

  it('reads what comes as an ordinary event though it belongs to the provider', () => {
    const program = event('program_notify')
    expect(readAs('wecom_suite', program).kind).toBe('suite.program_notify')
    expect(readAs('component', event('betaapp_verify_event')).kind).toBe(
      'component.betaapp_verify_event',
    )
  })

  it('looks at InfoType of no other source', () => {
    const fields = event('subscribe', { InfoType: 'unauthorized', ChangeType: 'delete_user' })
    const kinds = (['official_account', 'wecom'] as const).map((source) => readAs(source, fields))
    expect(kinds.map(({ kind }) => kind)).toEqual(['event.subscribe', 'wecom.subscribe'])
    expect(kinds.map(({ name }) => name)).toEqual(['subscribe', 'subscribe.delete_user'])
  })

  it.each<[string, Fields, string | null]>([
    [
      'the member who acted',
      event('subscribe', { FromUserName: MEMBER, AgentID: '1000007' }),
      MEMBER,
    ],
    [
      'the member of a contact change',
      event('change_contact', { FromUserName: 'sys', ChangeType: 'delete_user', UserID: MEMBER }),
      MEMBER,
    ],
    [
      'the customer of a contact',
      event('change_external_contact', {
        FromUserName: 'sys',
        ChangeType: 'add_external_contact',
        UserID: MEMBER,
        ExternalUserID: CUSTOMER,
      }),
      CUSTOMER,
    ],
    [
      'the parent',
      event('change_school_contact', {
        FromUserName: 'sys',
        ChangeType: 'unsubscribe',
        Id: 'parent_0831',
      }),
      'parent_0831',
    ],
    [
      'nobody for a department',
      event('change_contact', { FromUserName: 'sys', ChangeType: 'delete_party', Id: '7' }),
      null,
    ],
    ['nobody for sys', event('invented', { FromUserName: 'sys' }), null],
    [
      'nobody for a message of customer service',
      without(event('kf_msg_or_event'), 'FromUserName'),
      null,
    ],
  ])('has as the subject of WeCom %s', (_name, fields, subject) => {
    expect(readAs('wecom', fields)).toMatchObject({ subject, tenant: null })
  })

  it('takes a member whose id is sys for a member where the event names one', () => {
    const fields = event('change_contact', { ChangeType: 'delete_user', UserID: 'sys' })
    expect(readAs('wecom', fields).subject).toBe('sys')
    expect(readAs('official_account', event('subscribe', { FromUserName: 'sys' })).subject).toBe(
      'sys',
    )
  })

  it.each<[EventSource, Fields, string]>([
    ['component', notice('invented_tomorrow'), 'component.unknown'],
    ['component', {}, 'component.unknown'],
    ['wecom', event('invented_tomorrow'), 'wecom.unknown'],
    ['wecom', { MsgType: 'hologram' }, 'wecom.message.unknown'],
    ['wecom_suite', suite('invented_tomorrow'), 'suite.unknown'],
    ['wecom_suite', {}, 'suite.unknown'],
    ['mini_program', event('subscribe'), 'event.unknown'],
  ])('keeps what nobody knows of %s', (source, fields, kind) => {
    expect(readAs(source, fields)).toMatchObject({ kind, fields })
  })
})

describe('readIdentifier', () => {
  it.each([
    ['oG7t', 'oG7t'],
    [' oG7t\n', 'oG7t'],
    ['x'.repeat(128), 'x'.repeat(128)],
    ['x'.repeat(129), null],
    ['', null],
    [' ', null],
    ['a\u0000', null],
    ['a\nb', null],
    ['a\u0085b', null],
    ['a\ud800', null],
    [undefined, null],
  ])('reads %j as %j', (text, id) => {
    expect(readIdentifier(text)).toBe(id)
  })
})

describe('readItems', () => {
  const one = { TemplateId: TEMPLATE_A, SubscribeStatusString: 'accept', PopupScene: '1' }
  const two = { TemplateId: TEMPLATE_B, SubscribeStatusString: 'reject', PopupScene: '1' }
  const popup = (more: Fields) => readItems(read(event('subscribe_msg_popup_event', more)))

  it.each<[string, Fields, Fields[]]>([
    ['XML with one', { SubscribeMsgPopupEvent: { List: one } }, [one]],
    ['XML with two', { SubscribeMsgPopupEvent: { List: [one, two] } }, [one, two]],
    [
      'XML with two wrappers',
      { SubscribeMsgPopupEvent: [{ List: one }, { List: two }] },
      [one, two],
    ],
    ['JSON with one', { List: one }, [one]],
    ['JSON with a list of one', { List: [one] }, [one]],
    ['JSON with two', { List: [one, two] }, [one, two]],
    ['the older JSON form', { SubscribeMsgPopupEvent: [one, two] }, [one, two]],
    ['the older JSON form with one', { SubscribeMsgPopupEvent: one }, [one]],
    [
      'both forms at once, counted once',
      { SubscribeMsgPopupEvent: { List: one }, List: one },
      [one],
    ],
    ['an empty wrapper beside a list', { SubscribeMsgPopupEvent: '', List: two }, [two]],
    ['nothing', {}, []],
    ['an empty list', { SubscribeMsgPopupEvent: { List: '' } }, []],
    ['items that are texts', { List: ['accept', one] }, [one]],
    ["another event's wrapper", { SubscribeMsgChangeEvent: { List: one } }, []],
  ])('reads %s', (_name, more, items) => {
    expect(popup(more)).toEqual(items)
  })

  it('finds none in an event that has no list', () => {
    expect(readItems(read(event('subscribe', { List: one })))).toEqual([])
  })
})

describe('readReceipt', () => {
  const finished = (more: Fields) => read(event('TEMPLATESENDJOBFINISH', more))

  it.each([
    ['success', 'delivered', 'success'],
    ['failed:user block', 'not_delivered', 'failed:user block'],
    ['failed: user block', 'not_delivered', 'failed:user block'],
    ['failed: system failed', 'not_delivered', 'failed:system failed'],
    ['failed:system failed', 'not_delivered', 'failed:system failed'],
    ['failed:freq limit', 'not_delivered', 'failed:freq limit'],
    [' Failed :  User   Block ', 'not_delivered', 'failed:user block'],
    ['failed:something new', 'not_delivered', 'failed:something new'],
  ])('reads the template status %j as %s', (status, expected, reason) => {
    const record = finished({ MsgID: '3847261950172635104', Status: status })
    expect(readTemplateStatus(record)).toBe(reason)
    expect(readReceipt(record)).toEqual([
      { channel: 'template_message', msgId: '3847261950172635104', status: expected, reason },
    ])
  })

  it.each<[string, Fields]>([
    ['no MsgID', { Status: 'success' }],
    ['no Status', { MsgID: '3847261950172635104' }],
  ])('says nothing about a template message with %s', (_name, more) => {
    expect(readReceipt(finished(more))).toEqual([])
  })

  const item = { TemplateId: TEMPLATE_A, MsgID: '1864323726461255681', ErrorCode: '0' }
  const sent = (more: Fields) => readReceipt(read(event('subscribe_msg_sent_event', more)))

  it.each<[string, Fields, string, string]>([
    ['success', { ErrorStatus: 'success' }, 'delivered', 'success (0)'],
    ['code 0 alone', {}, 'delivered', '(0)'],
    ['a failure', { ErrorCode: '10001', ErrorStatus: 'Failed' }, 'not_delivered', 'failed (10001)'],
    ['words alone', { ErrorCode: '', ErrorStatus: 'success' }, 'delivered', 'success'],
    ['failure in words', { ErrorCode: '', ErrorStatus: 'fail' }, 'not_delivered', 'fail'],
    ['code over words', { ErrorCode: '5', ErrorStatus: 'success' }, 'not_delivered', 'success (5)'],
  ])('reads a subscription message: %s', (_name, more, status, reason) => {
    expect(sent({ SubscribeMsgSentEvent: { List: { ...item, ...more } } })).toEqual([
      {
        channel: 'subscription_message',
        templateId: TEMPLATE_A,
        msgId: '1864323726461255681',
        status,
        reason,
      },
    ])
  })

  it('reads several subscription messages, with and without MsgID', () => {
    const other = { TemplateId: TEMPLATE_B, ErrorCode: '0', ErrorStatus: 'success' }
    const receipts = sent({ List: [item, other] })
    expect(receipts.map((receipt) => receipt.msgId)).toEqual(['1864323726461255681', null])
  })

  it.each<[string, Fields]>([
    ['without a template', { TemplateId: '' }],
    ['without a result', { ErrorCode: '' }],
  ])('says nothing about an item %s', (_name, more) => {
    expect(sent({ List: { ...item, ...more } })).toEqual([])
  })

  it.each(['subscribe', 'MASSSENDJOBFINISH', 'subscribe_msg_popup_event'])(
    'says nothing for %s',
    (name) => {
      const more = { MsgID: '1', Status: 'success', List: item }
      expect(readReceipt(read(event(name, more)))).toEqual([])
    },
  )
})
