import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { addJob } from '../../src/database/job-queue.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { welcomeCustomer } from '../../src/messages/welcome-customer.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxCorp } from '../../src/sandbox/sandbox-owners.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until, type Sender } from '../support/send-road.ts'
import { useWebhookReceiver } from '../support/webhook-receiver.ts'

const CORP = 'ww5b8e2d7a1c4f9036'
const LI = 'LiXiaoMing'
const WELCOME = { text: { content: '欢迎' } }

let database: TestDatabase
let sandbox: Sandbox
let corp: SandboxCorp
let gateway: Gateway
let sender: Sender
let close: () => Promise<unknown>
const ids = new Map<string, number>()
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
  const pair = { token: randomBytes(8).toString('hex'), aes_key: newAesKey() }
  const callback_url = `${base}/callbacks/crm`
  corp = sandbox.addCorp({
    corp_id: CORP,
    apps: [
      { ...pair, agent_id: '1000007', secret: 'crm secret', callback_url },
      { ...pair, agent_id: '2000004', secret: 'archive secret' },
    ],
    members: [LI, 'WangFang', 'ZhouBa', 'WuJiu'],
  })
  const side = { mode: 'safe', kind: 'wecom_app', appId: CORP, settings: {} } as const
  const keys = { token: pair.token, aesKey: pair.aes_key }
  const { accounts, applications } = gateway.parts
  for (const [name, agentId] of [
    ['crm', '1000007'],
    ['archive', '2000004'],
  ] as const) {
    const added = await accounts.add({ ...side, ...keys, name, agentId, secret: `${name} secret` })
    ids.set(name, added.id)
  }
  await accounts.updateSettings('crm', { archive_account: 'archive' })
  const { key } = await applications.add({ name: 'shop', accountNames: ['crm'] })
  sender = createSender({ urls: () => [base], key, account: 'crm' })
  await gateway.workers.start()
  close = async () => {
    server.close()
    server.closeAllConnections()
    await gateway.stop()
    await sandbox.close()
    await database.drop()
  }
})
afterAll(() => close())

interface LedgerRow {
  readonly subject: string
  readonly scope: string
  readonly evidence: string
  readonly reason: string
}

/** A new customer of a member, known to both sides. */
async function befriend(userid = LI): Promise<string> {
  const { made } = await corp.act('add_external_contact', { userid, welcome_code: false })
  return String(made.external_userid)
}

const contact = (userid = LI) => `external_contact:${userid}`
const stateOf = async (person: string, scope: string) =>
  (await sender.consents(person)).find((one) => one.scope === scope)?.state

async function askForMessage(body: object): Promise<string> {
  const answer = await sender.request('/v1/messages', { body: { account: 'crm', ...body } })
  if (answer.status !== 202) throw new Error(answer.text)
  return (JSON.parse(answer.text) as { id: string }).id
}

/** Does a job at once, also one that waits for its time. */
async function jobNow(task: string, payload: Record<string, string | number>, key?: string) {
  await addJob(database.db, { task, payload, ...(key !== undefined && { key }) })
  await until(
    () =>
      database.db
        .withSchema('graphile_worker')
        .from('jobs')
        .where({ task_identifier: task })
        .whereRaw('run_at <= now()'),
    (rows: unknown[]) => rows.length === 0,
  )
}

