import { describe, expect, it } from 'vitest'
import { mayAnswer, readReply } from '../../src/delivery/reply.ts'
import { testAccount } from '../support/sealed-pushes.ts'

const OFFICIAL = testAccount()
const APP = testAccount({ kind: 'wecom_app' })
const text = { msgtype: 'text', text: { content: '你好' } }
const music = { msgtype: 'music', music: { thumb_media_id: 'm1' } }

describe('mayAnswer', () => {
  it.each([
    [OFFICIAL, 'message.text', true],
    [OFFICIAL, 'event.subscribe', true],
    [OFFICIAL, 'event.click', true],
    // the platform takes a message here for a fault, and tells the person so
    [OFFICIAL, 'event.location', false],
    [OFFICIAL, 'event.unsubscribe', false],
    [testAccount({ kind: 'authorizer', serves: 'official_account' }), 'message.text', true],
    [testAccount({ kind: 'authorizer', serves: 'mini_program' }), 'message.text', true],
    [testAccount({ kind: 'mini_program' }), 'message.text', true],
    // an event that is handed over shows the staff nothing
    [testAccount({ kind: 'mini_program' }), 'event.user_enter_tempsession', false],
    [testAccount({ kind: 'wecom_authorizer' }), 'wecom.message.text', true],
    [testAccount({ kind: 'component' }), 'message.text', false],
    [testAccount({ kind: 'wecom_suite' }), 'wecom.message.text', false],
    [APP, 'wecom.message.text', true],
    [APP, 'wecom.location', false],
    [testAccount({ kind: 'wecom_kf' }), 'wecom.message.text', false],
  ] as const)('knows what may be answered (%#)', (account, kind, expected) => {
    expect(mayAnswer(account, kind)).toBe(expected)
  })
})

describe('readReply', () => {
  const read = (reply: unknown, account = OFFICIAL) => readReply(account, JSON.stringify({ reply }))

  it.each([
    [text],
    [{ msgtype: 'image', image: { media_id: 'm1' } }],
    [{ msgtype: 'voice', voice: { media_id: 'm1' } }],
    [{ msgtype: 'video', video: { media_id: 'm1', title: 'T' } }],
    [music],
    [{ msgtype: 'news', news: { articles: [{ title: 'T', url: 'https://shop.example.com' }] } }],
    [{ msgtype: 'transfer_customer_service' }],
    [{ msgtype: 'transfer_customer_service', kf_account: 'anna@shop' }],
  ])('takes %j', (reply) => {
    expect(read(reply)).toEqual({ kind: 'given', reply })
  })

  it.each(['', '  ', '{}', '{"reply":null}', '{"ok":true}'])('takes %j for none', (body) => {
    expect(readReply(OFFICIAL, body)).toEqual({ kind: 'none' })
  })

  it.each([
    ['success', 'body: must be JSON'],
    ['[]', 'body: must be JSON'],
    [JSON.stringify({ reply: { msgtype: 'card' } }), 'reply.msgtype: '],
    [JSON.stringify({ reply: { ...text, text: { content: '' } } }), 'reply.text.content: '],
    [JSON.stringify({ reply: { ...text, text: { content: 'a\u0007' } } }), 'control characters'],
    [JSON.stringify({ reply: { ...text, text: { content: '好'.repeat(683) } } }), '2048 bytes'],
    [
      JSON.stringify({ reply: { msgtype: 'news', news: { articles: [] } } }),
      'must have an article',
    ],
  ])('names what cannot be used (%#)', (body, expected) => {
    const result = readReply(OFFICIAL, body)
    expect(result).toMatchObject({ kind: 'unusable' })
    expect(JSON.stringify(result)).toContain(expected)
  })

  it('hands the person of a Mini Program over, and can say nothing else', () => {
    const mini = testAccount({ kind: 'mini_program' })
    const handover = { msgtype: 'transfer_customer_service' }
    expect(read(handover, mini)).toEqual({ kind: 'given', reply: handover })
    expect(read(text, mini)).toMatchObject({ kind: 'unusable' })
    expect(read({ ...handover, kf_account: 'anna@shop' }, mini)).toMatchObject({ kind: 'unusable' })
  })

  it('gives a WeCom application what WeCom takes', () => {
    expect(read(text, APP)).toMatchObject({ kind: 'given' })
    expect(read(music, APP)).toMatchObject({ kind: 'unusable' })
  })
})
