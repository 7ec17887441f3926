import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { addJob } from '../../src/database/job-queue.ts'
import { newId } from '../../src/foundation/ids.ts'
import { findRefused, replaceRefused } from '../../src/messages/fallback-store.ts'
import type { SandboxAccount } from '../../src/sandbox/sandbox-account.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newPerson } from '../support/messages.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until, type Sender } from '../support/send-road.ts'

const APP_ID = 'wx5e7a9c1b3d2f4068'

let database: TestDatabase
let sandbox: Sandbox
let gateway: Gateway
let platform: string
let people: SandboxAccount
let sender: Sender
let accountId: number
let close: () => Promise<unknown>
const lines: string[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  sandbox = createSandbox()
  platform = (await sandbox.listen()).url
  const env = {
    DATABASE_URL: database.url,
    WECHAT_API_BASE_URL: platform,
    WCG_MASTER_KEY: TEST_MASTER_KEY,
    NODE_ENV: 'test',
  }
  gateway = await compose(readConfig(env), {
    logDestination: { write: (line: string) => void lines.push(line) },
  })
  const pair = { token: randomBytes(8).toString('hex'), aesKey: newAesKey() }
  const same = { secret: 'an invented secret', token: pair.token }
  const { parts } = gateway
  accountId = (
    await parts.accounts.add({
      ...{ ...same, name: 'acme', kind: 'official_account', appId: APP_ID, originalId: 'gh_acme' },
      ...{ mode: 'safe', aesKey: pair.aesKey, settings: {} },
    })
  ).id
  const { key } = await parts.applications.add({ name: 'shop', accountNames: ['acme'] })
  await gateway.workers.start()
  const server = createServer(gateway.app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  people = sandbox.addAccount({
    ...{ ...same, app_id: APP_ID, original_id: 'gh_acme', aes_key: pair.aesKey },
    callback_url: `${base}/callbacks/acme`,
  })
  sender = createSender({ urls: () => [base], key, account: 'acme' })
  close = async () => {
    server.close()
    server.closeAllConnections()
    await gateway.stop()
    await sandbox.close()
    await database.drop()
  }
})

afterAll(() => close())

const aliasRecord = z
  .object({
    name: z.string(),
    step: z.int(),
    reason: z.string().nullable(),
    fallback_of: z.string().nullable(),
    fallback: z.string().nullable(),
    no_fallback: z.string().nullable(),
  })
  .nullable()

const messageSchema = z.object({
  id: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  missing_scope: z.string().nullable(),
  template_id: z.string().nullable(),
  alias: aliasRecord,
})

type AskedAlias = z.output<typeof messageSchema>

async function message(id: string) {
  const { text } = await sender.request(`/v1/messages/${id}`)
  return messageSchema.parse(JSON.parse(text))
}

/** A template on the platform's page. */
async function putTemplate(
  template_id: string,
  fields: readonly string[],
  status = 'live',
): Promise<void> {
  const content = fields.map((name) => `{{${name}.DATA}}`).join('\n')
  const answer = await fetch(`${platform}/sandbox/accounts/${APP_ID}/templates`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ template_id, content, status }),
  })
  expect(answer.status).toBe(200)
}

async function putAlias(name: string, body: Record<string, unknown>): Promise<void> {
  const path = `/v1/accounts/acme/template-aliases/${name}`
  const channel = 'template_message'
  const answer = await sender.request(path, { method: 'PUT', body: { channel, ...body } })
  expect(answer).toMatchObject({ status: 200 })
}

const sendBody = (to: string, alias: string, more: Record<string, unknown> = {}) => ({
  ...{ account: 'acme', to, channel: 'template_message' },
  content: { template_id: alias, data: { thing1: { value: '乌龙茶' } } },
  ...more,
})

async function send(to: string, alias: string, more: Record<string, unknown> = {}) {
  const answer = await sender.request('/v1/messages', { body: sendBody(to, alias, more) })
  expect(answer.status).toBe(202)
  return z.object({ id: z.string() }).parse(JSON.parse(answer.text)).id
}

/** The message and those that took its place, once nothing more follows. */
async function chainOf(id: string): Promise<readonly AskedAlias[]> {
  const chain = [
    await until(
      () => message(id),
      ({ status, reason, alias }) =>
        !['queued', 'sending'].includes(status) &&
        (reason !== 'template' || Boolean(alias?.fallback ?? alias?.no_fallback)),
    ),
  ]
  const next = chain[0]?.alias?.fallback
  return next ? [...chain, ...(await chainOf(next))] : chain
}

async function follower(): Promise<string> {
  const person = newPerson()
  await people.follow(person)
  return person
}

const logged = (name: string) =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === name)

