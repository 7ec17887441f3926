import { createDecipheriv } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxOptions } from '../../src/sandbox/options.ts'
import { AES_KEY, TOKEN, sha1 } from './callback-receiver.ts'

export const MINI = 'wx2b6d4f8a1c3e5079'
export const COMPONENT = 'wx9e1c5a7b3d2f4068'
export const MERCHANT = 'wx7f3a9c2e5b8d1046'
export const OTHER_MERCHANT = 'wx4c6e8a0b2d1f3579'
export const CORP = 'ww3c7e1a9b5d2f8064'
export const OTHER_CORP = 'ww6a1c3e5b7d9f2048'
export const SUITE = 'ww8a4c2e6b0d1f3957'
export const PROVIDER = 'ww1f5d9b3a7c0e8264'
export const AGENT = '1000007'
export const KF = 'wkT3pXBgAAmR8yLcVq2ZnKd5sHuE1oJf'
export const TEMPLATE = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'

/** One request to a callback, opened by somebody who knows only the documents. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly type: string | undefined
  readonly body: string
  /** What stands in the envelope, and whose it says it is; undefined when something is wrong. */
  readonly document: string | undefined
  readonly receiveId: string | undefined
}

/** How a callback answers; a text is the body with status 200. */
type Answering = (received: Received) => string | { status: number } | { delayMs: number }

/** Takes every callback of these tests; `answering` may be replaced at any time. */
async function startCallbacks() {
  const received: Received[] = []
  const state = { answering: ((one) => usual(one)) as Answering }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://callbacks')
      const one = open(request.method ?? '', url, Buffer.concat(chunks).toString())
      const whole = { ...one, type: request.headers['content-type'] }
      received.push(whole)
      const answer = state.answering(whole)
      if (typeof answer === 'string') response.end(answer)
      else if ('status' in answer) response.writeHead(answer.status).end()
      else setTimeout(() => response.end('success'), answer.delayMs)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    state,
    last: () => {
      const one = received.at(-1)
      if (!one) throw new Error('expected a push')
      return one
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** A handshake gets its echostr, everything else `success`. */
export function usual({ method, query, document }: Received): string {
  if (method !== 'GET') return 'success'
  return query.has('msg_signature') ? (document ?? '') : (query.get('echostr') ?? '')
}

function open(method: string, { pathname: path, searchParams: query }: URL, body: string) {
  const base = { method, path, query, body }
  const encrypt =
    query.get('msg_signature') !== null && method === 'GET'
      ? query.get('echostr')
      : (/<Encrypt><!\[CDATA\[(.+?)\]\]>/.exec(body)?.[1] ?? /"Encrypt":"(.+?)"/.exec(body)?.[1])
  const closed = { ...base, document: undefined, receiveId: undefined }
  if (!encrypt || query.getAll('nonce').length !== 1) return closed
  const parts = [TOKEN, query.get('timestamp') ?? '', query.get('nonce') ?? '', encrypt]
  if (sha1(parts) !== query.get('msg_signature')) return closed
  const key = Buffer.from(`${AES_KEY}=`, 'base64')
  const aes = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  const plain = Buffer.concat([aes.update(encrypt, 'base64'), aes.final()])
  const pad = plain.at(-1) ?? 0
  const end = plain.length - pad
  const messageEnd = 20 + plain.readUInt32BE(16)
  if (pad < 1 || pad > 32 || messageEnd > end) return closed
  const document = plain.subarray(20, messageEnd).toString()
  return { ...base, document, receiveId: plain.subarray(messageEnd, end).toString() }
}

/** A sandbox with one of every kind, whose callbacks all go to one place. */
export async function startEverything(options: Omit<SandboxOptions, 'accounts'> = {}) {
  const callbacks = await startCallbacks()
  const pair = { token: TOKEN, aes_key: AES_KEY }
  const merchant = { component_app_id: COMPONENT }
  const sandbox = createSandbox({
    seed: 'every platform',
    ...options,
    platform: { receiptDelayMs: 1, ...options.platform },
    push: { repeatAfterNoConnectionMs: 1, ...options.push },
    accounts: [
      {
        ...pair,
        app_id: MINI,
        kind: 'mini_program',
        secret: 'mini secret',
        original_id: 'gh_9d0f2b4c6e81',
        body_format: 'json',
        callback_url: `${callbacks.url}/mini`,
      },
      { ...merchant, app_id: MERCHANT, original_id: 'gh_5c1e8a2b7d90' },
      { ...merchant, app_id: OTHER_MERCHANT, original_id: 'gh_0b8d6f4a2c1e' },
    ],
    components: [
      {
        ...pair,
        app_id: COMPONENT,
        secret: 'component secret',
        callback_url: `${callbacks.url}/component`,
        message_url: `${callbacks.url}/component/$APPID$`,
      },
    ],
    corps: [
      {
        corp_id: CORP,
        apps: [
          {
            ...pair,
            agent_id: AGENT,
            secret: 'app secret',
            callback_url: `${callbacks.url}/app`,
          },
        ],
        kf: { ...pair, secret: 'kf secret', callback_url: `${callbacks.url}/kf` },
        kf_accounts: [KF],
        members: ['LiXiaoMing', 'WangFang', 'ZhaoLei'],
        unlicensed: ['ZhaoLei'],
        parties: { 2: ['WangFang'] },
        robots: [
          { key: 'robot key', name: 'alarms' },
          { key: 'old key', name: 'old', state: 'disabled' },
        ],
      },
      { corp_id: OTHER_CORP, members: ['SunLi'] },
    ],
    suites: [
      {
        ...pair,
        suite_id: SUITE,
        secret: 'suite secret',
        provider_corp_id: PROVIDER,
        callback_url: `${callbacks.url}/suite`,
        data_url: `${callbacks.url}/suite/$CORPID$`,
      },
    ],
  })
  const { url } = await sandbox.listen()
  const read = async (answer: Promise<Response>): Promise<Record<string, unknown>> => {
    const value: unknown = await (await answer).json()
    return { ...(typeof value === 'object' ? value : {}) }
  }
  const get = (path: string) => read(fetch(url + path))
  const post = (path: string, body: unknown = {}) =>
    read(fetch(url + path, { method: 'POST', body: JSON.stringify(body) }))

  return {
    sandbox,
    callbacks,
    url,
    get,
    post,
    corpToken: async (secret: string) =>
      String(
        (await get(`/cgi-bin/gettoken?corpid=${CORP}&corpsecret=${encodeURIComponent(secret)}`))
          .access_token,
      ),
    async stop() {
      await sandbox.close()
      await callbacks.close()
    },
  }
}
