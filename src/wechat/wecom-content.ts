import { z } from 'zod'
import {
  bytes,
  characters,
  contentOf,
  exactly,
  flag,
  media,
  oneOfTypes,
  required,
  requiredBytes,
  requiredCharacters,
  text,
} from './content-parts.ts'
import { applicationCard, robotCard } from './template-card.ts'

/**
 * What an application may put into `content` for the channels of WeCom: the platform's own request
 * body without recipient, token and agentid. Where WeCom cuts long text off without a word, we refuse
 * it.
 */

const KIB = 1024

/**
 * WeCom's own check for repeats: it drops an identical request within the interval. It is the
 * application's to ask for, because it also drops a second message that was meant to be the same.
 */
const REPEATS = {
  enable_id_trans: flag.optional(),
  enable_duplicate_check: flag.optional(),
  duplicate_check_interval: z.int().min(1).max(14_400).optional(),
}

const SAFETY = { safe: flag.optional() }

function appMessage<const Type extends string, Own extends z.ZodRawShape>(msgtype: Type, own: Own) {
  return contentOf({ msgtype: z.literal(msgtype), ...own, ...REPEATS })
}

const newsArticle = exactly({
  title: requiredBytes(128),
  description: bytes(512).optional(),
  url: bytes(2048).optional(),
  picurl: text.optional(),
  appid: text.optional(),
  pagepath: text.optional(),
}).refine(({ url, appid, pagepath }) => Boolean(url) || Boolean(appid && pagepath), {
  error: 'an article needs `url`, or `appid` and `pagepath`',
})

const mpnewsArticle = exactly({
  title: requiredBytes(128),
  thumb_media_id: required,
  author: bytes(64).optional(),
  content_source_url: text.optional(),
  content: requiredBytes(666 * KIB),
  digest: bytes(512).optional(),
})

const APP_MESSAGES = [
  appMessage('text', { text: exactly({ content: requiredBytes(2048) }), ...SAFETY }),
  appMessage('image', { image: media, ...SAFETY }),
  appMessage('voice', { voice: media }),
  appMessage('video', {
    video: exactly({
      media_id: required,
      title: bytes(128).optional(),
      description: bytes(512).optional(),
    }),
    ...SAFETY,
  }),
  appMessage('file', { file: media, ...SAFETY }),
  appMessage('textcard', {
    textcard: exactly({
      title: requiredBytes(128),
      description: requiredBytes(512),
      url: requiredBytes(2048),
      btntxt: characters(4).optional(),
    }),
  }),
  // News cannot be confidential: `safe` is not among its fields.
  appMessage('news', { news: exactly({ articles: z.array(newsArticle).min(1).max(8) }) }),
  appMessage('mpnews', {
    mpnews: exactly({ articles: z.array(mpnewsArticle).min(1).max(8) }),
    safe: z.literal([0, 1, 2]).optional(),
  }),
  appMessage('markdown', { markdown: exactly({ content: requiredBytes(2048) }) }),
  appMessage('miniprogram_notice', {
    miniprogram_notice: exactly({
      appid: required,
      page: text.optional(),
      title: required,
      description: text.optional(),
      emphasis_first_item: z.boolean().optional(),
      content_item: z
        .array(exactly({ key: requiredCharacters(10), value: requiredCharacters(30) }))
        .max(10)
        .optional(),
    }),
  }),
  appMessage('template_card', { template_card: applicationCard }),
] as const

/**
 * POST /cgi-bin/message/send.
 *
 * @see https://developer.work.weixin.qq.com/document/path/90236
 */
export const appMessageContent = z.discriminatedUnion('msgtype', APP_MESSAGES, {
  error: oneOfTypes(APP_MESSAGES),
})

const contactText = exactly({ content: requiredBytes(4000) })

const ATTACHMENTS = [
  exactly({
    msgtype: z.literal('image'),
    image: exactly({ media_id: text.optional(), pic_url: text.optional() }).refine(
      ({ media_id, pic_url }) => Boolean(media_id) || Boolean(pic_url),
      { error: 'an image needs `media_id` or `pic_url`' },
    ),
  }),
  exactly({
    msgtype: z.literal('link'),
    link: exactly({
      title: required,
      picurl: text.optional(),
      desc: text.optional(),
      url: required,
    }),
  }),
  exactly({
    msgtype: z.literal('miniprogram'),
    miniprogram: exactly({
      title: required,
      pic_media_id: required,
      appid: required,
      page: required,
    }),
  }),
  exactly({ msgtype: z.literal('video'), video: media }),
  exactly({ msgtype: z.literal('file'), file: media }),
] as const

const attachments = z
  .array(z.discriminatedUnion('msgtype', ATTACHMENTS, { error: oneOfTypes(ATTACHMENTS) }))
  .max(9)

const TEXT_OR_ATTACHMENTS = { error: 'a message needs `text` or `attachments`' }

function hasSomething(content: {
  readonly text?: unknown
  readonly attachments?: readonly unknown[] | undefined
}): boolean {
  return content.text !== undefined || (content.attachments?.length ?? 0) > 0
}

/**
 * POST /cgi-bin/externalcontact/send_welcome_msg. The recipient is whoever the code was made for. The
 * code is left out where the event is named that brought it.
 *
 * @see https://developer.work.weixin.qq.com/document/path/92137
 */
