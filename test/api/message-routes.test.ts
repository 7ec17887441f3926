import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import type { AddedApplication } from '../../src/applications/application-store.ts'
import { createConsents } from '../../src/consent/consents.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent } from '../support/messages.ts'
import { quietNow, setPolicy } from '../support/send-policy.ts'
import { addAccount, clientOf, serveApi, templateSend, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
let api: ServedApi
let shop: AddedApplication
let client: ReturnType<typeof clientOf>
let acme: { id: number; name: string }

beforeAll(async () => {
  api = serveApi(database().db)
  acme = await addAccount(database().db, 'acme')
  await addAccount(database().db, 'foreign')
  shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
})

async function sent(changes: Record<string, unknown> = {}): Promise<string> {
  const answer = await client.post('/v1/messages').send(templateSend(changes))
  expect(answer.status).toBe(202)
  return SCHEMAS.Acceptance.parse(answer.body).id
}

/** A message whose account the application may not use. */
async function foreignMessage(): Promise<string> {
  const crm = await api.applications.add({ name: `crm${Date.now()}`, accountNames: ['foreign'] })
  const answer = await clientOf(api.app, crm.key)
    .post('/v1/messages')
    .send(templateSend({ account: 'foreign' }))
  return SCHEMAS.Acceptance.parse(answer.body).id
}

describe('POST /v1/messages', () => {
  it('accepts a send and says where to ask for it', async () => {
    const answer = await client.post('/v1/messages').send(templateSend())
    expect(answer.status).toBe(202)
    const body = SCHEMAS.Acceptance.parse(answer.body)
    expect(body).toMatchObject({ account: 'acme', status: 'queued', reason: null })
    expect(answer.headers['location']).toBe(`/v1/messages/${body.id}`)
    expect(Date.parse(body.expires_at) - Date.parse(body.send_at)).toBe(24 * 3_600_000)
  })

  it('schedules a send that is due later', async () => {
    const send_at = new Date(Date.now() + 3_600_000).toISOString()
    const answer = await client.post('/v1/messages').send(templateSend({ send_at }))
    expect(answer.body).toMatchObject({ status: 'scheduled', send_at })
  })

  it('names every field that breaks a rule', async () => {
    const answer = await client
      .post('/v1/messages')
      .send(templateSend({ to: 'a b', colour: 1, content: { template_id: 'T1' } }))
    expect(answer.status).toBe(400)
    const problem = SCHEMAS.Problem.parse(answer.body)
    expect(problem.code).toBe('invalid_request')
    expect(problem.faults?.map((fault) => fault.field).sort()).toEqual([
      'colour',
      'content.data',
      'to',
    ])
  })

  it('refuses a number that would lose digits', async () => {
    const answer = await client
      .post('/v1/messages')
      .type('json')
      .send('{"account":"acme","to":3487542469355618313}')
    expect(answer.body).toMatchObject({ status: 400, faults: [{ field: 'to' }] })
  })

  it('answers the same for an account of others and for one that does not exist', async () => {
    const answers = await Promise.all(
      ['foreign', 'nowhere'].map((account) =>
        client.post('/v1/messages').set('x-request-id', 'same').send(templateSend({ account })),
      ),
    )
    expect(answers.map((answer) => answer.status)).toEqual([404, 404])
    expect(answers[0]?.text).toBe(answers[1]?.text)
  })

  it('refuses an Idempotency-Key that is none', async () => {
    const answer = await client
      .post('/v1/messages')
      .set('idempotency-key', 'k'.repeat(256))
      .send(templateSend())
    expect(answer.body).toMatchObject({ status: 400, faults: [{ field: 'Idempotency-Key' }] })
  })
})

describe('GET /v1/messages/{id}', () => {
  it('tells the status and every attempt', async () => {
    const id = await sent()
    await database()
      .db('attempt')
      .insert({
        message_id: id,
        account_id: acme.id,
        number: 1,
        started_at: new Date('2026-03-01T00:00:00Z'),
        finished_at: new Date('2026-03-01T00:00:01Z'),
        outcome: 'refused',
        errcode: 43004,
        errmsg: 'require subscribe',
        http_status: 200,
        evidence: database().db.raw(`'{7}'`),
        process: 'p',
      })
    await database().db('message').where({ id }).update({ status: 'refused', reason: 'opted_out' })
    const answer = await client.get(`/v1/messages/${id}`)
    expect(answer.status).toBe(200)
    const body = SCHEMAS.MessageWithAttempts.parse(answer.body)
    expect(body).toMatchObject({
      id,
      status: 'refused',
      reason: 'opted_out',
      to: 'o_invented_openid_1',
    })
    expect(body.attempts).toEqual([
      {
        number: 1,
        started_at: '2026-03-01T00:00:00.000Z',
        finished_at: '2026-03-01T00:00:01.000Z',
        outcome: 'refused',
        errcode: 43004,
        errmsg: 'require subscribe',
        http_status: 200,
        rid: null,
        msgid: null,
        evidence: ['7'],
      },
    ])
  })

  it('shows a receipt', async () => {
    const id = await sent()
    const receipt_at = new Date('2026-03-01T00:00:00Z')
    await database().db('message').where({ id }).update({
      status: 'delivered',
      receipt_status: 'delivered',
      receipt_reason: 'success',
      receipt_at,
    })
    const answer = await client.get(`/v1/messages/${id}`)
    expect(SCHEMAS.MessageWithAttempts.parse(answer.body).receipt).toEqual({
      status: 'delivered',
      reason: 'success',
      at: '2026-03-01T00:00:00.000Z',
    })
  })

  it.each([['nonsense'], ['0198c0de-0000-7000-8000-000000000000'], ["1' or '1'='1"]])(
    'finds no message %s',
    async (id) => {
      const answer = await client.get(`/v1/messages/${encodeURIComponent(id)}`)
      expect(answer.body).toMatchObject({ status: 404, code: 'message_not_found' })
    },
  )

  it('finds no message of an account of others', async () => {
    const answer = await client.get(`/v1/messages/${await foreignMessage()}`)
    expect(answer.body).toMatchObject({ status: 404, code: 'message_not_found' })
  })
})

describe('GET /v1/messages', () => {
  it('pages through all of them, newest first', async () => {
    const ids: string[] = []
    for (let count = 0; count < 5; count += 1) ids.push(await sent({ to: 'o_paged' }))
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = cursor === '' ? '' : `&cursor=${cursor}`
      const answer = await client.get(`/v1/messages?to=o_paged&limit=2${page}`)
      const body = SCHEMAS.MessageList.parse(answer.body)
      seen.push(...body.messages.map((message) => message.id))
      cursor = body.next_cursor
    }
    expect([...seen].sort()).toEqual([...ids].sort())
    expect(seen).toEqual([...seen].sort().reverse())
  })

  it('shows nothing of accounts of others', async () => {
    const id = await foreignMessage()
    const all = await client.get('/v1/messages?limit=200')
    expect(SCHEMAS.MessageList.parse(all.body).messages.map((message) => message.id)).not.toContain(
      id,
    )
    const answer = await client.get('/v1/messages?account=foreign')
    expect(answer.body).toMatchObject({ status: 404, code: 'account_not_found' })
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=ten', 'limit'],
    ['status=lost', 'status'],
    ['channel=email', 'channel'],
    ['created_after=yesterday', 'created_after'],
    ['cursor=zzz', 'cursor'],
    ['sort=asc', 'sort'],
    ['account=a&account=b', 'account'],
  ])('refuses ?%s', async (query, field) => {
    const answer = await client.get(`/v1/messages?${query}`)
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_query', faults: [{ field }] })
  })
})

