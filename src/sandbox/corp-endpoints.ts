import { isFields, ok, refuse, textIn, type Answer, type ApiCall, type Fields } from './api-call.ts'
import type { CorpCaller } from './callers.ts'
import { findMember, seatOf, type Corp, type CorpApp, type Seat } from './corps.ts'
import type { Addressee, EndpointTable } from './endpoint.ts'
import { deliver } from './receive-message.ts'
import { findAgencyApp } from './suites.ts'

/** Limits of one member (sending.md §5.1); more is dropped without a word. */
const PER_MINUTE = 30
const PER_HOUR = 1000
const HOUR_MS = 3_600_000
const MEMBERS_MOST = 1000
const DUPLICATE_SECONDS = 1800
const DUPLICATE_MOST_SECONDS = 14_400
/** Messages of one robot in a minute. */
const ROBOT_LIMIT = { perMinute: 20 }

const APP_TYPES = new Set([
  'text',
  'image',
  'voice',
  'video',
  'file',
  'textcard',
  'news',
  'mpnews',
  'markdown',
  'miniprogram_notice',
  'template_card',
])
const ROBOT_TYPES = new Set([
  'text',
  'markdown',
  'markdown_v2',
  'image',
  'news',
  'file',
  'voice',
  'template_card',
])

/** The endpoints of WeCom apps and robots. */
export const CORP_ENDPOINTS: EndpointTable = [
  [
    '/cgi-bin/gettoken',
    { method: 'GET', platform: 'wecom', auth: { by: 'credentials', serve: giveCorpToken } },
  ],
  [
    '/cgi-bin/message/send',
    {
      method: 'POST',
      platform: 'wecom',
      auth: { by: 'corp', serve: sendAppMessage },
      channel: 'app_message',
      addressees: findSeats,
    },
  ],
  [
    '/cgi-bin/webhook/send',
    {
      method: 'POST',
      platform: 'wecom',
      auth: { by: 'credentials', serve: sendRobotMessage },
      channel: 'robot_message',
    },
  ],
]

/** `GET gettoken`: the same token again until it ends; one for each secret (sending.md §1.5). */
function giveCorpToken(call: ApiCall): Answer {
  const corpId = call.query.get('corpid')
  const secret = call.query.get('corpsecret')
  if (!corpId) return refuse(41002)
  if (!secret) return refuse(41004)
  const corp = call.world.corps.get(corpId)
  if (!corp) return refuse(40013)
  const own = corp.apps.find((one) => one.secret === secret)
  const app = own ?? findAgencyApp(call.world, corp, secret)
  if (!app) return refuse(isSecretOfAnother(call, secret) ? 40091 : 40001)
  const { trusted_ips: list } = corp.config
  if (list && !list.includes(call.remoteAddress)) return refuse(60020)
  call.world.record.count(corpId, 'token:corp')
  const nowMs = call.now.getTime()
  const token = app.tokens.stable(nowMs)
  const expires_in = Math.floor((token.expiresAtMs - nowMs) / 1000)
  return ok({ access_token: token.value, expires_in })
}

function isSecretOfAnother(call: ApiCall, secret: string): boolean {
  return [...call.world.corps.values()].some(({ apps }) =>
    apps.some((app) => app.secret === secret),
  )
}

interface Receivers {
  readonly members: readonly string[]
  readonly invaliduser: readonly string[]
  readonly invalidparty: readonly string[]
  readonly invalidtag: readonly string[]
  readonly unlicenseduser: readonly string[]
}

/** `POST message/send`: who cannot be reached is listed, and the others get it (sending.md §5.1). */
function sendAppMessage(call: ApiCall, caller: CorpCaller): Answer {
  const { body } = call
  const { corp, app } = caller
  const bad = checkAppMessage(body, app)
  if (bad) return bad
  const receivers = findReceivers(corp, app, body)
  if (receivers === undefined) return refuse(40063)
  if (split(body, 'touser').length > MEMBERS_MOST) return refuse(40031)
  const { members, ...problems } = receivers
  if (members.length === 0) return refuse(81013)

  const repeated = findDuplicate(call, app)
  const msgid = repeated ?? call.world.random.urlSafe(86)
  call.record.msgid = msgid
  if (repeated === undefined) {
    app.seen.set(JSON.stringify(body), { msgid, atMs: call.now.getTime() })
    for (const member of members) deliverToMember(call, caller, { member, msgid })
  } else {
    call.record.repeated = true
  }
  const lists = Object.entries(problems).flatMap(([name, list]) =>
    list.length === 0 ? [] : [[name, list.join('|')] as const],
  )
  const card = body.msgtype === 'template_card'
  return ok({
    ...Object.fromEntries(lists),
    msgid,
    ...(card ? { response_code: call.world.random.urlSafe(40) } : {}),
  })
}

function checkAppMessage(body: Fields, app: CorpApp): Answer | undefined {
  const { agentid } = body
  if (typeof agentid !== 'number' && typeof agentid !== 'string') return refuse(40056)
  if (app.agentId === null || String(agentid) !== app.agentId) return refuse(301002)
  return checkContent(body, APP_TYPES)
}