export const welcomeMessageContent = contentOf({
  welcome_code: required.optional(),
  text: contactText.optional(),
  attachments: attachments.optional(),
}).refine(hasSomething, TEXT_OR_ATTACHMENTS)

/** The same without the code: what an account's own welcome consists of. */
export const ownWelcomeContent = contentOf({
  text: contactText.optional(),
  attachments: attachments.optional(),
}).refine(hasSomething, TEXT_OR_ATTACHMENTS)

/**
 * POST /cgi-bin/externalcontact/add_msg_template, to single customers: whoever is in a customers'
 * group cannot be asked for consent one by one.
 *
 * @see https://developer.work.weixin.qq.com/document/path/92135
 */
export const groupMessageContent = contentOf({
  chat_type: z
    .literal('single', { error: 'chat_type is `single`: consent is by person, not by group' })
    .optional(),
  sender: required.optional(),
  allow_select: z.boolean().optional(),
  text: contactText.optional(),
  attachments: attachments.optional(),
}).refine(hasSomething, TEXT_OR_ATTACHMENTS)

const MENU_ITEMS = [
  exactly({
    type: z.literal('click'),
    click: exactly({ id: bytes(128).optional(), content: requiredBytes(128) }),
  }),
  exactly({ type: z.literal('view'), view: exactly({ url: required, content: required }) }),
  exactly({
    type: z.literal('miniprogram'),
    miniprogram: exactly({ appid: required, pagepath: required, content: required }),
  }),
  exactly({
    type: z.literal('text'),
    text: exactly({ content: required, no_newline: flag.optional() }),
  }),
] as const

function kfMessage<const Type extends string, Own extends z.ZodRawShape>(msgtype: Type, own: Own) {
  return contentOf({ open_kfid: required, msgtype: z.literal(msgtype), ...own })
}

const KF_MESSAGES = [
  kfMessage('text', { text: exactly({ content: requiredBytes(2048) }) }),
  kfMessage('image', { image: media }),
  kfMessage('voice', { voice: media }),
  kfMessage('video', { video: media }),
  kfMessage('file', { file: media }),
  kfMessage('link', {
    link: exactly({
      title: required,
      desc: text.optional(),
      url: required,
      thumb_media_id: required,
    }),
  }),
  kfMessage('miniprogram', {
    miniprogram: exactly({
      appid: required,
      title: text.optional(),
      thumb_media_id: required,
      pagepath: required,
    }),
  }),
  kfMessage('msgmenu', {
    msgmenu: exactly({
      head_content: text.optional(),
      list: z
        .array(
          z.discriminatedUnion('type', MENU_ITEMS, {
            error: 'type is one of click, view, miniprogram, text',
          }),
        )
        .min(1)
        .max(10),
      tail_content: text.optional(),
    }),
  }),
  kfMessage('location', {
    location: exactly({
      name: text.optional(),
      address: text.optional(),
      latitude: z.number().min(-90).max(90),
      longitude: z.number().min(-180).max(180),
    }),
  }),
  kfMessage('business_card', { business_card: exactly({ userid: required }) }),
  kfMessage('ca_link', { ca_link: exactly({ link_url: required }) }),
] as const

/**
 * POST /cgi-bin/kf/send_msg.
 *
 * @see https://developer.work.weixin.qq.com/document/path/94677
 */
export const kfMessageContent = z.discriminatedUnion('msgtype', KF_MESSAGES, {
  error: oneOfTypes(KF_MESSAGES),
})

/** 2 MB before they are encoded. */
const IMAGE_BASE64 = Math.ceil((2 * KIB * KIB) / 3) * 4

const robotArticle = exactly({
  title: requiredBytes(128),
  description: bytes(512).optional(),
  url: required,
  picurl: text.optional(),
})

function robotMessage<const Type extends string, Own extends z.ZodRawShape>(
  msgtype: Type,
  own: Own,
) {
  return contentOf({ msgtype: z.literal(msgtype), ...own })
}

const ROBOT_MESSAGES = [
  robotMessage('text', {
    text: exactly({
      content: requiredBytes(2048),
      mentioned_list: z.array(required).optional(),
      mentioned_mobile_list: z.array(required).optional(),
    }),
  }),
  robotMessage('markdown', { markdown: exactly({ content: requiredBytes(4096) }) }),
  robotMessage('markdown_v2', { markdown_v2: exactly({ content: requiredBytes(4096) }) }),
  robotMessage('image', {
    image: exactly({
      base64: text
        .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'base64 without line breaks and without a data: prefix')
        .max(IMAGE_BASE64, 'the image has at most 2 MB before it is encoded'),
      md5: text.regex(/^[0-9a-fA-F]{32}$/, 'the MD5 of the raw bytes as 32 hex digits'),
    }),
  }),
  robotMessage('news', { news: exactly({ articles: z.array(robotArticle).min(1).max(8) }) }),
  robotMessage('file', { file: media }),
  robotMessage('voice', { voice: media }),
  robotMessage('template_card', { template_card: robotCard }),
] as const

/**
 * POST /cgi-bin/webhook/send.
 *
 * @see https://developer.work.weixin.qq.com/document/path/91770
 */
export const robotMessageContent = z.discriminatedUnion('msgtype', ROBOT_MESSAGES, {
  error: oneOfTypes(ROBOT_MESSAGES),
})
