import { createServer, type RequestListener, type Server } from 'node:http'
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net'
import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import {
  BEGUN_TOO_LATE,
  createPlatformClient,
  type PlatformCall,
  type PlatformClient,
} from '../../src/wechat/platform-client.ts'

const CALL: PlatformCall = {
  method: 'POST',
  path: '/cgi-bin/message/template/send',
  body: { touser: 'o1' },
  accessToken: 'invented-token-7f3a',
}

const undo: (() => Promise<unknown>)[] = []
const lines: string[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  lines.splice(0)
})

async function listen(server: Server | TcpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  undo.push(() => new Promise((resolve) => server.close(resolve)))
  if ('closeAllConnections' in server) undo.push(async () => server.closeAllConnections())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function clientOf(
  baseUrl: string,
  limits: {
    connectTimeoutMs?: number
    headersTimeoutMs?: number
    bodyTimeoutMs?: number
    totalTimeoutMs?: number
    wecomBaseUrl?: string
  } = {},
): PlatformClient {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = createLog('trace', sink)
  const client = createPlatformClient({ baseUrl, clock: systemClock, log, ...limits })
  undo.push(() => client.close())
  return client
}

/** A client of a platform that answers with this. */
async function against(
  listener: RequestListener,
  limits: { connectTimeoutMs?: number; totalTimeoutMs?: number } = {},
): Promise<PlatformClient> {
  return clientOf(`http://${await listen(createServer(listener))}`, limits)
}

function answering(text: string, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => response.writeHead(200, headers).end(text)
}

/** A server that reads a whole request and then treats its connection like this. */
async function onRequest(act: (socket: Socket) => void) {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => act(socket))
    undo.push(async () => socket.destroy())
  })
  return listen(server)
}