describe('a refused template of an alias', () => {
  it('lets the next one that the platform takes be sent, once, with its values mapped', async () => {
    await putTemplate('EXACT', ['thing1'], 'withdrawn')
    await putTemplate('GENERAL', ['thing5'], 'withdrawn')
    await putTemplate('SYSTEM', ['thing9', 'phrase2'])
    await putAlias('shipped', {
      template_id: 'EXACT',
      fallbacks: [
        { template_id: 'GENERAL', map: { thing5: 'thing1' } },
        { template_id: 'SYSTEM', map: { thing9: 'thing1', phrase2: { value: '已发货' } } },
      ],
    })
    const person = await follower()
    const callback_url = 'http://127.0.0.1:9/results'
    const id = await send(person, '@shipped', { callback_url })
    const [first, second, third] = await chainOf(id)
    expect(first).toMatchObject({
      ...{ status: 'failed', reason: 'template', template_id: 'EXACT' },
      alias: { name: 'shipped', step: 0, reason: null, fallback_of: null, fallback: second?.id },
    })
    expect(second).toMatchObject({
      ...{ status: 'failed', template_id: 'GENERAL' },
      alias: { step: 1, reason: 'refused', fallback_of: id, fallback: third?.id },
    })
    expect(third).toMatchObject({
      template_id: 'SYSTEM',
      alias: { step: 2, fallback_of: second?.id, fallback: null, no_fallback: null },
    })
    await sender.ended(third?.id ?? '', ['sent', 'delivered'])
    const told = await database.db('message').where({ recipient: person, callback_url })
    expect(told).toHaveLength(3)
    expect(people.messages(person).map(({ content }) => content)).toEqual([
      {
        template_id: 'SYSTEM',
        data: { thing9: { value: '乌龙茶' }, phrase2: { value: '已发货' } },
      },
    ])
    expect(logged('message.fell_back')).toHaveLength(2)
    expect(lines.join('\n')).not.toContain(person)

    // the job again, as after a crash behind its commit
    for (const message_id of [id, id, second?.id ?? '']) {
      await addJob(database.db, { task: 'send-fallback', payload: { message_id } })
    }
    await until(
      () => database.db('graphile_worker.jobs').where({ task_identifier: 'send-fallback' }),
      (waiting) => waiting.length === 0,
    )
    expect(await database.db('aliased_message').where({ fallback_of: id })).toHaveLength(1)
  })

  it('is replaced by one of two processes that try at once', async () => {
    await putTemplate('RACE', ['thing1'], 'withdrawn')
    await putAlias('race', { template_id: 'RACE' })
    const id = await send(await follower(), '@race')
    const [ended] = await chainOf(id)
    expect(ended?.alias).toMatchObject({ fallback: null, no_fallback: 'none_left' })

    await database.db('aliased_message').where({ message_id: id }).update({ no_fallback: null })
    const refused = await findRefused(database.db, id)
    if (!refused) throw new Error('the message waits for a fallback')
    const successor = () => ({
      ...{ id: newId(new Date()), step: 1, templateId: 'SYSTEM', tried: ['RACE'] },
      ...{ content: { template_id: 'SYSTEM', data: {} }, askedData: {}, createdAt: new Date() },
    })
    const tries = [1, 2, 3].map(() => replaceRefused(database.db, refused, successor()))
    expect((await Promise.all(tries)).toSorted()).toEqual(['made', 'not_any_more', 'not_any_more'])
    expect(await findRefused(database.db, id)).toBeUndefined()
  })

  it('is replaced by a template that the person has accepted, and blocked where there is none', async () => {
    for (const id of ['SUB1', 'SUB2']) await putTemplate(id, ['thing1'])
    await putTemplate('SUB0', ['thing1'], 'withdrawn')
    await putAlias('reminder', {
      channel: 'subscription_message',
      template_id: 'SUB0',
      fallbacks: [{ template_id: 'SUB1' }, { template_id: 'SUB2' }],
    })
    const [both, one] = [newPerson(), newPerson()]
    await people.accept(both, ['SUB0', 'SUB2'])
    await people.accept(one, ['SUB0'])
    const channel = 'subscription_message'
    const [, replaced] = await chainOf(await send(both, '@reminder', { channel }))
    expect(replaced).toMatchObject({ template_id: 'SUB2', alias: { step: 2 } })
    await sender.ended(replaced?.id ?? '', ['sent', 'delivered'])
    const [, blocked] = await chainOf(await send(one, '@reminder', { channel }))
    expect(blocked).toMatchObject({
      ...{ status: 'blocked', reason: 'template_unknown', missing_scope: 'template:SUB1' },
      alias: { step: 1 },
    })
  })

  it('keeps its place in a broadcast, so that progress and report follow what counts', async () => {
    await putTemplate('WIDE', ['thing1'], 'withdrawn')
    await putAlias('wide', {
      template_id: 'WIDE',
      fallbacks: [{ template_id: 'SYSTEM', map: { thing9: 'thing1', phrase2: { value: '通知' } } }],
    })
    const [ann, bob] = [await follower(), await follower()]
    const head = { ...sendBody('', '@wide'), to: undefined }
    const list = [head, { to: ann }, { to: bob, data: { thing1: { value: '绿茶' } } }]
    const answer = await sender.request('/v1/broadcasts', {
      body: list.map((line) => JSON.stringify(line)).join('\n'),
      headers: { 'content-type': 'application/x-ndjson' },
    })
    expect(answer.status).toBe(202)
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(answer.text))
    const progress = z.object({ messages: z.record(z.string(), z.int()) })
    const { messages } = await until(
      async () => progress.parse(JSON.parse((await sender.request(`/v1/broadcasts/${id}`)).text)),
      ({ messages }) => (messages.sent ?? 0) + (messages.delivered ?? 0) === 2,
    )
    expect(messages).toMatchObject({ failed: 0, waiting: 0 })
    const texts = [ann, bob].map((person) => people.messages(person).at(-1)?.content)
    expect(texts).toMatchObject([
      { data: { thing9: { value: '乌龙茶' } } },
      { data: { thing9: { value: '绿茶' } } },
    ])
    const lanes = await database.db('message').where({ broadcast_id: id }).pluck<number[]>('lane')
    expect(lanes).toEqual([1, 1])
  })

  it('is banned in the registry by 43116, and not called again', async () => {
    await putTemplate('BAD', ['thing1'])
    await gateway.parts.templates.sync(await account())
    await putAlias('bad', {
      template_id: 'BAD',
      fallbacks: [{ template_id: 'SYSTEM', map: { thing9: 'thing1', phrase2: { value: '通知' } } }],
    })
    await putTemplate('BAD', ['thing1'], 'banned')
    const [, second] = await chainOf(await send(await follower(), '@bad'))
    expect(second?.alias).toMatchObject({ step: 1, reason: 'refused' })
    await until(statusOf('BAD'), (status) => status === 'banned')
    await until(
      () => gateway.parts.findTemplates(accountId),
      (known) => known.findTemplate('template_message', 'BAD')?.status === 'banned',
    )
    expect(logged('templates.drifted')).toContainEqual(
      expect.objectContaining({ template_id: 'BAD', change: 'banned', aliases: ['bad'] }),
    )

    const person = await follower()
    const [only, ...more] = await chainOf(await send(person, '@bad'))
    expect([only?.template_id, more]).toEqual(['SYSTEM', []])
    expect(only?.alias).toMatchObject({ step: 1, reason: 'banned', fallback_of: null })
    const asked = () =>
      database
        .db('aliased_message')
        .where({ message_id: only?.id })
        .first<{ asked_data: unknown }>()
    expect(await asked()).toMatchObject({ asked_data: { thing1: { value: '乌龙茶' } } })
    await database.db.raw('select erase_subject(?, ?, now(), ?, ?)', [accountId, person, 't', 't'])
    expect(await asked()).toMatchObject({ asked_data: null })
  })
})

