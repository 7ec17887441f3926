import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, type Account } from '../../src/accounts/account.ts'
import { textOf } from '../../src/events/document.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import { addCallbackRoutes } from '../../src/receiver/callback-routes.ts'
import { openEnvelope } from '../../src/receiver/message-crypto.ts'
import type { PassiveReply } from '../../src/receiver/passive-reply.ts'
import type { VerifiedPush } from '../../src/receiver/receive-push.ts'
import { sameSignature, signMessage } from '../../src/receiver/signature.ts'
import { readXml } from '../../src/receiver/xml.ts'
import {
  OFFICIAL_ACCOUNT,
  REFUSED,
  SEALED,
  SIGNED_REQUESTS,
  SUBSCRIBE_DOCUMENT,
  WECOM_APP,
  sealedVector,
} from '../fixtures/vectors.ts'
import { KIND_ACCOUNTS, vectorFor, vectorHandshake } from '../support/kind-accounts.ts'
import { justAfter, outerXml, testAccount, vectorPush } from '../support/sealed-pushes.ts'

const { component, authorizer, wecom_app, wecom_suite, wecom_authorizer } = KIND_ACCOUNTS
const { token, previousAesKey } = OFFICIAL_ACCOUNT
const OTHER_MERCHANT = 'wx0000000000000000'

/** The account of one of the platform's own published examples. */
function published(name: string, kind: Account['kind'], more: Partial<Account>): Account {
  const vector = sealedVector(name)
  const callbackKey = { token: vector.token, aesKey: vector.aesKey }
  return testAccount({ kind, appId: vector.receiveId, callbackKey, ...more })
}

/** Every account of the vectors, by the name of its callback address. */
const ACCOUNTS: Readonly<Record<string, Account>> = {
  oa: testAccount({ previousCallbackKey: { token, aesKey: previousAesKey } }),
  compatible: testAccount({ mode: 'compatible' }),
  plain: testAccount({ mode: 'plain' }),
  published: testAccount({ mode: 'plain', callbackKey: { token: 'AAAAA', aesKey: null } }),
  mini: { ...KIND_ACCOUNTS.mini_program, bodyFormat: 'json' },
  platform: component,
  app: wecom_app,
  suite: wecom_suite,
  individual: { ...wecom_suite, settings: { ...DEFAULT_SETTINGS, empty_receive_id: true } },
  p3: published('P3', 'mini_program', { originalId: 'gh_97417a04a28d', bodyFormat: 'json' }),
  p5: published('P5', 'component', { id: 50, originalId: null }),
  p8: published('P8', 'wecom_app', { originalId: null, agentId: '218' }),
}
const TENANTS: readonly (readonly [parent: Account, tenant: Account])[] = [
  [component, authorizer],
  [component, { ...authorizer, appId: OTHER_MERCHANT, originalId: 'gh_000000000000' }],
  [wecom_suite, wecom_authorizer],
  [ACCOUNTS['p5'] ?? component, { ...authorizer, appId: 'wx1', originalId: 'gh_97417a04a28d' }],
]
const MERCHANT_PATH = `platform/${authorizer.appId}`
const CORP_PATH = `suite/${WECOM_APP.appId}`

const pushes: VerifiedPush[] = []
const lines: Record<string, unknown>[] = []
let now = new Date()
let reply: { readonly reply: PassiveReply; readonly at: Date } | null = null
let server: Server
let origin = ''

