import { isFields, ok, refuse, textIn, textsIn, type Answer, type ApiCall } from './api-call.ts'
import { accountPlace } from './components.ts'
import { writeEvent, writeSent } from './documents.ts'
import { sceneKey, spendReply, spendRight, type Follower } from './followers.ts'
import { unixSeconds } from './movable-clock.ts'
import { beginOptOut, learnFrom } from './opt-outs.ts'
import { documentHead } from './perform-act.ts'
import {
  checkData,
  findRecipient,
  findRepeated,
  findSendTemplate,
  receiveMessage,
  rememberSend,
} from './receive-message.ts'
import type { Account } from './world.ts'

/** Message types of an Official Account's customer service (sending.md §4.1). */
const REPLY_TYPES = new Set([
  'text',
  'image',
  'voice',
  'video',
  'music',
  'news',
  'mpnews',
  'mpnewsarticle',
  'msgmenu',
  'wxcard',
  'miniprogrampage',
])
const MINI_REPLY_TYPES = new Set(['text', 'image', 'link', 'miniprogrampage'])

/** A title of a one-time subscription, in characters; its content (sending.md §3.1). */
const TITLE_MOST = 15
const CONTENT_MOST = 200

const USER_BLOCK = 'failed:user block'

/** `POST /cgi-bin/message/template/send`: queues a template message; its receipt is pushed later. */
export function sendTemplateMessage(call: ApiCall, account: Account): Answer {
  const follower = findRecipient(call, account)
  if ('errcode' in follower) return follower
  const template = findSendTemplate(call, account)
  if ('errcode' in template) return template
  const badData = checkData(call.body.data, template)
  if (badData) return badData
  const repeated = findRepeated(call, account)
  if (repeated !== undefined) return answerRepeated(call, repeated)
  const refusal = refuseTemplateMessage(call, follower, template.template_id)
  if (refusal) return refusal

  const msgid = call.world.random.nextMessageId()
  rememberSend(call, account, msgid)
  call.record.msgid = msgid
  const status = call.fault?.receipt ?? (follower.blocked ? USER_BLOCK : 'success')
  if (status === 'success') {
    receiveMessage(call, account, { channel: 'template_message', openid: follower.openid, msgid })
  }
  pushTemplateReceipt(call, account, { follower, msgid, status })
  return ok({}, msgid)
}

function refuseTemplateMessage(
  call: ApiCall,
  follower: Follower,
  templateId: string,
): Answer | undefined {
  if (!follower.follows) return refuse(43004)
  if (follower.blacklisted) return refuse(43019)
  if (follower.rights?.get(templateId)?.refused) return refuse(43101)
  if (follower.blocked && call.world.platform.blockedShowsIn === 'answer') return refuse(48002)
  return undefined
}

function answerRepeated(call: ApiCall, msgid: string): Answer {
  const { repeatedClientMsgId } = call.world.platform
  call.record.repeated = true
  if (repeatedClientMsgId !== 'first_msgid') return refuse(repeatedClientMsgId)
  call.record.msgid = msgid
  return ok({}, msgid)
}

function pushTemplateReceipt(
  call: ApiCall,
  account: Account,
  receipt: { readonly follower: Follower; readonly msgid: string; readonly status: string },
): void {
  const { world, pusher } = call
  if (!world.platform.receipts) return
  const { follower, msgid, status } = receipt
  pusher.pushLater(world.platform.receiptDelayMs, () => {
    const event = 'TEMPLATESENDJOBFINISH'
    const fields = [
      { name: 'MsgID', text: msgid, bare: true },
      { name: 'Status', text: status },
    ]
    const begun =
      status === USER_BLOCK
        ? [
            beginOptOut(follower, {
              scope: { kind: 'follow' },
              because: status,
              learnedFrom: 'push',
            }),
          ]
        : []
    return {
      place: () => accountPlace(world, account),
      openid: follower.openid,
      event,
      document: writeEvent(head(call, account, follower), event, fields),
      onAcknowledged: learnFrom(begun),
    }
  })
}

/**
 * `POST /cgi-bin/message/subscribe/bizsend`: spends one right of the person for this template. The
 * answer holds no msgid; only the event does.
 */
export function sendSubscriptionMessage(call: ApiCall, account: Account): Answer {
  const sent = spendAndSend(call, account, call.world.platform.bizsendDedupes)
  return typeof sent === 'string' ? ok() : sent
}

/**
 * `POST /cgi-bin/message/subscribe/send`: the same in a Mini Program, which answers a msgid. There is
 * no key against repeats: a second call spends a second right.
 */
export function sendMiniMessage(call: ApiCall, account: Account): Answer {
  const sent = spendAndSend(call, account, false)
  return typeof sent === 'string' ? ok({}, sent) : sent
}

