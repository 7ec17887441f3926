import type { AccountKind } from '../accounts/account.ts'
import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { z } from 'zod'
import { InvariantError } from '../foundation/errors.ts'
import {
  accountCustomContent,
  accountSubscriptionContent,
  anyCustomContent,
  deviceMessageContent,
  miniCustomContent,
  miniSubscriptionContent,
  oneTimeSubscriptionContent,
  templateMessageContent,
} from './channel-content.ts'
import type { CredentialName, PlatformCall } from './platform-client.ts'
import {
  codeSpaceOf,
  hostOf,
  productOf,
  type CodeSpace,
  type ServedAccount,
} from './served-account.ts'
import {
  appMessageContent,
  groupMessageContent,
  kfMessageContent,
  robotMessageContent,
  welcomeMessageContent,
} from './wecom-content.ts'

type ContentSchema = z.ZodType<Readonly<Record<string, unknown>>>

/** What one kind of account does for a channel. */
interface Way {
  readonly path: string
  /** What this kind may send; where it differs, the channel's `content` takes either. */
  readonly content: ContentSchema
  /** The field of the answer with the id that receipts will name; null where there is none. */
  readonly receiptId: 'msgid' | null
}

interface ChannelFacts {
  /** The platform's own request body, without recipient, token and idempotency key. */
  readonly content: ContentSchema
  /** Who may use it, and how; an authorizer does what the account behind it is. */
  readonly ways: Readonly<Partial<Record<AccountKind, Way>>>
  /** Where the recipients go; null where the body names none. */
  readonly recipient: RecipientField | null
  /** Under which name the credential travels in the query string. */
  readonly credential: CredentialName
  /** The field of our own name for a message, by which the platform knows a repeat; null: none. */
  readonly repeatField: 'client_msg_id' | 'msgid' | null
  /**
   * How long the platform remembers that name and delivers its message only once; null where it has
   * no such memory, so that repeating a call can make a second message.
   */
  readonly repeatMemoryMs: number | null
  /** For how long after the person's act a message can be sent at all; null: the window is longer. */
  readonly validForMs: number | null
  /**
   * How many messages the platform delivers to one recipient, in a minute and in an hour; null where
   * it names no such numbers. An account may set others for a minute (`recipient_per_minute`).
   */
  readonly perRecipient: RecipientPace | null
}

/** null: no limit of that kind. */
interface RecipientPace {
  readonly perMinute: number
  readonly perHour: number | null
}

interface RecipientField {
  readonly field: 'touser' | 'to_openid_list' | 'external_userid'
  /** `one` text, several `joined` by `|`, or a `list`. */
  readonly form: 'one' | 'joined' | 'list'
  /** The most that one call may name. */
  readonly most: number
}

const ONE_PERSON: RecipientField = { field: 'touser', form: 'one', most: 1 }

const PLAIN = {
  recipient: ONE_PERSON,
  credential: 'access_token',
  repeatField: null,
  repeatMemoryMs: null,
  validForMs: null,
  perRecipient: null,
} as const

/** A channel of self-built applications, and of a suite for a corp. */
function byApplications(way: Way) {
  return { wecom_app: way, wecom_authorizer: way }
}

const APP_WAY: Way = {
  path: '/cgi-bin/message/send',
  content: appMessageContent,
  receiptId: 'msgid',
}
const WELCOME_WAY: Way = {
  path: '/cgi-bin/externalcontact/send_welcome_msg',
  content: welcomeMessageContent,
  receiptId: null,
}
const GROUP_WAY: Way = {
  path: '/cgi-bin/externalcontact/add_msg_template',
  content: groupMessageContent,
  receiptId: 'msgid',
}
const KF_WAY: Way = {
  path: '/cgi-bin/kf/send_msg',
  content: kfMessageContent,
  receiptId: 'msgid',
}
const ROBOT_WAY: Way = {
  path: '/cgi-bin/webhook/send',
  content: robotMessageContent,
  receiptId: null,
}

