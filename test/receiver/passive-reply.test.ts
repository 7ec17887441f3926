import { describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { textOf } from '../../src/events/document.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import { openEnvelope } from '../../src/receiver/message-crypto.ts'
import { writePassiveReply, type PassiveReply } from '../../src/receiver/passive-reply.ts'
import type { VerifiedPush } from '../../src/receiver/receive-push.ts'
import { signMessage } from '../../src/receiver/signature.ts'
import { readXml } from '../../src/receiver/xml.ts'
import { OFFICIAL_ACCOUNT } from '../fixtures/vectors.ts'
import { testAccount } from '../support/sealed-pushes.ts'

const AT = new Date('2026-11-21T12:00:00Z')
const NOW = new Date('2026-11-21T12:00:03Z')
const PREVIOUS = { token: 'tokenBefore1', aesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG' }

function pushTo(account: Account, keyUsed: VerifiedPush['keyUsed'] = 'current'): VerifiedPush {
  const fields = { ToUserName: 'gh_shop', FromUserName: 'oPerson', MsgType: 'text' }
  const rest = { document: '<xml/>', timestamp: '1', receivedAt: AT } as const
  return { account, source: 'official_account', fields, keyUsed, ...rest }
}

interface Way {
  readonly account?: Account
  readonly keyUsed?: VerifiedPush['keyUsed']
}

function write(content: PassiveReply, { account = testAccount(), keyUsed = 'current' }: Way = {}) {
  const way = { receiver: account, keys: prepareKeys(account), receiveId: account.appId }
  return writePassiveReply(pushTo(account, keyUsed), way, { content, at: AT, now: NOW })
}

function read(xml: string) {
  const result = readXml(xml)
  if (!result.ok) throw new Error(result.detail)
  return result.fields
}

function readOuter(xml: string) {
  const fields = read(xml)
  const text = (name: string) => textOf(fields, name) ?? ''
  const [encrypt, signature] = [text('Encrypt'), text('MsgSignature')]
  return { encrypt, signature, timestamp: text('TimeStamp'), nonce: text('Nonce') }
}

/** The message inside, by the keys of an account. */
function open(xml: string, account = testAccount()): string {
  const encrypt = textOf(read(xml), 'Encrypt') ?? ''
  const keys = prepareKeys(account).envelope
  if (!keys) throw new Error('no keys')
  const opened = openEnvelope({ encrypt, keys, receiveId: account.appId })
  if (!opened.ok) throw new Error(opened.reason)
  return `${opened.keyUsed} ${opened.message}`
}

const HEAD = {
  ...{ ToUserName: 'oPerson', FromUserName: 'gh_shop' },
  CreateTime: String(AT.getTime() / 1000),
}
const plain = testAccount({ mode: 'plain' })

describe('writePassiveReply', () => {
  it.each<[PassiveReply, object]>([
    [{ msgtype: 'text', text: { content: 'a ]]> b & <c>' } }, { Content: 'a ]]> b & <c>' }],
    [{ msgtype: 'image', image: { media_id: 'm1' } }, { Image: { MediaId: 'm1' } }],
    [{ msgtype: 'voice', voice: { media_id: 'm1' } }, { Voice: { MediaId: 'm1' } }],
    [
      { msgtype: 'video', video: { media_id: 'm1', title: 'T', description: 'D' } },
      { Video: { MediaId: 'm1', Title: 'T', Description: 'D' } },
    ],
    [
      {
        msgtype: 'music',
        music: { title: 'T', musicurl: 'u', hqmusicurl: 'h', thumb_media_id: 'm' },
      },
      { Music: { Title: 'T', MusicUrl: 'u', HQMusicUrl: 'h', ThumbMediaId: 'm' } },
    ],
    [
      {
        msgtype: 'news',
        news: { articles: [{ title: 'A', picurl: 'p', url: 'u' }, { title: 'B' }] },
      },
      {
        ArticleCount: '2',
        Articles: { item: [{ Title: 'A', PicUrl: 'p', Url: 'u' }, { Title: 'B' }] },
      },
    ],
    [{ msgtype: 'transfer_customer_service' }, {}],
    [
      { msgtype: 'transfer_customer_service', kf_account: 'anna@shop' },
      { TransInfo: { KfAccount: 'anna@shop' } },
    ],
  ])('writes what the platform reads (%#)', (content, expected) => {
    const message = read(write(content, { account: plain }))
    expect(message).toEqual({ ...HEAD, MsgType: content.msgtype, ...expected })
  })

  it('seals it, and signs what is sealed with the time of now and a nonce of its own', () => {
    const content = { msgtype: 'text', text: { content: '收到' } } as const
    const [first, second] = [write(content), write(content)]
    const { encrypt, signature, timestamp, nonce } = readOuter(first)
    expect(timestamp).toBe(String(NOW.getTime() / 1000))
    const parts = { timestamp, nonce, encrypt }
    expect(signature).toBe(signMessage({ token: OFFICIAL_ACCOUNT.token, ...parts }))
    expect(readOuter(second).nonce).not.toBe(nonce)
    expect(open(first)).toBe(open(second))
    expect(open(first)).toContain('<Content><![CDATA[收到]]></Content>')
  })

  it('writes JSON where the pushes of the address are JSON', () => {
    const content = { msgtype: 'transfer_customer_service' } as const
    const json = { kind: 'mini_program', bodyFormat: 'json' } as const
    const message = { ...HEAD, CreateTime: Number(HEAD.CreateTime), MsgType: content.msgtype }
    const said = write(content, { account: testAccount({ ...json, mode: 'plain' }) })
    expect(JSON.parse(said)).toEqual(message)

    const account = testAccount(json)
    const sealed = JSON.parse(write(content, { account })) as Record<string, unknown>
    expect(Object.keys(sealed)).toEqual(['Encrypt', 'MsgSignature', 'TimeStamp', 'Nonce'])
    const { Encrypt: encrypt, MsgSignature: signature, TimeStamp: timestamp, Nonce: nonce } = sealed
    expect(timestamp).toBe(NOW.getTime() / 1000)
    const parts = { timestamp: String(timestamp), nonce: String(nonce), encrypt: String(encrypt) }
    expect(signature).toBe(signMessage({ token: OFFICIAL_ACCOUNT.token, ...parts }))
    expect(open(`<xml><Encrypt>${parts.encrypt}</Encrypt></xml>`, account)).toBe(
      `current ${JSON.stringify(message)}`,
    )
    expect(() => write({ msgtype: 'text', text: { content: 'a' } }, { account })).toThrow('text')
  })

  it('uses the pair that the push came under', () => {
    const account = testAccount({ previousCallbackKey: PREVIOUS })
    const content = { msgtype: 'text', text: { content: 'hello' } } as const
    const xml = write(content, { account, keyUsed: 'previous' })
    const { encrypt, signature, timestamp, nonce } = readOuter(xml)
    const parts = { timestamp, nonce, encrypt }
    expect(signature).toBe(signMessage({ token: PREVIOUS.token, ...parts }))
    expect(open(xml, account)).toMatch(/^previous /)
    expect(open(write(content, { account }), account)).toMatch(/^current /)
  })
})
