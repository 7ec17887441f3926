import { once } from 'node:events'
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import {
  addCallbackRoutes,
  type CallbackDeps,
  type RecordedPush,
} from '../../src/receiver/callback-routes.ts'
import type { VerifiedPush } from '../../src/receiver/receive-push.ts'
import {
  OFFICIAL_ACCOUNT,
  SIGNED_REQUESTS,
  SUBSCRIBE_DOCUMENT,
  sealedVector,
} from '../fixtures/vectors.ts'
import { KIND_ACCOUNTS, plainHandshake, sealedHandshake } from '../support/kind-accounts.ts'
import {
  changedDocument,
  justAfter,
  outerXml,
  plainPush,
  sealPush,
  testAccount,
  vectorPush,
  type SignedPush,
} from '../support/sealed-pushes.ts'

const LIMIT = 262_144
const f2 = sealedVector('F2')

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

const servers: Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

/** The routes in an app of their own, on a port of 127.0.0.1, at the hour of the fixtures. */
async function startRoutes(
  changes: Partial<CallbackDeps> & { readonly account?: Partial<Account> } = {},
) {
  const pushes: VerifiedPush[] = []
  const lines: LogLine[] = []
  const account = testAccount(changes.account)
  const recordPush = async (push: VerifiedPush): Promise<RecordedPush> => {
    pushes.push(push)
    return { outcome: 'recorded', eventId: '7', kind: 'event.subscribe' }
  }
  const clock: Clock = {
    now: () => justAfter(f2.timestamp),
    monotonicMs: () => performance.now(),
  }
  const log = createLog('debug', { write: (line) => void lines.push(JSON.parse(line) as LogLine) })
  const metrics = createMetrics()
  const findAccount = async (name: string) => (name === account.name ? account : undefined)
  const findTenant = async () => undefined
  const queueReleaseCheck = async () => undefined
  const exchangeRedirect = async () => false
  const askForReply = async () => null
  const placePush = async () => ({ outcome: 'nowhere', reason: 'full' }) as const
  const mayReply = () => true
  const asked = { placePush, queueReleaseCheck, exchangeRedirect, mayReply, askForReply }
  const deps = { findAccount, findTenant, recordPush, ...asked, clock, log, metrics, ...changes }
  const app = express().disable('x-powered-by')
  addCallbackRoutes(app, deps)
  const server = createServer(app).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, pushes, lines, metrics, account }
}

/** One request; the answer counts even where the server hangs up on the rest of our body. */
function send(
  port: number,
  options: {
    readonly method?: string
    readonly path: string
    readonly body?: string | Buffer
    readonly headers?: Record<string, string>
  },
): Promise<Answer> {
  const { method = 'POST', path, body, headers = {} } = options
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => void chunks.push(chunk))
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text })
      })
    })
    req.on('error', reject)
    req.end(body)
  })
}

function pathOf(query: Record<string, string>, account = 'acme'): string {
  return `/callbacks/${account}?${new URLSearchParams(query).toString()}`
}

function post(port: number, push: SignedPush, headers: Record<string, string> = {}) {
  return send(port, { path: pathOf(push.query), body: push.body, headers })
}

function lineOf(lines: readonly LogLine[], msg: string): LogLine {
  const line = lines.find((candidate) => candidate.msg === msg)
  if (!line) throw new Error(`no line ${msg}: ${JSON.stringify(lines)}`)
  return line
}

async function counted(metrics: ReturnType<typeof createMetrics>): Promise<string> {
  return metrics.registry.metrics()
}

/** F2 with spaces behind the document, so that the body has exactly this many bytes. */
function f2OfSize(bytes: number): SignedPush {
  const push = vectorPush(f2)
  return { ...push, body: push.body + ' '.repeat(bytes - Buffer.byteLength(push.body)) }
}

