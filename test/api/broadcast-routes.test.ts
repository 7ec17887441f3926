import { once } from 'node:events'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBroadcastStore } from '../../src/messages/broadcast-store.ts'
import { headOf, linesOfJson } from '../support/broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { until } from '../support/send-road.ts'
import { addAccount, clientOf, serveApi, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
const db = () => database().db
let api: ServedApi
let key: string
let client: ReturnType<typeof clientOf>
let stranger: ReturnType<typeof clientOf>
let server: Server

beforeAll(async () => {
  api = serveApi(db())
  await addAccount(db(), 'acme')
  await addAccount(db(), 'other')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  const foreign = await api.applications.add({ name: 'foreign', accountNames: ['other'] })
  key = shop.key
  client = clientOf(api.app, shop.key)
  stranger = clientOf(api.app, foreign.key)
  server = createServer(api.app).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => void server.close())

const post = (body: string, headers: Record<string, string> = {}) =>
  client
    .post('/v1/broadcasts')
    .set({ 'content-type': 'application/x-ndjson', ...headers })
    .send(body)

interface Body {
  readonly [name: string]: unknown
  readonly id: string
}
const bodyOf = (answer: { readonly body: unknown }) => answer.body as Body

describe('POST /v1/broadcasts', () => {
  it('accepts lines, says what it could not read, and where to look', async () => {
    const answer = await post(linesOfJson(headOf('acme'), { to: 'oA' }, { to: 'oA' }, '?'))
    const { id } = bodyOf(answer)
    expect(answer.status).toBe(202)
    expect(answer.headers).toMatchObject({
      location: `/v1/broadcasts/${id}`,
      'cache-control': 'no-store',
    })
    expect(answer.body).toMatchObject({
      account: 'acme',
      name: 'spring',
      audience: null,
      status: 'running',
      lines: { accepted: 1, duplicate: 1, bad: 1, complete: true },
      bad_lines: [{ line: 4, reason: 'must be one JSON value in UTF-8' }],
    })
    expect(
      api.lines().some((line) => line['msg'] === 'broadcast.accepted' && line['accepted'] === 1),
    ).toBe(true)
    expect(JSON.stringify(api.lines())).not.toContain('"oA"')
  })

  it('answers a repeated request with the first broadcast, and another one with 409', async () => {
    const body = linesOfJson(headOf('acme'), { to: 'oA' })
    const headers = { 'idempotency-key': 'spring-1' }
    const [first, second] = [await post(body, headers), await post(body, headers)]
    expect([first.status, second.status]).toEqual([202, 202])
    expect(bodyOf(second).id).toBe(bodyOf(first).id)
    expect(first.headers['idempotent-replayed']).toBeUndefined()
    expect(second.headers['idempotent-replayed']).toBe('true')
    const other = await post(linesOfJson(headOf('acme', { name: 'x' }), { to: 'oA' }), headers)
    expect(other.status).toBe(409)
    expect(other.body).toMatchObject({ code: 'idempotency_key_reused' })
    const lines = await post(linesOfJson(headOf('acme'), { to: 'oB' }), headers)
    expect(lines.body).toMatchObject({ status: 409, code: 'broadcast_lines_differ' })
  })

  it('accepts an audience as JSON, once for each key', async () => {
    const ask = () =>
      client
        .post('/v1/broadcasts')
        .set('idempotency-key', 'everybody')
        .send({ ...headOf('acme'), audience: { scope: 'follow' } })
    const [first, second] = [await ask(), await ask()]
    expect(first.body).toMatchObject({ audience: { scope: 'follow' }, status: 'expanding' })
    expect([first.status, second.status]).toEqual([202, 202])
    expect(bodyOf(second).id).toBe(bodyOf(first).id)
  })

  const head = headOf('acme')
  it.each<[string, unknown, string]>([
    ['no account', { ...head, account: undefined }, 'account'],
    ['an unknown channel', { ...head, channel: 'pigeon' }, 'channel'],
    [
      'content of another channel',
      { ...head, content: { msgtype: 'text' } },
      'content.template_id',
    ],
    ['a field of ours', { ...head, to: 'oA' }, 'to'],
    ['an audience beside a list', { ...head, audience: { scope: 'follow' } }, 'audience'],
    ['no end', { ...head, expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['no object', '[]', 'body'],
  ])('refuses a head with %s', async (_, line, field) => {
    const answer = await post(linesOfJson(line, { to: 'oA' }))
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 'invalid_request' })
    expect((answer.body as { faults: unknown[] }).faults).toContainEqual(
      expect.objectContaining({ field }),
    )
  })

  it.each([
    ['no scope', {}],
    ['a stop as scope', { scope: 'everything' }],
    ['all templates as scope', { scope: 'template:*' }],
    ['the right of a tenant as scope', { scope: 'tenant' }],
    ['something else', 'everybody'],
  ])('refuses an audience with %s', async (_, audience) => {
    const answer = await client.post('/v1/broadcasts').send({ ...head, audience })
    expect([answer.status, bodyOf(answer)['code']]).toEqual([400, 'invalid_request'])
  })

  it('takes an address for the results, where something may be posted to it', async () => {
    const callback_url = 'https://shop.example.com/results'
    const asked = (more: object) => post(linesOfJson(headOf('acme', { ...more }), { to: 'oA' }))
    expect((await asked({ callback_url, results: 'each' })).status).toBe(202)
    const rows = await db()('broadcast').where({ callback_url }).select<unknown[]>('tells_each')
    expect(rows).toEqual([{ tells_each: true }])
    for (const [more, field, rule] of [
      [{ callback_url: 'https://10.0.0.7/' }, 'callback_url', 'WCG_PRIVATE_ENDPOINTS'],
      [{ results: 'each' }, 'results', 'callback_url'],
      [{ callback_url, results: 'all' }, 'results', 'totals, each'],
    ] as const) {
      const answer = await asked(more)
      const { faults } = answer.body as { faults: { field: string; rule: string }[] }
      expect([answer.status, faults[0]?.field]).toEqual([400, field])
      expect(faults[0]?.rule).toContain(rule)
    }
  })

  it('refuses an empty body, a foreign account, and other types', async () => {
    expect((await post('')).body).toMatchObject({ status: 400, code: 'malformed_json' })
    expect((await post('{"account"')).body).toMatchObject({ status: 400, code: 'malformed_json' })
    const foreign = await post(linesOfJson(headOf('other'), { to: 'oA' }))
    expect(foreign.body).toMatchObject({ status: 404, code: 'account_not_found' })
    const type = await post('to\noA\n', { 'content-type': 'text/csv' })
    expect(type.body).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    const packed = await post('x', { 'content-encoding': 'gzip' })
    expect(packed.body).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    const long = await post(linesOfJson(headOf('acme', { name: 'x'.repeat(70_000) })))
    expect(long.body).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  it('keeps what came of a list whose connection broke, and goes on when it is sent again', async () => {
    const { port } = server.address() as AddressInfo
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/x-ndjson',
      'idempotency-key': 'broken',
    }
    const path = '/v1/broadcasts'
    const sending = httpRequest({ port, path, host: '127.0.0.1', method: 'POST', headers })
    sending.on('error', () => undefined) // it is we who break it
    const people = Array.from({ length: 4_500 }, (_, index) => ({ to: `oBroken${index}` }))
    const text = linesOfJson(headOf('acme'), ...people)
    sending.write(text.slice(0, -20))
    const store = createBroadcastStore(db())
    const application = (await api.applications.authenticate(key))?.id ?? ''
    const stored = () => store.findByKey(application, 'broken')
    await until(stored, (found) => (found?.linesRead ?? 0) === 4_001)
    const answered = () => api.lines().filter((line) => line['msg'] === 'api.answered').length
    const before = answered()
    sending.destroy()
    await until(answered, (count) => count > before)
    expect(await stored()).toMatchObject({ status: 'receiving' })
    const answer = await post(text, { 'idempotency-key': 'broken' })
    expect(answer.body).toMatchObject({ lines: { accepted: 4_500, duplicate: 0, complete: true } })
  })
})

describe('the routes of one broadcast', () => {
  it('show progress, change it, and report it', async () => {
    const listed = linesOfJson(headOf('acme'), { to: '=oFormula' }, { to: 'oB' }, '?')
    const { id } = bodyOf(await post(listed))
    const path = `/v1/broadcasts/${id}`
    const shown = await client.get(path)
    expect(shown.body).toMatchObject({
      id,
      messages: { waiting: 2, queued: 0, sent: 0 },
      rate_per_second: null,
      estimated_end_at: null,
    })
    expect((await client.post(`${path}/pause`)).body).toMatchObject({ status: 'paused' })
    expect((await client.post(`${path}/pause`)).body).toMatchObject({ status: 'paused' })
    expect((await client.post(`${path}/resume`)).body).toMatchObject({ status: 'running' })
    expect((await client.post(`${path}/resume`)).body).toMatchObject({ status: 'running' })
    expect((await client.post(`${path}/cancel`)).body).toMatchObject({ status: 'cancelled' })
    expect((await client.post(`${path}/cancel`)).body).toMatchObject({ status: 'cancelled' })
    const resumed = await client.post(`${path}/resume`)
    expect(resumed.body).toMatchObject({ status: 409, code: 'broadcast_ended' })

    const report = await client.get(`${path}/report`)
    expect(report.headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(report.headers['content-disposition']).toContain(`broadcast-${id}.csv`)
    expect(report.text.split('\r\n')).toEqual([
      'line,recipient,status,reason,errcode,message_id,queued_at,finished_at,receipt_at',
      "2,'=oFormula,cancelled,broadcast_cancelled,,,,,",
      '3,oB,cancelled,broadcast_cancelled,,,,,',
      '4,,bad_line,must be one JSON value in UTF-8,,,,,',
      '',
    ])
    const names = api.lines().map((line) => line['msg'])
    for (const name of ['paused', 'resumed', 'cancelled', 'report_read']) {
      expect(names.filter((one) => one === `broadcast.${name}`)).toHaveLength(1)
    }
  })

  it('do not exist for an application without the account, nor for a word', async () => {
    const { id } = bodyOf(await post(linesOfJson(headOf('acme'), { to: 'oA' })))
    for (const part of ['', '/report']) {
      for (const name of [id, 'word']) {
        const from = name === 'word' ? client : stranger
        const answer = await from.get(`/v1/broadcasts/${name}${part}`)
        expect(answer.body).toMatchObject({ status: 404, code: 'broadcast_not_found' })
      }
    }
    for (const what of ['pause', 'resume', 'cancel']) {
      expect((await stranger.post(`/v1/broadcasts/${id}/${what}`)).status).toBe(404)
    }
  })
})

describe('GET /v1/broadcasts', () => {
  it('lists them newest first, a page at a time', async () => {
    for (const name of ['one', 'two', 'three']) {
      await post(linesOfJson(headOf('acme', { name }), { to: 'oA' }))
    }
    const first = await client.get('/v1/broadcasts?limit=2&account=acme')
    const page = first.body as { broadcasts: { name: string }[]; next_cursor: string }
    expect(page.broadcasts.map(({ name }) => name)).toEqual(['three', 'two'])
    const second = await client.get(`/v1/broadcasts?limit=1&cursor=${page.next_cursor}`)
    expect(second.body).toMatchObject({ broadcasts: [{ name: 'one' }] })
    expect((await stranger.get('/v1/broadcasts')).body).toEqual({
      broadcasts: [],
      next_cursor: null,
    })
    expect((await client.get('/v1/broadcasts?page=2')).body).toMatchObject({
      code: 'invalid_query',
    })
  })
})
