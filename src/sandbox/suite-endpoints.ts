import { ok, plain, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import type { EndpointTable } from './endpoint.ts'
import { isAgency, type Install, type Suite } from './suites.ts'
import type { IssuedToken } from './tokens.ts'

/** A suite_ticket lives half an hour, a pre_auth_code 20 minutes (sending.md §1.7). */
const TICKET_MS = 1_800_000
const PRE_AUTH_SECONDS = 1200
const AUTH_CODE_LEAST = 64

const own = (method: 'GET' | 'POST', serve: (call: ApiCall, suite: Suite) => Answer) =>
  ({ method, platform: 'wecom', auth: { by: 'suite', serve } }) as const

/** The endpoints of third-party suites of WeCom. */
export const SUITE_ENDPOINTS: EndpointTable = [
  [
    '/cgi-bin/service/get_suite_token',
    {
      method: 'POST',
      platform: 'wecom',
      auth: { by: 'credentials', serve: giveSuiteToken },
      // A GET loses the body, and with it the suite_id.
      wrongMethod: 40083,
    },
  ],
  ['/cgi-bin/service/get_pre_auth_code', own('GET', givePreAuthCode)],
  [
    '/cgi-bin/service/get_permanent_code',
    own('POST', (call, suite) => exchangeCode(call, suite, 'with_token')),
  ],
  [
    '/cgi-bin/service/v2/get_permanent_code',
    own('POST', (call, suite) => exchangeCode(call, suite, 'without_token')),
  ],
  ['/cgi-bin/service/get_auth_info', own('POST', describeInstall)],
  ['/cgi-bin/service/get_corp_token', own('POST', giveCorpToken)],
  [
    '/cgi-bin/service/get_provider_token',
    { method: 'POST', platform: 'wecom', auth: { by: 'credentials', serve: giveProviderToken } },
  ],
]

/** `POST get_suite_token`: the same token for two hours; a success has no `errcode`. */
function giveSuiteToken(call: ApiCall): Answer {
  const suiteId = textIn(call.body, 'suite_id')
  if (suiteId === undefined) return refuse(41021)
  const suite = call.world.suites.get(suiteId)
  if (!suite) return refuse(40083)
  const secret = textIn(call.body, 'suite_secret')
  if (secret === undefined) return refuse(41024)
  if (secret !== suite.config.secret) return refuse(40080)
  const ticket = textIn(call.body, 'suite_ticket')
  if (ticket === undefined) return refuse(41023)
  const nowMs = call.now.getTime()
  if (nowMs - (suite.tickets.get(ticket) ?? -Infinity) >= TICKET_MS) return refuse(40085)
  call.world.record.count(suiteId, 'token:suite')
  const token = suite.tokens.stable(nowMs)
  return plain({ suite_access_token: token.value, expires_in: secondsLeft(token, nowMs) })
}

/**
 * `POST get_provider_token`: the same token for two hours. Which code a wrong secret has is not
 * confirmed; it is that of a corp's secret here.
 */
function giveProviderToken(call: ApiCall): Answer {
  const corpId = textIn(call.body, 'corpid')
  const secret = textIn(call.body, 'provider_secret')
  if (corpId === undefined) return refuse(41002)
  if (secret === undefined) return refuse(41004)
  const all = [...call.world.suites.values()]
  const suite = all.find(({ config }) => config.provider_corp_id === corpId)
  if (!suite) return refuse(40013)
  if (secret !== suite.config.provider_secret) return refuse(40001)
  const nowMs = call.now.getTime()
  call.world.record.count(corpId, 'token:provider')
  const token = suite.providerTokens.stable(nowMs)
  return plain({ provider_access_token: token.value, expires_in: secondsLeft(token, nowMs) })
}

function givePreAuthCode(call: ApiCall, suite: Suite): Answer {
  const code = call.world.random.urlSafe(80)
  suite.preAuthCodes.set(code, call.now.getTime() + PRE_AUTH_SECONDS * 1000)
  return ok({ pre_auth_code: code, expires_in: PRE_AUTH_SECONDS })
}

/**
 * `POST get_permanent_code` and its second version, which answers no token: an auth_code once, within
 * its ten minutes. The permanent code before it stops working.
 */
function exchangeCode(
  call: ApiCall,
  suite: Suite,
  version: 'with_token' | 'without_token',
): Answer {
  const value = textIn(call.body, 'auth_code') ?? ''
  if (value.length < AUTH_CODE_LEAST) {
    const errmsg = `auth_code exceed min length ${AUTH_CODE_LEAST}. Invalid input`
    return refuse(40058, `${errmsg} invalid Request Parameter`)
  }
  const code = suite.codes.get(value)
  const nowMs = call.now.getTime()
  const install = code && suite.installs.get(code.corpId)
  if (!code || !install?.authorized || code.used || nowMs >= code.expiresAtMs) return refuse(40078)
  code.used = true
  install.permanentCode = call.world.random.urlSafe(64)
  const { corp_id, name } = install.corp.config
  const found = {
    permanent_code: install.permanentCode,
    auth_corp_info: { corpid: corp_id, corp_name: name },
    auth_user_info: { userid: [...install.corp.members][0] ?? '', name: '', avatar: '' },
    ...(install.state === undefined ? {} : { state: install.state }),
  }
  if (version === 'without_token') return plain(found)
  const token = install.app.tokens.stable(nowMs)
  return plain({
    access_token: token.value,
    expires_in: secondsLeft(token, nowMs),
    ...found,
    auth_info: agentInfo(install),
  })
}

function describeInstall(call: ApiCall, suite: Suite): Answer {
  const install = findInstall(call, suite)
  if ('errcode' in install) return install
  const { corp_id, name } = install.corp.config
  return plain({
    auth_corp_info: { corpid: corp_id, corp_name: name },
    auth_info: agentInfo(install),
  })
}

/**
 * `POST get_corp_token`, of third-party apps. Agency-developed ones ask `gettoken` instead; how they are
 * refused here is not documented: like an interface that they may not call.
 */
function giveCorpToken(call: ApiCall, suite: Suite): Answer {
  if (isAgency(suite)) return refuse(48002)
  const install = findInstall(call, suite)
  if ('errcode' in install) return install
  const nowMs = call.now.getTime()
  call.world.record.count(suite.config.suite_id, 'token:corp')
  const token = install.app.tokens.stable(nowMs)
  return plain({ access_token: token.value, expires_in: secondsLeft(token, nowMs) })
}

function findInstall(call: ApiCall, suite: Suite): Install | Answer {
  const install = suite.installs.get(textIn(call.body, 'auth_corpid') ?? '')
  const code = textIn(call.body, 'permanent_code')
  if (code === undefined) return refuse(41025)
  if (!install) return refuse(40013)
  return install.authorized && code === install.permanentCode ? install : refuse(40084)
}

function agentInfo({ app }: Install) {
  return { agent: [{ agentid: Number(app.agentId), name: '', auth_mode: 0 }] }
}

function secondsLeft(token: IssuedToken, nowMs: number): number {
  return Math.floor((token.expiresAtMs - nowMs) / 1000)
}
