import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { exportPerson } from '../../src/consent/export-person.ts'
import { beginAttempts, claimMessages } from '../../src/dispatch/dispatch-store.ts'
import { createMessageStore } from '../../src/messages/message-store.ts'
import { addAccount, clientOf, serveApi, templateSend } from '../api/served-api.ts'
import { useTestDatabase } from '../support/database.ts'
import { finishOne, giveConsent, newPerson, readMessage } from '../support/messages.ts'

const database = useTestDatabase()
const db = () => database().db
let client: ReturnType<typeof clientOf>
let account: { id: number; name: string }

beforeAll(async () => {
  const api = serveApi(db())
  account = await addAccount(db(), 'acme')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
})

const SUBSCRIPTION = { template_id: 'S1', data: { thing1: { value: 'Tea' } } }
const TEMPLATE = { template_id: 'T1', data: { thing1: { value: 'Tea' } } }
const TALK = { msgtype: 'text', text: { content: 'Tea' } }
const ALL = {
  subscription_message: SUBSCRIPTION,
  template_message: TEMPLATE,
  customer_service_message: TALK,
}

const autoSend = (to: string, changes: Record<string, unknown> = {}) =>
  templateSend({ to, channel: 'auto', content: ALL, ...changes })

async function accepted(to: string, changes: Record<string, unknown> = {}) {
  const answer = await client.post('/v1/messages').send(autoSend(to, changes))
  expect(answer.status).toBe(202)
  return SCHEMAS.Acceptance.parse(answer.body)
}

async function shown(id: string) {
  const answer = await client.get(`/v1/messages/${id}`)
  return SCHEMAS.MessageWithAttempts.parse(answer.body)
}

const may = (subject: string, scope: string, more: object = {}) =>
  giveConsent(db(), { accountId: account.id, subject, scope, ...more })

/** What the gate says when the message is due. */
async function begin(id: string) {
  const claim = { process: 'worker', leaseSeconds: 30, limit: 100 }
  expect((await claimMessages(db(), claim)).map((message) => message.id)).toContain(id)
  const [decision] = await beginAttempts(db(), { ...claim, messageIds: [id] })
  return decision
}