describe('a group message', () => {
  const group = (to: string) =>
    askForMessage({
      to,
      channel: 'wecom_group_message',
      content: { sender: LI, text: { content: '新茶' } },
    })
  const ask = (id: string) =>
    jobNow(
      'read_group_result',
      { account_id: ids.get('crm') ?? 0, message_id: id, asked: 0 },
      `read_group_result/${id}`,
    )

  it('becomes delivered, or ends the consent of who is no friend, once the member has sent it', async () => {
    const [friend, left] = [await befriend(), await befriend()]
    sandbox.advance(1)
    await corp.act('del_follow_user', { userid: LI, external_userid: left }, { silent: true })
    const sent = await Promise.all([friend, left].map(group))
    const messages = await Promise.all(sent.map((id) => sender.ended(id, ['sent'])))

    // Nothing is known before the member has confirmed it, and it is asked again.
    for (const id of sent) await ask(id)
    expect((await sender.message(sent[0] ?? '')).status).toBe('sent')
    const waiting = await database.db
      .withSchema('graphile_worker')
      .from('jobs')
      .where({ task_identifier: 'read_group_result' })
    expect(waiting).toHaveLength(2)

    for (const { msgid } of messages) {
      await corp.act('confirm_group_message', { msgid, userid: LI })
    }
    for (const id of sent) await ask(id)
    expect(await sender.ended(sent[0] ?? '', ['delivered'])).toMatchObject({ status: 'delivered' })
    await sender.ended(sent[1] ?? '', ['not_delivered'])
    expect(await stateOf(friend, contact())).toBe('granted')
    expect(await stateOf(left, contact())).toBe('revoked')
    const said = await database.db('consent_ledger').where({ subject: left, change: 'revoked' })
    expect(said).toMatchObject([{ reason: 'group_message:not_friends', evidence: 'attempt' }])
    // A second look, by a process that was taken for dead, says nothing new.
    await ask(sent[1] ?? '')
    expect(await database.db('consent_ledger').where({ subject: left, change: 'revoked' })).toEqual(
      said,
    )
  })

  it('leaves alone who became a friend again after the member had sent it', async () => {
    const person = await befriend()
    const id = await group(person)
    const { msgid } = await sender.ended(id, ['sent'])
    await corp.act('del_follow_user', { userid: LI, external_userid: person }, { silent: true })
    await corp.act('confirm_group_message', { msgid, userid: LI })
    sandbox.advance(2)
    await corp.act('add_external_contact', { userid: LI, external_userid: person })
    await ask(id)
    expect(await sender.ended(id, ['not_delivered'])).toMatchObject({ status: 'not_delivered' })
    expect(await stateOf(person, contact())).toBe('granted')
  })
})

describe('the chat archive', () => {
  it('is asked about every customer, with its own secret, and a refusal is recorded', async () => {
    const [agreed, refused] = [await befriend(), await befriend()]
    await corp.act('agree_archive', { userid: LI, external_userid: refused })
    expect(await stateOf(refused, `msgaudit:${LI}`)).toBe('granted')
    sandbox.advance(1)
    await corp.act('disagree_archive', { userid: LI, external_userid: refused })
    await corp.act('agree_archive', { userid: LI, external_userid: agreed }, { silent: true })
    await jobNow('check_archives', {})
    await until(
      () => stateOf(refused, `msgaudit:${LI}`),
      (state) => state === 'revoked',
    )
    expect(await stateOf(agreed, `msgaudit:${LI}`)).toBe('granted')

    const rows = () => database.db('consent_ledger').whereLike('scope', 'msgaudit:%')
    const before = await rows()
    await jobNow('check_archive', { account_id: ids.get('crm') ?? 0 })
    expect(await rows()).toEqual(before)
  })

  it('is asked about the customer groups that events named, until they are dismissed', async () => {
    const [agrees, refuses, silent] = ['wmAgrees', 'wmRefuses', 'wmSilent']
    const chat_id = 'wrInventedGroup'
    await corp.act('create_chat', { chat_id, external_userids: [agrees, refuses, silent] })
    await corp.act('create_chat', { chat_id: 'wrOther', external_userids: [silent] })
    await corp.act('agree_archive_in_chat', { chat_id, external_userid: agrees })
    await corp.act('disagree_archive_in_chat', { chat_id, external_userid: refuses })
    const rooms = () =>
      database
        .db('archive_room')
        .orderBy('chat_id')
        .select<{ chat_id: string; dismissed: boolean; asked_at: Date | null }[]>(
          'chat_id',
          'dismissed',
          'asked_at',
        )
    await until(rooms, (known) => known.length === 2)
    // the platform has nothing to say about it, and the others are asked about all the same
    await corp.act('dismiss_chat', { chat_id: 'wrOther' }, { silent: true })
    await jobNow('check_archive', { account_id: ids.get('crm') ?? 0 })
    await until(rooms, (known) => known.every(({ asked_at: at }) => at !== null))
    const states = [agrees, refuses, silent].map((one) => stateOf(one, `msgaudit:${chat_id}`))
    expect(await Promise.all(states)).toEqual(['granted', 'revoked', undefined])

    const said = () => database.db('consent_ledger').where({ scope: `msgaudit:${chat_id}` })
    const before = await said()
    expect(before).toMatchObject([{ evidence: 'sync' }, { evidence: 'sync' }])
    await corp.act('dismiss_chat', { chat_id })
    await until(rooms, (known) => known.some(({ dismissed }) => dismissed))
    const [dismissed, other] = await rooms()
    await jobNow('check_archive', { account_id: ids.get('crm') ?? 0 })
    const [still, again] = await rooms()
    expect(still).toEqual(dismissed)
    expect(Number(again?.asked_at)).toBeGreaterThan(Number(other?.asked_at))
    expect(await said()).toEqual(before)
  })
})

