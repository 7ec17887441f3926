import type { Answer, ApiCall } from './api-call.ts'
import { refuse } from './api-call.ts'
import { findCaller, type Caller } from './callers.ts'
import { COMPONENT_ENDPOINTS } from './component-endpoints.ts'
import { isPermitted } from './components.ts'
import { CONTACT_ENDPOINTS } from './contact-endpoints.ts'
import { CORP_ENDPOINTS } from './corp-endpoints.ts'
import type { AccountEndpoint, Endpoint, EndpointTable, OpenEndpoint } from './endpoint.ts'
import { KF_ENDPOINTS } from './kf-endpoints.ts'
import type { Channel } from './opt-outs.ts'
import {
  getQuota,
  getRid,
  getUser,
  getUsers,
  listAddresses,
  listBlacklist,
  listSubscriptionTemplates,
  listTemplates,
  listUsers,
} from './reading-endpoints.ts'
import {
  sendDeviceMessage,
  sendMiniMessage,
  sendOneTimeMessage,
  sendReply,
  sendSubscriptionMessage,
  sendTemplateMessage,
} from './send-endpoints.ts'
import { SUITE_ENDPOINTS } from './suite-endpoints.ts'
import {
  STABLE_TOKEN_PATH,
  TOKEN_PATH,
  clearQuota,
  clearQuotaBySecret,
  giveClassicToken,
  giveStableToken,
} from './token-endpoints.ts'
import type { Account } from './world.ts'

type Kind = Account['config']['kind']

const account = (
  method: 'GET' | 'POST',
  serve: AccountEndpoint,
  more: { readonly kind?: Kind; readonly channel?: Channel } = {},
): Endpoint => {
  const { kind, channel } = more
  const auth = { by: 'account', serve, ...(kind ? { kind } : {}) } as const
  return { method, platform: 'oa', auth, ...(channel ? { channel } : {}) }
}
const open = (method: 'GET' | 'POST', serve: OpenEndpoint): Endpoint => ({
  method,
  platform: 'oa',
  auth: { by: 'credentials', serve },
})
const addresses: Endpoint = {
  method: 'GET',
  platform: 'oa',
  auth: { by: 'anybody', serve: listAddresses },
}
const OFFICIAL = { kind: 'official_account' } as const

const ACCOUNT_ENDPOINTS: EndpointTable = [
  [TOKEN_PATH, open('GET', giveClassicToken)],
  [STABLE_TOKEN_PATH, open('POST', giveStableToken)],
  [
    '/cgi-bin/message/template/send',
    account('POST', sendTemplateMessage, { ...OFFICIAL, channel: 'template_message' }),
  ],
  [
    '/cgi-bin/message/template/subscribe',
    account('POST', sendOneTimeMessage, { ...OFFICIAL, channel: 'one_time_subscription' }),
  ],
  [
    '/cgi-bin/message/subscribe/bizsend',
    account('POST', sendSubscriptionMessage, { ...OFFICIAL, channel: 'subscription_message' }),
  ],
  [
    '/cgi-bin/message/subscribe/send',
    account('POST', sendMiniMessage, { kind: 'mini_program', channel: 'subscription_message' }),
  ],
  [
    '/cgi-bin/message/device/subscribe/send',
    account('POST', sendDeviceMessage, { kind: 'mini_program', channel: 'device_message' }),
  ],
  [
    '/cgi-bin/message/custom/send',
    account('POST', sendReply, { channel: 'customer_service_message' }),
  ],
  ['/cgi-bin/user/info', account('GET', getUser, OFFICIAL)],
  ['/cgi-bin/user/info/batchget', account('POST', getUsers, OFFICIAL)],
  ['/cgi-bin/user/get', account('GET', listUsers, OFFICIAL)],
  ['/cgi-bin/tags/members/getblacklist', account('POST', listBlacklist, OFFICIAL)],
  ['/cgi-bin/clear_quota', account('POST', clearQuota)],
  ['/cgi-bin/clear_quota/v2', open('POST', clearQuotaBySecret)],
  [
    '/cgi-bin/openapi/quota/get',
    account('POST', (call, owner) => getQuota(OFFICIAL_PATHS, call, owner)),
  ],
  ['/cgi-bin/openapi/rid/get', account('POST', getRid)],
  ['/cgi-bin/getcallbackip', addresses],
  ['/cgi-bin/get_api_domain_ip', addresses],
  ['/cgi-bin/template/get_all_private_template', account('GET', listTemplates, OFFICIAL)],
  ['/wxaapi/newtmpl/gettemplate', account('GET', listSubscriptionTemplates)],
]

