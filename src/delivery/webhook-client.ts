import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, request } from 'undici'
import type { Clock } from '../foundation/clock.ts'
import { mayConnect, mayGoUnencrypted, type PrivateAddresses } from './address-guard.ts'
import { readRetryAfter, type Answer } from './delivery.ts'

/** One signed document for one address. */
export interface WebhookPost {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** From the call to the last byte that is read. */
  readonly timeoutMs: number
  /** How much of the answer is wanted; more makes the answer unusable. */
  readonly answerBytes: number
  readonly signal?: AbortSignal
}

export interface WebhookClient {
  /** Makes one call, once. Does not throw for anything the network or the receiver does. */
  post(post: WebhookPost): Promise<Answer>
  close(): Promise<void>
}

/** Three tries of a lost SYN. */
const CONNECT_TIMEOUT_MS = 3_000
/** Of an endpoint that is slow, others of the same host should not wait for a place. */
const CONNECTIONS_PER_HOST = 32

/**
 * Posts what is delivered to applications. Every address is looked at when the connection is opened,
 * after the name has been resolved: a name that leads elsewhere a moment later (DNS rebinding) gains
 * nothing. Redirects are not followed.
 */
export function createWebhookClient(options: {
  readonly clock: Clock
  readonly privateAddresses: PrivateAddresses
}): WebhookClient {
  const { clock } = options
  const agent = new Agent({
    connect: guardedConnector(options.privateAddresses),
    connections: CONNECTIONS_PER_HOST,
    allowH2: false,
    pipelining: 1,
  })

  async function post(asked: WebhookPost): Promise<Answer> {
    const limit = AbortSignal.timeout(asked.timeoutMs)
    const signal = asked.signal ? AbortSignal.any([limit, asked.signal]) : limit
    try {
      const response = await request(asked.url, {
        dispatcher: agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'wechat-consent-gateway',
          ...asked.headers,
        },
        body: asked.body,
        headersTimeout: asked.timeoutMs,
        bodyTimeout: asked.timeoutMs,
        signal,
      })
      const { 'retry-after': retryAfter } = response.headers
      const body = await readStart(response.body, asked.answerBytes)
      return {
        kind: 'answer',
        httpStatus: response.statusCode,
        retryAfterMs: readRetryAfter(
          typeof retryAfter === 'string' ? retryAfter : undefined,
          clock.now(),
        ),
        body,
      }
    } catch (error) {
      if (asked.signal?.aborted) return { kind: 'interrupted' }
      return { kind: 'no_answer', reason: reasonOf(error) }
    }
  }

  return { post, close: () => agent.destroy() }
}

/** The beginning of an answer, at most this many bytes; what follows is not read, and hung up on. */
async function readStart(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of body) {
    pieces.push(piece)
    length += piece.length
    if (length > limit) break
  }
  return Buffer.concat(pieces).subarray(0, limit).toString()
}

function refusedAddress(): Error {
  return Object.assign(new Error('the address is none that may be delivered to'), {
    code: 'address_refused',
  })
}

/** A name is judged by what it resolves to; an address in the URL itself is never resolved. */
function guardedConnector(allowed: PrivateAddresses): buildConnector.connector {
  const encrypted = connectorFor((address) => mayConnect(address, allowed))
  const plain = connectorFor((address) => mayGoUnencrypted(address, allowed))
  return (options, callback) => {
    const { connector, may } = options.protocol === 'https:' ? encrypted : plain
    const host = options.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) && !may(host)) return callback(refusedAddress(), null)
    connector(options, callback)
  }
}

function connectorFor(may: (address: string) => boolean) {
  const guarded: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const allowed = addresses.filter(({ address }) => may(address))
      const [first] = allowed
      if (!first) return callback(refusedAddress(), '')
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
  return { may, connector: buildConnector({ lookup: guarded, timeout: CONNECT_TIMEOUT_MS }) }
}

/** A name for what went wrong. Error texts are left out: they can repeat the address. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.name === 'TimeoutError') return 'timeout'
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' ? (REASONS[code] ?? code) : error.name
}

const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_SOCKET: 'connection_closed',
}