describe('POST /callbacks/{account}', () => {
  it('answers F2 with the seven bytes of success, once it is recorded', async () => {
    const { port, pushes, lines, metrics } = await startRoutes()
    const answer = await post(port, vectorPush(f2))
    expect(answer).toMatchObject({ status: 200, body: 'success' })
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '7',
    })
    expect(pushes.map((push) => push.document)).toEqual([SUBSCRIBE_DOCUMENT])
    const line = lineOf(lines, 'push.recorded')
    expect(line).toMatchObject({
      level: 'info',
      account: 'acme',
      kind: 'event.subscribe',
      event_id: '7',
    })
    expect(line.request_id).toMatch(/^[0-9a-f-]{36}$/)
    expect(line.duration_ms).toBeGreaterThanOrEqual(0)
    expect(await counted(metrics)).toContain(
      'wcg_pushes_total{account="acme",kind="event.subscribe",outcome="recorded"} 1',
    )
  })

  it('gives a repeated push the same answer', async () => {
    const recordPush = async () => ({ outcome: 'repeated', eventId: '7', kind: 'text' }) as const
    const { port, lines } = await startRoutes({ recordPush })
    expect(await post(port, vectorPush(f2))).toMatchObject({ status: 200, body: 'success' })
    expect(lineOf(lines, 'push.repeated')).toMatchObject({ event_id: '7' })
  })

  it('does not answer before the push is recorded', async () => {
    let commit = () => {}
    const committed = new Promise<void>((resolve) => (commit = resolve))
    const recordPush = async (): Promise<RecordedPush> => {
      await committed
      return { outcome: 'recorded', eventId: '7', kind: 'text' }
    }
    const { port } = await startRoutes({ recordPush })
    let answered = false
    const answer = post(port, vectorPush(f2)).finally(() => (answered = true))
    await wait(100)
    expect(answered).toBe(false)
    commit()
    expect((await answer).body).toBe('success')
  })

  it('counts a push that only the previous key opens', async () => {
    const { token, previousAesKey: aesKey } = OFFICIAL_ACCOUNT
    const { port, metrics } = await startRoutes({
      account: { previousCallbackKey: { token, aesKey } },
    })
    expect((await post(port, vectorPush(sealedVector('F3')))).status).toBe(200)
    expect(await counted(metrics)).toContain('wcg_previous_key_uses_total{account="acme"} 1')
  })

  it.each([
    ['no Content-Type', {}],
    ['text/xml', { 'Content-Type': 'text/xml' }],
    ['a wrong Content-Type', { 'Content-Type': 'application/json' }],
    ['a form', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['another charset', { 'Content-Type': 'text/xml; charset=gbk' }],
  ])('reads the body as it is with %s', async (_, headers: Record<string, string>) => {
    const { port } = await startRoutes()
    expect((await post(port, vectorPush(f2), headers)).body).toBe('success')
  })

  const longId = '4561255354251345929'
  it.each([
    ['an emoji', 'Content', '退订 👋', '<Content><![CDATA[退订 👋]]></Content>'],
    ['a ]]> in a text', 'Content', 'a]]>b', '<Content><![CDATA[a]]]]><![CDATA[>b]]></Content>'],
    ['a 64-bit id', 'MsgId', longId, `<MsgId>${longId}</MsgId>`],
    ['an id that looks like a number', 'MsgId', '1e5', '<MsgId>1e5</MsgId>'],
  ])('hands on %s as it was sent', async (_, name, value, element) => {
    const { port, pushes } = await startRoutes()
    const document = changedDocument('</xml>', `${element}</xml>`)
    expect((await post(port, sealPush(document))).body).toBe('success')
    expect(pushes[0]?.document).toBe(document)
    expect(pushes[0]?.fields[name]).toBe(value)
  })

  it('accepts a byte order mark, and white space around Encrypt', async () => {
    const { port } = await startRoutes()
    const body = `\uFEFF${outerXml(`\n${f2.encrypt}\n`)}`
    expect((await post(port, { ...vectorPush(f2), body })).body).toBe('success')
  })

  it('accepts a push in plain mode', async () => {
    const { port, pushes } = await startRoutes({ account: { mode: 'plain' } })
    expect((await post(port, plainPush(SUBSCRIBE_DOCUMENT))).body).toBe('success')
    expect(pushes[0]).toMatchObject({ document: SUBSCRIBE_DOCUMENT, keyUsed: 'none' })
  })

  it('takes a body of exactly 256 KiB', async () => {
    const { port } = await startRoutes()
    expect((await post(port, f2OfSize(LIMIT))).body).toBe('success')
  })

  it('refuses a body one byte larger by its Content-Length, before it is sent', async () => {
    const { port, lines } = await startRoutes()
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST /callbacks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`)
    const [first] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    expect(first.toString()).toMatch(/^HTTP\/1\.1 413 /)
    expect(lineOf(lines, 'push.refused')).toMatchObject({ reason: 'too_large', account: 'acme' })
  })

  it('answers a body over the limit while it is still being sent, chunked or not', async () => {
    const { port, pushes } = await startRoutes()
    const body = Buffer.alloc(LIMIT * 8, ' ')
    const path = pathOf(vectorPush(f2).query)
    const chunked = { 'Transfer-Encoding': 'chunked' }
    for (const headers of [chunked, { 'Content-Length': String(body.length) }]) {
      const answer = await send(port, { path, body, headers })
      expect(answer).toMatchObject({ status: 413, body: '' })
      expect(answer.headers.connection).toBe('close')
    }
    expect(pushes).toEqual([])
  })

  it('takes a chunked body under the limit', async () => {
    const { port } = await startRoutes()
    const answer = await post(port, f2OfSize(LIMIT), { 'Transfer-Encoding': 'chunked' })
    expect(answer.body).toBe('success')
  })

  it('gives up on a body that does not come', async () => {
    const { port, lines } = await startRoutes({ bodyTimeoutMs: 100 })
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /callbacks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<xml>')
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toMatch(/^HTTP\/1\.1 408 /)
    await once(socket, 'close')
    expect(lineOf(lines, 'push.refused').reason).toBe('slow_body')
  })

  it('notes a sender that goes away in the middle, and goes on', async () => {
    const { port, lines } = await startRoutes()
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /callbacks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<xml>')
    await wait(50)
    socket.destroy()
    await expect.poll(() => lines.map((line) => line.reason)).toEqual(['incomplete_body'])
    expect((await post(port, vectorPush(f2))).body).toBe('success')
  })

  it('answers 503 at once when the push cannot be recorded', async () => {
    const recordPush = async () => Promise.reject(new Error('no connection'))
    const { port, lines, metrics } = await startRoutes({ recordPush })
    const started = performance.now()
    const answer = await post(port, vectorPush(f2))
    expect(answer).toMatchObject({ status: 503, body: '' })
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(lineOf(lines, 'push.unavailable')).toMatchObject({
      level: 'error',
      account: 'acme',
      error: 'no connection',
    })
    expect(await counted(metrics)).toContain(
      'wcg_pushes_total{account="acme",kind="unknown",outcome="unavailable"} 1',
    )
  })

  it('answers 503 at once when the account cannot be looked up', async () => {
    const findAccount = async () => Promise.reject(new Error('no connection'))
    const { port } = await startRoutes({ findAccount })
    expect(await post(port, vectorPush(f2))).toMatchObject({ status: 503, body: '' })
  })

  it('answers 503 to an account whose mode needs a key it does not have', async () => {
    const callbackKey = { token: OFFICIAL_ACCOUNT.token, aesKey: null }
    const { port, lines } = await startRoutes({ account: { callbackKey } })
    expect((await post(port, vectorPush(f2))).status).toBe(503)
    expect(lineOf(lines, 'push.unavailable').error).toMatch(/has no EncodingAESKey/)
  })

  const f2Path = pathOf(vectorPush(f2).query)
  const refusals: readonly (readonly [string, string, string])[] = [
    ['duplicated_parameter', 'nonce twice', `${f2Path}&nonce=${f2.nonce}`],
    ['duplicated_parameter', 'nonce thrice', `${f2Path}&nonce=1&nonce=2`],
    ['missing_parameter', 'a nested nonce', f2Path.replace('nonce=', 'nonce[]=')],
    ['not_encrypted', 'no query', '/callbacks/acme'],
    ['bad_signature', 'another nonce', f2Path.replace(f2.nonce, '1')],
    ['unknown_account', 'another name', pathOf(vectorPush(f2).query, 'other')],
    ['unknown_account', 'a name with U+0000', pathOf(vectorPush(f2).query, 'ac%00me')],
    ['unknown_account', 'a name that is no text', pathOf(vectorPush(f2).query, '%ff')],
    ['unknown_account', 'a very long name', pathOf(vectorPush(f2).query, 'a'.repeat(200))],
  ]
  it.each(refusals)('refuses with %s: %s', async (reason, _, path) => {
    const { port, pushes, lines, metrics } = await startRoutes()
    const answer = await send(port, { path, body: outerXml(f2.encrypt) })
    expect(answer).toMatchObject({ status: 403, body: '' })
    expect(Object.keys(answer.headers).sort()).toEqual(['connection', 'content-length', 'date'])
    expect(pushes).toEqual([])
    const account = reason === 'unknown_account' ? 'unknown' : 'acme'
    expect(lineOf(lines, 'push.refused')).toMatchObject({ account, reason, level: 'info' })
    expect(await counted(metrics)).toContain(
      `wcg_push_refusals_total{account="${account}",reason="${reason}"} 1`,
    )
  })

  it('warns when the platform itself was refused, and names the likely cause', async () => {
    const { port, lines } = await startRoutes()
    const push = sealPush(SUBSCRIBE_DOCUMENT, { receiveId: 'wx0000000000000000' })
    expect((await post(port, push)).status).toBe(403)
    const line = lineOf(lines, 'push.refused')
    expect(line).toMatchObject({
      level: 'warn',
      reason: 'wrong_receive_id',
      detail: 'expected wx7f3a…, got wx0000…',
    })
    expect(line.hint).toMatch(/another appid/)
  })

  it('does not tell an unknown account from a known one before the body is there', async () => {
    const { port } = await startRoutes({ bodyTimeoutMs: 200 })
    for (const name of ['acme', 'other']) {
      const socket = connect(port, '127.0.0.1')
      socket.write(`POST /callbacks/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n`)
      const [first] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      expect(first.toString()).toMatch(/^HTTP\/1\.1 408 /)
    }
  })

  it('writes no openid, no document and no secret into its lines', async () => {
    const { port, lines } = await startRoutes()
    await post(port, vectorPush(f2))
    await post(port, sealPush('<xml>oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa</xml>'))
    await post(port, sealPush(changedDocument('gh_5c1e8a2b7d90', 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa')))
    expect(lines).toHaveLength(3)
    const { token, aesKey } = OFFICIAL_ACCOUNT
    for (const hidden of ['oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa', token, aesKey, '<xml>', 'qrscene']) {
      expect(JSON.stringify(lines)).not.toContain(hidden)
    }
  })
})

describe('GET /callbacks/{account}', () => {
  const { timestamp, nonce, signature, echostr } = SIGNED_REQUESTS[2]
  const query = { signature, timestamp, nonce, echostr }

  it('answers F1 with the echostr and nothing else', async () => {
    const { port, lines } = await startRoutes()
    const answer = await send(port, { method: 'GET', path: pathOf(query) })
    expect(answer).toMatchObject({ status: 200, body: echostr })
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(lineOf(lines, 'handshake.answered')).toMatchObject({ account: 'acme' })
  })

  it('answers again however often, and never with 304', async () => {
    const { port } = await startRoutes()
    const headers = { 'If-None-Match': '*' }
    const again = { method: 'GET', path: pathOf(query), headers }
    expect(await send(port, again)).toMatchObject({ status: 200, body: echostr })
    expect(await send(port, again)).toMatchObject({ status: 200, body: echostr })
  })

  it.each([
    ['warn', KIND_ACCOUNTS.wecom_app],
    ['info', KIND_ACCOUNTS.component],
  ])('logs with %s an answer that took 1.5 s', async (level, account) => {
    let asked = 0
    const clock: Clock = {
      now: () => justAfter(f2.timestamp),
      monotonicMs: () => (asked++ === 0 ? 0 : 1_500),
    }
    const { port, lines } = await startRoutes({ account, clock })
    const shake =
      account.kind === 'component'
        ? plainHandshake(account, 'echo')
        : sealedHandshake(account, 'echo', account.appId)
    const answer = await send(port, { method: 'GET', path: pathOf(shake, account.name) })
    expect(answer).toMatchObject({ status: 200, body: 'echo' })
    expect(lineOf(lines, 'handshake.answered')).toMatchObject({ level, duration_ms: 1_500 })
  })

  it('refuses a wrong signature, an echostr given twice and an unknown account alike', async () => {
    const { port } = await startRoutes()
    const paths = [
      pathOf({ ...query, signature: '0'.repeat(40) }),
      `${pathOf(query)}&echostr=x`,
      pathOf(query, 'other'),
    ]
    for (const path of paths) {
      expect(await send(port, { method: 'GET', path })).toMatchObject({ status: 403, body: '' })
    }
  })
})

describe('other methods on /callbacks/{account}', () => {
  it.each(['PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'])('refuses %s', async (method) => {
    const { port, lines } = await startRoutes()
    const answer = await send(port, { method, path: '/callbacks/acme' })
    expect(answer).toMatchObject({ status: 405, body: '' })
    expect(answer.headers.allow).toBe('GET, POST')
    expect(lineOf(lines, 'push.refused')).toMatchObject({ reason: 'method_not_allowed' })
  })
})