describe('POST /v1/messages/{id}/cancel', () => {
  it('cancels a message that waits, and answers the same when asked again', async () => {
    const id = await sent({ send_at: new Date(Date.now() + 3_600_000).toISOString() })
    const first = await client.post(`/v1/messages/${id}/cancel`)
    const again = await client.post(`/v1/messages/${id}/cancel`)
    expect([first.status, again.status]).toEqual([200, 200])
    expect(SCHEMAS.Message.parse(first.body)).toMatchObject({ id, status: 'cancelled' })
    expect(again.text).toBe(first.text)
  })

  it.each([
    ['being sent', { status: 'sending' }, 'sending'],
    ['sent', { status: 'sent' }, 'sent'],
    ['in the hands of a worker', { leased_until: new Date(Date.now() + 60_000) }, 'queued'],
  ])('refuses for a message that is %s, and says so', async (_what, changes, status) => {
    const id = await sent()
    await database().db('message').where({ id }).update(changes)
    const answer = await client.post(`/v1/messages/${id}/cancel`)
    expect(answer.body).toMatchObject({
      status: 409,
      code: 'not_cancellable',
      message_status: status,
    })
  })

  it('finds no message of an account of others', async () => {
    const answer = await client.post(`/v1/messages/${await foreignMessage()}/cancel`)
    expect(answer.status).toBe(404)
  })
})

