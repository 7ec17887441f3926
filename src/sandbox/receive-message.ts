import type { Answer, ApiCall, Fields } from './api-call.ts'
import { isFields, refuse, textIn } from './api-call.ts'
import type { Follower } from './followers.ts'
import type { Template } from './inputs.ts'
import type { Channel } from './opt-outs.ts'
import { findTemplate, type Account } from './world.ts'

/** The person a send is for; 40003 when the account does not know the openid. */
export function findRecipient(
  call: ApiCall,
  account: Account,
  openid = textIn(call.body, 'touser'),
): Follower | Answer {
  const follower = openid === undefined ? undefined : account.followers.get(openid)
  return follower && !follower.cancelled ? follower : refuse(40003)
}

/**
 * The template a send uses: 40036 when none is named, 40037 when the account has no such one, or none
 * any more, or it is for devices where persons are meant, or the reverse (sending.md §3.7); 43116 when
 * it is banned.
 */
export function findSendTemplate(
  call: ApiCall,
  account: Account,
  forDevices = false,
): Template | Answer {
  const id = textIn(call.body, 'template_id')
  if (id === undefined) return refuse(40036)
  const template = findTemplate(account, id)
  // With none listed every id exists, and is good for everything.
  const fits = account.config.templates.length === 0 || template?.for_devices === forDevices
  if (!template || !fits || template.status === 'withdrawn') return refuse(40037)
  return template.status === 'banned' ? refuse(43116) : template
}

/**
 * Whether the data fits: every item is an object with a `value`, and every placeholder of the
 * template's content is there (47003 with the name of the field; the misspelling is the platform's).
 */
export function checkData(data: unknown, template: Template): Answer | undefined {
  if (!isFields(data)) return refuse(47003, 'argument invalid! data is emtpy')
  const bad = Object.keys(data).find((key) => !hasValue(data[key]))
  if (bad !== undefined) return refuse(47003, `argument invalid! data.${bad}.value invalid`)
  const placeholders = template.content.matchAll(/\{\{(\w+)\.DATA\}\}/g)
  const missing = [...placeholders].map((match) => match[1] ?? '').find((key) => !(key in data))
  if (missing === undefined) return undefined
  return refuse(47003, `argument invalid! data.${missing}.value is emtpy`)
}

function hasValue(item: unknown): boolean {
  return isFields(item) && (typeof item.value === 'string' || typeof item.value === 'number')
}

/** Puts a message into a person's hands, and into the record. */
export function receiveMessage(
  call: ApiCall,
  account: Account,
  message: { readonly channel: Channel; readonly openid: string; readonly msgid: string | null },
): void {
  const clientMsgId = textIn(call.body, 'client_msg_id') ?? null
  deliver(call, { ...message, appId: account.config.app_id, from: null, clientMsgId })
}

/** The same for any owner; `content` where it is not the call's body. */
export function deliver(
  call: Pick<ApiCall, 'world' | 'record' | 'body' | 'now'>,
  message: {
    readonly appId: string
    readonly channel: Channel
    readonly openid: string
    readonly from: string | null
    readonly msgid: string | null
    /** What makes the sender's wish this one and no other; null where there is no such thing. */
    readonly clientMsgId: string | null
    readonly content?: Fields
  },
): void {
  const { record, body } = call
  const { appId, channel, openid, from, msgid, clientMsgId, content = body } = message
  call.world.record.messages.add({
    kind: 'message',
    id: record.id,
    at: call.now.toISOString(),
    arrived_ms: record.arrived_ms,
    app_id: appId,
    openid,
    channel,
    from,
    template_id: textIn(content, 'template_id') ?? null,
    client_msg_id: clientMsgId,
    msgid,
    content: withoutAddress(content),
  })
  call.world.record.count(appId, 'sent')
  call.world.record.count(appId, `sent:${channel}`)
}

/** Names of whom and how often, not of what. */
const ADDRESS = new Set([
  'touser',
  'to_openid_list',
  'toparty',
  'totag',
  'client_msg_id',
  'agentid',
  'open_kfid',
  'msgid',
  'enable_duplicate_check',
  'duplicate_check_interval',
  'welcome_code',
  'external_userid',
  'sender',
  'chat_type',
])

function withoutAddress(body: Fields): Fields {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !ADDRESS.has(name)))
}

/**
 * The msgid of the send that this one repeats; undefined when it repeats none. The same
 * `client_msg_id` for the same openid counts once in ten minutes.
 */
export function findRepeated(call: ApiCall, account: Account): string | undefined {
  const key = dedupeKey(call)
  const spanMs = call.world.platform.dedupeSeconds * 1000
  for (const [old, { atMs }] of account.seen) {
    if (call.now.getTime() - atMs < spanMs) break
    account.seen.delete(old)
  }
  return key === undefined ? undefined : account.seen.get(key)?.msgid
}

/** Remembers a send that was taken, for `findRepeated`. */
export function rememberSend(call: ApiCall, account: Account, msgid: string): void {
  const key = dedupeKey(call)
  if (key === undefined) return
  account.seen.delete(key)
  account.seen.set(key, { msgid, atMs: call.now.getTime() })
}

function dedupeKey(call: ApiCall): string | undefined {
  const id = textIn(call.body, 'client_msg_id')
  return id === undefined ? undefined : JSON.stringify([call.body.touser, id])
}
