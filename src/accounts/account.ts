/**
 * The WeChat accounts we serve: what they are, not where they are stored.
 */

/** Kinds the gateway can serve today; the platform's other kinds join this list as they are built. */
export const ACCOUNT_KINDS = ['official_account'] as const
export type AccountKind = (typeof ACCOUNT_KINDS)[number]

/**
 * How the platform signs and encrypts this account's pushes (明文 / 兼容 / 安全模式). It is what the
 * operator set on the platform's page and configured here; a request can never change it.
 */
export const CALLBACK_MODES = ['safe', 'compatible', 'plain'] as const
export type CallbackMode = (typeof CALLBACK_MODES)[number]

/** Which token endpoint the account uses; the two are isolated from each other. */
export const TOKEN_KINDS = ['stable', 'classic'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

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
  /**
   * Whether a follower's template rights survive an unfollow. The platform does not say; by default
   * they end with it.
   */
  readonly keep_templates_on_unfollow: boolean
  /** Template ids whose acceptance is a standing right (长期订阅) instead of one credit. */
  readonly long_term_templates: readonly string[]
  /** A text message that equals one of these (ignoring case and outer spaces) stops everything. */
  readonly opt_out_keywords: readonly string[]
  /** Whether `user_authorization_cancellation` also erases the person's data. */
  readonly erase_on_cancellation: boolean
}

export const DEFAULT_SETTINGS: AccountSettings = {
  freshness_seconds: 600,
  token_kind: 'stable',
  keep_templates_on_unfollow: false,
  long_term_templates: [],
  opt_out_keywords: ['退订', 'TD'],
  erase_on_cancellation: true,
}

/** An account with its callback keys opened; it is never logged or answered as it is. */
export interface Account {
  readonly id: number
  /** Our name for it, in URLs, logs and metrics. */
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  /** 原始 ID, `gh_…`: what the platform writes into `ToUserName`. */
  readonly originalId: string
  readonly mode: CallbackMode
  readonly callbackKey: CallbackKey
  /** The pair before the last rotation; still accepted until it is dropped. */
  readonly previousCallbackKey: CallbackKey | null
  readonly settings: AccountSettings
}
