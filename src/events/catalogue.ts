import { InvariantError } from '../foundation/errors.ts'

/**
 * Whose event it is: the person in `FromUserName`, the person in `OpenID` (there `FromUserName` is
 * the platform's pushing service), or nobody (the event is about the account).
 */
type SubjectRule = 'from_user' | 'open_id' | 'none'

/**
 * What an event can mean for consent. `consent/consent-changes.ts` turns each into ledger rows and
 * does not compile while one is forgotten; `docs/events.md` says the same in a table.
 */
export const EFFECTS = [
  'none',
  'signal',
  'follow',
  'unfollow',
  'menu_interaction',
  'scan_interaction',
  'message_interaction',
  'subscription_popup',
  'subscription_change',
  'subscription_sent',
  'template_receipt',
  'mass_receipt',
  'authorization_revoked',
  'account_cancelled',
] as const
export type Effect = (typeof EFFECTS)[number]

interface Row {
  /** Our name for it: stable, lower case, few enough to label a metric. */
  readonly kind: `event.${string}` | `message.${string}`
  /** The platform's name, spelt as the platform spells it; `guide_*` stands for a family. */
  readonly name: string
  readonly subject: SubjectRule
  readonly effect: Effect
  /** Where the items lie, for events that carry several; the first path that holds any is used. */
  readonly lists?: readonly string[]
  /** What it means for consent, in the words of docs/events.md. */
  readonly note: string
}