/** The ways to send, one row each: who may, where, what, and whether a repeated call is safe. */
export const CHANNELS = {
  template_message: {
    ...PLAIN,
    content: templateMessageContent,
    ways: {
      official_account: {
        path: '/cgi-bin/message/template/send',
        content: templateMessageContent,
        receiptId: 'msgid',
      },
    },
    // The platform's page: one delivery per openid and client_msg_id, valid for 10 minutes.
    repeatField: 'client_msg_id',
    repeatMemoryMs: 600_000,
  },
  subscription_message: {
    // client_msg_id stands in the sample of bizsend only; that it is honoured is unconfirmed.
    ...PLAIN,
    content: accountSubscriptionContent,
    ways: {
      official_account: {
        path: '/cgi-bin/message/subscribe/bizsend',
        content: accountSubscriptionContent,
        receiptId: null,
      },
      mini_program: {
        path: '/cgi-bin/message/subscribe/send',
        content: miniSubscriptionContent,
        // Not on the page, but in every answer.
        receiptId: 'msgid',
      },
    },
  },
  customer_service_message: {
    ...PLAIN,
    content: anyCustomContent,
    ways: {
      official_account: {
        path: '/cgi-bin/message/custom/send',
        content: accountCustomContent,
        receiptId: null,
      },
      mini_program: {
        path: '/cgi-bin/message/custom/send',
        content: miniCustomContent,
        receiptId: null,
      },
    },
  },
  one_time_subscription: {
    ...PLAIN,
    content: oneTimeSubscriptionContent,
    ways: {
      official_account: {
        path: '/cgi-bin/message/template/subscribe',
        content: oneTimeSubscriptionContent,
        receiptId: null,
      },
    },
  },
  device_message: {
    ...PLAIN,
    content: deviceMessageContent,
    ways: {
      mini_program: {
        path: '/cgi-bin/message/device/subscribe/send',
        content: deviceMessageContent,
        receiptId: null,
      },
    },
    // The page states no limit for the list; consent is by person, so one at a time.
    recipient: { field: 'to_openid_list', form: 'list', most: 1 },
  },
  wecom_app_message: {
    // WeCom drops a repeat only where the content asks for it, and then also a twin that was meant.
    ...PLAIN,
    content: appMessageContent,
    ways: byApplications(APP_WAY),
    recipient: { field: 'touser', form: 'joined', most: 1_000 },
    // What is more is dropped without a word: developer.work.weixin.qq.com/document/path/90236
    perRecipient: { perMinute: 30, perHour: 1_000 },
  },
  wecom_welcome_message: {
    ...PLAIN,
    content: welcomeMessageContent,
    ways: byApplications(WELCOME_WAY),
    recipient: null,
    validForMs: 20_000,
  },
  wecom_group_message: {
    ...PLAIN,
    content: groupMessageContent,
    ways: byApplications(GROUP_WAY),
    recipient: { field: 'external_userid', form: 'list', most: 10_000 },
  },
  wecom_kf_message: {
    ...PLAIN,
    content: kfMessageContent,
    // Corps that are newer than 2023-12-01 have no Secret of customer service: a self-built
    // application does it for them. https://developer.work.weixin.qq.com/document/path/91039
    ways: { wecom_kf: KF_WAY, ...byApplications(KF_WAY) },
    // A msgid is taken once per kf account; for how long is not stated, so as for templates.
    repeatField: 'msgid',
    repeatMemoryMs: 600_000,
  },
  wecom_robot_message: {
    ...PLAIN,
    content: robotMessageContent,
    ways: { wecom_app: ROBOT_WAY },
    recipient: null,
    credential: 'key',
    // Of one robot; beyond it 45009: developer.work.weixin.qq.com/document/path/91770
    perRecipient: { perMinute: 20, perHour: null },
  },
} as const satisfies Record<string, ChannelFacts>

/** Every channel that the platforms have and we can speak. */
export type ChannelName = keyof typeof CHANNELS

/** The channels that broadcasts may use: those whose consent follows from the channel alone. */
export const BROADCAST_CHANNELS = [
  'template_message',
  'subscription_message',
  'customer_service_message',
  'wecom_app_message',
] as const satisfies readonly ChannelName[]

/**
 * The channels that a message may choose from, in the usual order: a right to this very template is
 * the narrowest word the person has given, an open conversation the one that costs them an answer.
 */
export const AUTO_CHANNELS = [
  'subscription_message',
  'template_message',
  'customer_service_message',
] as const satisfies readonly ChannelName[]

export type AutoChannel = (typeof AUTO_CHANNELS)[number]

export type BroadcastChannel = (typeof BROADCAST_CHANNELS)[number]

/** The channels that are open to applications, in the order of the table. */
export const CHANNEL_NAMES = Object.keys(CHANNELS) as [ChannelName, ...ChannelName[]]

export type Channel = ChannelName

/** A content that its channel's schema has accepted. */
export type Content = Readonly<Record<string, unknown>>

/** Whether repeating a call with the same name of ours cannot make a second message. */
export function deduplicates(channel: ChannelName): boolean {
  return CHANNELS[channel].repeatMemoryMs !== null
}

/**
 * The channels that an account may use, in the order of the table.
 *
 * @param serves what an authorizer is; null while we have not been told, and then it has none.
 */
export function channelsOf(
  kind: AccountKind,
  serves: ServedAccount['serves'] = null,
): readonly ChannelName[] {
  return CHANNEL_NAMES.filter((channel) => wayOf(channel, { kind, serves }) !== null)
}

/** The channels that have a pace per recipient, as columns for a statement; 0 is no limit. */
export const RECIPIENT_PACES = recipientPaces()

function recipientPaces() {
  const paces = CHANNEL_NAMES.flatMap((channel) => {
    const { perRecipient }: ChannelFacts = CHANNELS[channel]
    return perRecipient ? [{ channel, ...perRecipient }] : []
  })
  return {
    channels: paces.map(({ channel }) => channel),
    perMinutes: paces.map(({ perMinute }) => perMinute),
    perHours: paces.map(({ perHour }) => perHour ?? 0),
  }
}

