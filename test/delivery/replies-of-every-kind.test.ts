import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until, type Sender } from '../support/send-road.ts'
import { useWebhookReceiver } from '../support/webhook-receiver.ts'

const MINI = 'wx2b6d4f8a1c3e5079'
const CORP = 'ww3c7e1a9b5d2f8064'
const SUITE = 'ww8a4c2e6b0d1f3957'
const PROVIDER = 'ww1f5d9b3a7c0e8264'
const AGENT = '1000042'
const MEMBER = 'LiXiaoMing'

let database: TestDatabase
let sandbox: Sandbox
let gateway: Gateway
let sender: Sender
let close: () => Promise<unknown>
const application = useWebhookReceiver()

beforeAll(async () => {
  database = await createTestDatabase()
  sandbox = createSandbox({ push: { repeatAfterNoConnectionMs: 1 } })
  const { url } = await sandbox.listen()
  const env = {
    DATABASE_URL: database.url,
    WECHAT_API_BASE_URL: url,
    WECOM_API_BASE_URL: url,
    WCG_MASTER_KEY: TEST_MASTER_KEY,
    WCG_PRIVATE_ENDPOINTS: 'loopback',
    LOG_LEVEL: 'silent',
  }
  gateway = await compose(readConfig(env))
  const server = createServer(gateway.app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const names = await addAccounts(base)
  const { key } = await gateway.parts.applications.add({ name: 'shop', accountNames: names })
  sender = createSender({ urls: () => [base], key, account: 'mini' })
  close = async () => {
    server.close()
    server.closeAllConnections()
    await gateway.stop()
    await sandbox.close()
    await database.drop()
  }
})
afterAll(() => close())

/** A Mini Program with JSON, and a corp behind a suite; on both sides. */
async function addAccounts(base: string): Promise<string[]> {
  const pair = { token: randomBytes(8).toString('hex'), aes_key: newAesKey() }
  const at = (name: string) => ({ ...pair, callback_url: `${base}/callbacks/${name}` })
  sandbox.addAccount({
    ...{ ...at('mini'), app_id: MINI, secret: 'mini secret', original_id: 'gh_2' },
    ...{ kind: 'mini_program', body_format: 'json' },
  })
  sandbox.addCorp({ corp_id: CORP, apps: [], members: [MEMBER] })
  const suite = sandbox.addSuite({
    ...{ ...at('suite'), suite_id: SUITE, secret: 'suite secret', provider_corp_id: PROVIDER },
    data_url: `${base}/callbacks/suite/$CORPID$`,
  })
  const keys = { mode: 'safe', token: pair.token, aesKey: pair.aes_key, settings: {} } as const
  const { accounts } = gateway.parts
  await accounts.add({
    ...{ ...keys, name: 'mini', kind: 'mini_program', appId: MINI, originalId: 'gh_2' },
    ...{ secret: 'mini secret', bodyFormat: 'json' },
  })
  await accounts.add({
    ...{ ...keys, name: 'suite', kind: 'wecom_suite', appId: SUITE, secret: 'suite secret' },
    providerCorpId: PROVIDER,
  })
  await gateway.workers.start()
  await suite.act('push_ticket')
  await suite.act('create_auth', { corp_id: CORP, agent_id: AGENT })
  const corp = await until(
    async () => (await accounts.list()).find(({ kind }) => kind === 'wecom_authorizer')?.name,
    (name) => name !== undefined,
  )
  return ['mini', 'suite', corp ?? '']
}

const addEndpoint = async (account: string) => {
  const body = { account, url: `${application().url}/${account}`, purpose: 'reply' }
  const { status, text } = await sender.request('/v1/endpoints', { body })
  return { status, text }
}

describe('a reply to a push', () => {
  it('of a Mini Program hands the person over, in JSON', async () => {
    expect(await addEndpoint('mini')).toMatchObject({ status: 201 })
    const reply = { msgtype: 'transfer_customer_service' }
    application().answer('/mini', { status: 200, body: { reply } })
    const account = sandbox.account(MINI)
    const openid = account.newOpenid()
    const push = await account.say(openid, '你好')
    expect(push).toMatchObject({ outcome: 'acknowledged' })
    expect(JSON.parse(push?.reply ?? '')).toMatchObject({
      ...{ ToUserName: openid, FromUserName: 'gh_2', MsgType: 'transfer_customer_service' },
    })
  })

  it('of a corp behind a suite is a message, sealed for the corp', async () => {
    const accounts = await gateway.parts.accounts.list()
    const corp = accounts.find(({ kind }) => kind === 'wecom_authorizer')?.name ?? ''
    expect(await addEndpoint(corp)).toMatchObject({ status: 201 })
    const reply = { msgtype: 'text', text: { content: '收到' } }
    application().answer(`/${corp}`, { status: 200, body: { reply } })
    const { push } = await sandbox
      .corp(CORP)
      .act('member_say', { userid: MEMBER, agent_id: AGENT, text: '你好' })
    expect(push).toMatchObject({ outcome: 'acknowledged' })
    expect(push?.reply).toContain('<Content><![CDATA[收到]]></Content>')
  })

  it('is nothing that an account of another kind could give', async () => {
    const { status, text } = await addEndpoint('suite')
    expect([status, JSON.parse(text)]).toMatchObject([
      400,
      { code: 'invalid_request', faults: [{ field: 'purpose' }] },
    ])
  })
})