/** Messages a person writes to an Official Account, by `MsgType`. */
const MESSAGES = [
  {
    kind: 'message.text',
    name: 'text',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window; a keyword stops everything; a click in a message menu counts as a menu click',
  },
  {
    kind: 'message.image',
    name: 'image',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.voice',
    name: 'voice',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.video',
    name: 'video',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.shortvideo',
    name: 'shortvideo',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.location',
    name: 'location',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window; personal data',
  },
  {
    kind: 'message.link',
    name: 'link',
    subject: 'from_user',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
] as const satisfies readonly Row[]

/**
 * Events of an Official Account, by `Event`.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html
 */
const EVENTS = [
  {
    kind: 'event.subscribe',
    name: 'subscribe',
    subject: 'from_user',
    effect: 'follow',
    note: 'Follows the account, also through a QR code; lifts a stop',
  },
  {
    kind: 'event.unsubscribe',
    name: 'unsubscribe',
    subject: 'from_user',
    effect: 'unfollow',
    note: 'No longer follows; `EventKey` is ignored (a payment leaves an order number there)',
  },
  {
    kind: 'event.scan',
    name: 'SCAN',
    subject: 'from_user',
    effect: 'scan_interaction',
    note: 'A follower scanned a QR code: a one-minute window, not a new follow',
  },
  {
    kind: 'event.location',
    name: 'LOCATION',
    subject: 'from_user',
    effect: 'signal',
    note: 'Position report, as often as every 5 seconds; personal data',
  },
  {
    kind: 'event.click',
    name: 'CLICK',
    subject: 'from_user',
    effect: 'menu_interaction',
    note: 'Menu click: a one-minute window',
  },
  {
    kind: 'event.view',
    name: 'VIEW',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu item that opens a page; opens no window',
  },
  {
    kind: 'event.view_miniprogram',
    name: 'view_miniprogram',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu item that opens a Mini Program; opens no window',
  },
  {
    kind: 'event.scancode_push',
    name: 'scancode_push',
    subject: 'from_user',
    effect: 'menu_interaction',
    note: 'Scan from the menu: a one-minute window',
  },
  {
    kind: 'event.scancode_waitmsg',
    name: 'scancode_waitmsg',
    subject: 'from_user',
    effect: 'menu_interaction',
    note: 'Scan from the menu that waits for an answer: a one-minute window',
  },
  {
    kind: 'event.pic_sysphoto',
    name: 'pic_sysphoto',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu: camera; opens no window',
  },
  {
    kind: 'event.pic_photo_or_album',
    name: 'pic_photo_or_album',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu: camera or album; opens no window',
  },
  {
    kind: 'event.pic_weixin',
    name: 'pic_weixin',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu: WeChat album; opens no window',
  },
  {
    kind: 'event.location_select',
    name: 'location_select',
    subject: 'from_user',
    effect: 'none',
    note: 'Menu: choose a place; opens no window; personal data',
  },
  {
    kind: 'event.templatesendjobfinish',
    name: 'TEMPLATESENDJOBFINISH',
    subject: 'from_user',
    effect: 'template_receipt',
    note: 'Result of a template message; `failed:user block` ends every right to write',
  },
  {
    kind: 'event.masssendjobfinish',
    name: 'MASSSENDJOBFINISH',
    subject: 'none',
    effect: 'mass_receipt',
    note: 'Result of a mass send; counts only, names no person',
  },
  {
    kind: 'event.freepublishjobfinish',
    name: 'FREEPUBLISHJOBFINISH',
    subject: 'none',
    effect: 'none',
    note: 'Result of publishing an article',
  },
  {
    kind: 'event.publishjobfinish',
    name: 'PUBLISHJOBFINISH',
    subject: 'none',
    effect: 'none',
    note: 'Older name of FREEPUBLISHJOBFINISH',
  },
  {
    kind: 'event.kf_create_session',
    name: 'kf_create_session',
    subject: 'from_user',
    effect: 'signal',
    note: 'A customer-service session began',
  },
  {
    kind: 'event.kf_close_session',
    name: 'kf_close_session',
    subject: 'from_user',
    effect: 'signal',
    note: 'A customer-service session ended',
  },
  {
    kind: 'event.kf_switch_session',
    name: 'kf_switch_session',
    subject: 'from_user',
    effect: 'signal',
    note: 'A customer-service session changed hands',
  },
  {
    kind: 'event.qualification_verify_success',
    name: 'qualification_verify_success',
    subject: 'none',
    effect: 'signal',
    note: 'The account passed its qualification check',
  },
  {
    kind: 'event.qualification_verify_fail',
    name: 'qualification_verify_fail',
    subject: 'none',
    effect: 'none',
    note: 'The account failed its qualification check',
  },
  {
    kind: 'event.naming_verify_success',
    name: 'naming_verify_success',
    subject: 'none',
    effect: 'signal',
    note: "The account's name was accepted",
  },
  {
    kind: 'event.naming_verify_fail',
    name: 'naming_verify_fail',
    subject: 'none',
    effect: 'none',
    note: "The account's name was refused",
  },
  {
    kind: 'event.annual_renew',
    name: 'annual_renew',
    subject: 'none',
    effect: 'signal',
    note: "The account's yearly verification is due",
  },
  {
    kind: 'event.verify_expired',
    name: 'verify_expired',
    subject: 'none',
    effect: 'signal',
    note: "The account's verification ran out; sends may fail from now on",
  },
  {
    kind: 'event.card_pass_check',
    name: 'card_pass_check',
    subject: 'from_user',
    effect: 'none',
    note: 'Card approved by the platform',
  },
  {
    kind: 'event.card_not_pass_check',
    name: 'card_not_pass_check',
    subject: 'from_user',
    effect: 'none',
    note: 'Card refused by the platform',
  },
  {
    kind: 'event.user_get_card',
    name: 'user_get_card',
    subject: 'from_user',
    effect: 'none',
    note: 'Took a card',
  },
  {
    kind: 'event.user_gifting_card',
    name: 'user_gifting_card',
    subject: 'from_user',
    effect: 'none',
    note: 'Gave a card to a friend',
  },
  {
    kind: 'event.user_del_card',
    name: 'user_del_card',
    subject: 'from_user',
    effect: 'signal',
    note: 'Deleted a card; not a refusal of messages',
  },
  {
    kind: 'event.user_consume_card',
    name: 'user_consume_card',
    subject: 'from_user',
    effect: 'none',
    note: 'A card was used up',
  },
  {
    kind: 'event.user_pay_from_pay_cell',
    name: 'user_pay_from_pay_cell',
    subject: 'from_user',
    effect: 'none',
    note: 'Paid from a card',
  },
  {
    kind: 'event.user_view_card',
    name: 'user_view_card',
    subject: 'from_user',
    effect: 'none',
    note: 'Opened a member card',
  },
  {
    kind: 'event.user_enter_session_from_card',
    name: 'user_enter_session_from_card',
    subject: 'from_user',
    effect: 'none',
    note: 'Opened the conversation from a card; opens no window',
  },
  {
    kind: 'event.update_member_card',
    name: 'update_member_card',
    subject: 'from_user',
    effect: 'none',
    note: 'A member card changed',
  },
  {
    kind: 'event.card_sku_remind',
    name: 'card_sku_remind',
    subject: 'from_user',
    effect: 'none',
    note: 'Card stock is low',
  },
  {
    kind: 'event.card_pay_order',
    name: 'card_pay_order',
    subject: 'from_user',
    effect: 'none',
    note: 'Card points were bought or spent',
  },
  {
    kind: 'event.submit_membercard_user_info',
    name: 'submit_membercard_user_info',
    subject: 'from_user',
    effect: 'signal',
    note: 'Handed over personal data to activate a card; not an agreement to messages',
  },
  {
    kind: 'event.merchant_order',
    name: 'merchant_order',
    subject: 'from_user',
    effect: 'none',
    note: 'Order in the old WeChat shop',
  },
  {
    kind: 'event.open_product_order_pay',
    name: 'open_product_order_pay',
    subject: 'from_user',
    effect: 'none',
    note: 'Order paid',
  },
  {
    kind: 'event.wxa_media_check',
    name: 'wxa_media_check',
    subject: 'from_user',
    effect: 'none',
    note: 'Result of a content check',
  },
  {
    kind: 'event.subscribe_msg_popup_event',
    name: 'subscribe_msg_popup_event',
    subject: 'from_user',
    effect: 'subscription_popup',
    lists: ['SubscribeMsgPopupEvent.List', 'List', 'SubscribeMsgPopupEvent'],
    note: 'Answered the subscription popup, template by template',
  },
  {
    kind: 'event.subscribe_msg_change_event',
    name: 'subscribe_msg_change_event',
    subject: 'from_user',
    effect: 'subscription_change',
    lists: ['SubscribeMsgChangeEvent.List', 'List', 'SubscribeMsgChangeEvent'],
    note: 'Switched a template off in the settings; switching on is not pushed today',
  },
  {
    kind: 'event.subscribe_msg_sent_event',
    name: 'subscribe_msg_sent_event',
    subject: 'from_user',
    effect: 'subscription_sent',
    lists: ['SubscribeMsgSentEvent.List', 'List', 'SubscribeMsgSentEvent'],
    note: 'Result of a subscription message; the credit is settled with the receipt',
  },
  {
    kind: 'event.user_info_modified',
    name: 'user_info_modified',
    subject: 'open_id',
    effect: 'signal',
    note: 'The profile changed: drop cached names and pictures; consent stays',
  },
  {
    kind: 'event.user_authorization_revoke',
    name: 'user_authorization_revoke',
    subject: 'open_id',
    effect: 'authorization_revoked',
    note: 'Withdrew the authorisation of personal data: everything stops',
  },
  {
    kind: 'event.user_authorization_cancellation',
    name: 'user_authorization_cancellation',
    subject: 'open_id',
    effect: 'account_cancelled',
    note: 'Cancelled the account: everything stops, and the data is erased unless a setting keeps it',
  },
] as const satisfies readonly Row[]

/** Families known by the beginning of their name (before the `*`); a full name goes first. */
const FAMILIES = [
  {
    kind: 'event.guide',
    name: 'guide_*',
    subject: 'none',
    effect: 'none',
    note: 'Shopping-guide tools (客服导购)',
  },
  {
    kind: 'event.user_authorization',
    name: 'user_authorization_*',
    subject: 'open_id',
    effect: 'signal',
    note: 'A later member of this family: recorded under the right person, changes nothing',
  },
] as const satisfies readonly Row[]

/** What everything else is: recorded as it came, consent unchanged. */
const UNKNOWN_EVENT = {
  kind: 'event.unknown',
  name: '(any other Event, or none)',
  subject: 'from_user',
  effect: 'none',
  note: 'Recorded, logged and passed on; changes no consent',
} as const satisfies Row

const UNKNOWN_MESSAGE = {
  kind: 'message.unknown',
  name: '(any other MsgType, or none)',
  subject: 'from_user',
  effect: 'none',
  note: 'Recorded, logged and passed on; opens no window, because it may not be written by a person',
} as const satisfies Row

/** Every row, in the order of docs/events.md; a test compares the two both ways. */
export const CATALOGUE = [
  ...MESSAGES,
  ...EVENTS,
  ...FAMILIES,
  UNKNOWN_EVENT,
  UNKNOWN_MESSAGE,
] as const satisfies readonly Row[]

export type EventKind = (typeof CATALOGUE)[number]['kind']

export interface CatalogueRow extends Row {
  readonly kind: EventKind
}

const ROWS: readonly CatalogueRow[] = CATALOGUE
const BY_KIND = new Map(ROWS.map((row) => [row.kind, row]))
const MESSAGE_BY_NAME = byName(MESSAGES)
const EVENT_BY_NAME = byName(EVENTS)
const PREFIXES = FAMILIES.map((row) => ({ prefix: row.name.slice(0, -1), row }))

function byName(rows: readonly CatalogueRow[]): ReadonlyMap<string, CatalogueRow> {
  return new Map(rows.map((row) => [row.name.toLowerCase(), row]))
}

/**
 * The row for a push, by the platform's two names, ignoring case: one platform never gives two
 * meanings to spellings that differ in case only, and its own documents vary (`event`, `Event`).
 *
 * @param msgType `MsgType` without outer spaces; '' when absent.
 * @param event `Event` without outer spaces; '' when absent. Read only when `msgType` is `event`.
 * @returns a row for every input; what is not listed is `event.unknown` or `message.unknown`.
 */
export function findRow(msgType: string, event: string): CatalogueRow {
  const type = msgType.toLowerCase()
  if (type !== 'event') return MESSAGE_BY_NAME.get(type) ?? UNKNOWN_MESSAGE
  const name = event.toLowerCase()
  const family = PREFIXES.find(({ prefix }) => name.startsWith(prefix))
  return EVENT_BY_NAME.get(name) ?? family?.row ?? UNKNOWN_EVENT
}

/** The row of a kind. */
export function rowOf(kind: EventKind): CatalogueRow {
  const row = BY_KIND.get(kind)
  if (!row) throw new InvariantError(`no catalogue row for ${kind}`)
  return row
}