/** The type, and the object that has its name. */
export function checkContent(body: Fields, types: ReadonlySet<string>): Answer | undefined {
  const type = textIn(body, 'msgtype')
  if (type === undefined || !types.has(type)) return refuse(40008)
  const content = body[type]
  if (!isFields(content)) return refuse(40058)
  const texts = type === 'text' || type.startsWith('markdown')
  if (texts && textIn(content, 'content') === undefined) return refuse(44004)
  return undefined
}

function split(body: Fields, name: string): string[] {
  return (textIn(body, name) ?? '').split('|').filter((part) => part !== '')
}

/** Undefined when nobody is named. Userids come back in lower case. */
function findReceivers(corp: Corp, app: CorpApp, body: Fields): Receivers | undefined {
  const users = split(body, 'touser')
  const parties = split(body, 'toparty')
  const tags = split(body, 'totag')
  if (users.length + parties.length + tags.length === 0) return undefined
  const everybody = users.includes('@all')
  const named = everybody
    ? [...corp.members]
    : [
        ...users,
        ...parties.flatMap((id) => corp.config.parties[id] ?? []),
        ...tags.flatMap((id) => corp.config.tags[id] ?? []),
      ]
  const found = named.map((userid) => ({ userid, member: findMember(corp, userid) }))
  const reached = found.flatMap(({ member }) =>
    member !== undefined && seatOf(app, member).visible ? [member] : [],
  )
  const licensed = (member: string) =>
    app.suiteId === null || !corp.config.unlicensed.includes(member)
  const wrong = found.filter(({ member }) => member === undefined || !reached.includes(member))
  return {
    members: [...new Set(reached)].filter(licensed),
    invaliduser: everybody ? [] : wrong.map(({ userid }) => userid.toLowerCase()),
    invalidparty: everybody ? [] : parties.filter((id) => !corp.config.parties[id]),
    invalidtag: everybody ? [] : tags.filter((id) => !corp.config.tags[id]),
    unlicenseduser: reached.filter((member) => !licensed(member)).map((one) => one.toLowerCase()),
  }
}

/** The identical body inside the interval, where the sender asked to look for it. */
function findDuplicate(call: ApiCall, app: CorpApp): string | undefined {
  const { enable_duplicate_check, duplicate_check_interval } = call.body
  if (enable_duplicate_check !== 1) return undefined
  const wished = typeof duplicate_check_interval === 'number' ? duplicate_check_interval : undefined
  const seconds = Math.min(wished ?? DUPLICATE_SECONDS, DUPLICATE_MOST_SECONDS)
  const first = app.seen.get(JSON.stringify(call.body))
  const isFresh = first && call.now.getTime() - first.atMs < seconds * 1000
  return isFresh ? first.msgid : undefined
}

function deliverToMember(
  call: ApiCall,
  { corp, app }: CorpCaller,
  { member, msgid }: { readonly member: string; readonly msgid: string },
): void {
  const nowMs = call.now.getTime()
  if (!takeSlot(seatOf(app, member), nowMs)) return
  deliver(call, {
    appId: corp.config.corp_id,
    channel: 'app_message',
    openid: member,
    from: app.agentId,
    msgid,
    clientMsgId: null,
  })
}

function takeSlot({ deliveredMs }: Seat, nowMs: number): boolean {
  const recent = deliveredMs.filter((atMs) => nowMs - atMs < HOUR_MS)
  deliveredMs.splice(0, deliveredMs.length, ...recent)
  const lastMinute = recent.filter((atMs) => nowMs - atMs < 60_000)
  if (recent.length >= PER_HOUR || lastMinute.length >= PER_MINUTE) return false
  deliveredMs.push(nowMs)
  return true
}

function findSeats({ corp, app }: CorpCaller, body: Fields): readonly Addressee[] {
  const users = split(body, 'touser')
  const named = users.includes('@all') ? [...corp.members] : users
  return named.flatMap((userid) => {
    const openid = findMember(corp, userid)
    return openid === undefined ? [] : [{ openid, holder: seatOf(app, openid) }]
  })
}

/** `POST webhook/send`: the key in the address is all there is to a robot (sending.md §5.2). */
function sendRobotMessage(call: ApiCall): Answer {
  const key = call.query.get('key')
  const found = [...call.world.corps.values()]
    .flatMap((corp) => corp.config.robots.map((robot) => ({ corp, robot })))
    .find(({ robot }) => robot.key === key)
  if (!found || found.robot.state === 'removed') return refuse(93000)
  const { corp, robot } = found
  call.record.app_id = corp.config.corp_id
  if (robot.state === 'disabled') return refuse(93004)
  const bad = checkContent(call.body, ROBOT_TYPES)
  if (bad) return bad
  if (corp.quotas.take(`robot ${robot.key}`, ROBOT_LIMIT, call.now) !== 'counted') {
    return refuse(45009)
  }
  deliver(call, {
    appId: corp.config.corp_id,
    channel: 'robot_message',
    openid: robot.name,
    from: robot.name,
    msgid: null,
    clientMsgId: null,
  })
  return ok()
}
