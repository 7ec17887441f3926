import type { IncomingMessage, ServerResponse } from 'node:http'
import { sleep } from '../foundation/clock.ts'
import { lookUpErrorCode } from '../wechat/error-codes.ts'
import {
  isFields,
  refuse,
  textIn,
  writeAnswer,
  type Answer,
  type ApiCall,
  type Fields,
} from './api-call.ts'
import type { ApiFault } from './api-faults.ts'
import { ENDPOINTS, answerCall, findTokenOwner, type BodyReading, type Endpoint } from './api.ts'
import { beginOptOut, brokenOptOuts, wasAnswered, type OptOutScope } from './opt-outs.ts'
import type { Pusher } from './pushes.ts'
import type { CallRecord } from './record.ts'
import type { World } from './world.ts'

/** One request to the API half. */
export interface ApiRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly body: string
  /** When the headers had reached us, on the monotonic clock. */
  readonly arrivedMs: number
}

/** Serves one API request: its fault if there is one, the answer, and the record of both. */
export async function serveApi(world: World, pusher: Pusher, incoming: ApiRequest): Promise<void> {
  const { url, response } = incoming
  const endpoint = ENDPOINTS.get(url.pathname)
  const { body, reading } = readBody(incoming.body)
  const record = openRecord(world, incoming, body)
  world.record.calls.add(record)
  countCall(world, record)
  if (endpoint) noteBrokenOptOuts(world, endpoint, record)

  const fault = world.apiFaults.take({
    appId: record.app_id ?? undefined,
    path: record.path,
    openid: record.openid ?? undefined,
  })
  if (fault?.delay_ms) await sleep(fault.delay_ms)
  if (fault) record.fault = nameOf(fault)
  if (fault?.reset === 'before') return drop(incoming.request)

  const now = world.clock.now()
  const remoteAddress = (incoming.request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const call = { world, pusher, query: url.searchParams, body, now, remoteAddress, record, fault }
  const answer = answerFault(fault) ?? answerCall(endpoint, call, reading)
  record.errcode = answer.errcode
  if (fault?.reset === 'after') return drop(incoming.request)
  if (endpoint?.channel) noteRefusal(call, answer, response)
  finish(call, answer, response)
}

/** An errcode or a status in place of the answer; the call has no effect then. */
function answerFault(fault: ApiFault | undefined): Answer | undefined {
  if (fault?.errcode !== undefined) return refuse(fault.errcode, fault.errmsg)
  return fault?.http_status === undefined ? undefined : refuse(-1)
}

function finish(call: ApiCall, answer: Answer, response: ServerResponse): void {
  const { record, world, now, fault } = call
  const status = fault?.http_status ?? 200
  record.http_status = status
  response.on('finish', () => (record.answered_ms = world.clock.monotonicMs()))
  response.statusCode = status
  response.setHeader('Date', now.toUTCString())
  if (status !== 200 && fault?.errcode === undefined) {
    // Only gateways in front of the platform answer so, and not in JSON.
    record.errcode = null
    response.setHeader('Content-Type', 'text/html')
    response.end(`<html><head><title>${status}</title></head><body>nginx</body></html>`)
    return
  }
  response.setHeader('Content-Type', 'application/json; charset=utf-8')
  response.end(writeAnswer(answer, now, world.random))
}

function drop(request: IncomingMessage): void {
  request.socket.resetAndDestroy()
}

function nameOf(fault: ApiFault): CallRecord['fault'] {
  if (fault.reset) return `reset_${fault.reset}`
  if (fault.errcode !== undefined) return 'errcode'
  if (fault.http_status !== undefined) return 'http_status'
  return fault.delay_ms ? 'delay' : null
}

function readBody(text: string): { body: Fields; reading: BodyReading } {
  if (text.trim() === '') return { body: {}, reading: { kind: 'empty' } }
  try {
    const body: unknown = JSON.parse(text)
    if (isFields(body)) return { body, reading: { kind: 'object' } }
  } catch {
    // Not JSON; the same answer as JSON that is not an object.
  }
  return { body: {}, reading: { kind: 'broken' } }
}

function openRecord(world: World, incoming: ApiRequest, body: Fields): CallRecord {
  const { searchParams, pathname } = incoming.url
  const now = world.clock.now()
  const token = searchParams.get('access_token')
  const owner = token === null ? undefined : findTokenOwner(world, token, now)
  return {
    kind: 'call',
    id: world.record.nextId(),
    at: now.toISOString(),
    arrived_ms: incoming.arrivedMs,
    answered_ms: null,
    method: incoming.request.method ?? '',
    path: pathname,
    app_id: owner?.account.config.app_id ?? textIn(body, 'appid') ?? searchParams.get('appid'),
    openid: textIn(body, 'touser') ?? searchParams.get('openid'),
    template_id: textIn(body, 'template_id') ?? null,
    client_msg_id: textIn(body, 'client_msg_id') ?? null,
    msgid: null,
    errcode: null,
    http_status: null,
    repeated: false,
    fault: null,
  }
}

/** Only known accounts are counted: what a stranger types must not fill the memory. */
function countCall(world: World, { app_id, path }: CallRecord): void {
  if (app_id === null || !world.accounts.has(app_id)) return
  world.record.count(app_id, 'calls')
  if (ENDPOINTS.has(path)) world.record.count(app_id, `calls:${path}`)
}

function noteBrokenOptOuts(world: World, endpoint: Endpoint, record: CallRecord): void {
  const { app_id, openid, template_id, arrived_ms } = record
  if (!endpoint.channel || app_id === null || openid === null) return
  const follower = world.accounts.get(app_id)?.followers.get(openid)
  if (!follower) return
  const { channel } = endpoint
  const send = { channel, templateId: template_id ?? undefined }
  for (const optOut of brokenOptOuts(follower, send, arrived_ms)) {
    const learned_ms = optOut.learnedMs ?? arrived_ms
    world.record.broken.add({
      call_id: record.id,
      app_id,
      openid,
      channel,
      template_id,
      because: optOut.because,
      learned_from: optOut.learnedFrom,
      learned_at: optOut.learnedAt ?? record.at,
      learned_ms,
      arrived_at: record.at,
      arrived_ms,
      late_ms: arrived_ms - learned_ms,
    })
  }
}

/** An errcode that says “opted out” is known once the answer has left. */
function noteRefusal(call: ApiCall, answer: Answer, response: ServerResponse): void {
  const meaning = lookUpErrorCode('oa', answer.errcode)
  const { app_id, openid, template_id } = call.record
  if (meaning.row?.class !== 'opt_out' || !app_id || !openid) return
  const follower = call.world.accounts.get(app_id)?.followers.get(openid)
  if (!follower) return
  const template = meaning.row.optOutScope === 'template' && template_id !== null
  const scope: OptOutScope = template
    ? { kind: 'template', templateId: template_id }
    : { kind: 'follow' }
  if (wasAnswered(follower, scope)) return
  const because = `errcode ${answer.errcode}`
  const optOut = beginOptOut(follower, { scope, because, learnedFrom: 'answer' })
  response.on('finish', () => {
    optOut.learnedMs = call.world.clock.monotonicMs()
    optOut.learnedAt = call.world.clock.now().toISOString()
  })
}
