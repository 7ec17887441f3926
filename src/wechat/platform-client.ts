import { Agent } from 'undici'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { exchange, HeldBackError } from './exchange.ts'
import { parseJson } from './lossless-json.ts'

/** Which of the two API hosts a call goes to: api.weixin.qq.com or qyapi.weixin.qq.com. */
export type ApiHost = 'wechat' | 'wecom'

/** Under which name a credential travels in the query string; `key` is that of a group robot. */
export type CredentialName =
  'access_token' | 'component_access_token' | 'suite_access_token' | 'provider_access_token' | 'key'

/** One call of a platform API. */
export interface PlatformCall {
  readonly method: 'GET' | 'POST'
  /** `wechat` when absent. */
  readonly host?: ApiHost
  /** The account whose quota it counts for, by our id; absent: it is not counted. */
  readonly accountId?: number
  /** From the root of the API host: `/cgi-bin/message/template/send`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Sent as JSON, raw UTF-8. */
  readonly body?: Readonly<Record<string, unknown>>
  /** Goes into the query string, where the platform wants it, and nowhere else. */
  readonly accessToken?: string
  /** The name of `accessToken` in the query string; `access_token` when absent. */
  readonly tokenName?: CredentialName
  /**
   * A moment of the monotonic clock, in milliseconds. A request whose first byte would leave later
   * (the connection took too long) does not leave at all: `not_sent`, reason `begun_too_late`.
   */
  readonly beginBeforeMs?: number
}

/** The reason of a call that was given up because it could not begin in time. */
export const BEGUN_TOO_LATE = 'begun_too_late'

/**
 * What became of a call, told apart by whether the platform can have acted on it.
 *
 * - `answer`: the platform spoke; `errcode` 0 also where the answer has none (token endpoints).
 * - `not_sent`: the request never left; calling again cannot do a thing twice.
 * - `unclear`: it may have arrived; the answer was lost, late or not the platform's.
 *
 * A `reason` is a short name (`timeout`, `ECONNREFUSED`, `http_502`), never a text with the address.
 */
export type CallOutcome =
  | {
      readonly kind: 'answer'
      readonly errcode: number
      readonly errmsg: string
      readonly body: Readonly<Record<string, unknown>>
      readonly httpStatus: number
      /** The platform's clock, from the `Date` header; whole seconds. */
      readonly platformTime: Date | null
      /** The platform's id for this request; it can be looked up there for 7 days. */
      readonly rid: string | null
    }
  | { readonly kind: 'not_sent'; readonly reason: string }
  | { readonly kind: 'unclear'; readonly reason: string }

export interface PlatformClient {
  /** Makes one call, once. Does not throw for anything the network or the platform does. */
  call(call: PlatformCall): Promise<CallOutcome>
  /** Ends idle connections and waits for running calls. */
  close(): Promise<void>
}

export interface PlatformClientOptions {
  /** `https://api.weixin.qq.com`, or another host that speaks the same API; a path is kept. */
  readonly baseUrl: string
  /** The same for `https://qyapi.weixin.qq.com`; absent: `baseUrl` speaks both. */
  readonly wecomBaseUrl?: string
  readonly clock: Clock
  readonly log: Log
  /** The platform states none. 3 s is three tries of a lost SYN. */
  readonly connectTimeoutMs?: number
  /** From the request to the first byte of the answer; the whole time when absent. */
  readonly headersTimeoutMs?: number
  /** Between two parts of the answer; the whole time when absent. */
  readonly bodyTimeoutMs?: number
  /** From the call to the last byte of the answer. Well above the platform's usual 100 ms. */
  readonly totalTimeoutMs?: number
}

/** Answers are a few hundred bytes; the longest lists are some 400 KiB. */
const LARGEST_ANSWER_BYTES = 1024 * 1024

/**
 * A client for the platforms' API hosts over kept-alive connections. It follows no redirects, retries nothing,
 * and writes neither query strings nor bodies to the log.
 */
