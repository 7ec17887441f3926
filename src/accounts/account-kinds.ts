import { InvariantError } from '../foundation/errors.ts'
import type {
  Account,
  AccountKind,
  BodyFormat,
  CallbackMode,
  EventSource,
  Platform,
} from './account.ts'

/*
 * What follows from the kind of an account: one row per kind, read by the input rules, the store and
 * the receiver. Facts: the platform's guides on message push (developers.weixin.qq.com, 消息推送;
 * Third-party_Platforms, Message_encryption_and_decryption; developer.work.weixin.qq.com/document
 * /path/90930, 90968, 96238, 97172).
 *
 * What is the same for all is no column: every push may be acknowledged with `success`.
 */

/** The texts beside `appId` that tell one account from another. */
export type IdentityField = 'originalId' | 'agentId' | 'providerCorpId'

/** The option under which an operator types `appId`. */
export type IdOption = '--app-id' | '--corp-id' | '--suite-id'

/** The fields of a document by which the receiver tells whether it is a push, and when it was. */
export interface PushShape {
  /** Names the event or message, the first that is there; without any a document is none of this shape. */
  readonly types: readonly ('MsgType' | 'InfoType' | 'event_type')[]
  /** Unix seconds, the first that is there. Part of what makes a repeat a repeat. */
  readonly times: readonly ('CreateTime' | 'TimeStamp' | 'timestamp')[]
  /** Must be there, beside type and time. */
  readonly required: readonly string[]
  /** A second one of any of these would make the meaning of a push a matter of taste. */
  readonly decisive: readonly string[]
}

/** The pushes of one callback address. */
export interface PushRule {
  /** What the ciphertext must end with: the id of the account, or of the tenant in the path. */
  readonly receiveId: 'account' | 'tenant'
  /**
   * `chosen`: every document is in the account's data format. `either`: the platform writes XML and
   * JSON to one address, and the first character of a document says which.
   */
  readonly format: 'chosen' | 'either'
  readonly shape: PushShape
  /** Which id of the account whose push it is `ToUserName` must be; null where there is none. */
  readonly addressee: 'originalId' | 'appId' | null
  /** `served`: that of what an authorizer is to its merchant. */
  readonly source: EventSource | 'served'
}

export interface KindRule {
  /** Whose error codes its calls are answered with; of an authorizer, until we know what it is. */
  readonly platform: Platform
  /** `gateway`: made when a merchant or a corp authorises its parent; no operator adds it. */
  readonly madeBy: 'operator' | 'gateway'
  readonly idOption: IdOption
  /** Of these, an account of the kind has all; of `optional`, perhaps; the rest are null. */
  readonly required: readonly IdentityField[]
  readonly optional: readonly IdentityField[]
  readonly modes: readonly CallbackMode[]
  readonly bodyFormats: readonly BodyFormat[]
  /** Whose Token and EncodingAESKey its pushes come under. */
  readonly callbackPair: 'own' | 'parent'
  readonly tokenForm: 'wechat' | 'wecom'
  /** Whether an encrypted push says `encrypt_type=aes`; WeCom has no other kind and says nothing. */
  readonly marksEncryption: boolean
  /**
   * How the platform tries out a callback address: with an `echostr` to be sent back, or with a
   * sealed one to be opened, and what that one ends with.
   */
  readonly handshake: {
    readonly form: 'plain' | 'sealed'
    readonly receiveId: 'appId' | 'providerCorpId'
    /** How long the platform waits for the answer. */
    readonly limitMs: number
  }
  /** `/callbacks/{account}` */
  readonly own: PushRule
  /** Documents of another shape that the platform also sends there; null where it does not. */
  readonly alsoSends: PushRule | null
  /** `/callbacks/{account}/{tenant}`; null for a kind that nobody authorises. */
  readonly tenants: (PushRule & { readonly placeholder: '$APPID$' | '$CORPID$' }) | null
  /**
   * How old the newest ticket may be before something is wrong; the platform sends one every ten
   * minutes. Null for a kind that gets none.
   */
  readonly ticketAlarmMs: number | null
}

/** A message or event of a person; `Event` only where `MsgType` is `event`. */
const MESSAGE: PushShape = {
  types: ['MsgType'],
  times: ['CreateTime'],
  required: ['ToUserName', 'FromUserName'],
  // `OpenID` is the person of the events about authorisation.
  decisive: ['ToUserName', 'FromUserName', 'CreateTime', 'MsgType', 'Event', 'OpenID'],
}

/** `kf_msg_or_event` has no `FromUserName`. */
const WECOM_MESSAGE: PushShape = {
  types: ['MsgType'],
  times: ['CreateTime'],
  required: ['ToUserName'],
  decisive: [
    ...['ToUserName', 'FromUserName', 'CreateTime', 'MsgType', 'Event', 'ChangeType', 'AgentID'],
    ...['UserID', 'ExternalUserID', 'OpenKfId'],
  ],
}