describe('call', () => {
  it('names the token as the interface wants it, and finds the other host', async () => {
    const seen: string[] = []
    const at =
      (name: string): RequestListener =>
      (request, response) => {
        seen.push(`${name} ${request.url}`)
        response.end('{}')
      }
    const [wechat, wecom] = await Promise.all(
      ['wechat', 'wecom'].map(async (name) => `http://${await listen(createServer(at(name)))}`),
    )
    const client = clientOf(wechat ?? '', { wecomBaseUrl: `${wecom}/prefix/` })
    const call = { method: 'POST', path: '/x', accessToken: 't' } as const
    await client.call(call)
    await client.call({ ...call, tokenName: 'component_access_token' })
    await client.call({ ...call, host: 'wecom', tokenName: 'key' })
    const both = clientOf(wechat ?? '')
    await both.call({ ...call, host: 'wecom', tokenName: 'suite_access_token' })
    expect(seen).toEqual([
      'wechat /x?access_token=t',
      'wechat /x?component_access_token=t',
      'wecom /prefix/x?key=t',
      'wechat /x?suite_access_token=t',
    ])
  })

  it('sends the token in the query, the body as raw UTF-8 JSON, and follows the base path', async () => {
    const seen: unknown[] = []
    const address = await listen(
      createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const { method, url, headers } = request
          seen.push({
            method,
            url,
            type: headers['content-type'],
            text: Buffer.concat(chunks).toString(),
          })
          response.end('{}')
        })
      }),
    )
    const client = clientOf(`http://${address}/prefix/`)
    await client.call({
      ...CALL,
      body: { content: '您好 😀' },
      accessToken: 'a+b&c',
      query: { x: '1' },
    })
    await client.call({ method: 'GET', path: '/cgi-bin/token', query: { appid: 'wx1' } })
    expect(seen).toEqual([
      {
        method: 'POST',
        url: '/prefix/cgi-bin/message/template/send?x=1&access_token=a%2Bb%26c',
        type: 'application/json',
        text: '{"content":"您好 😀"}',
      },
      { method: 'GET', url: '/prefix/cgi-bin/token?appid=wx1', type: undefined, text: '' },
    ])
  })

  it('reads an answer with all the digits of its ids and the platform’s clock', async () => {
    const client = await against(
      answering('{"errcode":0,"errmsg":"ok","msgid":3487542469355618313}', {
        date: 'Sat, 31 Jan 2026 04:00:07 GMT',
        'content-type': 'text/plain',
      }),
    )
    expect(await client.call(CALL)).toEqual({
      kind: 'answer',
      errcode: 0,
      errmsg: 'ok',
      body: { errcode: 0, errmsg: 'ok', msgid: '3487542469355618313' },
      httpStatus: 200,
      platformTime: new Date('2026-01-31T04:00:07Z'),
      rid: null,
    })
  })

  it('finds the rid in an error text', async () => {
    const rid = '617682e0-09059ac5-34a8e2ea'
    const client = await against(
      answering(`{"errcode":43004,"errmsg":"require subscribe rid: ${rid}"}`),
    )
    expect(await client.call(CALL)).toMatchObject({ kind: 'answer', errcode: 43004, rid })
  })

  it.each([
    ['{"access_token":"t","expires_in":7200}', 0],
    ['{"errcode":"40001","errmsg":"invalid"}', 40001],
    ['{"errcode":-1,"errmsg":"system error"}', -1],
  ])('reads the errcode of %s as %i', async (text, errcode) => {
    const client = await against(answering(text))
    expect(await client.call(CALL)).toMatchObject({ kind: 'answer', errcode })
  })

  it.each([
    ['an error page', '<html>busy</html>', 'not_json'],
    ['a list', '[]', 'not_json'],
    ['null', 'null', 'not_json'],
    ['nothing', '', 'not_json'],
    ['half an answer', '{"errcode":0', 'not_json'],
    ['an errcode that is no number', '{"errcode":"none"}', 'bad_errcode'],
    ['an errcode with a fraction', '{"errcode":1.5}', 'bad_errcode'],
    ['an endless answer', `{"a":"${'x'.repeat(1024 * 1024)}"}`, 'answer_too_large'],
  ])('takes %s for unclear', async (_name, text, reason) => {
    const client = await against(answering(text))
    expect(await client.call(CALL)).toEqual({ kind: 'unclear', reason })
  })

  it('takes an answer of just under 1 MiB', async () => {
    const client = await against(answering(`{"a":"${'x'.repeat(1024 * 1024 - 100)}"}`))
    expect(await client.call(CALL)).toMatchObject({ kind: 'answer', errcode: 0 })
  })

  it.each([301, 403, 413, 429, 500, 502, 503, 504])(
    'takes status %i for unclear: something in between may have passed the request on',
    async (status) => {
      const client = await against((_request, response) => {
        response.writeHead(status, { location: '/elsewhere' }).end('{"errcode":0}')
      })
      expect(await client.call(CALL)).toEqual({ kind: 'unclear', reason: `http_${status}` })
    },
  )

  it('takes a connection that ends after the request for unclear', async () => {
    const address = await onRequest((socket) => socket.end())
    const outcome = await clientOf(`http://${address}`).call(CALL)
    expect(outcome).toEqual({ kind: 'unclear', reason: 'connection_closed' })
  })

  it('takes a reset after the request for unclear', async () => {
    const address = await onRequest((socket) => socket.resetAndDestroy())
    const outcome = await clientOf(`http://${address}`).call(CALL)
    expect(outcome).toMatchObject({ kind: 'unclear' })
  })

  it('takes a connection that ends inside the answer for unclear', async () => {
    const address = await onRequest((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"errcode":0'),
    )
    const outcome = await clientOf(`http://${address}`).call(CALL)
    expect(outcome).toMatchObject({ kind: 'unclear' })
  })

  it.each([
    ['no answer', () => {}],
    [
      'an answer that does not end',
      (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'),
    ],
  ])('takes %s in time for unclear', async (_name, act) => {
    const client = clientOf(`http://${await onRequest(act)}`, { totalTimeoutMs: 150 })
    expect(await client.call(CALL)).toEqual({ kind: 'unclear', reason: 'timeout' })
  })

  it.each([
    ['the beginning of an answer', { headersTimeoutMs: 150 }, () => {}],
    [
      'the rest of an answer',
      { bodyTimeoutMs: 150 },
      (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'),
    ],
  ])('waits no longer for %s than it was told', async (_name, limits, act) => {
    const client = clientOf(`http://${await onRequest(act)}`, limits)
    expect(await client.call(CALL)).toEqual({ kind: 'unclear', reason: 'timeout' })
  })

  it('knows that nothing was sent when the connection is refused', async () => {
    const server = createTcpServer()
    const address = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    undo.splice(0)
    const outcome = await clientOf(`http://${address}`).call(CALL)
    expect(outcome).toEqual({ kind: 'not_sent', reason: 'ECONNREFUSED' })
  })

  it('knows that nothing was sent when the name does not resolve', async () => {
    const outcome = await clientOf('http://nowhere.invalid').call(CALL)
    expect(outcome).toMatchObject({ kind: 'not_sent' })
  })

  it('knows that nothing was sent when the connection is not made in time', async () => {
    // Accepts, and never answers the TLS greeting.
    const address = await listen(
      createTcpServer((socket) => {
        socket.on('error', () => {})
        undo.push(async () => socket.destroy())
      }),
    )
    const client = clientOf(`https://${address}`, { connectTimeoutMs: 100, totalTimeoutMs: 5_000 })
    expect(await client.call(CALL)).toEqual({ kind: 'not_sent', reason: 'connect_timeout' })
  })

  it('knows that nothing was sent when the other side speaks no TLS', async () => {
    const address = await onRequest((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await clientOf(`https://${address}`).call(CALL)).toMatchObject({ kind: 'not_sent' })
  })

  it('holds a request back that would begin too late, and is fit for the next', async () => {
    const seen: unknown[] = []
    const client = await against((request, response) => {
      seen.push(request.url)
      response.end('{}')
    })
    const nowMs = systemClock.monotonicMs()
    const late = await client.call({ ...CALL, beginBeforeMs: nowMs - 1 })
    expect(late).toEqual({ kind: 'not_sent', reason: BEGUN_TOO_LATE })
    expect(seen).toEqual([])
    const inTime = await client.call({ ...CALL, beginBeforeMs: nowMs + 60_000 })
    expect(inTime).toMatchObject({ kind: 'answer' })
    expect(seen).toHaveLength(1)
  })

  it('keeps connections alive between calls', async () => {
    const ports = new Set<number | undefined>()
    const client = await against((request, response) => {
      ports.add(request.socket.remotePort)
      response.end('{}')
    })
    for (let call = 0; call < 20; call += 1) await client.call(CALL)
    // A second one when a call begins before the first has been handed back.
    expect(ports.size).toBeLessThanOrEqual(2)
  })

  it('makes each call once, whatever happens to it', async () => {
    let requests = 0
    const client = await against((request) => {
      requests += 1
      request.socket.destroy()
    })
    await client.call(CALL)
    await client.call({ method: 'GET', path: '/cgi-bin/token' })
    expect(requests).toBe(2)
  })

  it('writes neither token, query nor body to the log or into an outcome', async () => {
    const ends: RequestListener[] = [
      answering('{"errcode":40001,"errmsg":"invalid credential"}'),
      answering('no json'),
      (request) => request.socket.destroy(),
    ]
    const outcomes = []
    for (const end of ends) {
      const client = await against(end)
      outcomes.push(await client.call({ ...CALL, query: { secret: 'invented-secret' } }))
    }
    outcomes.push(await clientOf('http://nowhere.invalid').call(CALL))
    const written = lines.join('') + JSON.stringify(outcomes)
    expect(lines).toHaveLength(4)
    for (const secret of ['invented-token-7f3a', 'invented-secret', 'access_token', '"o1"']) {
      expect(written).not.toContain(secret)
    }
  })
})