/** The msgid, or why nothing is sent. */
function spendAndSend(call: ApiCall, account: Account, dedupes: boolean): string | Answer {
  const follower = findRecipient(call, account)
  if ('errcode' in follower) return follower
  const template = findSendTemplate(call, account)
  if ('errcode' in template) return template
  const badData = checkData(call.body.data, template)
  if (badData) return badData
  const repeated = dedupes ? findRepeated(call, account) : undefined
  if (repeated !== undefined) {
    call.record.repeated = true
    return repeated
  }
  if (!spendRight(follower, template.template_id)) return refuse(43101)

  const msgid = call.world.random.nextMessageId()
  rememberSend(call, account, msgid)
  call.record.msgid = msgid
  const status = call.fault?.receipt ?? 'success'
  if (status === 'success') {
    const { openid } = follower
    receiveMessage(call, account, { channel: 'subscription_message', openid, msgid })
  }
  pushSubscriptionReceipt(call, account, { follower, msgid, status })
  return msgid
}

/**
 * `POST /cgi-bin/message/device/subscribe/send`: spends a right of each person in the list. What the
 * platform does when it knows only some of them is unconfirmed; here it sends nothing.
 */
export function sendDeviceMessage(call: ApiCall, account: Account): Answer {
  const { sn, modelId } = call.body
  const template = findSendTemplate(call, account, true)
  if ('errcode' in template) return template
  if (typeof sn !== 'string' || typeof modelId !== 'string') return refuse(47001)
  const badData = checkData(call.body.data, template)
  if (badData) return badData
  const people: Follower[] = []
  for (const openid of textsIn(call.body, 'to_openid_list') ?? []) {
    const follower = findRecipient(call, account, openid)
    if ('errcode' in follower) return follower
    people.push(follower)
  }
  if (people.length === 0) return refuse(40003)
  if (!people.every((one) => spendRight(one, template.template_id))) return refuse(43101)
  for (const { openid } of people) {
    receiveMessage(call, account, { channel: 'device_message', openid, msgid: null })
  }
  return ok()
}

/**
 * `POST /cgi-bin/message/template/subscribe`: one send for a scene that was confirmed. The person
 * need not follow, and confirming twice gives one send.
 */
export function sendOneTimeMessage(call: ApiCall, account: Account): Answer {
  const follower = findRecipient(call, account)
  if ('errcode' in follower) return follower
  const template = findSendTemplate(call, account)
  if ('errcode' in template) return template
  const scene = textIn(call.body, 'scene')
  if (scene === undefined) return refuse(40097)
  if ([...(textIn(call.body, 'title') ?? '')].length > TITLE_MOST) return refuse(40062)
  const content = isFields(call.body.data) ? call.body.data.content : undefined
  const value = isFields(content) ? textIn(content, 'value') : undefined
  if (value === undefined || [...value].length > CONTENT_MOST) {
    return refuse(47003, 'argument invalid! data.content.value invalid')
  }
  if (!follower.scenes?.delete(sceneKey(template.template_id, scene))) return refuse(43101)
  const { openid } = follower
  receiveMessage(call, account, { channel: 'one_time_subscription', openid, msgid: null })
  return ok()
}

function pushSubscriptionReceipt(
  call: ApiCall,
  account: Account,
  receipt: { readonly follower: Follower; readonly msgid: string; readonly status: string },
): void {
  const { world, pusher } = call
  const templateId = textIn(call.body, 'template_id')
  if (!world.platform.receipts || templateId === undefined) return
  const { follower, msgid, status } = receipt
  // The platform documents no failing code; -1 is its “system busy”.
  const errorCode = status === 'success' ? '0' : '-1'
  pusher.pushLater(world.platform.receiptDelayMs, () => ({
    place: () => accountPlace(world, account),
    openid: follower.openid,
    event: 'subscribe_msg_sent_event',
    document: writeSent(head(call, account, follower), {
      templateId,
      msgid,
      errorCode,
      errorStatus: status,
    }),
  }))
}

/** `POST /cgi-bin/message/custom/send`: only inside a window that the person opened. */
export function sendReply(call: ApiCall, account: Account): Answer {
  const follower = findRecipient(call, account)
  if ('errcode' in follower) return follower
  const mini = account.config.kind === 'mini_program'
  const bad = checkReply(call, mini ? MINI_REPLY_TYPES : REPLY_TYPES)
  if (bad) return bad
  if (follower.blacklisted) return refuse(43019)
  if (follower.blocked) return refuse(48002)
  if (!mini && !follower.follows) return refuse(45015)
  const spent = spendReply(follower, call.world.platform.windows, call.now.getTime())
  if (spent !== 'spent') return refuse(spent === 'closed' ? 45015 : 45047)
  const { openid } = follower
  receiveMessage(call, account, { channel: 'customer_service_message', openid, msgid: null })
  return ok()
}

function checkReply({ body }: ApiCall, types: ReadonlySet<string>): Answer | undefined {
  const type = textIn(body, 'msgtype')
  if (type === undefined || !types.has(type)) return refuse(40008)
  const content = body[type]
  if (!isFields(content)) return refuse(47001)
  if (type === 'text' && textIn(content, 'content') === undefined) return refuse(44004)
  const { articles } = content
  if (type === 'news' && (!Array.isArray(articles) || articles.length !== 1)) return refuse(45008)
  return undefined
}

function head(call: ApiCall, account: Account, follower: Follower) {
  const at = unixSeconds(call.world.clock.now())
  return documentHead(call.world, account, { openid: follower.openid, at })
}
