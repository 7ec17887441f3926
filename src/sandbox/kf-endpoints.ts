import { ok, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import type { CorpCaller } from './callers.ts'
import { checkContent } from './corp-endpoints.ts'
import type { Addressee, EndpointTable } from './endpoint.ts'
import { addItem, findSession, type KfDesk, type KfSession } from './kf-desk.ts'
import { notifyOfKf, sendFailed } from './kf-notices.ts'
import { deliver } from './receive-message.ts'

const HOURS_48_MS = 48 * 3_600_000
const HISTORY_MS = 3 * 86_400_000
/** Messages after each one of the customer's (sending.md §5.5). */
const REPLIES = 5
const PAGE_MOST = 1000
const MSGID = /^[\w-]{1,32}$/

const TYPES = new Set([
  'text',
  'image',
  'voice',
  'video',
  'file',
  'link',
  'miniprogram',
  'msgmenu',
  'location',
  'business_card',
  'ca_link',
])

/** The endpoints of WeChat customer service in WeCom (微信客服). */
export const KF_ENDPOINTS: EndpointTable = [
  [
    '/cgi-bin/kf/sync_msg',
    { method: 'POST', platform: 'wecom', auth: { by: 'corp', serve: syncMessages } },
  ],
  [
    '/cgi-bin/kf/account/list',
    { method: 'POST', platform: 'wecom', auth: { by: 'corp', serve: listKfAccounts } },
  ],
  [
    '/cgi-bin/kf/send_msg',
    {
      method: 'POST',
      platform: 'wecom',
      auth: { by: 'corp', serve: sendKfMessage },
      channel: 'kf_message',
      addressees: ({ corp }, body): readonly Addressee[] => {
        const openid = textIn(body, 'touser') ?? ''
        const holder = findSession(corp.kf, textIn(body, 'open_kfid') ?? '', openid)
        return holder ? [{ openid, holder }] : []
      },
    },
  ],
]

/**
 * `POST sync_msg`: the lines after the cursor. A wrong token is refused; without one the call is
 * allowed a few times a minute only.
 */
function syncMessages(call: ApiCall, { corp }: CorpCaller): Answer {
  const { kf, quotas } = corp
  const openKfid = textIn(call.body, 'open_kfid')
  if (openKfid === undefined || !kf.accounts.has(openKfid)) return refuse(95000)
  if (kf.withdrawn.has(openKfid)) return refuse(48007)
  const token = textIn(call.body, 'token')
  const nowMs = call.now.getTime()
  if (token !== undefined && nowMs >= (kf.tokens.get(token) ?? -Infinity)) return refuse(95007)
  const limit = { perMinute: call.world.platform.untokenedSyncsPerMinute }
  if (token === undefined && quotas.take('kf sync', limit, call.now) !== 'counted') {
    return refuse(45009)
  }
  const after = readCursor(textIn(call.body, 'cursor'))
  if (after === undefined) return refuse(40058)
  const wished = Number(call.body.limit ?? PAGE_MOST)
  if (!(wished >= 1 && wished <= PAGE_MOST)) return refuse(40058)
  const lines = kf.items.filter(
    (item) => item.openKfid === openKfid && item.sequence > after && nowMs - item.atMs < HISTORY_MS,
  )
  const page = lines.slice(0, wished)
  return ok({
    next_cursor: writeCursor(page.at(-1)?.sequence ?? after),
    has_more: lines.length > page.length ? 1 : 0,
    msg_list: page.map(({ fields }) => fields),
  })
}

/** `POST account/list`: the customer-service accounts we may act for, at most a hundred a page. */
function listKfAccounts(call: ApiCall, { corp }: CorpCaller): Answer {
  const offset = Number(call.body.offset ?? 0)
  const limit = Number(call.body.limit ?? 100)
  const ours = [...corp.kf.accounts].filter((account) => !corp.kf.withdrawn.has(account))
  const page = ours.slice(offset, offset + limit)
  return ok({ account_list: page.map((open_kfid) => ({ open_kfid, name: '', avatar: '' })) })
}

function writeCursor(sequence: number): string {
  return Buffer.from(`kf ${sequence}`).toString('base64url')
}

/** 0 for none; undefined for a text that is no cursor of ours. */
function readCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return 0
  const read = /^kf (\d+)$/.exec(Buffer.from(cursor, 'base64url').toString())
  return read ? Number(read[1]) : undefined
}

/**
 * `POST send_msg`: five messages in 48 hours after one of the customer's. That the customer refuses
 * shows later, as `msg_send_fail` in `sync_msg`.
 */
function sendKfMessage(call: ApiCall, { corp }: CorpCaller): Answer {
  const { kf } = corp
  const { body, world } = call
  const openKfid = textIn(body, 'open_kfid')
  if (openKfid === undefined || !kf.accounts.has(openKfid)) return refuse(95000)
  if (kf.withdrawn.has(openKfid)) return refuse(48007)
  const session = findSession(kf, openKfid, textIn(body, 'touser') ?? '')
  if (!session) return refuse(40096)
  const bad = checkContent(body, TYPES) ?? checkMsgid(call, kf, openKfid)
  if (bad) return bad
  const closed = checkSession(session, call.now.getTime())
  if (closed !== undefined) return refuse(closed)

  const msgid = textIn(body, 'msgid') ?? world.random.urlSafe(32)
  kf.msgids.add(JSON.stringify([openKfid, msgid]))
  session.sentSince += 1
  call.record.msgid = msgid
  const failed = call.fault?.receipt ?? (session.rejects ? '10' : undefined)
  if (failed === undefined) receiveKf(call, corp.config.corp_id, { session, msgid })
  else reportFailure(call, { corp, session, msgid, failed: Number(failed) })
  return ok({ msgid })
}

function checkMsgid(call: ApiCall, kf: KfDesk, openKfid: string): Answer | undefined {
  const { msgid } = call.body
  if (msgid === undefined) return undefined
  if (typeof msgid !== 'string' || !MSGID.test(msgid)) return refuse(40058)
  if (!kf.msgids.has(JSON.stringify([openKfid, msgid]))) return undefined
  call.record.repeated = true
  return refuse(call.world.platform.repeatedKfMsgid)
}

function checkSession(session: KfSession, nowMs: number): number | undefined {
  if (session.state > 1) return 95018
  const { lastMessageMs, sentSince } = session
  if (lastMessageMs === undefined || nowMs - lastMessageMs >= HOURS_48_MS) return 95002
  return sentSince >= REPLIES ? 95001 : undefined
}

function receiveKf(
  call: ApiCall,
  appId: string,
  { session, msgid }: { readonly session: KfSession; readonly msgid: string },
): void {
  deliver(call, {
    appId,
    channel: 'kf_message',
    openid: session.externalUserid,
    from: session.openKfid,
    msgid,
    clientMsgId: textIn(call.body, 'msgid') ?? null,
  })
}

function reportFailure(
  call: ApiCall,
  what: {
    readonly corp: CorpCaller['corp']
    readonly session: KfSession
    readonly msgid: string
    readonly failed: number
  },
): void {
  const { world, pusher } = call
  const { corp, session, msgid, failed } = what
  if (!world.platform.receipts) return
  pusher.pushLater(world.platform.receiptDelayMs, () => {
    const now = world.clock.now()
    const { openKfid } = session
    const fields = sendFailed(world, session, { now, msgid, failType: failed })
    addItem(corp.kf, { openKfid, atMs: now.getTime(), fields })
    return notifyOfKf({ world, corp, now }, openKfid)
  })
}
