import { randomInt } from 'node:crypto'
import type { Account } from '../accounts/account.ts'
import { textOf } from '../events/document.ts'
import { InvariantError } from '../foundation/errors.ts'
import type { CallbackKeys } from './callback-keys.ts'
import { sealEnvelope } from './message-crypto.ts'
import type { VerifiedPush } from './receive-push.ts'
import { signMessage } from './signature.ts'
import { cdata } from './xml.ts'

/*
 * A message in the answer to a push (被动回复): the one place where such an answer is written and sealed,
 * in the format that the address has its pushes in.
 * https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 * https://developer.work.weixin.qq.com/document/path/90241
 * https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html
 */

type Maybe = string | undefined

/** What a reply says, in the words of the platform's customer-service messages. */
export type PassiveReply =
  | { readonly msgtype: 'text'; readonly text: { readonly content: string } }
  | { readonly msgtype: 'image'; readonly image: { readonly media_id: string } }
  | { readonly msgtype: 'voice'; readonly voice: { readonly media_id: string } }
  | {
      readonly msgtype: 'video'
      readonly video: {
        readonly media_id: string
        readonly title?: Maybe
        readonly description?: Maybe
      }
    }
  | {
      readonly msgtype: 'music'
      readonly music: {
        readonly title?: Maybe
        readonly description?: Maybe
        readonly musicurl?: Maybe
        readonly hqmusicurl?: Maybe
        readonly thumb_media_id: string
      }
    }
  | { readonly msgtype: 'news'; readonly news: { readonly articles: readonly Article[] } }
  | { readonly msgtype: 'transfer_customer_service'; readonly kf_account?: Maybe }

interface Article {
  readonly title: string
  readonly description?: Maybe
  readonly url?: Maybe
  readonly picurl?: Maybe
}

/** The address that the push came to: its account, and the pair that the push came under. */
export interface ReplyWay {
  readonly receiver: Account
  readonly keys: CallbackKeys
  /** What stands behind the message in the ciphertext. */
  readonly receiveId: string
}

/**
 * The body of an answer that holds a reply: sealed and signed with the pair that the push came under,
 * in plain mode the message itself.
 *
 * @param reply.at the time that the message carries.
 * @param reply.nonce a fresh one when absent.
 * @returns '' when that pair has no key any more; the platform takes an empty answer for `success`.
 */
export function writePassiveReply(
  push: VerifiedPush,
  way: ReplyWay,
  reply: {
    readonly content: PassiveReply
    readonly at: Date
    readonly now: Date
    readonly nonce?: string
  },
): string {
  const isJson = way.receiver.bodyFormat === 'json'
  const message = isJson ? writeJsonMessage(push, reply) : writeMessage(push, reply)
  if (way.receiver.mode === 'plain') return message
  const { keys, receiveId } = way
  const isPrevious = push.keyUsed === 'previous'
  const token = (isPrevious ? keys.previousToken : null) ?? keys.token
  const key = (isPrevious ? keys.envelope?.previous : null) ?? keys.envelope?.current
  if (!key) return ''
  const timestamp = seconds(reply.now)
  const { nonce = String(randomInt(1_000_000_000, 10_000_000_000)) } = reply
  const encrypt = sealEnvelope({ message, receiveId, key })
  const signature = signMessage({ token, timestamp, nonce, encrypt })
  return isJson
    ? JSON.stringify({
        ...{ Encrypt: encrypt, MsgSignature: signature },
        ...{ TimeStamp: Number(timestamp), Nonce: nonce },
      })
    : [
        `<xml><Encrypt>${cdata(encrypt)}</Encrypt>`,
        `<MsgSignature>${cdata(signature)}</MsgSignature>`,
        `<TimeStamp>${timestamp}</TimeStamp><Nonce>${cdata(nonce)}</Nonce></xml>`,
      ].join('')
}

/** Only Mini Programs have JSON, and they hand a person over to customer service or say nothing. */
function writeJsonMessage(
  { fields }: VerifiedPush,
  { content, at }: { readonly content: PassiveReply; readonly at: Date },
): string {
  if (content.msgtype !== 'transfer_customer_service') {
    throw new InvariantError(`no JSON is documented for a reply of ${content.msgtype}`)
  }
  return JSON.stringify({
    ToUserName: textOf(fields, 'FromUserName') ?? '',
    FromUserName: textOf(fields, 'ToUserName') ?? '',
    CreateTime: Number(seconds(at)),
    MsgType: content.msgtype,
  })
}

/** Whoever sent the push gets the reply, and whoever it was sent to says it. */
function writeMessage(
  { fields }: VerifiedPush,
  { content, at }: { readonly content: PassiveReply; readonly at: Date },
): string {
  return [
    `<xml><ToUserName>${cdata(textOf(fields, 'FromUserName') ?? '')}</ToUserName>`,
    `<FromUserName>${cdata(textOf(fields, 'ToUserName') ?? '')}</FromUserName>`,
    `<CreateTime>${seconds(at)}</CreateTime><MsgType>${cdata(content.msgtype)}</MsgType>`,
    `${writeContent(content)}</xml>`,
  ].join('')
}

function writeContent(content: PassiveReply): string {
  switch (content.msgtype) {
    case 'text':
      return element('Content', content.text.content)
    case 'image':
      return `<Image>${element('MediaId', content.image.media_id)}</Image>`
    case 'voice':
      return `<Voice>${element('MediaId', content.voice.media_id)}</Voice>`
    case 'video': {
      const { media_id: id, title, description } = content.video
      const words = element('Title', title) + element('Description', description)
      return `<Video>${element('MediaId', id)}${words}</Video>`
    }
    case 'music': {
      const { title, description, musicurl, hqmusicurl, thumb_media_id: thumb } = content.music
      const words = element('Title', title) + element('Description', description)
      const links = element('MusicUrl', musicurl) + element('HQMusicUrl', hqmusicurl)
      return `<Music>${words}${links}${element('ThumbMediaId', thumb)}</Music>`
    }
    case 'news': {
      const { articles } = content.news
      const items = articles.map(writeArticle).join('')
      return `<ArticleCount>${articles.length}</ArticleCount><Articles>${items}</Articles>`
    }
    case 'transfer_customer_service': {
      const { kf_account: to } = content
      return to === undefined ? '' : `<TransInfo>${element('KfAccount', to)}</TransInfo>`
    }
  }
}

function writeArticle({ title, description, url, picurl }: Article): string {
  const words = element('Title', title) + element('Description', description)
  return `<item>${words}${element('PicUrl', picurl)}${element('Url', url)}</item>`
}

function element(name: string, text: Maybe): string {
  return text === undefined ? '' : `<${name}>${cdata(text)}</${name}>`
}

function seconds(time: Date): string {
  return String(Math.floor(time.getTime() / 1000))
}
