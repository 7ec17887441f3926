import type { Row } from './catalogue-row.ts'

/** Messages a person writes to an Official Account or a Mini Program, by `MsgType`. */
export const WECHAT_MESSAGES = [
  {
    kind: 'message.text',
    name: 'text',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window; a keyword stops everything; a click in a message menu counts as a menu click',
  },
  {
    kind: 'message.image',
    name: 'image',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.voice',
    name: 'voice',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.video',
    name: 'video',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.shortvideo',
    name: 'shortvideo',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
  {
    kind: 'message.location',
    name: 'location',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window; personal data',
  },
  {
    kind: 'message.link',
    name: 'link',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
] as const satisfies readonly Row[]

/**
 * Events that only an Official Account has, by `Event`.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html
 */
export const OFFICIAL_ACCOUNT_EVENTS = [
  {
    kind: 'event.subscribe',
    name: 'subscribe',
    subject: 'FromUserName',
    effect: 'follow',
    note: 'Follows the account, also through a QR code; lifts a stop',
  },
  {
    kind: 'event.unsubscribe',
    name: 'unsubscribe',
    subject: 'FromUserName',
    effect: 'unfollow',
    note: 'No longer follows; `EventKey` is ignored (a payment leaves an order number there)',
  },
  {
    kind: 'event.scan',
    name: 'SCAN',
    subject: 'FromUserName',
    effect: 'scan_interaction',
    note: 'A follower scanned a QR code: a one-minute window, not a new follow',
  },
  {
    kind: 'event.location',
    name: 'LOCATION',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'Position report, as often as every 5 seconds; personal data',
  },
  {
    kind: 'event.click',
    name: 'CLICK',
    subject: 'FromUserName',
    effect: 'menu_interaction',
    note: 'Menu click: a one-minute window',
  },
  {
    kind: 'event.view',
    name: 'VIEW',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu item that opens a page; opens no window',
  },
  {
    kind: 'event.view_miniprogram',
    name: 'view_miniprogram',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu item that opens a Mini Program; opens no window',
  },
  {
    kind: 'event.scancode_push',
    name: 'scancode_push',
    subject: 'FromUserName',
    effect: 'menu_interaction',
    note: 'Scan from the menu: a one-minute window',
  },
  {
    kind: 'event.scancode_waitmsg',
    name: 'scancode_waitmsg',
    subject: 'FromUserName',
    effect: 'menu_interaction',
    note: 'Scan from the menu that waits for an answer: a one-minute window',
  },
  {
    kind: 'event.pic_sysphoto',
    name: 'pic_sysphoto',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu: camera; opens no window',
  },
  {
    kind: 'event.pic_photo_or_album',
    name: 'pic_photo_or_album',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu: camera or album; opens no window',
  },
  {
    kind: 'event.pic_weixin',
    name: 'pic_weixin',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu: WeChat album; opens no window',
  },
  {
    kind: 'event.location_select',
    name: 'location_select',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Menu: choose a place; opens no window; personal data',
  },
  {
    kind: 'event.templatesendjobfinish',
    name: 'TEMPLATESENDJOBFINISH',
    subject: 'FromUserName',
    effect: 'template_receipt',
    note: 'Result of a template message; `failed:user block` ends every right to write',
  },
  {
    kind: 'event.masssendjobfinish',
    name: 'MASSSENDJOBFINISH',
    subject: null,
    effect: 'mass_receipt',
    note: 'Result of a mass send; counts only, names no person',
  },
  {
    kind: 'event.freepublishjobfinish',
    name: 'FREEPUBLISHJOBFINISH',
    subject: null,
    effect: 'none',
    note: 'Result of publishing an article',
  },
  {
    kind: 'event.publishjobfinish',
    name: 'PUBLISHJOBFINISH',
    subject: null,
    effect: 'none',
    note: 'Older name of FREEPUBLISHJOBFINISH',
  },
  {
    kind: 'event.kf_create_session',
    name: 'kf_create_session',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'A customer-service session began',
  },
  {
    kind: 'event.kf_close_session',
    name: 'kf_close_session',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'A customer-service session ended',
  },
  {
    kind: 'event.kf_switch_session',
    name: 'kf_switch_session',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'A customer-service session changed hands',
  },
  {
    kind: 'event.qualification_verify_success',
    name: 'qualification_verify_success',
    subject: null,
    effect: 'signal',
    note: 'The account passed its qualification check',
  },
  {
    kind: 'event.qualification_verify_fail',
    name: 'qualification_verify_fail',
    subject: null,
    effect: 'none',
    note: 'The account failed its qualification check',
  },
  {
    kind: 'event.naming_verify_success',
    name: 'naming_verify_success',
    subject: null,
    effect: 'signal',
    note: "The account's name was accepted",
  },
  {
    kind: 'event.naming_verify_fail',
    name: 'naming_verify_fail',
    subject: null,
    effect: 'none',
    note: "The account's name was refused",
  },
  {
    kind: 'event.annual_renew',
    name: 'annual_renew',
    subject: null,
    effect: 'signal',
    note: "The account's yearly verification is due",
  },
  {
    kind: 'event.verify_expired',
    name: 'verify_expired',
    subject: null,
    effect: 'signal',
    note: "The account's verification ran out; sends may fail from now on",
  },
  {
    kind: 'event.card_pass_check',
    name: 'card_pass_check',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Card approved by the platform',
  },
  {
    kind: 'event.card_not_pass_check',
    name: 'card_not_pass_check',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Card refused by the platform',
  },
  {
    kind: 'event.user_get_card',
    name: 'user_get_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Took a card',
  },
  {
    kind: 'event.user_gifting_card',
    name: 'user_gifting_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Gave a card to a friend',
  },
  {
    kind: 'event.user_del_card',
    name: 'user_del_card',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'Deleted a card; not a refusal of messages',
  },
  {
    kind: 'event.user_consume_card',
    name: 'user_consume_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'A card was used up',
  },
  {
    kind: 'event.user_pay_from_pay_cell',
    name: 'user_pay_from_pay_cell',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Paid from a card',
  },
  {
    kind: 'event.user_view_card',
    name: 'user_view_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Opened a member card',
  },
  {
    kind: 'event.user_enter_session_from_card',
    name: 'user_enter_session_from_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Opened the conversation from a card; opens no window',
  },
  {
    kind: 'event.update_member_card',
    name: 'update_member_card',
    subject: 'FromUserName',
    effect: 'none',
    note: 'A member card changed',
  },
  {
    kind: 'event.card_sku_remind',
    name: 'card_sku_remind',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Card stock is low',
  },
  {
    kind: 'event.card_pay_order',
    name: 'card_pay_order',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Card points were bought or spent',
  },
  {
    kind: 'event.submit_membercard_user_info',
    name: 'submit_membercard_user_info',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'Handed over personal data to activate a card; not an agreement to messages',
  },
  {
    kind: 'event.merchant_order',
    name: 'merchant_order',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Order in the old WeChat shop',
  },
  {
    kind: 'event.open_product_order_pay',
    name: 'open_product_order_pay',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Order paid',
  },
] as const satisfies readonly Row[]

/**
 * Events of Official Accounts and Mini Programs alike, by `Event`.
 *
 * @see https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html
 */
export const SHARED_EVENTS = [
  {
    kind: 'event.wxa_media_check',
    name: 'wxa_media_check',
    subject: 'FromUserName',
    effect: 'none',
    note: 'Result of a content check',
  },
  {
    kind: 'event.subscribe_msg_popup_event',
    name: 'subscribe_msg_popup_event',
    subject: 'FromUserName',
    effect: 'subscription_popup',
    lists: ['SubscribeMsgPopupEvent.List', 'List', 'SubscribeMsgPopupEvent'],
    note: 'Answered the subscription popup, template by template',
  },
  {
    kind: 'event.subscribe_msg_change_event',
    name: 'subscribe_msg_change_event',
    subject: 'FromUserName',
    effect: 'subscription_change',
    lists: ['SubscribeMsgChangeEvent.List', 'List', 'SubscribeMsgChangeEvent'],
    note: 'Switched a template off in the settings; switching on is not pushed today',
  },
  {
    kind: 'event.subscribe_msg_sent_event',
    name: 'subscribe_msg_sent_event',
    subject: 'FromUserName',
    effect: 'subscription_sent',
    lists: ['SubscribeMsgSentEvent.List', 'List', 'SubscribeMsgSentEvent'],
    note: 'Result of a subscription message; the credit is settled with the receipt',
  },
  {
    kind: 'event.user_info_modified',
    name: 'user_info_modified',
    subject: 'OpenID',
    effect: 'signal',
    note: 'The profile changed: drop cached names and pictures; consent stays',
  },
  {
    kind: 'event.user_authorization_revoke',
    name: 'user_authorization_revoke',
    subject: 'OpenID',
    effect: 'authorization_revoked',
    note: 'Withdrew the authorisation of personal data: everything stops',
  },
  {
    kind: 'event.user_authorization_cancellation',
    name: 'user_authorization_cancellation',
    subject: 'OpenID',
    effect: 'account_cancelled',
    note: 'Cancelled the account: everything stops, and the data is erased unless a setting keeps it',
  },
] as const satisfies readonly Row[]

/** A message that only a Mini Program's customer service gets. */
export const MINI_PROGRAM_MESSAGES = [
  {
    kind: 'message.miniprogrampage',
    name: 'miniprogrampage',
    subject: 'FromUserName',
    effect: 'message_interaction',
    note: 'Opens the 48-hour window',
  },
] as const satisfies readonly Row[]

/**
 * Events that only a Mini Program has, by `Event`. Nobody follows a Mini Program.
 *
 * @see https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
 */
export const MINI_PROGRAM_EVENTS = [
  {
    kind: 'event.user_enter_tempsession',
    name: 'user_enter_tempsession',
    subject: 'FromUserName',
    effect: 'session_interaction',
    note: 'Opened the customer-service session: a window of one minute for two answers',
  },
  {
    kind: 'event.weapp_audit_success',
    name: 'weapp_audit_success',
    subject: null,
    effect: 'none',
    note: 'The version passed its review',
  },
  {
    kind: 'event.weapp_audit_fail',
    name: 'weapp_audit_fail',
    subject: null,
    effect: 'none',
    note: 'The version failed its review; `Reason` holds HTML',
  },
  {
    kind: 'event.weapp_audit_delay',
    name: 'weapp_audit_delay',
    subject: null,
    effect: 'none',
    note: 'The review is delayed',
  },
  {
    kind: 'event.wxa_nickname_audit',
    name: 'wxa_nickname_audit',
    subject: null,
    effect: 'none',
    note: "Result of the name's review",
  },
  {
    kind: 'event.wxa_category_audit',
    name: 'wxa_category_audit',
    subject: null,
    effect: 'none',
    note: "Result of a category's review",
  },
  {
    kind: 'event.wxa_privacy_apply',
    name: 'wxa_privacy_apply',
    subject: null,
    effect: 'signal',
    note: 'Whether an API for personal data may be called',
  },
  {
    kind: 'event.wxa_illegal_record',
    name: 'wxa_illegal_record',
    subject: null,
    effect: 'signal',
    note: 'A violation was recorded; sends may fail from now on',
  },
  {
    kind: 'event.wxa_appeal_record',
    name: 'wxa_appeal_record',
    subject: null,
    effect: 'signal',
    note: 'Result of an appeal',
  },
  {
    kind: 'event.wxa_punish_event',
    name: 'wxa_punish_event',
    subject: null,
    effect: 'signal',
    note: 'The account was punished; sends may fail from now on',
  },
  {
    kind: 'event.wxalive_follow_notify',
    name: 'wxalive_follow_notify',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'A live-stream subscription changed; its fields are not published, so nothing follows from it',
  },
  {
    kind: 'event.add_express_path',
    name: 'add_express_path',
    subject: null,
    effect: 'none',
    note: 'A parcel moved',
  },
  {
    kind: 'event.wx_verify_pay_succ',
    name: 'wx_verify_pay_succ',
    subject: null,
    effect: 'none',
    note: 'The verification was paid for',
  },
  {
    kind: 'event.wx_verify_dispatch',
    name: 'wx_verify_dispatch',
    subject: null,
    effect: 'none',
    note: 'The verification was handed to a reviewer',
  },
  {
    kind: 'event.debug_demo',
    name: 'debug_demo',
    subject: 'FromUserName',
    effect: 'none',
    note: 'The test push of the console',
  },
  {
    kind: 'event.betaapp_verify_event',
    name: 'betaapp_verify_event',
    subject: null,
    effect: 'none',
    note: 'A trial Mini Program was verified; belongs to the component',
  },
  {
    kind: 'event.betaapp_verify_apply_event',
    name: 'betaapp_verify_apply_event',
    subject: null,
    effect: 'none',
    note: "A trial Mini Program's verification was asked for; belongs to the component",
  },
] as const satisfies readonly Row[]

/** Families known by the beginning of their name (before the `*`); a full name goes first. */
export const OFFICIAL_ACCOUNT_FAMILIES = [
  {
    kind: 'event.guide',
    name: 'guide_*',
    subject: null,
    effect: 'none',
    note: 'Shopping-guide tools (客服导购)',
  },
] as const satisfies readonly Row[]

export const SHARED_FAMILIES = [
  {
    kind: 'event.user_authorization',
    name: 'user_authorization_*',
    subject: 'OpenID',
    effect: 'signal',
    note: 'A later member of this family: recorded under the right person, changes nothing',
  },
] as const satisfies readonly Row[]

export const MINI_PROGRAM_FAMILIES = [
  {
    kind: 'event.xpay',
    name: 'xpay_*',
    subject: 'OpenId',
    effect: 'none',
    note: 'Virtual payment',
  },
  {
    kind: 'event.trade_manage',
    name: 'trade_manage_*',
    subject: null,
    effect: 'none',
    note: 'Order management',
  },
] as const satisfies readonly Row[]

/** What everything else is: recorded as it came, consent unchanged. */
export const UNKNOWN_EVENT = {
  kind: 'event.unknown',
  name: '(any other Event, or none)',
  subject: 'FromUserName',
  effect: 'none',
  note: 'Recorded, logged and passed on; changes no consent',
} as const satisfies Row

export const UNKNOWN_MESSAGE = {
  kind: 'message.unknown',
  name: '(any other MsgType, or none)',
  subject: 'FromUserName',
  effect: 'none',
  note: 'Recorded, logged and passed on; opens no window, because it may not be written by a person',
} as const satisfies Row