export function createPlatformClient(options: PlatformClientOptions): PlatformClient {
  const { clock, log, connectTimeoutMs = 3_000, totalTimeoutMs = 10_000 } = options
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: options.headersTimeoutMs ?? totalTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs ?? totalTimeoutMs,
    maxResponseSize: LARGEST_ANSWER_BYTES,
    // One request per connection at a time: what happened to it is then what happened to the socket.
    allowH2: false,
    pipelining: 1,
  })

  const hosts = {
    wechat: hostAt(options.baseUrl),
    wecom: hostAt(options.wecomBaseUrl ?? options.baseUrl),
  }

  async function call(call: PlatformCall): Promise<CallOutcome> {
    const startedMs = clock.monotonicMs()
    const outcome = await attempt(agent, call, { hosts, clock, timeoutMs: totalTimeoutMs })
    log.debug(
      {
        path: call.path,
        outcome: outcome.kind,
        errcode: outcome.kind === 'answer' ? outcome.errcode : undefined,
        reason: outcome.kind === 'answer' ? undefined : outcome.reason,
        duration_ms: Math.round(clock.monotonicMs() - startedMs),
      },
      'platform.called',
    )
    return outcome
  }

  return { call, close: () => agent.close() }
}

async function attempt(
  agent: Agent,
  call: PlatformCall,
  parts: { readonly hosts: Hosts; readonly clock: Clock; readonly timeoutMs: number },
): Promise<CallOutcome> {
  const { beginBeforeMs = Infinity, body } = call
  const { origin, prefix } = parts.hosts[call.host ?? 'wechat']
  const answer = await exchange(agent, {
    origin,
    path: prefix + call.path + queryOf(call),
    method: call.method,
    body: body ? JSON.stringify(body) : null,
    timeoutMs: parts.timeoutMs,
    mayBegin: () => parts.clock.monotonicMs() <= beginBeforeMs,
  })
  switch (answer.kind) {
    case 'answer':
      return readAnswer(answer)
    case 'not_sent':
      return { kind: 'not_sent', reason: reasonOf(answer.error) }
    case 'lost':
      return { kind: 'unclear', reason: reasonOf(answer.error) }
  }
}

/** Where the two API hosts are: an origin, and the path that all others are below. */
type Hosts = Readonly<Record<ApiHost, { readonly origin: string; readonly prefix: string }>>

function hostAt(baseUrl: string): Hosts[ApiHost] {
  const { origin, pathname } = new URL(baseUrl)
  return { origin, prefix: pathname.replace(/\/+$/, '') }
}

function queryOf({ query = {}, accessToken, tokenName = 'access_token' }: PlatformCall): string {
  const parts = Object.entries(query)
  if (accessToken !== undefined) parts.push([tokenName, accessToken])
  if (parts.length === 0) return ''
  return `?${parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`
}

/**
 * The platform answers everything with status 200 and JSON, whatever its `Content-Type` says; any
 * other status comes from something in between, which may have passed the request on.
 */
function readAnswer(answer: {
  readonly status: number
  readonly date: string | null
  readonly text: string
}): CallOutcome {
  const { status: httpStatus, date, text } = answer
  if (httpStatus !== 200) return { kind: 'unclear', reason: `http_${httpStatus}` }
  const body = readObject(text)
  if (!body) return { kind: 'unclear', reason: 'not_json' }
  const errcode = Number(body.errcode ?? 0)
  if (!Number.isSafeInteger(errcode)) return { kind: 'unclear', reason: 'bad_errcode' }
  const errmsg = typeof body.errmsg === 'string' ? body.errmsg : ''
  return {
    kind: 'answer',
    errcode,
    errmsg,
    body,
    httpStatus,
    platformTime: readDate(date),
    rid: RID.exec(errmsg)?.[1] ?? null,
  }
}

/** Three groups of eight hex digits at the end of an error text; the first is the time in seconds. */
const RID = /\brid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})/

function readObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value = parseJson(text)
    return isObject(value) ? value : null
  } catch {
    // Not JSON: an error page of something in between. The caller reports it as unclear.
    return null
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The last one that was read: it is the same for all answers of a second. */
let lastDate: { readonly header: string; readonly ms: number } = { header: '', ms: Number.NaN }

function readDate(header: string | null): Date | null {
  if (header === null) return null
  if (header !== lastDate.header) lastDate = { header, ms: Date.parse(header) }
  return Number.isNaN(lastDate.ms) ? null : new Date(lastDate.ms)
}

/** A name for what went wrong. Error texts are left out: they can repeat the address and the token. */
function reasonOf(error: Error): string {
  if (error instanceof HeldBackError) return BEGUN_TOO_LATE
  if (error.name === 'TimeoutError') return 'timeout'
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' ? (REASONS[code] ?? code) : error.name
}

const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_SOCKET: 'connection_closed',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'answer_too_large',
}
