import { z } from 'zod'
import { exactly, freeObject, required, text } from './content-parts.ts'

/**
 * WeCom's template cards, of applications and of group robots. Required parts and limits are those
 * of the platform's page; the parts that it describes in prose are passed on as they are.
 *
 * @see https://developer.work.weixin.qq.com/document/path/90236
 */

const title = exactly({ title: text.optional(), desc: text.optional() })

/** Where a click leads: 1 a page, 2 a Mini Program. */
const cardAction = exactly({
  type: z.literal([1, 2]),
  url: text.optional(),
  appid: text.optional(),
  pagepath: text.optional(),
}).refine(({ type, url, appid }) => Boolean(type === 1 ? url : appid), {
  error: 'type 1 needs `url`, type 2 needs `appid`',
})

const COMMON = {
  source: freeObject.optional(),
  action_menu: freeObject.optional(),
  task_id: required.max(128).optional(),
  main_title: title.optional(),
  quote_area: freeObject.optional(),
}

const NOTICE = {
  ...COMMON,
  horizontal_content_list: z.array(freeObject).max(6).optional(),
  jump_list: z.array(freeObject).max(3).optional(),
  card_action: cardAction,
}

const textNotice = exactly({
  card_type: z.literal('text_notice'),
  ...NOTICE,
  emphasis_content: title.optional(),
  sub_title_text: text.optional(),
}).refine((card) => Boolean(card.main_title?.title) || Boolean(card.sub_title_text), {
  error: 'a text notice needs `main_title.title` or `sub_title_text`',
})

const newsNotice = exactly({
  card_type: z.literal('news_notice'),
  ...NOTICE,
  card_image: freeObject.optional(),
  image_text_area: freeObject.optional(),
  vertical_content_list: z.array(freeObject).optional(),
  sub_title_text: text.optional(),
}).refine((card) => Boolean(card.main_title?.title) || Boolean(card.sub_title_text), {
  error: 'a news notice needs `main_title.title` or `sub_title_text`',
})

/** Cards that a member answers: WeCom sends the answer to the callback address (43012 without one). */
const INTERACTIVE = [
  exactly({
    card_type: z.literal('button_interaction'),
    ...COMMON,
    sub_title_text: text.optional(),
    horizontal_content_list: z.array(freeObject).max(6).optional(),
    card_action: cardAction.optional(),
    button_selection: freeObject.optional(),
    button_list: z.array(freeObject).min(1),
  }),
  exactly({
    card_type: z.literal('vote_interaction'),
    ...COMMON,
    checkbox: freeObject,
    submit_button: freeObject,
  }),
  exactly({
    card_type: z.literal('multiple_interaction'),
    ...COMMON,
    select_list: z.array(freeObject).min(1),
    submit_button: freeObject,
  }),
] as const

/** The cards that a group robot can send. */
export const robotCard = z.discriminatedUnion('card_type', [textNotice, newsNotice], {
  error: 'card_type is one of text_notice, news_notice',
})

/** The cards that an application can send. */
export const applicationCard = z.discriminatedUnion(
  'card_type',
  [textNotice, newsNotice, ...INTERACTIVE],
  {
    error:
      'card_type is one of text_notice, news_notice, button_interaction, vote_interaction, multiple_interaction',
  },
)