describe('a send through `auto`', () => {
  it('goes through the first channel that is allowed, and says which', async () => {
    const person = newPerson()
    await may(person, 'follow')
    const { id, channel } = await accepted(person)
    expect(channel).toBe('template_message')
    expect(await begin(id)).toMatchObject({ kind: 'begun' })
    expect(await shown(id)).toMatchObject({
      channel: 'template_message',
      channels: ['subscription_message', 'template_message', 'customer_service_message'],
      template_id: 'T1',
      status: 'sending',
    })
  })

  it('keeps the order that the request names', async () => {
    const person = newPerson()
    await may(person, 'follow')
    await may(person, 'conversation', { credits: 5, expiresAt: new Date(Date.now() + 3_600_000) })
    const order = ['customer_service_message', 'template_message', 'subscription_message']
    expect((await accepted(person, { order })).channel).toBe('customer_service_message')
  })

  it('takes the next channel when the planned one is not allowed any more', async () => {
    const person = newPerson()
    await may(person, 'template:S1', { credits: 1 })
    await may(person, 'follow')
    const { id, channel } = await accepted(person)
    expect(channel).toBe('subscription_message')
    await may(person, 'template:S1', { change: 'revoked', at: new Date() })

    expect(await begin(id)).toEqual({
      kind: 'replanned',
      reason: 'template_refused',
      scope: 'template:S1',
      channel: 'template_message',
    })
    expect(await shown(id)).toMatchObject({
      status: 'queued',
      channel: 'template_message',
      template_id: 'T1',
      reason: null,
      missing_scope: null,
      finished_at: null,
    })
    const [claimed] = await claimMessages(db(), { process: 'other', leaseSeconds: 30, limit: 100 })
    expect(claimed).toMatchObject({ id, channel: 'template_message', content: TEMPLATE })
    const [decision] = await beginAttempts(db(), {
      process: 'other',
      leaseSeconds: 30,
      messageIds: [id],
    })
    if (decision?.kind !== 'begun') throw new Error('the next channel was not begun')
    const attempt = { attemptId: decision.attemptId, messageId: id, accountId: account.id }
    await finishOne(db(), { ...attempt, recipient: person }, { outcome: 'sent', status: 'sent' })
    expect(await shown(id)).toMatchObject({ status: 'sent', attempt_count: 1 })
  })

  it('is blocked when no channel is allowed, and nothing is called', async () => {
    const person = newPerson()
    const { id, channel, status } = await accepted(person)
    expect([channel, status]).toEqual(['subscription_message', 'queued'])
    expect(await begin(id)).toMatchObject({ kind: 'blocked', reason: 'template_unknown' })
    expect(await shown(id)).toMatchObject({
      status: 'blocked',
      reason: 'template_unknown',
      missing_scope: 'template:S1',
      attempts: [],
    })
  })

  it('does not go round what stops everything', async () => {
    const person = newPerson()
    await may(person, 'follow')
    const { id } = await accepted(person)
    await may(person, 'everything', { change: 'revoked', at: new Date() })
    expect(await begin(id)).toMatchObject({ kind: 'blocked', reason: 'stopped' })
  })

  it('answers a repeat to the letter, also after another channel has been taken', async () => {
    const person = newPerson()
    await may(person, 'template:S1', { credits: 1 })
    await may(person, 'follow')
    const ask = () =>
      client.post('/v1/messages').set('idempotency-key', 'auto-1').send(autoSend(person))
    const first = await ask()
    await may(person, 'template:S1', { change: 'revoked', at: new Date() })
    expect(await begin(SCHEMAS.Acceptance.parse(first.body).id)).toMatchObject({
      kind: 'replanned',
    })
    const again = await ask()
    expect([again.status, again.text]).toEqual([202, first.text])
    expect(again.headers['idempotent-replayed']).toBe('true')
  })

  it('is exported with all its contents, and erased with them', async () => {
    const person = newPerson()
    const { id } = await accepted(person)
    const exported = await exportPerson(db(), account.id, person)
    expect(JSON.stringify(exported.messages)).toContain(TALK.text.content)
    await db().raw(`select erase_subject(?, ?, now(), 'test', 'asked')`, [account.id, person])
    const row = await db()('message').where({ id }).first<{ plan: unknown }>('plan')
    expect(row).toEqual({ plan: null })
    expect((await readMessage(db(), id)).status).toBe('cancelled')
    const store = createMessageStore(db())
    expect(await store.find(id, [account.id])).toMatchObject({ channels: null, to: null })
  })

  it.each([
    ['no content', { content: {} }, 'content'],
    [
      'a channel to which nobody may be left',
      { content: { one_time_subscription: {} } },
      'content',
    ],
    [
      'a broken content',
      { content: { template_message: { data: {} } } },
      'content.template_message',
    ],
    ['an order that leaves one out', { order: ['template_message'] }, 'order'],
    ['an order with a stranger', { order: ['wecom_app_message'] }, 'order.0'],
    ['a field of another channel', { robot_key: 'k' }, 'robot_key'],
  ])('refuses %s by name', async (_, changes, field) => {
    const answer = await client.post('/v1/messages').send(autoSend(newPerson(), changes))
    expect(answer.status).toBe(400)
    const { faults = [] } = SCHEMAS.Problem.parse(answer.body)
    expect(faults[0]?.field).toMatch(new RegExp(`^${field}`))
  })

  it('refuses a channel that the account does not have, at its place', async () => {
    await db()('account').where({ id: account.id }).update({ kind: 'mini_program' })
    try {
      const answer = await client.post('/v1/messages').send(autoSend(newPerson()))
      expect(answer.body).toMatchObject({
        code: 'channel_not_available',
        faults: [{ field: 'content.template_message' }],
      })
    } finally {
      await db()('account').where({ id: account.id }).update({ kind: 'official_account' })
    }
  })
})

describe('POST /v1/messages:check', () => {
  const check = async (body: object) => {
    const answer = await client.post('/v1/messages:check').send(body)
    expect(answer.status).toBe(200)
    return SCHEMAS.SendDecision.parse(answer.body)
  }

  it('names the channel that would do where the one that is asked for would not', async () => {
    const person = newPerson()
    await may(person, 'template:S7', { credits: 1 })
    expect(await check(templateSend({ to: person }))).toEqual({
      channel: 'template_message',
      allowed: false,
      reason: 'follow_unknown',
      until: null,
      scope: 'follow',
      evidence: [],
      best_channel: 'subscription_message',
      alternatives: [
        {
          channel: 'subscription_message',
          allowed: true,
          reason: null,
          until: null,
          scope: 'template:S7',
          evidence: [expect.any(String)],
        },
        {
          channel: 'customer_service_message',
          allowed: false,
          reason: 'conversation_unknown',
          until: null,
          scope: 'conversation',
          evidence: [],
        },
      ],
    })
  })

  it('answers for `auto` with the channel that it would plan', async () => {
    const person = newPerson()
    await may(person, 'follow')
    const checked = await check(autoSend(person))
    expect(checked).toMatchObject({
      channel: 'template_message',
      allowed: true,
      best_channel: 'template_message',
    })
    expect(checked.alternatives.map(({ channel, reason }) => [channel, reason])).toEqual([
      ['subscription_message', 'template_unknown'],
      ['customer_service_message', 'conversation_unknown'],
    ])
    expect(await check(autoSend(newPerson()))).toMatchObject({
      channel: 'subscription_message',
      allowed: false,
      best_channel: null,
    })
  })
})
