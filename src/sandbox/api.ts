import type { AccountEndpoint, Answer, ApiCall, OpenEndpoint } from './api-call.ts'
import { refuse } from './api-call.ts'
import type { Channel } from './opt-outs.ts'
import {
  getQuota,
  getUser,
  getUsers,
  listAddresses,
  listTemplates,
  listUsers,
} from './reading-endpoints.ts'
import { sendReply, sendSubscriptionMessage, sendTemplateMessage } from './send-endpoints.ts'
import {
  STABLE_TOKEN_PATH,
  TOKEN_PATH,
  clearQuota,
  clearQuotaBySecret,
  giveClassicToken,
  giveStableToken,
} from './token-endpoints.ts'
import type { Account, World } from './world.ts'

/** One API of the platform. */
export interface Endpoint {
  readonly method: 'GET' | 'POST'
  readonly auth:
    | { readonly by: 'token'; readonly serve: AccountEndpoint }
    | { readonly by: 'credentials'; readonly serve: OpenEndpoint }
  /** What it sends, where it sends. */
  readonly channel?: Channel
}

const get = (serve: AccountEndpoint): Endpoint => ({ method: 'GET', auth: { by: 'token', serve } })
const post = (serve: AccountEndpoint, channel?: Channel): Endpoint => ({
  method: 'POST',
  auth: { by: 'token', serve },
  ...(channel ? { channel } : {}),
})
const open = (method: 'GET' | 'POST', serve: OpenEndpoint): Endpoint => ({
  method,
  auth: { by: 'credentials', serve },
})

/** Every API that the sandbox has, by path. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  [TOKEN_PATH, open('GET', giveClassicToken)],
  [STABLE_TOKEN_PATH, open('POST', giveStableToken)],
  ['/cgi-bin/message/template/send', post(sendTemplateMessage, 'template_message')],
  ['/cgi-bin/message/subscribe/bizsend', post(sendSubscriptionMessage, 'subscription_message')],
  ['/cgi-bin/message/custom/send', post(sendReply, 'customer_service_message')],
  ['/cgi-bin/user/info', get(getUser)],
  ['/cgi-bin/user/info/batchget', post(getUsers)],
  ['/cgi-bin/user/get', get(listUsers)],
  ['/cgi-bin/clear_quota', post(clearQuota)],
  ['/cgi-bin/clear_quota/v2', open('POST', clearQuotaBySecret)],
  ['/cgi-bin/openapi/quota/get', post((call, account) => getQuota(PATHS, call, account))],
  ['/cgi-bin/getcallbackip', get(listAddresses)],
  ['/cgi-bin/get_api_domain_ip', get(listAddresses)],
  ['/cgi-bin/template/get_all_private_template', get(listTemplates)],
])

const PATHS: ReadonlySet<string> = new Set(ENDPOINTS.keys())

/** What stands in the body: nothing, a JSON object, or something that is not one. */
export type BodyReading =
  { readonly kind: 'empty' } | { readonly kind: 'object' } | { readonly kind: 'broken' }

/**
 * Answers one call. The platform does not document the order of its checks; this one is: the address
 * and method, the token, the quota, the body, then what the endpoint itself asks for
 * (sending.md §11.4).
 */
export function answerCall(
  endpoint: Endpoint | undefined,
  call: ApiCall,
  reading: BodyReading,
): Answer {
  if (!endpoint) return refuse(40066)
  if (endpoint.method !== call.record.method)
    return refuse(endpoint.method === 'GET' ? 43001 : 43002)
  const { auth } = endpoint
  if (auth.by === 'credentials') {
    const mayBeEmpty = endpoint.method === 'GET' || call.query.has('appsecret')
    return checkBody(reading, mayBeEmpty) ?? auth.serve(call)
  }
  const account = findByToken(call)
  if ('errcode' in account) return account
  return (
    takeQuota(call, account) ??
    checkBody(reading, endpoint.method === 'GET') ??
    auth.serve(call, account)
  )
}

function findByToken(call: ApiCall): Account | Answer {
  const token = call.query.get('access_token')
  if (!token) return refuse(41001)
  const found = findTokenOwner(call.world, token, call.now)
  if (!found) return refuse(40001)
  if (found.verdict === 'expired') return refuse(42001)
  return found.verdict === 'valid' ? found.account : refuse(40001)
}

/** The account that a token was given to, and whether it still works. */
export function findTokenOwner(world: World, token: string, now: Date) {
  for (const account of world.accounts.values()) {
    const verdict = account.tokens.judge(token, now.getTime())
    if (verdict !== 'unknown') return { account, verdict }
  }
  return undefined
}

function takeQuota(call: ApiCall, account: Account): Answer | undefined {
  const { path } = call.record
  const decision = account.quotas.take(path, call.world.platform.limits[path] ?? {}, call.now)
  if (decision === 'counted') return undefined
  return refuse(decision === 'day_full' ? 45009 : 45011)
}

function checkBody(reading: BodyReading, mayBeEmpty: boolean): Answer | undefined {
  if (reading.kind === 'broken') return refuse(47001)
  return reading.kind === 'empty' && !mayBeEmpty ? refuse(44002) : undefined
}
