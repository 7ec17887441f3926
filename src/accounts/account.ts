/**
 * The WeChat accounts we serve: what they are, not where they are stored.
 */

/** What an account can be; `account-kinds.ts` says what follows from it. */
export const ACCOUNT_KINDS = [
  'official_account',
  'mini_program',
  'component',
  'authorizer',
  'wecom_app',
  'wecom_suite',
  'wecom_authorizer',
  'wecom_kf',
] as const
export type AccountKind = (typeof ACCOUNT_KINDS)[number]

/**
 * Whose list of events a push is looked up in; the same name means different things in two lists. An
 * authorizer's pushes are those of what it is (`official_account` or `mini_program`), a component's
 * own are `component`; the suite's 指令回调 is `wecom_suite`, its 数据回调, an application's and
 * customer service's callbacks are `wecom`.
 */
export const EVENT_SOURCES = [
  'official_account',
  'mini_program',
  'component',
  'wecom',
  'wecom_suite',
] as const
export type EventSource = (typeof EVENT_SOURCES)[number]

/** Whose error codes an account's calls are answered with; only `wecom` numbers them alone. */
export type Platform = 'oa' | 'mini' | 'open' | 'wecom'

/**
 * How the platform signs and encrypts this account's pushes (明文 / 兼容 / 安全模式). It is what the
 * operator set on the platform's page and configured here; a request can never change it.
 */
export const CALLBACK_MODES = ['safe', 'compatible', 'plain'] as const
export type CallbackMode = (typeof CALLBACK_MODES)[number]

/** How the platform writes a push (数据格式); only a mini program's page offers the choice. */
export const BODY_FORMATS = ['xml', 'json'] as const
export type BodyFormat = (typeof BODY_FORMATS)[number]

/** Which token endpoint the account uses; the two are isolated from each other. */
export const TOKEN_KINDS = ['stable', 'classic'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

/** Where the corps behind a suite get their tokens; `auto`: as its id says, see `corp-tokens.ts`. */
export const CORP_TOKEN_CHOICES = ['auto', 'gettoken', 'get_corp_token'] as const
export type CorpTokenChoice = (typeof CORP_TOKEN_CHOICES)[number]

/** One callback configuration as typed on the platform's page. */
export interface CallbackKey {
  /** The Token that signatures are made with. */
  readonly token: string
  /** The EncodingAESKey, 43 letters and digits; null only for an account in plain mode. */
  readonly aesKey: string | null
}

/** What an operator may set per account; each has a stated default. */
export interface AccountSettings {
  /** How far a push's timestamp may be from our clock, in seconds, either way; 0 switches it off. */
  readonly freshness_seconds: number
  readonly token_kind: TokenKind
  /** Of a `wecom_suite`, for all its corps; a loaded `wecom_authorizer` has that of its suite. */
  readonly corp_token_from: CorpTokenChoice
  /**
   * Whether a follower's template rights survive an unfollow. The platform does not say; by default
   * they end with it.
   */
  readonly keep_templates_on_unfollow: boolean
  /**
   * Template ids whose acceptance is a standing right (长期订阅) instead of one credit. Of an account in
   * memory also those that the platform lists as such.
   */
  readonly long_term_templates: readonly string[]
  /** A text message that equals one of these (ignoring case and outer spaces) stops everything. */
  readonly opt_out_keywords: readonly string[]
  /** Whether `user_authorization_cancellation` also erases the person's data. */
  readonly erase_on_cancellation: boolean
  /**
   * Whether an `unsubscribe` also erases the follower's data, as the platform asks of developers. Off:
   * what proves that they had agreed would go with it, and their no is obeyed either way.
   */
  readonly erase_on_unfollow: boolean
  /**
   * Whether pushes sealed without any receive id are taken too, as the platform sends them to a
   * WeCom suite of an individual developer (个人主体第三方应用).
   */
  readonly empty_receive_id: boolean
  /**
   * How much of a daily quota, in percent, is left untouched: from there on the channel rests until
   * the next China day. Only where the platform has named the limit.
   */
  readonly quota_margin_percent: number
  /**
   * The platform's body of `send_welcome_msg` without the code: what a new customer is welcomed with
   * by itself. Null: only applications welcome.
   */
  readonly welcome_message: Readonly<Record<string, unknown>> | null
  /**
   * The account of the same corp whose Secret is that of the chat archive (会话内容存档): through it
   * customers of this account are asked about. Null: nobody is.
   */
  readonly archive_account: string | null
  /** Messages a second that all processes together may send for it; 0: as many as there are. */
  readonly sends_per_second: number
  /** The same through one channel alone; both hold. */
  readonly sends_per_second_by_channel: Readonly<Record<string, number>>
  /**
   * From when to when, by the clock in China, no marketing is sent: `22:00-08:00`. Null: it is sent at
   * any time.
   */
  readonly quiet_hours: string | null
  /** The most marketing messages a person gets on one day in China; 0: as many as are asked for. */
  readonly marketing_per_person_per_day: number
  /**
   * Messages a minute to one recipient through a channel, in place of what the channel has
   * (`wechat/channels.ts`).
   */
  readonly recipient_per_minute: Readonly<Record<string, number>>
  /** How long an application has for the reply to a push, in milliseconds, before it is `success`. */
  readonly reply_deadline_ms: number
  /** Whether sends by a template that is not in the account's registry are refused. */
  readonly templates_strict: boolean
}

export const DEFAULT_SETTINGS: AccountSettings = {
  freshness_seconds: 600,
  token_kind: 'stable',
  corp_token_from: 'auto',
  keep_templates_on_unfollow: false,
  long_term_templates: [],
  opt_out_keywords: ['退订', 'TD'],
  erase_on_cancellation: true,
  erase_on_unfollow: false,
  empty_receive_id: false,
  quota_margin_percent: 2,
  welcome_message: null,
  archive_account: null,
  sends_per_second: 0,
  sends_per_second_by_channel: {},
  quiet_hours: null,
  marketing_per_person_per_day: 0,
  recipient_per_minute: {},
  reply_deadline_ms: 2_000,
  templates_strict: false,
}

/** An account with its callback keys opened; it is never logged or answered as it is. */
export interface Account {
  readonly id: number
  /** Our name for it, in URLs, logs and metrics. */
  readonly name: string
  readonly kind: AccountKind
  /**
   * What the platform calls the account: the appid; for `wecom_app`, `wecom_kf` and
   * `wecom_authorizer` the corpid; for `wecom_suite` the suite id.
   */
  readonly appId: string
  /**
   * 原始 ID, `gh_…`: what the platform writes into `ToUserName`. Of `official_account`,
   * `mini_program` and `authorizer`; null for the others.
   */
  readonly originalId: string | null
  /** The agentid as text. Of `wecom_app`, and of `wecom_authorizer` once it is known. */
  readonly agentId: string | null
  /** The provider's own corpid, which a `wecom_suite` is greeted with. */
  readonly providerCorpId: string | null
  /** The component of an `authorizer`, the suite of a `wecom_authorizer`. */
  readonly parentId: number | null
  /** What the merchant's account is; of an `authorizer` only. */
  readonly serves: 'official_account' | 'mini_program' | null
  readonly mode: CallbackMode
  readonly bodyFormat: BodyFormat
  /** Null where pushes come under the parent's pair: `authorizer`, `wecom_authorizer`. */
  readonly callbackKey: CallbackKey | null
  /** The pair before the last rotation; still accepted until it is dropped. */
  readonly previousCallbackKey: CallbackKey | null
  readonly settings: AccountSettings
}