describe('a welcome', () => {
  const messagesTo = async (person: unknown) => {
    return (await sender.messages()).filter(({ to }) => to === person)
  }
  const welcomed = (person: unknown) =>
    corp.messages(String(person)).filter(({ channel }) => channel === 'welcome_message')

  /** What an application asks for when it has been told of a new customer. */
  const answering = (eventId: string, to: unknown, more: object = {}) => ({
    ...{ account: 'crm', channel: 'wecom_welcome_message', to, event_id: eventId },
    ...{ content: WELCOME, ...more },
  })
  const post = async (body: object, path = '/v1/messages') => {
    const { status, text } = await sender.request(path, { body })
    return { status, body: JSON.parse(text) as { id: string; code: string; detail: string } }
  }

  it('is for an application by the event that it was told of, once, and no code is shown', async () => {
    const endpoint = { account: 'crm', url: `${application().url}/new` }
    await sender.request('/v1/endpoints', { body: endpoint })
    const { made } = await corp.act('add_external_contact', { userid: LI })
    const to = made.external_userid
    const [told] = await until(
      () => Promise.resolve(application().at('/new')),
      (all) => all.length > 0,
    )
    const event = JSON.parse(told?.body ?? '{}') as { id: string; document: string }
    expect(event).toMatchObject({ subject: to, account: 'crm' })
    expect(told?.body).not.toContain(made.welcome_code)

    const checked = await sender.request('/v1/messages:check', { body: answering(event.id, to) })
    expect(JSON.parse(checked.text)).toMatchObject({ allowed: true, scope: contact() })
    const both = await Promise.all([post(answering(event.id, to)), post(answering(event.id, to))])
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409])
    const [id = ''] = both.flatMap(({ status, body }) => (status === 202 ? [body.id] : []))
    expect(await sender.ended(id)).toMatchObject({ status: 'sent', attempt_count: 1 })
    expect(welcomed(to)).toHaveLength(1)

    const again = await post(answering(event.id, to))
    expect(again.body).toMatchObject({ code: 'welcome_code_used' })
    expect(again.body.detail).toContain(id)
    const { rows } = await database.db.raw<{ rows: { row: string }[] }>(
      `select message::text as row from message where recipient = ?
       union all select welcome_code::text from welcome_code where event_id = ?`,
      [String(to), event.id],
    )
    expect(rows).toHaveLength(2)
    expect(JSON.stringify(rows)).not.toContain(made.welcome_code)
  })

  it('is refused by the event with what to do: other people, no code, too late', async () => {
    const { made } = await corp.act('add_external_contact', { userid: LI })
    const to = made.external_userid
    const { events } = JSON.parse(
      (await sender.request(`/v1/events?subject=${String(to)}`)).text,
    ) as { events: { id: string }[] }
    const id = events[0]?.id ?? ''
    const faultsOf = async (body: object) => {
      const { status, text } = await sender.request('/v1/messages', { body })
      const { faults = [] } = JSON.parse(text) as { faults?: { field: string }[] }
      return [status, ...faults.map(({ field }) => field)]
    }
    expect(await faultsOf(answering(id, 'wmSomebodyElse', { sender: 'WangFang' }))).toEqual([
      ...[400, 'to', 'sender'],
    ])
    expect(await faultsOf(answering('987654321', to))).toEqual([400, 'event_id'])
    const own = { content: { ...WELCOME, welcome_code: 'CODE' } }
    expect(await faultsOf(answering(id, to, own))).toEqual([400, 'event_id', 'sender'])

    await database
      .db('welcome_code')
      .where({ event_id: id })
      .update({
        effective_at: database.db.raw(`effective_at - interval '1 minute'`),
      })
    const late = await post(answering(id, to))
    expect(late).toMatchObject({ status: 409, body: { code: 'welcome_code_expired' } })
    expect(welcomed(to)).toEqual([])
  })

  it('is sent by itself where the account has one, once, through the gate', async () => {
    const quiet = await corp.act('add_external_contact', { userid: LI })
    await gateway.parts.accounts.updateSettings('crm', { welcome_message: WELCOME })
    await until(
      async () => (await gateway.parts.accounts.findByName('crm'))?.settings.welcome_message,
      (welcome) => welcome !== null,
    )
    let person: unknown
    await until(
      async () => {
        // The receiver's copy of the account may be a moment older than the setting.
        const { made } = await corp.act('add_external_contact', { userid: LI })
        person = made.external_userid
        return messagesTo(person)
      },
      (all) => all.length > 0,
    )
    const [{ id } = { id: '' }] = await messagesTo(person)
    const ended = await sender.ended(id)
    expect(ended).toMatchObject({ status: 'sent', channel: 'wecom_welcome_message' })
    expect(ended.attempts).toHaveLength(1)
    expect(welcomed(person)).toHaveLength(1)
    expect(welcomed(quiet.made.external_userid)).toEqual([])
  })

  it('is one message for one event, and none when its code is over', async () => {
    const { messages, log, seal } = gateway.parts
    const deps = { store: messages, log, seal, clock: systemClock }
    const person = await befriend()
    const welcome = (eventId: string, at: Date) =>
      welcomeCustomer(deps, {
        ...{ account: { id: ids.get('crm') ?? 0, name: 'crm' }, eventId, at },
        ...{ to: person, sender: LI, code: 'a code that was used', content: WELCOME },
      })
    const now = systemClock.now()
    await welcome('1', new Date(now.getTime() - 20_000))
    expect(await messagesTo(person)).toEqual([])
    for (let time = 0; time < 2; time += 1) await welcome('2', now)
    expect(await messagesTo(person)).toHaveLength(1)
  })
})

