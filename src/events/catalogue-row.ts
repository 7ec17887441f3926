/** The element that says what a push is; `event_type` stands for `InfoType` in the 专区's JSON. */
export type Route = 'MsgType' | 'Event' | 'InfoType' | 'event_type'

/**
 * The element that holds whose event it is: a person, the account or corp that authorised us, or the
 * corp itself.
 * `OpenID` is also read as `openid`; `FromUserName` is never `sys`, WeCom's own sender.
 */
export type SubjectField =
  | 'FromUserName'
  | 'ToUserName'
  | 'OpenID'
  | 'OpenId'
  | 'UserID'
  | 'ExternalUserID'
  | 'Id'
  | 'AuthorizerAppid'
  | 'authorizer_appid'
  | 'appid'
  | 'verify_appid'
  | 'AuthCorpId'
  | 'PaidCorpId'
  | 'CorpId'
  | 'external_userid'

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
  'session_interaction',
  'message_interaction',
  'subscription_popup',
  'subscription_change',
  'subscription_sent',
  'template_receipt',
  'mass_receipt',
  'authorization_revoked',
  'account_cancelled',
  'tenant_granted',
  'tenant_registered',
  'tenant_changed',
  'tenant_doubted',
  'tenant_revoked',
  'member_message',
  'member_added',
  'member_renamed',
  'member_removed',
  'member_deleted',
  'contact_added',
  'contact_deleted',
  'contact_left',
  'contact_transfer_failed',
  'archive_agreed',
  'school_follow',
  'school_unfollow',
  'kf_message',
  'kf_send_failed',
  'kf_reject_switch',
  'kf_accounts_changed',
] as const
export type Effect = (typeof EFFECTS)[number]

/** The jobs that an event can cause beyond what it means for consent; docs/events.md explains each. */
export const FOLLOW_UPS = [
  'keep_ticket',
  'exchange_authorization_code',
  'exchange_auth_code',
  'read_tenant',
  'check_tenant',
  'erase_tenant',
  'pull_kf_messages',
  'read_kf_accounts',
  'welcome',
  'rekey_member',
  'end_member',
  'rekey_external_contacts',
  'note_chat',
  'forget_chat',
] as const
export type FollowUp = (typeof FOLLOW_UPS)[number]

export interface Row {
  /** Our name for it: stable, lower case, few enough to label a metric. */
  readonly kind: `${'event' | 'message' | 'component' | 'wecom' | 'suite' | 'kf'}.${string}`
  /** The platform's name, spelt as the platform spells it; `guide_*` stands for a family. */
  readonly name: string
  /** `ChangeType`, where the name alone says too little; `*` is every other one, and none. */
  readonly changeType?: string
  readonly subject: SubjectField | null
  readonly effect: Effect
  /** Where the items lie, for events that carry several; the first path that holds any is used. */
  readonly lists?: readonly string[]
  /** Elements, at any depth, whose text is a credential: sealed, and never in the log of events. */
  readonly secrets?: readonly string[]
  readonly followUp?: FollowUp
  /** The element without which there is nothing for the follow-up to do; dots lead into elements. */
  readonly needs?: string
  /** What it means for consent, in the words of docs/events.md. */
  readonly note: string
}

/**
 * Every name under which the platforms send a credential. What no row knows is kept without them: a
 * notice that is new to us may carry one.
 */
export const SECRET_NAMES = [
  'ComponentVerifyTicket',
  'AuthorizationCode',
  'PreAuthCode',
  'auth_code',
  'SuiteTicket',
  'AuthCode',
  'RegisterCode',
  'AccessToken',
  'State',
  'Token',
  'token',
  'WelcomeCode',
  'welcome_code',
  'msg_code',
] as const