/** Every API that the sandbox has, by path: both hosts' paths, because no path is on both. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  ...ACCOUNT_ENDPOINTS,
  ...COMPONENT_ENDPOINTS,
  ...CORP_ENDPOINTS,
  ...CONTACT_ENDPOINTS,
  ...KF_ENDPOINTS,
  ...SUITE_ENDPOINTS,
])

const OFFICIAL_PATHS: ReadonlySet<string> = new Set(ACCOUNT_ENDPOINTS.map(([path]) => path))

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
  const { method, auth } = endpoint
  if (method !== call.record.method) {
    return refuse(endpoint.wrongMethod ?? (method === 'GET' ? 43001 : 43002))
  }
  if (auth.by === 'credentials') {
    const mayBeEmpty = method === 'GET' || call.query.has('appsecret')
    return checkBody(reading, mayBeEmpty) ?? auth.serve(call)
  }
  const caller = findByToken(call, endpoint)
  if ('errcode' in caller) return caller
  return (
    takeQuota(call, caller) ??
    checkBody(reading, method === 'GET') ??
    serveCaller(endpoint, call, caller)
  )
}

/** What a token of another kind of owner is answered (sending.md §1.1). */
const STRANGER = { account: 61015, component: 61014, suite: 40082, corp: 40014 } as const

function serveCaller({ auth, channel }: Endpoint, call: ApiCall, caller: Caller): Answer {
  if (auth.by === 'anybody') return auth.serve(call, caller)
  if (auth.by === 'account' && caller.by === 'account') {
    const { account: owner } = caller
    const fits = auth.kind === undefined || auth.kind === owner.config.kind
    if (!fits) return refuse(48001)
    return isPermitted(call.world, owner, channel) ? auth.serve(call, owner) : refuse(61007)
  }
  if (auth.by === 'component' && caller.by === 'component') {
    const { ip_whitelist: list } = caller.component.config
    if (list && !list.includes(call.remoteAddress)) return refuse(61004)
    return auth.serve(call, caller.component)
  }
  if (auth.by === 'suite' && caller.by === 'suite') return auth.serve(call, caller.suite)
  if (auth.by === 'corp' && caller.by === 'corp') {
    const { trusted_ips: list } = caller.corp.config
    if (list && !list.includes(call.remoteAddress)) return refuse(60020)
    return auth.serve(call, caller)
  }
  return refuse(auth.by === 'credentials' ? 40001 : STRANGER[auth.by])
}

/** Names of the token in the query, and what a missing, a wrong and an expired one are answered. */
const TOKEN_CHECKS = {
  account: { names: ['access_token'], missing: 41001, wrong: 40001, expired: 42001 },
  anybody: { names: ['access_token'], missing: 41001, wrong: 40001, expired: 42001 },
  component: {
    names: ['component_access_token', 'access_token'],
    missing: 41001,
    wrong: 40001,
    expired: 42001,
  },
  corp: { names: ['access_token'], missing: 41001, wrong: 40014, expired: 42001 },
  suite: { names: ['suite_access_token'], missing: 41022, wrong: 40082, expired: 42009 },
} as const

function findByToken(call: ApiCall, { auth }: Endpoint): Caller | Answer {
  const check = TOKEN_CHECKS[auth.by === 'credentials' ? 'anybody' : auth.by]
  const token = check.names.map((name) => call.query.get(name)).find(Boolean)
  if (!token) return refuse(check.missing)
  const found = findCaller(call.world, token, call.now)
  if (!found) return refuse(check.wrong)
  if (found.verdict === 'expired') return refuse(check.expired)
  return found.verdict === 'valid' ? found : refuse(check.wrong)
}

function takeQuota(call: ApiCall, caller: Caller): Answer | undefined {
  const { path } = call.record
  const limit = call.world.platform.limits[path] ?? {}
  const counters =
    caller.by === 'account' ? caller.account.quotas : caller.by === 'corp' && caller.corp.quotas
  const decision = counters ? counters.take(path, limit, call.now) : 'counted'
  if (decision === 'counted') return undefined
  // WeCom has one code for every limit (sending.md §8.2).
  return refuse(decision === 'day_full' || caller.by === 'corp' ? 45009 : 45011)
}

function checkBody(reading: BodyReading, mayBeEmpty: boolean): Answer | undefined {
  if (reading.kind === 'broken') return refuse(47001)
  return reading.kind === 'empty' && !mayBeEmpty ? refuse(44002) : undefined
}