describe('a member with another userid', () => {
  it('keeps what was said under the old one, and no stop is lost while sends are under way', async () => {
    const { db } = database
    const [renamed, next] = ['ZhaoLei', 'ZhaoLei2']
    await corp.act('member_subscribe', { userid: renamed })
    const [friend, left] = [await befriend(renamed), await befriend(renamed)]
    sandbox.advance(1)
    await corp.act('del_follow_user', { userid: renamed, external_userid: left })
    await sender.optOut(renamed, 'everything')
    // The new id may be sent to, until it is known whose it is.
    await corp.act('member_subscribe', { userid: next })
    sandbox.advance(1)

    const send = () =>
      askForMessage({
        to: next,
        channel: 'wecom_app_message',
        content: { msgtype: 'text', text: { content: '下午茶' } },
      })
    const asked = [await send()]
    expect(await sender.ended(asked[0] ?? '')).toMatchObject({ status: 'sent' })
    const [, ...more] = await Promise.all([
      corp.act('update_user', { userid: renamed, new_userid: next }),
      ...Array.from({ length: 12 }, send),
    ])
    await until(
      () => stateOf(next, 'everything'),
      (state) => state === 'revoked',
    )
    const late = await send()
    await Promise.all([...more, late].map((id) => sender.ended(id)))
    expect(await sender.message(late)).toMatchObject({ status: 'blocked', reason: 'stopped' })
    const { rows } = await db.raw<{ rows: unknown[] }>(
      `select from attempt
       join message on message.id = attempt.message_id
       join consent_ledger as stop on stop.subject = message.recipient
       where message.recipient = ? and stop.scope = 'everything'
         and attempt.started_at > stop.recorded_at`,
      [next],
    )
    expect(rows).toEqual([])

    await until(
      () => stateOf(friend, contact(next)),
      (state) => state === 'granted',
    )
    expect(await stateOf(renamed, 'member')).toBe('suppressed')
    expect(await stateOf(friend, contact(renamed))).toBe('suppressed')
    expect(await stateOf(left, contact(next))).toBe('revoked')
    const carried = await db<LedgerRow>('consent_ledger').where({
      ...{ subject: left, scope: contact(next) },
    })
    expect(carried).toMatchObject([{ evidence: 'event', reason: 'update_user:carried' }])
  })
})

