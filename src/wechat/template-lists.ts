import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import type { AccountApi, ApiAnswer } from './account-api.ts'
import { channelsOf, type ChannelName } from './channels.ts'
import { lookUpErrorCode } from './error-codes.ts'
import type { TokenAccount } from './refresh-token.ts'
import { codeSpaceOf, type ServedAccount } from './served-account.ts'

/** The channels whose templates the platform lists. */
export const TEMPLATE_CHANNELS = [
  'template_message',
  'subscription_message',
] as const satisfies readonly ChannelName[]

export type TemplateChannel = (typeof TEMPLATE_CHANNELS)[number]

/** A template as the platform lists it. */
export interface ListedTemplate {
  readonly templateId: string
  readonly title: string
  /** With its placeholders: `订单号:{{character_string1.DATA}}`. */
  readonly content: string
  readonly example: string
  /** Of a subscription message: whether one acceptance is one send; null where nobody says. */
  readonly type: 'one_time' | 'long_term' | null
  /** The values that a field may have, by its name; only for fields with a fixed choice. */
  readonly choices: Readonly<Record<string, readonly string[]>>
}

/** What the platform said about the templates of one channel. */
export type TemplateList =
  | { readonly kind: 'listed'; readonly templates: readonly ListedTemplate[] }
  /** The account may not read this list, usually because it has no such channel at the platform. */
  | { readonly kind: 'refused'; readonly errcode: number; readonly errmsg: string }

const text = z.string().catch('')

const messageTemplate = z
  .object({ template_id: z.string().min(1), title: text, content: text, example: text })
  .transform(({ template_id: templateId, ...rest }) => ({
    ...{ templateId, ...rest },
    type: null,
    choices: {},
  }))

/** `keywordCode` is written `enum_string1.DATA` in the platform's sample; the bare name is taken too. */
const choice = z
  .object({ keywordCode: z.string().min(1), enumValueList: z.array(z.string()) })
  .transform(({ keywordCode, enumValueList }) => [
    keywordCode.replace(/\.DATA$/, ''),
    enumValueList,
  ])

const TYPES: Readonly<Record<number, ListedTemplate['type']>> = { 2: 'one_time', 3: 'long_term' }

const subscriptionTemplate = z
  .object({
    priTmplId: z.string().min(1),
    title: text,
    content: text,
    example: text,
    type: z.coerce.number().catch(0),
    keywordEnumValueList: z.array(z.unknown()).catch([]),
  })
  .transform(({ priTmplId: templateId, type, keywordEnumValueList, ...rest }) => ({
    ...{ templateId, ...rest },
    type: TYPES[type] ?? null,
    choices: Object.fromEntries(
      readEach(choice, keywordEnumValueList),
    ) as ListedTemplate['choices'],
  }))

interface ListCall {
  readonly path: string
  readonly read: (body: ApiAnswer['body']) => readonly ListedTemplate[] | undefined
}

/**
 * Where the lists are. Neither has pages: an account holds 25 templates, in `newtmpl` perhaps 50.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Template_Message_Interface.html
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/getMessageTemplateList.html
 */
const LISTS: Readonly<Record<TemplateChannel, ListCall>> = {
  template_message: {
    path: '/cgi-bin/template/get_all_private_template',
    read: (body) => readList(messageTemplate, body['template_list']),
  },
  subscription_message: {
    path: '/wxaapi/newtmpl/gettemplate',
    read: (body) => readList(subscriptionTemplate, body['data']),
  },
}

/** The channels of an account that have templates. */
export function templateChannelsOf(account: ServedAccount): readonly TemplateChannel[] {
  const channels = channelsOf(account.kind, account.serves)
  return TEMPLATE_CHANNELS.filter((channel) => channels.includes(channel))
}

/**
 * Asks the platform for an account's templates of one channel. Entries without an id are passed over,
 * whatever else is missing is empty: the pages and the answers differ.
 *
 * @throws UnavailableError `platform_refused` where asking again later may help,
 *   `platform_answer_unreadable` for an answer without a list, and what `AccountApi` throws.
 */
export async function readTemplateList(
  api: AccountApi,
  account: TokenAccount,
  channel: TemplateChannel,
): Promise<TemplateList> {
  const { path, read } = LISTS[channel]
  const { errcode, errmsg, body } = await api(account, { method: 'GET', path })
  if (errcode !== 0) {
    if (!mayPass(account, errcode)) return { kind: 'refused', errcode, errmsg }
    throw new UnavailableError('platform_refused', `${path}: the platform answered ${errcode}`)
  }
  const templates = read(body)
  if (templates) return { kind: 'listed', templates }
  throw new UnavailableError('platform_answer_unreadable', `${path} answered without a list`)
}

function mayPass(account: ServedAccount, errcode: number): boolean {
  const { class: errorClass } = lookUpErrorCode(codeSpaceOf(account), errcode)
  return ['token', 'transient', 'rate_minute', 'quota_daily'].includes(errorClass)
}

/** No list at all is not an empty one: it must not look as if every template were gone. */
function readList(schema: z.ZodType<ListedTemplate>, list: unknown) {
  return Array.isArray(list) ? readEach(schema, list) : undefined
}

function readEach<T>(schema: z.ZodType<T>, list: readonly unknown[]): T[] {
  return list.flatMap((one) => {
    const { success, data } = schema.safeParse(one)
    return success ? [data] : []
  })
}