const COMPONENT_NOTICE: PushShape = {
  types: ['InfoType'],
  times: ['CreateTime'],
  required: [],
  decisive: [
    ...['InfoType', 'CreateTime', 'AppId', 'AuthorizerAppid', 'ComponentVerifyTicket'],
    'AuthorizationCode',
  ],
}

/** The JSON of the data zone (数据与智能专区) says `event_type` and `timestamp` instead. */
const SUITE_NOTICE: PushShape = {
  types: ['InfoType', 'event_type'],
  times: ['TimeStamp', 'timestamp'],
  required: [],
  decisive: [
    ...['InfoType', 'event_type', 'ChangeType', 'TimeStamp', 'timestamp', 'SuiteId', 'AuthCorpId'],
    ...['SuiteTicket', 'AuthCode', 'UserID', 'ExternalUserID'],
  ],
}

const WECHAT = {
  madeBy: 'operator',
  idOption: '--app-id',
  optional: [],
  bodyFormats: ['xml'],
  callbackPair: 'own',
  tokenForm: 'wechat',
  marksEncryption: true,
  handshake: { form: 'plain', receiveId: 'appId', limitMs: 5_000 },
  alsoSends: null,
  tenants: null,
  ticketAlarmMs: null,
} as const

const WECOM = {
  ...WECHAT,
  platform: 'wecom',
  idOption: '--corp-id',
  modes: ['safe'],
  tokenForm: 'wecom',
  marksEncryption: false,
  handshake: { form: 'sealed', receiveId: 'appId', limitMs: 1_000 },
  own: {
    receiveId: 'account',
    format: 'chosen',
    shape: WECOM_MESSAGE,
    addressee: 'appId',
    source: 'wecom',
  },
} as const

const PLAIN_PUSH = {
  receiveId: 'account',
  format: 'chosen',
  shape: MESSAGE,
  addressee: 'originalId',
} as const

export const KIND_RULES: Readonly<Record<AccountKind, KindRule>> = {
  official_account: {
    ...WECHAT,
    platform: 'oa',
    required: ['originalId'],
    modes: ['safe', 'compatible', 'plain'],
    own: { ...PLAIN_PUSH, source: 'official_account' },
  },
  mini_program: {
    ...WECHAT,
    platform: 'mini',
    required: ['originalId'],
    modes: ['safe', 'compatible', 'plain'],
    bodyFormats: ['xml', 'json'],
    own: { ...PLAIN_PUSH, source: 'mini_program' },
  },
  component: {
    ...WECHAT,
    platform: 'open',
    required: [],
    modes: ['safe'],
    own: {
      receiveId: 'account',
      format: 'chosen',
      shape: COMPONENT_NOTICE,
      addressee: null,
      source: 'component',
    },
    // A merchant's messages end with the component's id; `$APPID$` in the path is not signed.
    tenants: { ...PLAIN_PUSH, source: 'served', placeholder: '$APPID$' },
    // It is valid for 12 hours; intervals of half an hour have been reported.
    ticketAlarmMs: 60 * 60_000,
  },
  authorizer: {
    ...WECHAT,
    platform: 'oa',
    madeBy: 'gateway',
    required: ['originalId'],
    modes: ['safe'],
    callbackPair: 'parent',
    own: { ...PLAIN_PUSH, source: 'served' },
  },
  wecom_app: { ...WECOM, required: ['agentId'] },
  wecom_suite: {
    ...WECOM,
    idOption: '--suite-id',
    required: ['providerCorpId'],
    // No customer is involved yet when the platform tries the addresses out.
    handshake: { ...WECOM.handshake, receiveId: 'providerCorpId' },
    own: {
      receiveId: 'account',
      // XML but for a few: `agree_external_userid_migration`, what the data zone has to say
      format: 'either',
      shape: SUITE_NOTICE,
      addressee: null,
      source: 'wecom_suite',
    },
    // `change_app_admin`, `unlicensed_notify`, `program_notify`: events of the provider's side.
    alsoSends: { ...WECOM.own, addressee: null, source: 'wecom_suite' },
    tenants: { ...WECOM.own, receiveId: 'tenant', placeholder: '$CORPID$' },
    // It is valid for 30 minutes.
    ticketAlarmMs: 25 * 60_000,
  },
  wecom_authorizer: {
    ...WECOM,
    madeBy: 'gateway',
    required: [],
    optional: ['agentId'],
    callbackPair: 'parent',
  },
  wecom_kf: { ...WECOM, required: [] },
}

/** Whose list of events the pushes under a rule are looked up in. */
export function eventSourceOf(rule: PushRule, { name, serves }: Account): EventSource {
  if (rule.source !== 'served') return rule.source
  if (serves === null) throw new InvariantError(`account ${name} does not say what it serves`)
  return serves
}

/** Whether people follow an account of this kind: an Official Account, also behind a third party. */
export function hasFollowers({ kind, serves }: Pick<Account, 'kind' | 'serves'>): boolean {
  return kind === 'official_account' || serves === 'official_account'
}