describe('in quiet hours', () => {
  const marketing = (changes: Record<string, unknown> = {}) =>
    templateSend({ priority: 'marketing', to: 'o_quiet', ...changes })
  const { hours, until } = quietNow()
  const told = { reason: 'quiet_hours', until: until.toISOString() }

  beforeAll(async () => {
    const { db } = database()
    await giveConsent(db, { accountId: acme.id, subject: 'o_quiet', scope: 'follow' })
    await setPolicy(db, acme.id, { quiet_hours: hours })
  })
  afterAll(() => setPolicy(database().db, acme.id, {}))

  it('says of marketing, asked for or asked about, until when it waits', async () => {
    const check = await client.post('/v1/messages:check').send(marketing())
    expect(SCHEMAS.SendDecision.parse(check.body)).toMatchObject({ allowed: true, ...told })
    const key = { 'idempotency-key': 'quiet-1' }
    const accepted = await client.post('/v1/messages').set(key).send(marketing())
    const { id } = SCHEMAS.Acceptance.parse(accepted.body)
    expect(accepted.body).toMatchObject({ status: 'queued', ...told })
    const found = await client.get(`/v1/messages/${id}`)
    expect(SCHEMAS.MessageWithAttempts.parse(found.body)).toMatchObject(told)

    await setPolicy(database().db, acme.id, {})
    const repeated = await client.post('/v1/messages').set(key).send(marketing())
    expect(repeated.body).toEqual(accepted.body)
    await setPolicy(database().db, acme.id, { quiet_hours: hours })
  })

  it('says no to what would expire before they end', async () => {
    const expires_at = new Date(until.getTime() - 60_000).toISOString()
    const check = await client.post('/v1/messages:check').send(marketing({ expires_at }))
    expect(check.body).toMatchObject({ allowed: false, best_channel: null, ...told })
  })

  it('lets pass what people wait for', async () => {
    const check = await client.post('/v1/messages:check').send(templateSend({ to: 'o_quiet' }))
    expect(check.body).toMatchObject({ allowed: true, reason: null, until: null })
  })
})

describe('POST /v1/messages:check', () => {
  it('says no, and which consent is missing, where nothing is known', async () => {
    const answer = await client.post('/v1/messages:check').send(templateSend({ to: 'o_unknown' }))
    expect(answer.status).toBe(200)
    expect(SCHEMAS.SendDecision.parse(answer.body)).toMatchObject({
      channel: 'template_message',
      allowed: false,
      reason: 'follow_unknown',
      scope: 'follow',
      evidence: [],
      best_channel: null,
    })
  })

  it('says yes with the evidence, and stores nothing', async () => {
    const consents = createConsents({
      db: database().db,
      clock: systemClock,
      settle: () => Promise.resolve(),
    })
    await consents.optIn({
      accountId: acme.id,
      subject: 'o_follower',
      scope: 'follow',
      reason: 'test',
      by: { kind: 'operator', actor: 'test' },
    })
    const answer = await client.post('/v1/messages:check').send(templateSend({ to: 'o_follower' }))
    const decision = SCHEMAS.SendDecision.parse(answer.body)
    expect(decision).toMatchObject({ allowed: true, reason: null, scope: 'follow' })
    expect(decision.evidence).toHaveLength(1)
    const rows: unknown[] = await database().db('message').where({ recipient: 'o_follower' })
    expect(rows).toEqual([])
  })

  it('reads its body by the rules of a send', async () => {
    const answer = await client.post('/v1/messages:check').send(templateSend({ to: '' }))
    expect(answer.body).toMatchObject({ status: 400, faults: [{ field: 'to' }] })
  })
})