beforeAll(async () => {
  const app = express()
  addCallbackRoutes(app, {
    findAccount: async (name) => ACCOUNTS[name],
    findTenant: async (parentId, appId) =>
      TENANTS.find(([parent, tenant]) => parent.id === parentId && tenant.appId === appId)?.[1],
    recordPush: async (push) => {
      pushes.push(push)
      return { outcome: 'recorded', eventId: '7', kind: 'of.a.vector' }
    },
    placePush: async () => ({ outcome: 'nowhere', reason: 'full' }),
    queueReleaseCheck: async () => undefined,
    exchangeRedirect: async () => false,
    mayReply: () => true,
    askForReply: async () => reply,
    clock: { now: () => now, monotonicMs: () => performance.now() },
    log: createLog('debug', {
      write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    }),
    metrics: createMetrics(),
  })
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

beforeEach(() => {
  pushes.length = 0
  lines.length = 0
  reply = null
})

interface Sent {
  readonly query: Readonly<Record<string, string>>
  readonly body?: string
}

/** Sends a request at its own hour. @param more is put behind the query as it is. */
async function send(path: string, { query, body }: Sent, more = '') {
  now = justAfter(query['timestamp'] ?? '')
  const url = `${origin}/callbacks/${path}?${new URLSearchParams(query).toString()}${more}`
  const answer = await fetch(url, body === undefined ? {} : { method: 'POST', body })
  return { status: answer.status, text: await answer.text() }
}

const accountAt = (path: string): Account => {
  const account = ACCOUNTS[path.split('/')[0] ?? '']
  if (!account) throw new Error(`no account at ${path}`)
  return account
}

/** Vector, address, kind of the account whose push it is. */
const ACCEPTED: readonly (readonly [string, string, Account['kind']])[] = [
  ['P3', 'p3', 'mini_program'],
  ['P5', 'p5/wx1', 'authorizer'],
  ['P8', 'p8', 'wecom_app'],
  ['F2', 'oa', 'official_account'],
  ['F3', 'oa', 'official_account'],
  ['F4', 'mini', 'mini_program'],
  ['F5', 'platform', 'component'],
  ['F6', MERCHANT_PATH, 'authorizer'],
  ['F8', 'app', 'wecom_app'],
  ['F9', 'suite', 'wecom_suite'],
  ['F10', 'individual', 'wecom_suite'],
  ['F13', CORP_PATH, 'wecom_authorizer'],
  ['F14', 'mini', 'mini_program'],
]
/** Address, vector of its handshake. */
const SEALED_HANDSHAKES = [
  ['p8', 'P7'],
  ['app', 'F7'],
  ['app', 'F7b'],
  ['app', 'F7c'],
  ['suite', 'F12'],
] as const
const PLAIN_HANDSHAKES = [
  ['published', 'P1'],
  ['oa', 'F1'],
] as const
const PLAIN_PUSHES = [
  ['published', 'P2'],
  ['plain', 'F15'],
] as const
/** Answers of the platform's example and of ours: no request has them. */
const REPLIES = ['P4', 'P6', 'F11']

function signedRequest(name: string) {
  const request = SIGNED_REQUESTS.find((one) => one.name === name)
  if (!request) throw new Error(`no request ${name}`)
  const { timestamp, nonce, signature, echostr } = request
  return { timestamp, nonce, signature, ...(echostr !== null && { echostr }) }
}

describe('the vectors, over HTTP', () => {
  it('are all here', () => {
    const sent = [
      ...ACCEPTED.map(([name]) => name),
      ...[...SEALED_HANDSHAKES, ...PLAIN_HANDSHAKES, ...PLAIN_PUSHES].map(([, name]) => name),
      ...REPLIES,
    ]
    const known = [...SEALED, ...SIGNED_REQUESTS].map(({ name }) => name)
    expect(sent.toSorted()).toEqual(known.toSorted())
  })

  it.each(ACCEPTED)('%s is accepted at %s as a push of %s', async (name, path, kind) => {
    const vector = sealedVector(name)
    const answer = await send(path, vectorFor(accountAt(path), vector))
    expect(answer).toEqual({ status: 200, text: 'success' })
    expect(pushes.map(({ account }) => account.kind)).toEqual([kind])
    const [document = ''] = pushes.map((push) => push.document)
    expect(Buffer.byteLength(document)).toBe(vector.messageBytes)
    if (vector.message !== undefined) expect(document).toBe(vector.message)
    expect(pushes[0]?.keyUsed).toBe(name === 'F3' ? 'previous' : 'current')
  })

  it.each(SEALED_HANDSHAKES)(
    '%s answers the handshake %s with what is sealed',
    async (path, name) => {
      const vector = sealedVector(name)
      const query = vectorHandshake(vector)
      expect(await send(path, { query })).toEqual({ status: 200, text: vector.message })
      // a `+` that nobody has encoded arrives as a space
      const echostr = query.echostr.replaceAll('+', ' ')
      const spaced = await send(path, { query: { ...query, echostr } })
      expect(spaced).toEqual({ status: 200, text: vector.message })
    },
  )

  it.each(PLAIN_HANDSHAKES)('%s answers the handshake %s with its echostr', async (path, name) => {
    const query = signedRequest(name)
    expect(await send(path, { query })).toEqual({ status: 200, text: query.echostr })
  })

  it.each(PLAIN_PUSHES)('%s accepts %s, whatever the body', async (path, name) => {
    const query = signedRequest(name)
    for (const body of [SUBSCRIBE_DOCUMENT, SUBSCRIBE_DOCUMENT.replace('[subscribe]', '[SCAN]')]) {
      expect(await send(path, { query, body })).toEqual({ status: 200, text: 'success' })
      expect(pushes.at(-1)?.document).toBe(body)
    }
  })

  const f2 = sealedVector('F2')
  it.each([
    ['F2c', SUBSCRIBE_DOCUMENT],
    [
      'F2x, whose plain twin says unsubscribe',
      SUBSCRIBE_DOCUMENT.replace('[subscribe]', '[unsubscribe]'),
    ],
  ])('%s is what its Encrypt holds', async (_, plain) => {
    const encrypt = `<Encrypt><![CDATA[${f2.encrypt}]]></Encrypt>`
    const { query } = vectorFor(accountAt('oa'), f2)
    const body = plain.replace('</xml>', `${encrypt}</xml>`)
    expect(await send('compatible', { query, body })).toEqual({ status: 200, text: 'success' })
    expect(pushes.map(({ document }) => document)).toEqual([f2.message])
  })

  it('F11 is the reply that an application gives to F2', async () => {
    const f11 = sealedVector('F11')
    reply = {
      reply: { msgtype: 'text', text: { content: '欢迎 👋' } },
      at: new Date(Number(f11.timestamp) * 1000),
    }
    const { status, text } = await send('oa', vectorFor(accountAt('oa'), f2))
    const outer = readXml(text)
    if (status !== 200 || !outer.ok) throw new Error(`${status}, no reply`)
    const part = (name: string) => textOf(outer.fields, name) ?? ''
    const encrypt = part('Encrypt')
    const [timestamp, nonce] = [part('TimeStamp'), part('Nonce')]
    const signed = signMessage({ token: f11.token, timestamp, nonce, encrypt })
    expect(sameSignature(signed, part('MsgSignature'))).toBe(true)
    const keys = prepareKeys(accountAt('oa')).envelope
    if (!keys) throw new Error('no keys')
    expect(openEnvelope({ encrypt, keys, receiveId: f11.receiveId })).toMatchObject({
      message: f11.message,
    })
  })

  const sealed = vectorFor(accountAt('oa'), f2)
  const without = (...names: readonly string[]) => ({
    ...sealed,
    query: Object.fromEntries(
      Object.entries(sealed.query).filter(([name]) => !names.includes(name)),
    ),
  })
  const REASONS: Readonly<Record<string, string>> = {
    N1: 'wrong_receive_id',
    N2: 'not_decryptable',
    N3: 'not_decryptable',
    N4: 'not_decryptable',
    N5: 'doctype',
  }
  it.each<[string, string, string, Sent, string?]>([
    ...REFUSED.map((vector): [string, string, string, Sent] => [
      vector.name,
      'oa',
      REASONS[vector.name] ?? 'has its reason here',
      vectorPush(vector),
    ]),
    [
      'F2 with another msg_signature',
      'oa',
      'bad_signature',
      { ...sealed, query: { ...sealed.query, msg_signature: f2.msgSignature.replace('0', '1') } },
    ],
    [
      'F2 with signature as msg_signature',
      'oa',
      'bad_signature',
      { ...sealed, query: { ...sealed.query, msg_signature: f2.signature ?? '' } },
    ],
    ['F2 downgraded', 'oa', 'not_encrypted', without('encrypt_type', 'msg_signature')],
    [
      'F2 downgraded, in plain text',
      'oa',
      'not_encrypted',
      { ...without('encrypt_type', 'msg_signature'), body: SUBSCRIBE_DOCUMENT },
    ],
    ['F2 with nonce twice', 'oa', 'duplicated_parameter', sealed, `&nonce=${f2.nonce}`],
    ['F2 to an account in plain mode', 'plain', 'unexpected_encryption', sealed],
    [
      'F6 under the path of another authorizer',
      `platform/${OTHER_MERCHANT}`,
      'wrong_to_user_name',
      vectorFor(component, sealedVector('F6')),
    ],
    [
      'F9 at the data URL',
      CORP_PATH,
      'wrong_receive_id',
      vectorFor(wecom_suite, sealedVector('F9')),
    ],
    [
      'F10 where no empty receive id is legal',
      'suite',
      'wrong_receive_id',
      vectorFor(wecom_suite, sealedVector('F10')),
    ],
    [
      'F13 at the instruction URL',
      'suite',
      'wrong_receive_id',
      vectorFor(wecom_suite, sealedVector('F13')),
    ],
    ['an Encrypt that is no base64', 'oa', 'bad_signature', { ...sealed, body: outerXml('*') }],
  ])('%s is refused at %s with %s', async (_, path, reason, sent, more) => {
    expect(await send(path, sent, more)).toEqual({ status: 403, text: '' })
    expect(pushes).toEqual([])
    expect(lines).toMatchObject([{ msg: 'push.refused', reason }])
  })
})
