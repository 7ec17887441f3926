import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compose } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createTestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until, type Sender } from '../support/send-road.ts'

const CORP = 'ww3c7e1a9b5d2f8064'
const AGENT = '1000007'
const KF = 'wkT3pXBgAAmR8yLcVq2ZnKd5sHuE1oJf'
const OTHER_KF = 'wkM8rYwBgAAq4VnLc7TdKs2HuE9oJxZf'
const SEND = '/cgi-bin/kf/send_msg'

/** A corp that has no Secret of customer service: its self-built application does it all. */
describe('customer service by a self-built application', { timeout: 30_000 }, () => {
  let sandbox: Sandbox
  let sender: Sender
  let person = ''
  const undo: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    const database = await createTestDatabase()
    undo.push(() => database.drop())
    sandbox = createSandbox({ push: { repeatAfterNoConnectionMs: 1 } })
    undo.push(() => sandbox.close())
    const { url } = await sandbox.listen()
    const env = {
      ...{ DATABASE_URL: database.url, WCG_MASTER_KEY: TEST_MASTER_KEY, NODE_ENV: 'test' },
      ...{ WECHAT_API_BASE_URL: url, WECOM_API_BASE_URL: url, LOG_LEVEL: 'silent' },
    }
    const gateway = await compose(readConfig(env))
    undo.push(() => gateway.stop())
    const server = createServer(gateway.app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    undo.push(async () => {
      server.closeAllConnections()
      server.close()
    })
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const pair = { token: randomBytes(8).toString('hex'), aes_key: newAesKey() }
    const app = { agent_id: AGENT, secret: 'app', callback_url: `${base}/callbacks/app` }
    sandbox.addCorp({
      ...{ corp_id: CORP, apps: [{ ...pair, ...app }], kf_accounts: [KF, OTHER_KF] },
    })
    const { accounts, applications } = gateway.parts
    const side = { mode: 'safe', token: pair.token, aesKey: pair.aes_key, settings: {} } as const
    const account = { name: 'app', kind: 'wecom_app', appId: CORP, agentId: AGENT } as const
    await accounts.add({ ...side, ...account, secret: 'app' })
    const { key } = await applications.add({ name: 'shop', accountNames: ['app'] })
    await gateway.workers.start()
    sender = createSender({ urls: () => [base], key, account: 'app' })
    await speak()
  })
  afterAll(async () => {
    for (const step of undo.reverse()) await step()
  })

  /** A customer nobody has seen yet asks something. */
  async function speak(): Promise<void> {
    const corp = sandbox.corp(CORP)
    person = corp.newExternalUserid()
    await corp.act('kf_say', { open_kfid: KF, external_userid: person, text: '在吗' })
    await until(
      () => sender.consents(person),
      (consents) => consents.some(({ scope, live }) => scope === `kf:${KF}` && live),
    )
  }
  const wish = (words: string, openKfId = KF) => {
    const content = { open_kfid: openKfId, msgtype: 'text', text: { content: words } }
    return { account: 'app', channel: 'wecom_kf_message', to: person, content }
  }
  async function ask(words: string): Promise<string> {
    const { status, text } = await sender.request('/v1/messages', { body: wish(words) })
    expect(status, text).toBe(202)
    return (JSON.parse(text) as { id: string }).id
  }
  const send = async (words: string) => sender.ended(await ask(words))
  async function check(openKfId = KF) {
    const { text } = await sender.request('/v1/messages:check', { body: wish('在', openKfId) })
    const { allowed, reason, scope } = JSON.parse(text) as Record<string, unknown>
    return { allowed, reason, scope }
  }
  const received = () => sandbox.corp(CORP).messages(person).length
  const calls = () => sandbox.log({ kind: 'call', path: SEND }).entries.length

  it('answers, and learns that an answer did not arrive', async () => {
    const answered = await send('在')
    expect(answered).toMatchObject({ status: 'sent', msgid: answered.id.replaceAll('-', '') })
    expect(received()).toBe(1)
    const told = { open_kfid: KF, external_userid: person, msgid: answered.msgid ?? '' }
    sandbox.advance(1)
    await sandbox.corp(CORP).act('kf_fail', { ...told, fail_type: 10 })
    await sender.ended(answered.id, ['not_delivered'])
    const { text } = await sender.request(`/v1/messages/${answered.id}`)
    expect(JSON.parse(text)).toMatchObject({ receipt: { reason: 'customer (10)' } })
    expect(await check()).toMatchObject({ allowed: false, reason: 'kf_revoked' })
  })

  it('does not go beyond the five messages, although the answer to one was lost', async () => {
    await speak()
    const before = calls()
    sandbox.addFault({ path: SEND, reset: 'after', times: 1 })
    expect(await send('1')).toMatchObject({ status: 'unknown', attempt_count: 2 })
    for (const words of ['2', '3', '4', '5']) {
      expect(await send(words)).toMatchObject({ status: 'sent' })
    }
    expect(await send('6')).toMatchObject({ status: 'blocked', reason: 'kf_used_up' })
    // the sixth call is the repeat of the first
    expect([received(), calls() - before]).toEqual([5, 6])
  })

  it('stops when the corp takes the account back, and goes on when it gives it again', async () => {
    await speak()
    sandbox.advance(1)
    const corp = sandbox.corp(CORP)
    await corp.act('kf_authorize', { open_kfid: KF, allowed: false })
    const stopped = { allowed: false, reason: 'kf_account_revoked', scope: `tenant:${KF}` }
    expect(await check()).toEqual(stopped)
    expect(await check(OTHER_KF)).toMatchObject({ reason: 'kf_unknown' })
    expect(await send('在')).toMatchObject({
      ...{ status: 'blocked', reason: stopped.reason, missing_scope: stopped.scope },
    })
    sandbox.advance(1)
    await corp.act('kf_authorize', { open_kfid: KF, allowed: true })
    expect(await check()).toMatchObject({ allowed: true })
    expect(await send('在')).toMatchObject({ status: 'sent' })
  })
})
