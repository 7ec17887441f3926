import { ok, plain, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import { chinaDay } from './movable-clock.ts'
import type { IssuedToken } from './tokens.ts'
import type { Account } from './world.ts'

export const TOKEN_PATH = '/cgi-bin/token'
export const STABLE_TOKEN_PATH = '/cgi-bin/stable_token'
/** Where forced refreshes are counted; not a path of the platform. */
const FORCED = `${STABLE_TOKEN_PATH}#force`

/** The platform's literal text for the classic endpoint (sending.md §1.3). */
const DAILY_LIMIT_HINT =
  'reach max api daily quota limit, could get access_token by getStableAccessToken, more details at mmbizurl.cn/s/JtxxFh33r'

interface Credentials {
  readonly grantType: string | undefined
  readonly appId: string | undefined
  readonly secret: string | undefined
}

/** `GET /cgi-bin/token`: a new token with every call. */
export function giveClassicToken(call: ApiCall): Answer {
  const caller = identify(call, {
    grantType: call.query.get('grant_type') ?? undefined,
    appId: call.query.get('appid') ?? undefined,
    secret: call.query.get('secret') ?? undefined,
  })
  if ('errcode' in caller) return caller
  const decision = takeQuota(call, caller, TOKEN_PATH)
  if (decision !== 'counted') return refuse(45009, DAILY_LIMIT_HINT)
  call.world.record.count(caller.config.app_id, 'token:classic')
  return give(caller.tokens.issueClassic(call.now.getTime()), call)
}

/** `POST /cgi-bin/stable_token`: the same token again, until force or its last 300 s. */
export function giveStableToken(call: ApiCall): Answer {
  const caller = identify(call, {
    grantType: textIn(call.body, 'grant_type'),
    appId: textIn(call.body, 'appid'),
    secret: textIn(call.body, 'secret'),
  })
  if ('errcode' in caller) return caller
  const decision = takeQuota(call, caller, STABLE_TOKEN_PATH)
  if (decision !== 'counted') return refuse(decision === 'day_full' ? 45009 : 45011)
  if (call.body.force_refresh === true) return forceStableToken(call, caller)
  call.world.record.count(caller.config.app_id, 'token:stable')
  return give(caller.tokens.stable(call.now.getTime()), call)
}

/** 20 a day; inside 30 s of the last one the current token is given again. */
function forceStableToken(call: ApiCall, account: Account): Answer {
  const { forcedRefreshesPerDay, forcedRefreshSpacingSeconds } = call.world.platform
  const nowMs = call.now.getTime()
  call.world.record.count(account.config.app_id, 'token:forced')
  if (nowMs - account.lastForcedMs < forcedRefreshSpacingSeconds * 1000) {
    return give(account.tokens.stable(nowMs), call)
  }
  const limit = { perDay: forcedRefreshesPerDay }
  if (account.quotas.take(FORCED, limit, call.now) !== 'counted') return refuse(45009)
  account.lastForcedMs = nowMs
  return give(account.tokens.forceStable(nowMs), call)
}

function give(token: IssuedToken, call: ApiCall): Answer {
  const expires_in = Math.floor((token.expiresAtMs - call.now.getTime()) / 1000)
  return plain({ access_token: token.value, expires_in })
}

function takeQuota(call: ApiCall, account: Account, path: string) {
  return account.quotas.take(path, call.world.platform.limits[path] ?? {}, call.now)
}

/** The account that asks, or why it may not have a token. The order of checks is undocumented. */
function identify(call: ApiCall, { grantType, appId, secret }: Credentials): Account | Answer {
  if (appId === undefined) return refuse(41002)
  if (secret === undefined) return refuse(41004)
  if (grantType !== 'client_credential') return refuse(40002)
  const account = findByCredentials(call, appId, secret)
  if ('errcode' in account) return account
  const { ip_whitelist } = account.config
  if (ip_whitelist && !ip_whitelist.includes(call.remoteAddress)) {
    const ip = call.remoteAddress
    return refuse(40164, `invalid ip ${ip} ipv6 ::ffff:${ip}, not in whitelist`)
  }
  return account
}

function findByCredentials(call: ApiCall, appId: string, secret: string): Account | Answer {
  call.record.app_id = appId
  const account = call.world.accounts.get(appId)
  if (!account) return refuse(40013)
  return secret === account.config.secret ? account : refuse(40125)
}

/** `POST /cgi-bin/clear_quota`: all daily counters of the account to zero. */
export function clearQuota(call: ApiCall, account: Account): Answer {
  const appId = textIn(call.body, 'appid')
  return appId === account.config.app_id ? clear(call, account) : refuse(40013)
}

/** `POST /cgi-bin/clear_quota/v2`: the same by secret, for when no token can be had any more. */
export function clearQuotaBySecret(call: ApiCall): Answer {
  const appId = textIn(call.body, 'appid') ?? call.query.get('appid')
  const secret = textIn(call.body, 'appsecret') ?? call.query.get('appsecret')
  if (!appId) return refuse(41002)
  if (!secret) return refuse(41004)
  const account = findByCredentials(call, appId, secret)
  return 'errcode' in account ? account : clear(call, account)
}

function clear(call: ApiCall, account: Account): Answer {
  const month = chinaDay(call.now).slice(0, 7)
  if (account.quotaClears.month !== month) account.quotaClears = { month, count: 0 }
  if (account.quotaClears.count >= call.world.platform.quotaClearsPerMonth) return refuse(48006)
  account.quotaClears.count += 1
  account.quotas.clearDay()
  return ok()
}
