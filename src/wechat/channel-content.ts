import { z } from 'zod'

/**
 * What an application may put into `content`, per channel: the platform's own request body without
 * recipient and token. Field names and rules are those of the platform's pages (template message
 * page updated 2025-11-26); a field they do not have is refused, because a typing error that is
 * passed on silently costs a wrong message. `data` is the platform's free-form object: its keys are
 * the template's.
 */

/** Fields that belong to the gateway, with where their value comes from. */
const OURS: Readonly<Record<string, string>> = {
  touser: 'the recipient goes into `to`, not into `content`',
  access_token: 'the gateway adds the access token; leave it out of `content`',
  client_msg_id: 'the gateway sets client_msg_id; use the Idempotency-Key header instead',
}

/** An object with these fields and no others; names the field that does not belong. */
function exactly<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined
      const own = issue.keys.flatMap((key) => OURS[key] ?? [])
      const names = issue.keys.map((key) => `\`${key}\``).join(', ')
      return own.length > 0
        ? own.join('; ')
        : `the platform has no ${names} here; it has ${Object.keys(shape).join(', ')}`
    },
  })
}

/**
 * Text that survives the platform's JSON reader, which refuses `\uXXXX` escapes (40033, 47002): JSON
 * can write most control characters and half surrogate pairs in no other way.
 */
const text = z.string().refine((value) => value.isWellFormed() && !hasControl(value), {
  error: 'control characters and broken surrogate pairs cannot be sent; remove them',
})

/** Backspace, tab, line feed, form feed and carriage return have short escapes and may stay. */
function hasControl(value: string): boolean {
  return [...value].some((char) => char < ' ' && !'\b\t\n\f\r'.includes(char))
}

const required = text.min(1)

/** Private template ids have 43 characters today; a wrong length is the platform's 40036. */
const templateId = text.regex(/^\S{1,128}$/, 'a template id is 1 to 128 characters without spaces')

/** `color` is accepted for old callers; the platform has ignored it since 2023-05. */
const data = z.record(required, exactly({ value: text, color: text.optional() }))

const miniprogram = exactly({ appid: required, pagepath: text.optional() })

/** POST /cgi-bin/message/template/send. */
export const templateMessageContent = exactly({
  template_id: templateId,
  data,
  url: text.optional(),
  miniprogram: miniprogram.optional(),
  topcolor: text.optional(),
})

/** POST /cgi-bin/message/subscribe/bizsend. */
export const subscriptionMessageContent = exactly({
  template_id: templateId,
  data,
  page: text.optional(),
  miniprogram: miniprogram.optional(),
  miniprogram_state: z.enum(['developer', 'trial', 'formal']).optional(),
  lang: z.enum(['zh_CN', 'en_US', 'zh_HK', 'zh_TW']).optional(),
})

const media = exactly({ media_id: required })

const kfAccount = exactly({ kf_account: required }).optional()

/** One `msgtype` with the object of the same name that goes with it. */
function customMessage<const Type extends string, Own extends z.ZodRawShape>(
  msgtype: Type,
  own: Own,
) {
  return exactly({ msgtype: z.literal(msgtype), customservice: kfAccount, ...own })
}

const article = exactly({
  title: text.optional(),
  description: text.optional(),
  url: text.optional(),
  picurl: text.optional(),
})

const CUSTOM_MESSAGES = [
  customMessage('text', { text: exactly({ content: required }) }),
  customMessage('image', { image: media }),
  customMessage('voice', { voice: media }),
  customMessage('video', {
    video: exactly({
      media_id: required,
      thumb_media_id: required,
      title: text.optional(),
      description: text.optional(),
    }),
  }),
  customMessage('music', {
    music: exactly({
      title: text.optional(),
      description: text.optional(),
      musicurl: required,
      hqmusicurl: required,
      thumb_media_id: required,
    }),
  }),
  // More than one article is the platform's 45008.
  customMessage('news', { news: exactly({ articles: z.array(article).length(1) }) }),
  customMessage('mpnews', { mpnews: media }),
  customMessage('mpnewsarticle', { mpnewsarticle: exactly({ article_id: required }) }),
  customMessage('msgmenu', {
    msgmenu: exactly({
      head_content: text.optional(),
      list: z.array(exactly({ id: z.union([required, z.int()]), content: required })).min(1),
      tail_content: text.optional(),
    }),
  }),
  customMessage('wxcard', { wxcard: exactly({ card_id: required }) }),
  customMessage('miniprogrampage', {
    miniprogrampage: exactly({
      title: text.optional(),
      appid: required,
      pagepath: required,
      thumb_media_id: required,
    }),
  }),
] as const

/** POST /cgi-bin/message/custom/send, the message types of official accounts. */
export const customerServiceMessageContent = z.discriminatedUnion('msgtype', CUSTOM_MESSAGES, {
  error: `msgtype is one of ${CUSTOM_MESSAGES.map((one) => one.shape.msgtype.value).join(', ')}`,
})