async function account() {
  const found = await gateway.parts.accounts.findByName('acme')
  if (!found) throw new Error('the account is there')
  return found
}

const statusOf = (id: string) => async () =>
  (await gateway.parts.templates.show(accountId)).templates.find(
    ({ templateId, channel }) => templateId === id && channel === 'template_message',
  )?.status

describe('a 40037 for a template without an alias', () => {
  it('has the lists compared, and the template refused from then on', async () => {
    await putTemplate('PLAIN', ['thing1'])
    await gateway.parts.templates.sync(await account())
    await putTemplate('PLAIN', ['thing1'], 'withdrawn')
    // the lists were asked for just now, so the refusal would leave them alone
    await database.db('template_sync').update({ began_at: new Date(0) })
    const [failed] = await chainOfPlain(await send(await follower(), 'PLAIN'))
    expect(failed).toMatchObject({ status: 'failed', reason: 'template', alias: null })
    await until(statusOf('PLAIN'), (status) => status === 'withdrawn')
    const answer = await until(
      () => sender.request('/v1/messages', { body: sendBody('oNobody', 'PLAIN') }),
      ({ status }) => status === 400,
    )
    expect(answer.text).toContain('was withdrawn')
  })

  async function chainOfPlain(id: string) {
    await sender.ended(id)
    return [await message(id)]
  }
})
