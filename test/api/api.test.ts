import express from 'express'
import request from 'supertest'
import { beforeAll, describe, expect, it } from 'vitest'
import { createErrorAnswer } from '../../src/api/answer-errors.ts'
import { SCHEMAS } from '../../src/api/schemas.ts'
import type { AddedApplication } from '../../src/applications/application-store.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createLog } from '../../src/foundation/log.ts'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi, templateSend, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
let api: ServedApi
let shop: AddedApplication
let client: ReturnType<typeof clientOf>

beforeAll(async () => {
  api = serveApi(database().db)
  await addAccount(database().db, 'acme')
  shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
})

/** The line that a request with this id left. */
async function answeredLine(requestId: string): Promise<Record<string, unknown>> {
  for (let turn = 0; turn < 100; turn += 1) {
    const line = api
      .lines()
      .find((entry) => entry['msg'] === 'api.answered' && entry['request_id'] === requestId)
    if (line) return line
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('no line api.answered')
}

describe('authentication', () => {
  it.each([
    ['no header', undefined, 'key_missing'],
    ['another scheme', 'Basic c2hvcDpzZWNyZXQ=', 'key_missing'],
    ['an empty key', 'Bearer ', 'key_missing'],
    ['two keys', 'Bearer one two', 'key_missing'],
    ['an unknown key', 'Bearer wcg_unknown', 'key_unknown'],
  ])('refuses %s', async (_what, header, code) => {
    const call = request(api.app).get('/v1/messages')
    const answer = await (header === undefined ? call : call.set('authorization', header))
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('Bearer')
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(SCHEMAS.Problem.parse(answer.body)).toMatchObject({ status: 401, code })
  })

  it('refuses a revoked key', async () => {
    const former = await api.applications.add({ name: 'former', accountNames: ['acme'] })
    const formerClient = clientOf(api.app, former.key)
    expect((await formerClient.get('/v1/messages')).status).toBe(200)
    await api.applications.revoke('former')
    api.passSeconds(6)
    expect((await formerClient.get('/v1/messages')).body).toMatchObject({ code: 'key_unknown' })
  })

  it('comes before the body is looked at', async () => {
    const answer = await request(api.app)
      .post('/v1/messages')
      .type('text')
      .send('x'.repeat(100_000))
    expect(answer.status).toBe(401)
  })

  it('comes before an unknown route is', async () => {
    expect((await request(api.app).get('/v1/nowhere')).status).toBe(401)
  })
})

describe('the body', () => {
  const post = () => client.post('/v1/messages')
  const big = JSON.stringify(templateSend({ purpose: 'p'.repeat(65_536) }))

  it.each([
    ['another type', () => post().type('text/plain').send('{}'), 415, 'unsupported_media_type'],
    ['a form', () => post().type('form').send('account=acme'), 415, 'unsupported_media_type'],
    ['no type', () => post(), 415, 'unsupported_media_type'],
    [
      'another charset',
      () => post().set('content-type', 'application/json; charset=gbk').send('{}'),
      415,
      'unsupported_media_type',
    ],
    [
      'a compressed one',
      () => post().type('json').set('content-encoding', 'gzip').send('{}'),
      415,
      'unsupported_media_type',
    ],
    ['more than 64 KiB', () => post().type('json').send(big), 413, 'body_too_large'],
    ['half of it', () => post().type('json').send('{"account":'), 400, 'malformed_json'],
    ['nothing', () => post().type('json').send(''), 400, 'malformed_json'],
  ])('is refused: %s', async (...[, send, status, code]) => {
    const answer = await send()
    expect(answer.status).toBe(status)
    expect(SCHEMAS.Problem.parse(answer.body)).toMatchObject({ status, code })
  })

  it('may name its charset', async () => {
    const answer = await post()
      .set('content-type', 'application/json; charset=UTF-8')
      .send(JSON.stringify(templateSend()))
    expect(answer.status).toBe(202)
  })
})

describe('an unknown route', () => {
  it.each([
    ['get', '/v1/nowhere'],
    ['post', '/v1/messages/1'],
    ['get', '/v1/messages/1/2/3'],
    ['post', '/v1/messagescheck'],
    ['get', '/v1/Messages'],
  ] as const)('%s %s is a problem of its own', async (method, path) => {
    const answer = await client[method](path)
    expect(answer.body).toMatchObject({ status: 404, code: 'route_not_found' })
  })

  it('with a path that is not UTF-8 is refused without repeating it', async () => {
    const answer = await client.get('/v1/messages/%E0%A4%A')
    expect(answer.body).toMatchObject({ status: 400, code: 'malformed_path' })
    expect(answer.text).not.toContain('%E0')
  })
})

describe('the request id', () => {
  it("is the caller's where it can be used", async () => {
    const answer = await client.get('/v1/messages').set('x-request-id', 'order-17.a')
    expect(answer.headers['x-request-id']).toBe('order-17.a')
  })

  it.each([['with space'], ['x'.repeat(65)], ['a"b'], ['']])(
    'is ours instead of %j',
    async (id) => {
      const answer = await client.get('/v1/messages').set('x-request-id', id)
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    },
  )

  it('is named in a problem', async () => {
    const answer = await client.get('/v1/nowhere').set('x-request-id', 'r17')
    expect(answer.body).toMatchObject({ request_id: 'r17' })
  })
})

describe('the log', () => {
  it('has one line per request, with the pattern of the route and never its path', async () => {
    await client.get('/v1/accounts/acme/consents/o_very_personal').set('x-request-id', 'log-1')
    expect(await answeredLine('log-1')).toMatchObject({
      method: 'GET',
      route: '/v1/accounts/{account}/consents/{subject}',
      status: 200,
      duration_ms: expect.any(Number) as number,
      application: 'shop',
    })
    expect(api.lines().filter((line) => line['request_id'] === 'log-1')).toHaveLength(1)
  })

  it('never holds a key, an openid or a content', async () => {
    await client
      .post('/v1/messages')
      .set('x-request-id', 'log-2')
      .send(
        templateSend({
          to: 'o_very_personal',
          content: { template_id: 'T1', data: { a: { value: 'very private' } } },
        }),
      )
    await client.get('/v1/messages?to=o_very_personal')
    await answeredLine('log-2')
    const written = JSON.stringify(api.lines())
    expect(written).toContain('message.accepted')
    expect(written).not.toContain('o_very_personal')
    expect(written).not.toContain('very private')
    expect(written).not.toContain(shop.key)
  })

  it('says who was refused only by what is known', async () => {
    await request(api.app).get('/v1/messages').set('x-request-id', 'log-3')
    const line = await answeredLine('log-3')
    expect(line).toMatchObject({ route: '/v1/messages', status: 401 })
    expect(line).not.toHaveProperty('application')
  })

  it('is counted by route and status', async () => {
    await client.get('/v1/nowhere').set('x-request-id', 'log-4')
    await answeredLine('log-4')
    const text = await api.metrics.registry.getSingleMetricAsString('wcg_api_answers_total')
    expect(text).toContain('wcg_api_answers_total{route="none",status="404"}')
  })
})

describe('a failure', () => {
  it('of the database is 503, and says when to try again', async () => {
    const db = openDatabase({
      url: 'postgres://nobody@127.0.0.1:1/nothing',
      log: createLog('silent'),
    })
    const down = serveApi(db)
    const answer = await clientOf(down.app, 'wcg_some_key').get('/v1/messages')
    expect(answer.status).toBe(503)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(SCHEMAS.Problem.parse(answer.body).code).toMatch(/_unavailable$/)
    await db.destroy()
  })

  it('that nobody foresaw is 500 and tells nothing; the log has it without its values', async () => {
    const lines: string[] = []
    const log = createLog('info', { write: (line: string) => void lines.push(line) })
    const app = express()
    app.get('/fails', () => {
      throw Object.assign(new Error('insert … o_very_personal'), { code: '23505' })
    })
    app.use(createErrorAnswer(log, () => 'r1'))
    const answer = await request(app).get('/fails')
    expect(answer.status).toBe(500)
    expect(answer.body).toMatchObject({ code: 'internal_error', request_id: 'r1' })
    expect(answer.text + lines.join('')).not.toContain('o_very_personal')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'api.failed',
      request_id: 'r1',
      error_code: '23505',
      frames: expect.arrayContaining([expect.stringContaining('api.test.ts')]) as string[],
    })
  })
})
