import { z } from 'zod'
import {
  characters,
  colouredData,
  contentOf,
  data,
  exactly,
  media,
  miniprogram,
  oneOfTypes,
  required,
  requiredCharacters,
  subscriptionView,
  templateId,
  text,
} from './content-parts.ts'

/**
 * What an application may put into `content` for the channels of Official Accounts and Mini
 * Programs: the platform's own request body without recipient and token.
 */

/** POST /cgi-bin/message/template/send (page updated 2025-11-26). */
export const templateMessageContent = contentOf({
  template_id: templateId,
  data: colouredData,
  url: text.optional(),
  miniprogram: miniprogram.optional(),
  topcolor: text.optional(),
})

/** POST /cgi-bin/message/subscribe/bizsend, 订阅通知 of an Official Account. */
export const accountSubscriptionContent = contentOf({
  template_id: templateId,
  data: colouredData,
  page: text.optional(),
  miniprogram: miniprogram.optional(),
  ...subscriptionView,
})

/** POST /cgi-bin/message/subscribe/send, 订阅消息 of a Mini Program: `page` is a path in it. */
export const miniSubscriptionContent = contentOf({
  template_id: templateId,
  data,
  page: text.optional(),
  ...subscriptionView,
})

/** POST /cgi-bin/message/device/subscribe/send. */
export const deviceMessageContent = contentOf({
  template_id: templateId,
  sn: required,
  modelId: required,
  data,
  page: text.optional(),
  ...subscriptionView,
})

/** The scene that the person confirmed, as text, 0 to 10000 (40129). */
export const scene = text.regex(
  /^(?:[1-9]?\d{1,3}|10000)$/,
  'scene is a number from 0 to 10000, as text',
)

const colour = text.regex(/^#[0-9A-Fa-f]{6}$/, 'a colour is written #RRGGBB')

/**
 * POST /cgi-bin/message/template/subscribe. The title's limit is the platform's 40062.
 *
 * @see https://developers.weixin.qq.com/doc/subscription/api/notify/subscribe/api_templatesubscribe.html
 */
export const oneTimeSubscriptionContent = contentOf({
  template_id: templateId,
  scene,
  title: requiredCharacters(15),
  data: exactly({
    content: exactly({ value: characters(200), color: colour.optional() }),
  }),
  url: text.optional(),
  miniprogram: miniprogram.optional(),
})

/** One `msgtype` with the object of the same name that goes with it. */
function customMessage<const Type extends string, Own extends z.ZodRawShape>(
  msgtype: Type,
  own: Own,
) {
  return contentOf({ msgtype: z.literal(msgtype), ...own })
}

/** The same, by a named person of the account's staff; Mini Programs have no such thing. */
function staffMessage<const Type extends string, Own extends z.ZodRawShape>(
  msgtype: Type,
  own: Own,
) {
  const customservice = exactly({ kf_account: required }).optional()
  return contentOf({ msgtype: z.literal(msgtype), customservice, ...own })
}

const article = exactly({
  title: text.optional(),
  description: text.optional(),
  url: text.optional(),
  picurl: text.optional(),
})

const textPart = { text: exactly({ content: required }) }
const imagePart = { image: media }

const link = exactly({
  title: required,
  description: required,
  url: required,
  thumb_url: required,
})

/** A card of a Mini Program: another account's names its appid, the Mini Program's own does not. */
const ownPage = { title: text.optional(), pagepath: required, thumb_media_id: required }
const foreignPage = exactly({ ...ownPage, appid: required })
const anyPage = exactly({ ...ownPage, appid: required.optional() })

const ACCOUNT_ONLY = [
  staffMessage('voice', { voice: media }),
  staffMessage('video', {
    video: exactly({
      media_id: required,
      thumb_media_id: required,
      title: text.optional(),
      description: text.optional(),
    }),
  }),
  staffMessage('music', {
    music: exactly({
      title: text.optional(),
      description: text.optional(),
      musicurl: required,
      hqmusicurl: required,
      thumb_media_id: required,
    }),
  }),
  // More than one article is the platform's 45008.
  staffMessage('news', { news: exactly({ articles: z.array(article).length(1) }) }),
  staffMessage('mpnews', { mpnews: media }),
  staffMessage('mpnewsarticle', { mpnewsarticle: exactly({ article_id: required }) }),
  staffMessage('msgmenu', {
    msgmenu: exactly({
      head_content: text.optional(),
      list: z.array(exactly({ id: z.union([required, z.int()]), content: required })).min(1),
      tail_content: text.optional(),
    }),
  }),
  staffMessage('wxcard', { wxcard: exactly({ card_id: required }) }),
] as const

const ACCOUNT_MESSAGES = [
  staffMessage('text', textPart),
  staffMessage('image', imagePart),
  ...ACCOUNT_ONLY,
  staffMessage('miniprogrampage', { miniprogrampage: foreignPage }),
] as const

const MINI_MESSAGES = [
  customMessage('text', textPart),
  customMessage('image', imagePart),
  customMessage('link', { link }),
  customMessage('miniprogrampage', { miniprogrampage: exactly(ownPage) }),
] as const

const ANY_MESSAGES = [
  staffMessage('text', textPart),
  staffMessage('image', imagePart),
  ...ACCOUNT_ONLY,
  staffMessage('miniprogrampage', { miniprogrampage: anyPage }),
  customMessage('link', { link }),
] as const

/** POST /cgi-bin/message/custom/send, the message types of Official Accounts. */
export const accountCustomContent = z.discriminatedUnion('msgtype', ACCOUNT_MESSAGES, {
  error: oneOfTypes(ACCOUNT_MESSAGES),
})

/** The same, the message types of Mini Programs. */
export const miniCustomContent = z.discriminatedUnion('msgtype', MINI_MESSAGES, {
  error: oneOfTypes(MINI_MESSAGES),
})

/** The same, where it is not known yet which of the two the account is. */
export const anyCustomContent = z.discriminatedUnion('msgtype', ANY_MESSAGES, {
  error: oneOfTypes(ANY_MESSAGES),
})
