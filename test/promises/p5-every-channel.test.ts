import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NewAccount } from '../../src/accounts/account-input.ts'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { CHANNEL_NAMES, CHANNELS, type Channel } from '../../src/wechat/channels.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { keepTicket } from '../support/keep-ticket.ts'
import { giveConsent, readLedger } from '../support/messages.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until, type AskedMessage } from '../support/send-road.ts'

const CORP = 'ww3c7e1a9b5d2f8064'
const MINI = 'wx2b6d4f8a1c3e5079'
const OFFICIAL = 'wx7f3a9c2e5b8d1046'
const COMPONENT = 'wx9e1c5a7b3d2f4068'
const MERCHANT = 'wx4c6e8a0b2d1f3579'
const AGENT = '1000007'
const KF = 'wkT3pXBgAAmR8yLcVq2ZnKd5sHuE1oJf'
const TEMPLATE = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'
const ROBOT = 'b1c2d3e4-robot'
const NOWHERE = 'http://127.0.0.1:9/callbacks'
const masterKey = parseMasterKey(TEST_MASTER_KEY)
if (!masterKey) throw new Error('the master key of the tests is none')
const box = createSecretBox([masterKey])

let database: TestDatabase
let sandbox: Sandbox
let gateway: Gateway
let close: () => Promise<unknown>
let base: string
let platform: string
let key: string
const ids = new Map<string, number>()
const lines: string[] = []

const pair = () => ({ token: randomBytes(8).toString('hex'), aes_key: newAesKey() })

/** One account of every kind that sends, on both sides. */
async function addAccounts(): Promise<void> {
  const own = { callback_url: NOWHERE }
  const sealed = pair()
  sandbox.addAccount({ ...own, ...sealed, app_id: OFFICIAL, secret: 's', original_id: 'gh_1' })
  sandbox.addAccount({
    ...{ ...own, ...sealed, app_id: MINI, secret: 's', original_id: 'gh_2' },
    kind: 'mini_program',
  })
  sandbox.addComponent({
    ...{ ...own, ...sealed, app_id: COMPONENT, secret: 's' },
    message_url: `${NOWHERE}/$APPID$`,
  })
  sandbox.addAccount({ app_id: MERCHANT, original_id: 'gh_3', component_app_id: COMPONENT })
  sandbox.addCorp({
    corp_id: CORP,
    apps: [{ ...own, ...sealed, agent_id: AGENT, secret: 'app' }],
    kf: { ...own, ...sealed, secret: 'kf' },
    kf_accounts: [KF],
    members: ['LiXiaoMing', 'WangFang', 'ZhaoLei'],
    unlicensed: ['ZhaoLei'],
    robots: [{ key: ROBOT, name: 'alarms' }],
  })
  const side = { mode: 'safe', token: sealed.token, aesKey: sealed.aes_key, settings: {} } as const
  await add({
    ...side,
    name: 'oa',
    kind: 'official_account',
    appId: OFFICIAL,
    originalId: 'gh_1',
    secret: 's',
  })
  await add({
    ...side,
    name: 'mini',
    kind: 'mini_program',
    appId: MINI,
    originalId: 'gh_2',
    secret: 's',
  })
  await add({ ...side, name: 'app', kind: 'wecom_app', appId: CORP, agentId: AGENT, secret: 'app' })
  await add({ ...side, name: 'kf', kind: 'wecom_kf', appId: CORP, secret: 'kf' })
  await add({ ...side, name: 'component', kind: 'component', appId: COMPONENT, secret: 's' })
  await add({
    ...{ ...side, name: 'merchant', kind: 'authorizer', appId: MERCHANT, originalId: 'gh_3' },
    ...{ parentId: idOf('component'), serves: 'official_account', token: null, aesKey: null },
    secret: null,
  })
}

async function add(account: NewAccount): Promise<void> {
  ids.set(account.name, (await gateway.parts.accounts.add(account)).id)
}

function idOf(name: string): number {
  const id = ids.get(name)
  if (id === undefined) throw new Error(`no account ${name}`)
  return id
}

