import { ok, plain, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import { authorizerOf, type Authorizer, type Component } from './components.ts'
import type { EndpointTable } from './endpoint.ts'
import { unixSeconds } from './movable-clock.ts'
import type { IssuedToken } from './tokens.ts'

/** A verify ticket lives 12 hours, a pre_auth_code half an hour (sending.md §1.6). */
const TICKET_MS = 12 * 3600 * 1000
const PRE_AUTH_SECONDS = 1800
/** More in one page of `api_get_authorizer_list` is refused. */
const LIST_MOST = 500

const SERVICE_TYPES = { official_account: 2, mini_program: 0 } as const

/** The endpoints of Open Platform components. */
export const COMPONENT_ENDPOINTS: EndpointTable = [
  ['/cgi-bin/component/api_start_push_ticket', open(startTickets)],
  ['/cgi-bin/component/api_component_token', open(giveComponentToken)],
  ['/cgi-bin/component/api_create_preauthcode', own(givePreAuthCode)],
  ['/cgi-bin/component/api_query_auth', own(exchangeCode)],
  ['/cgi-bin/component/api_authorizer_token', own(giveAuthorizerToken)],
  ['/cgi-bin/component/api_get_authorizer_info', own(describeAuthorizer)],
  ['/cgi-bin/component/api_get_authorizer_list', own(listAuthorizers)],
]

function open(serve: (call: ApiCall) => Answer) {
  return { method: 'POST', platform: 'open', auth: { by: 'credentials', serve } } as const
}

/** Every one of them names the component again in its body. */
function own(serve: (call: ApiCall, component: Component) => Answer) {
  const checked = (call: ApiCall, component: Component): Answer => {
    const appId = textIn(call.body, 'component_appid')
    if (appId === undefined) return refuse(41018)
    return appId === component.config.app_id ? serve(call, component) : refuse(61001)
  }
  return { method: 'POST', platform: 'open', auth: { by: 'component', serve: checked } } as const
}

function identify(call: ApiCall, secretName: string): Component | Answer {
  const appId = textIn(call.body, 'component_appid')
  if (appId === undefined) return refuse(41018)
  const component = call.world.components.get(appId)
  if (!component) return refuse(40013)
  const secret = textIn(call.body, secretName)
  if (secret === undefined) return refuse(41004)
  if (secret !== component.config.secret) return refuse(40125)
  const { ip_whitelist: list } = component.config
  return list && !list.includes(call.remoteAddress) ? refuse(61004) : component
}

/** `POST api_start_push_ticket`: its field is `component_secret`, unlike everywhere else. */
function startTickets(call: ApiCall): Answer {
  const component = identify(call, 'component_secret')
  if ('errcode' in component) return component
  const wasOn = component.ticketsOn
  component.ticketsOn = true
  return ok({ errmsg: wasOn ? 'in a normal state' : 'ok' })
}

/** `POST api_component_token`: wants a ticket that was pushed in the last 12 hours. */
function giveComponentToken(call: ApiCall): Answer {
  const component = identify(call, 'component_appsecret')
  if ('errcode' in component) return component
  const pushedMs = component.tickets.get(textIn(call.body, 'component_verify_ticket') ?? '')
  if (pushedMs === undefined) return refuse(61006)
  const nowMs = call.now.getTime()
  if (nowMs - pushedMs >= TICKET_MS) return refuse(61005)
  call.world.record.count(component.config.app_id, 'token:component')
  const token = component.tokens.issueClassic(nowMs)
  return plain({ component_access_token: token.value, expires_in: secondsLeft(token, call) })
}

function givePreAuthCode(call: ApiCall, component: Component): Answer {
  const code = `preauthcode@@@${call.world.random.urlSafe(64)}`
  component.preAuthCodes.set(code, call.now.getTime() + PRE_AUTH_SECONDS * 1000)
  return plain({ pre_auth_code: code, expires_in: PRE_AUTH_SECONDS })
}

/** `POST api_query_auth`: a code once, within its hour. */
function exchangeCode(call: ApiCall, component: Component): Answer {
  const code = component.codes.get(textIn(call.body, 'authorization_code') ?? '')
  if (!code) return refuse(61009)
  const nowMs = call.now.getTime()
  if (code.used || nowMs >= code.expiresAtMs) return refuse(61010)
  code.used = true
  const authorizer = authorizerOf(call.world, component, code.appId)
  if (!authorizer.authorized) return refuse(61003)
  const token = authorizer.tokens.issueClassic(nowMs)
  call.world.record.count(component.config.app_id, 'token:authorizer')
  return plain({
    authorization_info: {
      ...grantFields(authorizer),
      authorizer_access_token: token.value,
      expires_in: secondsLeft(token, call),
      authorizer_refresh_token: authorizer.refreshToken,
    },
  })
}

/** `POST api_authorizer_token`: what the refresh token becomes is an option of the sandbox. */
function giveAuthorizerToken(call: ApiCall, component: Component): Answer {
  const authorizer = findGrant(call, component)
  if ('errcode' in authorizer) return authorizer
  const given = textIn(call.body, 'authorizer_refresh_token')
  if (given === undefined || given !== authorizer.refreshToken) return refuse(61023)
  const { refreshToken: mode } = call.world.platform
  if (mode === 'rotated') authorizer.refreshToken = makeRefreshToken(call.world.random)
  const token = authorizer.tokens.issueClassic(call.now.getTime())
  call.world.record.count(component.config.app_id, 'token:authorizer')
  return plain({
    authorizer_access_token: token.value,
    expires_in: secondsLeft(token, call),
    authorizer_refresh_token: mode === 'empty' ? '' : authorizer.refreshToken,
  })
}

function describeAuthorizer(call: ApiCall, component: Component): Answer {
  const authorizer = findGrant(call, component)
  if ('errcode' in authorizer) return authorizer
  const account = call.world.accounts.get(authorizer.appId)
  if (!account) return refuse(61003)
  const { original_id, kind } = account.config
  const mini = kind === 'mini_program'
  return plain({
    authorizer_info: {
      nick_name: `沙箱 ${authorizer.appId.slice(-4)}`,
      head_img: '',
      service_type_info: { id: SERVICE_TYPES[kind] },
      verify_type_info: { id: 0 },
      user_name: original_id,
      principal_name: '示例科技有限公司',
      business_info: { open_store: 0, open_scan: 0, open_pay: 0, open_card: 0, open_shake: 0 },
      alias: '',
      qrcode_url: '',
      signature: '',
      ...(mini ? { MiniProgramInfo: { network: {}, categories: [], visit_status: 0 } } : {}),
    },
    authorization_info: {
      ...grantFields(authorizer),
      authorizer_refresh_token: authorizer.refreshToken,
    },
  })
}

/** `POST api_get_authorizer_list`: here the field is called `refresh_token`. */
function listAuthorizers(call: ApiCall, component: Component): Answer {
  const { offset, count } = call.body
  if (typeof offset !== 'number' || typeof count !== 'number') return refuse(47001)
  if (count < 1 || count > LIST_MOST || offset < 0) return refuse(61020)
  const granted = [...component.authorizers.values()].filter(({ authorized }) => authorized)
  const list = granted.slice(offset, offset + count).map((one) => ({
    authorizer_appid: one.appId,
    refresh_token: one.refreshToken,
    auth_time: one.authorizedAtSeconds,
  }))
  return plain({ total_count: granted.length, list })
}

function findGrant(call: ApiCall, component: Component): Authorizer | Answer {
  const appId = textIn(call.body, 'authorizer_appid')
  if (appId === undefined) return refuse(40013)
  const authorizer = component.authorizers.get(appId)
  return authorizer?.authorized ? authorizer : refuse(61003)
}

function grantFields({ appId, scopes }: Authorizer) {
  return {
    authorizer_appid: appId,
    func_info: scopes.map((id) => ({ funcscope_category: { id } })),
  }
}

function secondsLeft(token: IssuedToken, call: ApiCall): number {
  return unixSeconds(new Date(token.expiresAtMs)) - unixSeconds(call.now)
}

/** A refresh token, as the platform writes them. */
export function makeRefreshToken(random: { urlSafe(length: number): string }): string {
  return `refreshtoken@@@${random.urlSafe(43)}`
}
