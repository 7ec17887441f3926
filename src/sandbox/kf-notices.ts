import type { Corp } from './corps.ts'
import { writeXml } from './document-writer.ts'
import type { KfSession } from './kf-desk.ts'
import { unixSeconds } from './movable-clock.ts'
import type { PushPlace } from './push-place.ts'
import type { World } from './world.ts'

/** The token of `kf_msg_or_event` lives ten minutes (callbacks.md §5.3). */
const TOKEN_MS = 600_000
const KEPT_TOKENS = 1000

/** A line of `sync_msg` about a conversation; `origin` 3 is the customer, 4 the system. */
export function kfLine(
  world: World,
  session: KfSession,
  line: { readonly now: Date; readonly origin: 3 | 4; readonly rest: Record<string, unknown> },
): Record<string, unknown> {
  return {
    msgid: world.random.urlSafe(24),
    open_kfid: session.openKfid,
    external_userid: session.externalUserid,
    send_time: unixSeconds(line.now),
    origin: line.origin,
    ...line.rest,
  }
}

/** The line that says that a message did not arrive, and why (sending.md §5.5). */
export function sendFailed(
  world: World,
  session: KfSession,
  fail: { readonly now: Date; readonly msgid: string; readonly failType: number },
): Record<string, unknown> {
  const event = {
    event_type: 'msg_send_fail',
    open_kfid: session.openKfid,
    external_userid: session.externalUserid,
    fail_msgid: fail.msgid,
    fail_type: fail.failType,
  }
  return kfLine(world, session, { now: fail.now, origin: 4, rest: { msgtype: 'event', event } })
}

interface KfNotice {
  readonly place: () => PushPlace
  readonly event: string
  readonly document: string
  readonly openid: undefined
}

/** The notice that there are new lines; it says neither which nor whose. */
export function notifyOfKf(
  scene: { readonly world: World; readonly corp: Corp; readonly now: Date },
  openKfid: string,
): KfNotice {
  const { world, corp, now } = scene
  const { tokens } = corp.kf
  const token = `ENC${world.random.urlSafe(44)}`
  tokens.set(token, now.getTime() + TOKEN_MS)
  for (const old of tokens.keys()) {
    if (tokens.size <= KEPT_TOKENS) break
    tokens.delete(old)
  }
  const fields = [
    { name: 'Token', text: token },
    { name: 'OpenKfId', text: openKfid },
  ]
  return notice({ corp, now }, 'kf_msg_or_event', fields)
}

/** The notice that we may act for a customer-service account, or no longer. */
export function notifyOfKfAccount(
  scene: { readonly corp: Corp; readonly now: Date },
  openKfid: string,
  allowed: boolean,
): KfNotice {
  const name = allowed ? 'AuthAddOpenKfId' : 'AuthDelOpenKfId'
  return notice(scene, 'kf_account_auth_change', [{ name, text: openKfid }])
}

function notice(
  { corp, now }: { readonly corp: Corp; readonly now: Date },
  event: string,
  fields: readonly { readonly name: string; readonly text: string }[],
): KfNotice {
  const document = writeXml([
    { name: 'ToUserName', text: corp.config.corp_id },
    { name: 'CreateTime', text: String(unixSeconds(now)), bare: true },
    { name: 'MsgType', text: 'event' },
    { name: 'Event', text: event },
    ...fields,
  ])
  return { place: () => kfPlace(corp), event, document, openid: undefined }
}

/** The customer service's own callback, else the first app's. */
function kfPlace(corp: Corp): PushPlace {
  const app = corp.apps.find(({ agentId }) => agentId === null) ?? corp.apps[0]
  return app?.place() ?? nowhere(corp.config.corp_id)
}

/** A callback that nobody configured. */
export function nowhere(ownerId: string): PushPlace {
  return {
    kind: 'wecom_app',
    ownerId,
    url: null,
    otherUrl: null,
    mode: 'plain',
    format: 'xml',
    query: 'wecom',
    token: '',
    key: null,
    receiveId: ownerId,
    relatedReceiveId: ownerId,
    outer: [],
    answer: 'any',
  }
}