describe('a member who leaves the corp', () => {
  it('leaves every account of it, as that account keeps or erases people', async () => {
    const { accounts, consents } = gateway.parts
    const side = { kind: 'wecom_app', mode: 'safe', appId: CORP, settings: {} } as const
    const keys = { token: 'token', aesKey: newAesKey(), secret: 'other secret' }
    const keeping = await accounts.add({ ...side, ...keys, name: 'hr', agentId: '1000009' })
    await accounts.updateSettings('hr', { erase_on_cancellation: false })
    const others = [ids.get('archive') ?? 0, keeping.id]
    const subject = 'SunQi'
    const by = { kind: 'operator', actor: 'ada' } as const
    await corp.act('member_subscribe', { userid: subject })
    for (const accountId of others) {
      await consents.optIn({ accountId, subject, scope: 'member', reason: 'seen there', by })
    }
    sandbox.advance(2)
    await corp.act('delete_user', { userid: subject })
    const statesAt = (accountId: number) =>
      database.db('consent').where({ account_id: accountId, subject }).pluck('state')
    await until(
      () => Promise.all([ids.get('crm') ?? 0, ...others].map(statesAt)),
      (states) => JSON.stringify(states) === '[[],[],["revoked"]]',
    )
    const told = await database.db<LedgerRow>('consent_ledger').where({ subject })
    const row = told.find(({ evidence }) => evidence === 'event')
    expect(row).toMatchObject({ subject, scope: 'member', reason: 'delete_user' })
  })
})

describe('two applications in the document of one second', () => {
  it('are two events, each once, and both end what they can', async () => {
    const at = Math.floor(sandbox.now().getTime() / 1000)
    const unsubscribed = (agentId: string) =>
      `<xml><ToUserName><![CDATA[${CORP}]]></ToUserName>` +
      '<FromUserName><![CDATA[ChenJiu]]></FromUserName>' +
      `<CreateTime>${at}</CreateTime><MsgType><![CDATA[event]]></MsgType>` +
      `<Event><![CDATA[unsubscribe]]></Event><AgentID>${agentId}</AgentID></xml>`
    for (const agentId of ['1000007', '1000008', '1000007']) {
      expect(await corp.pushDocument(unsubscribed(agentId))).toMatchObject({
        outcome: 'acknowledged',
      })
    }
    const { text } = await sender.request('/v1/events?subject=ChenJiu')
    const { events } = JSON.parse(text) as { events: { name: string }[] }
    expect(events.map(({ name }) => name)).toEqual(['unsubscribe', 'unsubscribe'])
    expect(await stateOf('ChenJiu', 'member')).toBe('revoked')
  })
})

