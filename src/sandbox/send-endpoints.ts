import { isFields, ok, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import { writeEvent, writeSent } from './documents.ts'
import { spendReply, spendRight, type Follower } from './followers.ts'
import { unixSeconds } from './movable-clock.ts'
import { beginOptOut } from './opt-outs.ts'
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
        ? beginOptOut(follower, { scope: { kind: 'follow' }, because: status, learnedFrom: 'push' })
        : undefined
    return {
      account,
      openid: follower.openid,
      event,
      document: writeEvent(head(call, account, follower), event, fields),
      onAcknowledged({ acknowledged_ms, acknowledged_at }) {
        if (!begun) return
        begun.learnedMs = acknowledged_ms ?? undefined
        begun.learnedAt = acknowledged_at ?? undefined
      },
    }
  })
}

/**
 * `POST /cgi-bin/message/subscribe/bizsend`: spends one right of the person for this template. The
 * answer holds no msgid; only the event does.
 */
export function sendSubscriptionMessage(call: ApiCall, account: Account): Answer {
  const follower = findRecipient(call, account)
  if ('errcode' in follower) return follower
  const template = findSendTemplate(call, account)
  if ('errcode' in template) return template
  const badData = checkData(call.body.data, template)
  if (badData) return badData
  if (call.world.platform.bizsendDedupes && findRepeated(call, account) !== undefined) {
    call.record.repeated = true
    return ok()
  }
  if (!spendRight(follower, template.template_id)) return refuse(43101)

  const msgid = call.world.random.nextMessageId()
  rememberSend(call, account, msgid)
  const status = call.fault?.receipt ?? 'success'
  if (status === 'success') {
    receiveMessage(call, account, {
      channel: 'subscription_message',
      openid: follower.openid,
      msgid,
    })
  }
  pushSubscriptionReceipt(call, account, { follower, msgid, status })
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
    account,
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
  const bad = checkReply(call)
  if (bad) return bad
  if (follower.blocked) return refuse(48002)
  if (!follower.follows) return refuse(45015)
  const spent = spendReply(follower, call.world.platform.windows, call.now.getTime())
  if (spent !== 'spent') return refuse(spent === 'closed' ? 45015 : 45047)
  const { openid } = follower
  receiveMessage(call, account, { channel: 'customer_service_message', openid, msgid: null })
  return ok()
}

function checkReply({ body }: ApiCall): Answer | undefined {
  const type = textIn(body, 'msgtype')
  if (type === undefined || !REPLY_TYPES.has(type)) return refuse(40008)
  const content = body[type]
  if (!isFields(content)) return refuse(47001)
  if (type === 'text' && textIn(content, 'content') === undefined) return refuse(44004)
  const { articles } = content
  if (type === 'news' && (!Array.isArray(articles) || articles.length !== 1)) return refuse(45008)
  return undefined
}

function head(call: ApiCall, account: Account, follower: Follower) {
  return {
    originalId: account.config.original_id,
    openid: follower.openid,
    at: unixSeconds(call.world.clock.now()),
  }
}
