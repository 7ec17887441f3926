import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import type { EventKind } from '../events/catalogue.ts'

/*
 * Passive replies (被动回复): what the answer to a push may say to the person at once, without an API
 * call. Names are those of the platform's customer-service messages.
 * https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 * https://developer.work.weixin.qq.com/document/path/90241
 * https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html
 */

/** Pushes that the platform takes a message for; the answer to every other one must be `success`. */
const ANSWERABLE = {
  wechat: [
    ...['message.text', 'message.image', 'message.voice', 'message.video', 'message.shortvideo'],
    ...['message.location', 'message.link'],
    ...['event.subscribe', 'event.scan', 'event.click', 'event.scancode_waitmsg'],
  ],
  /** Hands the person's own message to customer service; an event must not be handed over. */
  mini_program: ['message.text', 'message.image', 'message.miniprogrampage'],
  wecom: [
    ...['wecom.message.text', 'wecom.message.image', 'wecom.message.voice'],
    ...['wecom.message.video', 'wecom.message.location', 'wecom.message.link'],
    ...['wecom.subscribe', 'wecom.enter_agent', 'wecom.click', 'wecom.scancode_waitmsg'],
  ],
} as const satisfies Record<string, readonly EventKind[] | readonly string[]>

type ReplyForm = keyof typeof ANSWERABLE

/** Which replies an account can give; null for a kind of account that gives none. */
export function replyFormOf({ kind, serves }: Pick<Account, 'kind' | 'serves'>): ReplyForm | null {
  if (kind === 'wecom_app' || kind === 'wecom_authorizer') return 'wecom'
  const served = kind === 'authorizer' ? serves : kind
  if (served === 'official_account') return 'wechat'
  return served === 'mini_program' ? 'mini_program' : null
}

/** Whether a push of this kind to this account may be answered with a message. */
export function mayAnswer(account: Pick<Account, 'kind' | 'serves'>, kind: EventKind): boolean {
  const form = replyFormOf(account)
  const kinds: readonly string[] = form === null ? [] : ANSWERABLE[form]
  return kinds.includes(kind)
}

/** XML has no way to write these, not even in CDATA. */
// eslint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

const text = (most: number) =>
  z
    .string('must be text')
    .refine((value) => Buffer.byteLength(value) <= most, `must be at most ${most} bytes`)
    .refine((value) => !UNWRITABLE.test(value), 'must not hold control characters')

const mediaId = text(512).min(1, 'must be the id of uploaded media')
const link = text(2048)

/** WeCom documents 2,048 bytes; the Official Account names no limit, and shows as much. */
const textReply = z.strictObject({
  msgtype: z.literal('text'),
  text: z.strictObject({ content: text(2048).min(1, 'must not be empty') }),
})

const media = z.strictObject({ media_id: mediaId })

const title = text(512).optional()
const description = text(1024).optional()

const video = z.strictObject({ media_id: mediaId, title, description })

const music = z.strictObject({
  title,
  description,
  musicurl: link.optional(),
  hqmusicurl: link.optional(),
  thumb_media_id: mediaId,
})

const article = z.strictObject({
  title: text(512).min(1, 'must not be empty'),
  description,
  url: link.optional(),
  picurl: link.optional(),
})

const news = z.strictObject({
  articles: z
    .array(article, 'must be a list of articles')
    .min(1, 'must have an article')
    .max(8, 'must have at most 8 articles'),
})

const SHARED = [
  textReply,
  z.strictObject({ msgtype: z.literal('image'), image: media }),
  z.strictObject({ msgtype: z.literal('voice'), voice: media }),
  z.strictObject({ msgtype: z.literal('video'), video }),
  z.strictObject({ msgtype: z.literal('news'), news }),
] as const

const WECHAT_ONLY = [
  z.strictObject({ msgtype: z.literal('music'), music }),
  z.strictObject({
    msgtype: z.literal('transfer_customer_service'),
    kf_account: text(128).min(1, 'must not be empty').optional(),
  }),
] as const

const SCHEMAS = {
  wechat: z.discriminatedUnion('msgtype', [...SHARED, ...WECHAT_ONLY]),
  mini_program: z.strictObject({
    msgtype: z.literal('transfer_customer_service', {
      error:
        'must be transfer_customer_service: the answer to a Mini Program can say nothing else; send a customer_service_message instead',
    }),
  }),
  wecom: z.discriminatedUnion('msgtype', SHARED),
} as const satisfies Record<ReplyForm, z.ZodType>

export type Reply = z.output<(typeof SCHEMAS)['wechat']>

/** What an application's answer says. */
export type ReadReply =
  | { readonly kind: 'given'; readonly reply: Reply }
  | { readonly kind: 'none' }
  /** The fields that break a rule, without their values. */
  | { readonly kind: 'unusable'; readonly faults: readonly string[] }

/**
 * Reads the body of an application's answer: `{"reply": {"msgtype": "text", …}}`. Nothing at all, and
 * an answer without a reply, mean none.
 */
export function readReply(account: Pick<Account, 'kind' | 'serves'>, body: string): ReadReply {
  const form = replyFormOf(account)
  if (form === null || body.trim() === '') return { kind: 'none' }
  const answer = ANSWER.safeParse(parseOrNothing(body))
  if (!answer.success) return { kind: 'unusable', faults: ['body: must be JSON with `reply`'] }
  if (answer.data.reply === undefined || answer.data.reply === null) return { kind: 'none' }
  const read = SCHEMAS[form].safeParse(answer.data.reply)
  if (read.success) return { kind: 'given', reply: read.data }
  const faults = read.error.issues.map(
    ({ path, message }) => `${['reply', ...path].map(String).join('.')}: ${message}`,
  )
  return { kind: 'unusable', faults: faults.slice(0, 10) }
}

const ANSWER = z.looseObject({ reply: z.unknown().optional() })

function parseOrNothing(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    // it is told that it is no JSON; what it was instead may be personal
    return undefined
  }
}