beforeAll(async () => {
  database = await createTestDatabase()
  sandbox = createSandbox({ push: { repeatAfterNoConnectionMs: 1 } })
  const { url } = await sandbox.listen()
  platform = url
  const env = {
    DATABASE_URL: database.url,
    WECHAT_API_BASE_URL: url,
    WECOM_API_BASE_URL: url,
    WCG_MASTER_KEY: TEST_MASTER_KEY,
    NODE_ENV: 'test',
  }
  gateway = await compose(readConfig(env), {
    logDestination: { write: (line: string) => void lines.push(line) },
  })
  await addAccounts()
  const names = [...ids.keys()]
  key = (await gateway.parts.applications.add({ name: 'shop', accountNames: names })).key
  await gateway.workers.start()
  const server = createServer(gateway.app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = async () => {
    server.close()
    server.closeAllConnections()
    await gateway.stop()
    await sandbox.close()
    await database.drop()
  }
})

afterAll(() => close())

const sender = (account = 'app') => createSender({ urls: () => [base], key, account })

interface Wish {
  readonly account: string
  readonly channel: Channel
  readonly to: string
  readonly content: object
  readonly [more: string]: unknown
}

async function post(path: string, body: unknown): Promise<{ status: number; body: Said }> {
  const answer = await sender().request(path, { body })
  return { status: answer.status, body: JSON.parse(answer.text) as Said }
}

interface Said {
  readonly id: string
  readonly code?: string
  readonly allowed?: boolean
  readonly reason?: string | null
  readonly scope?: string | null
  readonly evidence?: readonly string[]
  readonly faults?: readonly { field: string; rule: string }[]
}

const check = async (wish: Wish) => {
  const { allowed, reason, scope, evidence } = (await post('/v1/messages:check', wish)).body
  return { allowed, reason, scope, evidence }
}

/** Asks for a send and waits until it is over. */
async function send(wish: Wish): Promise<AskedMessage> {
  const { status, body } = await post('/v1/messages', wish)
  expect(status, JSON.stringify(body)).toBe(202)
  return sender(wish.account).ended(body.id)
}

const grant = (account: string, subject: string, scope: string, more: object = {}) =>
  giveConsent(database.db, { accountId: idOf(account), subject, scope, ...more })
/** How many sends of a channel have reached the platform. */
function calls(channel: Channel): number {
  const paths = new Set(
    Object.values(CHANNELS[channel].ways).map(({ path }: { path: string }) => path),
  )
  return [...paths].flatMap((path) => sandbox.log({ kind: 'call', path }).entries).length
}
const data = { thing1: { value: '茶' } }
const textMessage = { msgtype: 'text', text: { content: '你好' } }
const inTwoDays = () => new Date(Date.now() + 172_800_000)

/** A channel with somebody who can be reached on the platform but of whom we know nothing. */
interface Case {
  readonly channel: Channel
  readonly scope: string
  readonly unknown: string
  readonly wish: () => Promise<Wish>
  readonly credits?: () => object
  /** What the gateway says when the one credit has been used. */
  readonly usedUp?: string
}

const official = (channel: Channel, to: string, content: object): Wish => {
  return { account: 'oa', channel, to, content }
}
const oneCredit = () => ({ credits: 1 })

const CASES: readonly Case[] = [
  {
    channel: 'template_message',
    scope: 'follow',
    unknown: 'follow_unknown',
    wish: () => {
      const [to = ''] = sandbox.account(OFFICIAL).addFollowers(1)
      return Promise.resolve(official('template_message', to, { template_id: TEMPLATE, data }))
    },
  },
  {
    channel: 'subscription_message',
    scope: `template:${TEMPLATE}`,
    unknown: 'template_unknown',
    wish: async () => {
      const account = sandbox.account(MINI)
      const to = account.newOpenid()
      await account.accept(to, [TEMPLATE], { silent: true })
      const content = { template_id: TEMPLATE, data, page: 'pages/index' }
      return { account: 'mini', channel: 'subscription_message', to, content }
    },
    credits: oneCredit,
    usedUp: 'no_credit_left',
  },
  {
    channel: 'device_message',
    scope: `template:${TEMPLATE}`,
    unknown: 'template_unknown',
    wish: async () => {
      const account = sandbox.account(MINI)
      const to = account.newOpenid()
      await account.accept(to, [TEMPLATE], { silent: true })
      const content = { template_id: TEMPLATE, sn: 'sn1', modelId: 'm1', data }
      return { account: 'mini', channel: 'device_message', to, content }
    },
    credits: oneCredit,
    usedUp: 'no_credit_left',
  },
  {
    channel: 'customer_service_message',
    scope: 'conversation',
    unknown: 'conversation_unknown',
    wish: async () => {
      const account = sandbox.account(MINI)
      const to = account.newOpenid()
      await account.act(to, { name: 'say', details: { text: '你好' }, silent: true })
      return { account: 'mini', channel: 'customer_service_message', to, content: textMessage }
    },
    credits: () => ({ credits: 1, expiresAt: inTwoDays() }),
    usedUp: 'conversation_used_up',
  },
  {
    channel: 'one_time_subscription',
    scope: 'one_time:1000',
    unknown: 'one_time_unknown',
    wish: async () => {
      const account = sandbox.account(OFFICIAL)
      const to = account.newOpenid()
      await account.confirmSubscription(to, TEMPLATE, '1000')
      const content = { template_id: TEMPLATE, scene: '1000', title: '提醒' }
      return official('one_time_subscription', to, {
        ...content,
        data: { content: { value: '茶' } },
      })
    },
    credits: oneCredit,
    usedUp: 'one_time_used_up',
  },
  {
    channel: 'wecom_app_message',
    scope: 'member',
    unknown: 'member_unknown',
    wish: () => Promise.resolve(appMessage('LiXiaoMing')),
  },
  {
    channel: 'wecom_welcome_message',
    scope: 'external_contact:WangFang',
    unknown: 'external_contact_unknown',
    wish: async () => {
      const { made } = await sandbox
        .corp(CORP)
        .act('add_external_contact', { userid: 'WangFang' }, { silent: true })
      return {
        account: 'app',
        channel: 'wecom_welcome_message',
        to: String(made.external_userid),
        sender: 'WangFang',
        content: { welcome_code: made.welcome_code, text: { content: '欢迎' } },
      }
    },
  },
  {
    channel: 'wecom_group_message',
    scope: 'external_contact:WangFang',
    unknown: 'external_contact_unknown',
    wish: async () => {
      const { made } = await sandbox
        .corp(CORP)
        .act('add_external_contact', { userid: 'WangFang' }, { silent: true })
      const content = { sender: 'WangFang', text: { content: '新茶' } }
      const to = String(made.external_userid)
      return { account: 'app', channel: 'wecom_group_message', to, content }
    },
  },
  {
    channel: 'wecom_kf_message',
    scope: `kf:${KF}`,
    unknown: 'kf_unknown',
    wish: async () => kfMessage(await saidToKf()),
    credits: () => ({ credits: 1, expiresAt: inTwoDays() }),
    usedUp: 'kf_used_up',
  },
]

function appMessage(to: string): Wish {
  return { account: 'app', channel: 'wecom_app_message', to, content: textMessage }
}

function kfMessage(to: string): Wish {
  const content = { open_kfid: KF, ...textMessage }
  return { account: 'kf', channel: 'wecom_kf_message', to, content }
}

async function saidToKf(): Promise<string> {
  const corp = sandbox.corp(CORP)
  const person = corp.newExternalUserid()
  const details = { open_kfid: KF, external_userid: person, text: '你好' }
  await corp.act('kf_say', details, { silent: true })
  return person
}

function robotMessage(robot_key = ROBOT): Wish {
  return {
    account: 'app',
    channel: 'wecom_robot_message',
    to: 'alarms',
    robot_key,
    content: textMessage,
  }
}

describe('P5 unknown-means-no on every channel', () => {
  test('has its case here, except the robot', () => {
    const tested: Channel[] = [...CASES.map(({ channel }) => channel), 'wecom_robot_message']
    expect(tested.toSorted()).toEqual(CHANNEL_NAMES.toSorted())
  })

  test.each(CASES)(
    '$channel is blocked while nothing is known, and sent once with consent',
    async (one) => {
      const { scope, unknown, usedUp, credits = () => ({}) } = one
      const wish = await one.wish()
      const before = calls(one.channel)
      const blocked = { allowed: false, reason: unknown, scope, evidence: [] }
      expect(await check(wish)).toEqual(blocked)
      expect(await send(wish)).toMatchObject({
        status: 'blocked',
        reason: unknown,
        missing_scope: scope,
      })
      expect(calls(one.channel)).toBe(before)

      await grant(wish.account, wish.to, scope, credits())
      expect(await check(wish)).toMatchObject({ allowed: true, reason: null, scope })
      expect(await send(wish)).toMatchObject({ status: 'sent', reason: null })
      expect(calls(one.channel)).toBe(before + 1)

      if (usedUp !== undefined) {
        expect(await send(wish)).toMatchObject({ status: 'blocked', reason: usedUp })
        expect(calls(one.channel)).toBe(before + 1)
      }
    },
  )

  test.each(CASES)('$channel is not sent after a stop', async (one) => {
    const wish = await one.wish()
    const before = calls(one.channel)
    await grant(wish.account, wish.to, one.scope, one.credits?.() ?? {})
    await sender(wish.account).optOut(wish.to, 'everything')
    expect(await send(wish)).toMatchObject({ status: 'blocked', reason: 'stopped' })
    expect(calls(one.channel)).toBe(before)
  })
})

describe('a WeCom application', () => {
  test('suppresses a member whom the platform does not know', async () => {
    await grant('app', 'NoSuchMember', 'member')
    sandbox.addFault({
      path: '/cgi-bin/message/send',
      openid: 'NoSuchMember',
      errcode: 81013,
      times: 1,
    })
    const ended = await send(appMessage('NoSuchMember'))
    expect(ended).toMatchObject({ status: 'failed', reason: 'invalid_recipient' })
    expect(await ledgerOf('app', 'NoSuchMember')).toEqual(['member granted', 'member suppressed'])
    expect(await check(appMessage('NoSuchMember'))).toMatchObject({ reason: 'member_suppressed' })
  })

  test('does not opt a member out at 43004 and 40132, and does not renew a token at 40001', async () => {
    for (const [to, errcode, reason] of [
      ['WangFang', 40132, 'permission'],
      ['WangFang', 40001, 'config'],
      ['WangFang', 43004, 'invalid_recipient'],
    ] as const) {
      await grant('app', to, 'member', { at: new Date() })
      sandbox.addFault({ path: '/cgi-bin/message/send', errcode, times: 1 })
      const { status, reason: said, attempt_count } = await send(appMessage(to))
      expect({ status, said, attempt_count }).toEqual({
        status: 'failed',
        said: reason,
        attempt_count: 1,
      })
    }
    expect((await ledgerOf('app', 'WangFang')).join()).not.toContain('revoked')
    expect(
      sandbox.log({ kind: 'call', path: '/cgi-bin/gettoken' }).entries.length,
    ).toBeLessThanOrEqual(2)
  })

  test('refuses a welcome message that could come too late', async () => {
    const { body } = await post('/v1/messages', {
      ...{ account: 'app', channel: 'wecom_welcome_message', to: 'wmX', sender: 'WangFang' },
      content: { welcome_code: 'CODE', text: { content: '欢迎' } },
      expires_at: new Date(Date.now() + 60_000).toISOString(),
    })
    expect(body).toMatchObject({ code: 'invalid_request', faults: [{ field: 'expires_at' }] })
  })
})

describe('customer service', () => {
  test('sends five messages in a window, and more after the next word of the customer', async () => {
    const to = await saidToKf()
    await grant('kf', to, `kf:${KF}`, { credits: 5, expiresAt: inTwoDays() })
    for (let n = 0; n < 5; n += 1) expect((await send(kfMessage(to))).status).toBe('sent')
    expect(await send(kfMessage(to))).toMatchObject({ status: 'blocked', reason: 'kf_used_up' })
    await grant('kf', to, `kf:${KF}`, { credits: 5, expiresAt: inTwoDays(), at: new Date() })
    expect(await check(kfMessage(to))).toMatchObject({ allowed: true })
  })

  test('takes a window that the platform calls closed as shut, and gives the message back', async () => {
    const to = await saidToKf()
    await grant('kf', to, `kf:${KF}`, { credits: 5, expiresAt: inTwoDays() })
    sandbox.addFault({ path: '/cgi-bin/kf/send_msg', errcode: 95018, times: 1 })
    expect(await send(kfMessage(to))).toMatchObject({ status: 'failed', reason: 'window_closed' })
    expect(await ledgerOf('kf', to)).toEqual([
      `kf:${KF} granted`,
      `kf:${KF} reserved`,
      `kf:${KF} returned`,
      `kf:${KF} suppressed`,
    ])
    expect(await check(kfMessage(to))).toMatchObject({ reason: 'kf_suppressed' })
  })

  test('knows a window that is over by the clock', async () => {
    const to = await saidToKf()
    await grant('kf', to, `kf:${KF}`, { credits: 5, expiresAt: new Date(Date.now() - 1_000) })
    expect(await check(kfMessage(to))).toMatchObject({ reason: 'kf_expired' })
  })
})

describe('a group robot', () => {
  test('needs no consent, and its key rests nowhere in clear', async () => {
    const before = calls('wecom_robot_message')
    expect(await check(robotMessage())).toEqual({
      allowed: true,
      reason: null,
      scope: null,
      evidence: [],
    })
    const later = { ...robotMessage(), send_at: new Date(Date.now() + 3_600_000).toISOString() }
    const { body } = await post('/v1/messages', later)
    const stored = JSON.stringify(await row(body.id))
    expect(stored).toContain('v1.')
    expect(stored).not.toContain(ROBOT)
    // its pace is that of its key, which is known by its digest
    const robots = await database.db('robot_message').where({ message_id: body.id })
    expect(robots).toMatchObject([{ robot: sha256(ROBOT), called_at: null }])
    await sender().request(`/v1/messages/${body.id}/cancel`, { method: 'POST' })
    expect(await row(body.id)).toMatchObject({ status: 'cancelled', sealed_secret: null })

    expect(await send(robotMessage())).toMatchObject({ status: 'sent' })
    expect(calls('wecom_robot_message')).toBe(before + 1)
    expect(lines.join()).not.toContain(ROBOT)
  })

  test('ends at 93000, with nothing about a person and no pause', async () => {
    const ended = await send(robotMessage('no-such-robot'))
    expect(ended).toMatchObject({ status: 'failed', reason: 'config' })
    expect(ended.attempts).toMatchObject([{ errcode: 93000 }])
    expect(await pauses()).toEqual([])
  })

  test('rests until the next minute at 45009, and the application beside it does not', async () => {
    sandbox.addFault({ path: '/cgi-bin/webhook/send', errcode: 45009, times: 1 })
    const { body } = await post('/v1/messages', robotMessage())
    await until(pauses, (found) => found.length > 0)
    expect(await pauses()).toEqual([{ channel: 'wecom_robot_message', reason: 'rate_minute' }])
    expect(await sender().message(body.id)).toMatchObject({
      status: 'queued',
      reason: 'rate_minute',
    })
    await database.db('sending_pause').delete()
  })
})

describe('the tenant gate', () => {
  const wish = (to: string): Wish => {
    const content = { template_id: TEMPLATE, data }
    return { account: 'merchant', channel: 'template_message', to, content }
  }

  /** The merchant authorises the component on the platform, and we hold what that brought. */
  async function authorizeMerchant(): Promise<void> {
    const component = sandbox.component(COMPONENT)
    const ticket = String((await component.act('push_ticket', {}, { silent: true })).made.ticket)
    const { made } = await component.act('authorize', { app_id: MERCHANT }, { silent: true })
    const { accounts, db } = gateway.parts
    const held = { value: ticket, effectiveAt: new Date() }
    await keepTicket({ db, box }, idOf('component'), held)
    const call = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const answer = await fetch(`${platform}/cgi-bin/component/${path}`, {
        method: 'POST',
        body: JSON.stringify({ component_appid: COMPONENT, ...body }),
      })
      return (await answer.json()) as Record<string, unknown>
    }
    const secrets = { component_appsecret: 's', component_verify_ticket: ticket }
    const { component_access_token: token } = await call('api_component_token', secrets)
    const exchanged = await call(`api_query_auth?component_access_token=${String(token)}`, {
      authorization_code: made.auth_code,
    })
    const info = exchanged['authorization_info'] as { authorizer_refresh_token: string }
    await accounts.putSecrets(idOf('merchant'), { refresh_token: info.authorizer_refresh_token })
  }

  test('lets nothing out for a merchant who has not, or no longer, authorised us', async () => {
    await authorizeMerchant()
    const [to = ''] = sandbox.account(MERCHANT).addFollowers(1)
    await grant('merchant', to, 'follow')
    const unknown = { allowed: false, reason: 'tenant_unknown', scope: 'tenant', evidence: [] }
    expect(await check(wish(to))).toEqual(unknown)
    expect(await send(wish(to))).toMatchObject({ status: 'blocked', reason: 'tenant_unknown' })

    await grant('component', MERCHANT, 'tenant')
    const allowed = await check(wish(to))
    expect(allowed).toMatchObject({ allowed: true, scope: 'follow' })
    expect(allowed.evidence).toHaveLength(2)
    expect(await send(wish(to))).toMatchObject({ status: 'sent' })

    await grant('component', MERCHANT, 'tenant', {
      change: 'suppressed',
      at: new Date(Date.now() - 2_000),
    })
    expect(await check(wish(to))).toMatchObject({ reason: 'tenant_suppressed' })
    await grant('component', MERCHANT, 'tenant', {
      change: 'revoked',
      at: new Date(Date.now() - 1_000),
    })
    expect(await check(wish(to))).toMatchObject({ reason: 'tenant_revoked', scope: 'tenant' })
    expect(await send(wish(to))).toMatchObject({ status: 'blocked', reason: 'tenant_revoked' })
  })
})