/** What an account may put into the content of a channel; null where it may not use the channel. */
export function contentSchemaOf(
  channel: ChannelName,
  account: ServedAccount,
): ContentSchema | null {
  return wayOf(channel, account)?.content ?? null
}

function wayOf(channel: ChannelName, account: ServedAccount): Way | null {
  const ways: ChannelFacts['ways'] = CHANNELS[channel].ways
  const product = productOf(account)
  return (product && ways[product]) ?? null
}

/** Where an account's sends through a channel go; null where it may not use the channel. */
export function pathOf(channel: ChannelName, account: ServedAccount): string | null {
  return wayOf(channel, account)?.path ?? null
}

/** The open channels whose sends go to a path of WeChat. */
export function channelsAt(path: string): readonly Channel[] {
  return CHANNEL_NAMES.filter((channel) => pathsOf(channel).includes(path))
}

/** The paths that channels send to, where the platform counts the day's calls: WeCom does not. */
export const SEND_PATHS: ReadonlySet<string> = new Set(CHANNEL_NAMES.flatMap(pathsOf))

function pathsOf(channel: ChannelName): readonly string[] {
  const ways = Object.entries(CHANNELS[channel].ways) as [AccountKind, { path: string }][]
  return ways.flatMap(([kind, { path }]) => (KIND_RULES[kind].platform === 'wecom' ? [] : [path]))
}

/** The account a message is sent by. */
export interface Sender extends ServedAccount {
  /** Whose quota the call counts for; ours, not the platform's. */
  readonly id?: number
  /** The agentid of a WeCom application, in digits. */
  readonly agentId?: string | null
}

/** One message, or one task for many recipients. */
export interface Send {
  readonly channel: ChannelName
  readonly account: Sender
  /** openid, userid or external_userid; several where the channel takes several. */
  readonly to: string | readonly string[]
  /** As accepted by the channel's schema. */
  readonly content: Content
  /**
   * Our name for this message, a UUID, the same for every attempt; left out where the platform does
   * not look at it.
   */
  readonly clientMsgId: string
}

/**
 * The platform call that sends one message; the caller adds the token, or the key of the robot.
 *
 * @throws InvariantError when the account has no such channel, or the channel no such recipients:
 *   both are refused before a message is accepted.
 */
export function buildRequest(send: Send): PlatformCall {
  const { channel, account, content } = send
  const way = wayOf(channel, account)
  if (!way) throw new InvariantError(`an account of kind ${account.kind} cannot send ${channel}`)
  const { recipient, repeatField, credential }: ChannelFacts = CHANNELS[channel]
  const space: CodeSpace = codeSpaceOf(account)
  return {
    method: 'POST',
    path: way.path,
    ...(account.id !== undefined && { accountId: account.id }),
    ...(space === 'wecom' && { host: hostOf(space) }),
    ...(credential !== 'access_token' && { tokenName: credential }),
    body: {
      ...content,
      ...(recipient && { [recipient.field]: recipientsOf(channel, recipient, send.to) }),
      ...(channel === 'wecom_app_message' && { agentid: agentOf(account) }),
      ...(repeatField && { [repeatField]: repeatName(repeatField, send.clientMsgId) }),
    },
  }
}

function recipientsOf(
  channel: ChannelName,
  { form, most }: RecipientField,
  to: string | readonly string[],
): string | readonly string[] {
  const people = typeof to === 'string' ? [to] : to
  const isFine = people.length >= 1 && people.length <= most
  if (!isFine || people.some((person) => recipientFault(channel, person) !== null)) {
    throw new InvariantError(`recipients that ${channel} cannot have; at most ${most}, one by one`)
  }
  return form === 'list' ? people : people.join('|')
}

/**
 * Why a text cannot be a recipient of a channel; null when it can. `@all` and joined names would
 * reach people nobody asked the consent of.
 */
export function recipientFault(channel: ChannelName, to: string): string | null {
  if (CHANNELS[channel].recipient?.form !== 'joined') return null
  if (to.toLowerCase() === '@all') return '`@all` is nobody: consent is by person, name them'
  return to.includes('|') ? 'must be one userid, without `|`' : null
}

function agentOf({ agentId }: Sender): number {
  if (agentId && /^\d{1,15}$/.test(agentId)) return Number(agentId)
  throw new InvariantError('an application of WeCom without an agentid')
}

/** The msgid of kf messages has at most 32 characters: a UUID without its hyphens. */
function repeatName(field: 'client_msg_id' | 'msgid', clientMsgId: string): string {
  return field === 'msgid' ? clientMsgId.replaceAll('-', '') : clientMsgId
}

/** The template a content names; null for channels without templates. */
export function templateIdOf(content: Content): string | null {
  return typeof content.template_id === 'string' ? content.template_id : null
}

/**
 * The id under which the platform will report on a message, as text with all its digits.
 *
 * @param body an answer read with `parseJson`; long ids are strings in it already.
 * @returns null where the channel returns none.
 */
export function msgidOf(body: Content): string | null {
  const msgid = body.msgid
  return typeof msgid === 'string' || typeof msgid === 'number' ? String(msgid) : null
}