describe('a userid in another case', () => {
  it('ends what is on record for the member, and for the relations of customers with them', async () => {
    const friend = await befriend('WangFang')
    await corp.act('member_subscribe', { userid: 'WangFang' })
    sandbox.advance(2)
    await corp.act('member_unsubscribe', { userid: 'WANGFANG' })
    await corp.act('member_say', { userid: 'wangfang', text: 'hello' })
    expect(await stateOf('WangFang', 'member')).toBe('revoked')
    await sender.optOut(friend, contact('wangfang'))
    expect(await stateOf(friend, contact('WangFang'))).toBe('revoked')
    await sender.optOut('wangFang', 'everything')
    expect(await stateOf('WangFang', 'everything')).toBe('revoked')
    const others = await database.db('consent').whereIn('subject', ['WANGFANG', 'wangFang'])
    expect(others).toEqual([])
    const { text } = await sender.request('/v1/events?subject=WangFang')
    const { events } = JSON.parse(text) as { events: { name: string }[] }
    expect(events.map(({ name }) => name)).toEqual(['text', 'unsubscribe', 'subscribe'])
  })
})

describe('a broadcast to members', () => {
  const content = { msgtype: 'text', text: { content: '放假通知' } }
  const head = { account: 'crm', channel: 'wecom_app_message', content }
  const createdBy = async (
    request: Promise<{ readonly status: number; readonly text: string }>,
  ) => {
    const { status, text } = await request
    if (status !== 202) throw new Error(text)
    return JSON.parse(text) as { id: string; bad_lines: unknown[] }
  }
  const resultsOf = async (id: string) => {
    await until(
      () => database.db('broadcast').where({ id }).first<{ phase: string }>('phase'),
      ({ phase }) => phase === 'completed',
    )
    const rows = await database
      .db('message')
      .where({ broadcast_id: id })
      .orderBy('recipient')
      .select<{ recipient: string; status: string; reason: string | null }[]>(
        ...['recipient', 'status', 'reason'],
      )
    return rows.map(({ recipient, status, reason }) => `${recipient} ${status} ${reason ?? ''}`)
  }

  it('is one request for a list, with an outcome for each member', async () => {
    for (const userid of ['ZhouBa', 'WuJiu']) await corp.act('member_subscribe', { userid })
    // WeCom no longer lets the app write to one of them, and we have not heard of it
    await corp.act('member_unsubscribe', { userid: 'ZhouBa' }, { silent: true })
    const lines = [
      head,
      ...['WuJiu', 'ZhouBa', 'ZhengShi', '@all', 'WuJiu|ZhouBa'].map((to) => ({ to })),
    ]
    const body = lines.map((line) => JSON.stringify(line)).join('\n')
    const headers = { 'content-type': 'application/x-ndjson' }
    const { id, bad_lines } = await createdBy(sender.request('/v1/broadcasts', { body, headers }))
    expect(bad_lines).toMatchObject([{ line: 5 }, { line: 6 }])
    expect(await resultsOf(id)).toEqual([
      'WuJiu sent ',
      'ZhengShi blocked member_unknown',
      'ZhouBa failed invalid_recipient',
    ])
  })

  it('reaches everyone with live member consent, and nobody else', async () => {
    await sender.optOut('WuJiu', 'everything')
    await corp.act('member_subscribe', { userid: LI })
    const body = { ...head, audience: { scope: 'member' } }
    const { id } = await createdBy(sender.request('/v1/broadcasts', { body }))
    const results = await resultsOf(id)
    expect(results).toContain(`${LI} sent `)
    expect(results.find((line) => line.startsWith('WuJiu'))).toBe('WuJiu blocked stopped')
    const live = await database
      .db('consent')
      .where({ account_id: ids.get('crm'), scope: 'member', state: 'granted' })
      .pluck('subject')
    expect(results.map((line) => line.split(' ')[0])).toEqual(live.sort())
  })
})