describe('acceptance', () => {
  const app = { account: 'app', to: 'LiXiaoMing', content: textMessage }

  test.each<[string, object, string, string]>([
    [
      'a channel of another kind',
      { ...app, channel: 'customer_service_message' },
      'channel_not_available',
      'channel',
    ],
    ['everybody', { ...app, channel: 'wecom_app_message', to: '@all' }, 'invalid_request', 'to'],
    [
      'a message type of another kind',
      {
        ...{ account: 'mini', channel: 'customer_service_message', to: 'o1' },
        content: { msgtype: 'voice', voice: { media_id: 'm' } },
      },
      'invalid_request',
      'content.msgtype',
    ],
    [
      'a group message that names no employee',
      { ...app, channel: 'wecom_group_message', content: { text: { content: 'x' } } },
      'invalid_request',
      'content.sender',
    ],
    [
      'a robot without its key',
      { ...app, channel: 'wecom_robot_message' },
      'invalid_request',
      'robot_key',
    ],
    [
      'a key where none belongs',
      { ...app, channel: 'wecom_app_message', robot_key: ROBOT },
      'invalid_request',
      'robot_key',
    ],
    [
      'a channel for a component, which sends nothing',
      { ...app, account: 'component', channel: 'wecom_app_message' },
      'channel_not_available',
      'channel',
    ],
  ])('refuses %s', async (_what, body, code, field) => {
    for (const path of ['/v1/messages', '/v1/messages:check']) {
      const answer = await post(path, body)
      expect(answer.status).toBe(400)
      expect(answer.body).toMatchObject({ code, faults: [{ field }] })
    }
  })

  test('refuses a broadcast that the account cannot send', async () => {
    const body = {
      account: 'app',
      channel: 'template_message',
      content: { template_id: TEMPLATE, data },
    }
    const answer = await post('/v1/broadcasts', { ...body, audience: { scope: 'follow' } })
    expect(answer.body).toMatchObject({ code: 'channel_not_available' })
  })
})

const ledgerOf = (account: string, subject: string) =>
  readLedger(database.db, idOf(account), subject)
const row = (id: string): Promise<unknown> => database.db('message').where({ id }).first()
const pauses = (): Promise<unknown[]> => database.db('sending_pause').select('channel', 'reason')
