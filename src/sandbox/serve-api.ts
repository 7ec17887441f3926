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
  type CodeFamily,
  type Fields,
} from './api-call.ts'
import type { ApiFault } from './api-faults.ts'
import { ENDPOINTS, answerCall, type BodyReading } from './api.ts'
import { findCaller, idOf, tenantOf, type Caller } from './callers.ts'
import type { Addressee, Endpoint } from './endpoint.ts'
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
  const caller = findAnyCaller(world, url)
  const record = openRecord(world, incoming, { body, caller })
  world.record.calls.add(record)
  countCall(world, record)
  if (endpoint) noteBrokenOptOuts(world, endpoint, { record, body, caller })

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
  finish(call, answer, { incoming, platform: familyOf(url.pathname, endpoint, caller) })
}

/** The owner of whatever token the address carries. */
function findAnyCaller(world: World, { searchParams }: URL): Caller | undefined {
  const names = ['access_token', 'component_access_token', 'suite_access_token']
  const token = names.map((name) => searchParams.get(name)).find(Boolean)
  return token ? findCaller(world, token, world.clock.now()) : undefined
}

const WECOM_PATH =
  /^\/cgi-bin\/(gettoken|service|externalcontact|kf|webhook|msgaudit|agent|user|message\/send)/

/** Whose numbers an errcode is from; a path that the sandbox has not is guessed by its name. */
function familyOf(
  path: string,
  endpoint: Endpoint | undefined,
  caller: Caller | undefined,
): CodeFamily {
  if (caller?.by === 'corp' || caller?.by === 'suite') return 'wecom'
  const platform = endpoint?.platform ?? (WECOM_PATH.test(path) ? 'wecom' : 'oa')
  const mini = caller?.by === 'account' && caller.account.config.kind === 'mini_program'
  return platform === 'oa' && mini ? 'mini' : platform
}

/** An errcode or a status in place of the answer; the call has no effect then. */
function answerFault(fault: ApiFault | undefined): Answer | undefined {
  if (fault?.errcode !== undefined) return refuse(fault.errcode, fault.errmsg)
  return fault?.http_status === undefined ? undefined : refuse(-1)
}

function finish(
  call: ApiCall,
  answer: Answer,
  to: { readonly incoming: ApiRequest; readonly platform: CodeFamily },
): void {
  const { record, world, now, fault, remoteAddress } = call
  const { response, url, body, arrivedMs } = to.incoming
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
  const { platform } = to
  const { text, rid } = writeAnswer(answer, { platform, now, remoteAddress }, world.random)
  if (rid !== undefined) {
    world.rids.add(rid, {
      appId: record.app_id,
      atMs: now.getTime(),
      costMs: Math.round(world.clock.monotonicMs() - arrivedMs),
      requestUrl: `${url.pathname}${url.search}`,
      requestBody: body,
      responseBody: text,
      clientIp: remoteAddress,
    })
  }
  response.end(text)
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

interface Request {
  readonly body: Fields
  readonly caller: Caller | undefined
}

function openRecord(world: World, incoming: ApiRequest, { body, caller }: Request): CallRecord {
  const { searchParams, pathname } = incoming.url
  const named = (...names: string[]) =>
    names.map((name) => textIn(body, name) ?? searchParams.get(name)).find(Boolean) ?? null
  return {
    kind: 'call',
    id: world.record.nextId(),
    at: world.clock.now().toISOString(),
    arrived_ms: incoming.arrivedMs,
    answered_ms: null,
    method: incoming.request.method ?? '',
    path: pathname,
    app_id: caller ? idOf(caller) : named('appid', 'component_appid', 'suite_id', 'corpid'),
    agent_id: caller?.by === 'corp' ? caller.app.agentId : null,
    openid: named('touser', 'openid', 'external_userid'),
    template_id: textIn(body, 'template_id') ?? null,
    client_msg_id: textIn(body, 'client_msg_id') ?? null,
    msgid: null,
    errcode: null,
    http_status: null,
    repeated: false,
    fault: null,
  }
}

/** Only known owners are counted: what a stranger types must not fill the memory. */
function countCall(world: World, { app_id, path }: CallRecord): void {
  const owners = [world.accounts, world.components, world.corps, world.suites]
  if (app_id === null || !owners.some((known) => known.has(app_id))) return
  world.record.count(app_id, 'calls')
  if (ENDPOINTS.has(path)) world.record.count(app_id, `calls:${path}`)
}

function noteBrokenOptOuts(
  world: World,
  endpoint: Endpoint,
  { record, body, caller }: Request & { readonly record: CallRecord },
): void {
  const { channel } = endpoint
  if (!channel || !caller) return
  const { template_id, arrived_ms } = record
  const send = { channel, templateId: template_id ?? undefined }
  for (const { openid, holder } of findAddressees(world, endpoint, { body, caller })) {
    for (const optOut of brokenOptOuts(holder, send, arrived_ms)) {
      const learned_ms = optOut.learnedMs ?? arrived_ms
      world.record.broken.add({
        call_id: record.id,
        app_id: idOf(caller),
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
}

/** Whom a send is for, and the tenant whose grant it rests on. */
function findAddressees(
  world: World,
  endpoint: Endpoint,
  { body, caller }: { readonly body: Fields; readonly caller: Caller },
): readonly Addressee[] {
  const people = caller.by === 'corp' ? (endpoint.addressees?.(caller, body) ?? []) : []
  const openid = textIn(body, 'touser') ?? ''
  const follower = caller.by === 'account' && caller.account.followers.get(openid)
  const tenant = tenantOf(world, caller)
  return [
    ...people,
    ...(follower ? [{ openid, holder: follower }] : []),
    ...(tenant ? [{ openid: people[0]?.openid ?? openid, holder: tenant }] : []),
  ]
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
