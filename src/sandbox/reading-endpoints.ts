import {
  isFields,
  ok,
  plain,
  refuse,
  textIn,
  type Answer,
  type ApiCall,
  type Fields,
} from './api-call.ts'
import type { Caller } from './callers.ts'
import type { Follower } from './followers.ts'
import type { Account } from './world.ts'

/** More in one `batchget` answer 40032. */
const BATCH_LIMIT = 100
/** What `quota/get` says of a path without a limit; the largest daily figure of sending.md §8.1. */
const UNLIMITED = 5_000_000

/** `GET /cgi-bin/user/info`: somebody who does not follow has no more than an openid. */
export function getUser(call: ApiCall, account: Account): Answer {
  const openid = call.query.get('openid')
  if (!openid) return refuse(41009)
  const follower = account.followers.get(openid)
  return follower && !follower.cancelled ? plain(describe(follower)) : refuse(40003)
}

/** `POST /cgi-bin/user/info/batchget`: at most 100 of the same. */
export function getUsers(call: ApiCall, account: Account): Answer {
  const list = call.body.user_list
  if (!Array.isArray(list) || list.length === 0 || list.length > BATCH_LIMIT) return refuse(40032)
  const found = list.map((item: unknown) => {
    const openid = isFields(item) ? textIn(item, 'openid') : undefined
    return openid === undefined ? undefined : account.followers.get(openid)
  })
  const users = found.flatMap((follower) => (follower && !follower.cancelled ? [follower] : []))
  return users.length === list.length
    ? plain({ user_info_list: users.map(describe) })
    : refuse(40003)
}

function describe(follower: Follower): Fields {
  if (!follower.follows) return { subscribe: 0, openid: follower.openid }
  const { scene } = follower
  return {
    subscribe: 1,
    openid: follower.openid,
    language: 'zh_CN',
    subscribe_time: follower.followedAtSeconds,
    remark: '',
    groupid: 0,
    tagid_list: [],
    subscribe_scene: scene === undefined ? 'ADD_SCENE_SEARCH' : 'ADD_SCENE_QR_CODE',
    qr_scene: scene !== undefined && /^\d{1,9}$/.test(scene) ? Number(scene) : 0,
    qr_scene_str: scene ?? '',
  }
}

/** `GET /cgi-bin/user/get`: a page of followers after `next_openid`; `data` is absent on an empty one. */
export function listUsers(call: ApiCall, account: Account): Answer {
  const after = call.query.get('next_openid') ?? ''
  if (after !== '' && !account.followers.has(after)) return refuse(40003)
  const everybody = [...account.followers.values()]
  const following = everybody.filter(({ follows }) => follows)
  const start = after === '' ? 0 : everybody.findIndex(({ openid }) => openid === after) + 1
  const page = everybody
    .slice(start)
    .filter(({ follows }) => follows)
    .slice(0, call.world.platform.followersPerPage)
    .map(({ openid }) => openid)
  const total = following.length
  if (page.length === 0) return plain({ total, count: 0, next_openid: '' })
  return plain({ total, count: page.length, data: { openid: page }, next_openid: page.at(-1) })
}

/** `GET /cgi-bin/template/get_all_private_template`: the templates that were listed. */
export function listTemplates(_call: ApiCall, account: Account): Answer {
  const template_list = listed(account).map(({ template_id, title, content }) => ({
    template_id,
    title,
    primary_industry: '',
    deputy_industry: '',
    content,
    example: '',
  }))
  return plain({ template_list })
}

/** `GET /wxaapi/newtmpl/gettemplate`: the same for subscription messages; 3 is a long-term one. */
export function listSubscriptionTemplates(_call: ApiCall, account: Account): Answer {
  const data = listed(account).map(({ template_id, title, content, long_term, choices }) => ({
    priTmplId: template_id,
    title,
    content,
    example: '',
    type: long_term ? 3 : 2,
    keywordEnumValueList: Object.entries(choices).map(([name, values]) => ({
      keywordCode: `${name}.DATA`,
      enumValueList: values,
    })),
  }))
  return ok({ data })
}

/** A banned template stays in the lists. */
function listed({ config }: Account) {
  return config.templates.filter(({ status }) => status !== 'withdrawn')
}

/** `POST /cgi-bin/tags/members/getblacklist`: a page of the blacklist after `begin_openid`. */
export function listBlacklist(call: ApiCall, account: Account): Answer {
  const after = textIn(call.body, 'begin_openid')
  if (after !== undefined && !account.followers.has(after)) return refuse(40003)
  const black = [...account.followers.values()].filter(({ blacklisted }) => blacklisted)
  const start = after === undefined ? 0 : black.findIndex(({ openid }) => openid === after) + 1
  const page = black.slice(start, start + call.world.platform.blacklistPerPage)
  const openids = page.map(({ openid }) => openid)
  const total = black.length
  if (page.length === 0) return ok({ total, count: 0, next_openid: '' })
  return ok({ total, count: page.length, data: { openid: openids }, next_openid: openids.at(-1) })
}

const RID = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/
const RID_DAYS_MS = 7 * 86_400_000

/** `POST /cgi-bin/openapi/rid/get`: what a refused call of the same account was, for seven days. */
export function getRid(call: ApiCall, account: Account): Answer {
  const rid = textIn(call.body, 'rid')
  if (rid === undefined || !RID.test(rid)) return refuse(76002)
  const facts = call.world.rids.find(rid)
  if (!facts) return refuse(76001)
  if (facts.appId !== account.config.app_id) return refuse(76003)
  if (call.now.getTime() - facts.atMs > RID_DAYS_MS) return refuse(76004)
  return ok({
    request: {
      invoke_time: Math.floor(facts.atMs / 1000),
      cost_in_ms: facts.costMs,
      request_url: facts.requestUrl,
      request_body: facts.requestBody,
      response_body: facts.responseBody,
      client_ip: facts.clientIp,
    },
  })
}

/**
 * `GET /cgi-bin/getcallbackip` and `/cgi-bin/get_api_domain_ip`: this machine, both ways. Only WeCom
 * says `errcode` 0 with it.
 */
export function listAddresses(_call: ApiCall, caller: Caller): Answer {
  const wecom = caller.by === 'corp' || caller.by === 'suite'
  return (wecom ? ok : plain)({ ip_list: ['127.0.0.1'] })
}

/** `POST /cgi-bin/openapi/quota/get` for the paths the sandbox knows. */
export function getQuota(paths: ReadonlySet<string>, call: ApiCall, account: Account): Answer {
  const path = textIn(call.body, 'cgi_path')
  if (path === undefined || !path.startsWith('/')) return refuse(76003)
  if (!paths.has(path)) return refuse(76021)
  const limit = call.world.platform.limits[path] ?? {}
  const daily_limit = limit.perDay ?? UNLIMITED
  const used = account.quotas.usedToday(path, call.now)
  const rate = limit.perMinute && { call_count: limit.perMinute, refresh_second: 60 }
  return ok({
    quota: { daily_limit, used, remain: Math.max(0, daily_limit - used) },
    ...(rate ? { rate_limit: rate } : {}),
  })
}
