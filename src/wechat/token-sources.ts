import { TOKEN_KINDS, type AccountKind, type AccountSettings } from '../accounts/account.ts'
import type { CredentialName, PlatformCall } from './platform-client.ts'
import type { CodeSpace } from './served-account.ts'

/** The ways to come by a token; an account has exactly one of them, a suite's provider the last. */
export const TOKEN_SOURCE_NAMES = [
  ...TOKEN_KINDS,
  'component',
  'authorizer',
  'wecom',
  'suite',
  'wecom_corp',
  'wecom_agency',
  'provider',
] as const
export type TokenSourceName = (typeof TOKEN_SOURCE_NAMES)[number]

/** A secret that a token endpoint may want, beside the account's id. */
export type Need = 'secret' | 'ticket' | 'refreshToken' | 'permanentCode'

/** What is known about an account, opened; what it does not have is null or absent. */
export interface TokenCredentials extends Readonly<Partial<Record<Need, string | null>>> {
  /** appid, component_appid, corpid or suite_id; of a provider its own corpid. */
  readonly appId: string
  /** The account whose token is needed first: an authorizer's component, a corp's suite. */
  readonly parentId?: number | null
  /** The ticket before the newest; it is good until its own time is over. */
  readonly previousTicket?: string | null
}

/** Everything a request for a token can be made of; what its source does not need is empty. */
export interface Asking extends Readonly<Record<Need, string>> {
  readonly appId: string
  readonly parent: { readonly appId: string; readonly token: string }
  /** Whether to have a token replaced that is not over yet; only `stable` can. */
  readonly force: boolean
}

/** One way to come by a token, with the platform's rules for it. */
export interface TokenSource {
  /** Whose error codes the token endpoint answers with, and at which host it is. */
  readonly space: CodeSpace
  readonly needs: readonly Need[]
  /** The source of the parent's token, which the request carries; null where there is none. */
  readonly parent: TokenSourceName | null
  readonly request: (asking: Asking) => PlatformCall
  /** The field of the reply that holds the token. */
  readonly replyField: string
  /** The name of this token in the query of the interfaces that take it. */
  readonly queryName: CredentialName
  /** How long before its end a token is replaced, in milliseconds. */
  readonly refreshBeforeEndMs: number
  /** Whether `force` does something. */
  readonly canForce: boolean
  /** How often a refused token may be replaced before its time. */
  readonly early: { readonly perDay: number; readonly intervalMs: number }
  /** Codes that, for a call made with this token, mean: this token is dead, get another. */
  readonly deadCodes: readonly number[]
  /** Codes of the token endpoint that mean: the ticket is over; the next push brings another. */
  readonly ticketCodes: readonly number[]
}

const SECOND = 1_000
const MINUTE = 60 * SECOND

/**
 * The platform sets no limit but its daily quota, yet a platform that refuses every token must not
 * be asked for one per message; 100 leaves half of the smallest quota (200, of a test account).
 */
const EARLY = { perDay: 100, intervalMs: 30 * SECOND }

const NO_TICKET: readonly number[] = []

/** 40001 says “invalid or not the latest”, 48012 the same in newer interfaces. */
const OA_DEAD = [40001, 40014, 41001, 42001, 48012] as const

/** Never 40001: in WeCom that is a wrong secret, and no new token mends it. */
const WECOM_DEAD = [40014, 41001, 42001] as const

const OWN_TOKEN = {
  space: 'oa',
  needs: ['secret'],
  parent: null,
  replyField: 'access_token',
  queryName: 'access_token',
  deadCodes: OA_DEAD,
  ticketCodes: NO_TICKET,
} as const

/**
 * WeCom hands the same token out until it is over, so asking early costs a call and brings nothing
 * new; the last 300 s are for a platform that does renew early.
 */
const WECOM_TOKEN = {
  space: 'wecom',
  refreshBeforeEndMs: 300 * SECOND,
  canForce: false,
  early: EARLY,
} as const

/** Every token source, one row each, with the page it was read from. */
export const TOKEN_SOURCES: Readonly<Record<TokenSourceName, TokenSource>> = {
  /**
   * https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html: the same
   * token until its last 300 s, then a new one beside the old. 15 s of grace for whole seconds and
   * clock error keep us from asking just too early. Force: 20 a day, 30 s apart.
   */
  stable: {
    ...OWN_TOKEN,
    request: ({ appId, secret, force }) => ({
      method: 'POST',
      path: '/cgi-bin/stable_token',
      body: {
        grant_type: 'client_credential',
        appid: appId,
        secret,
        force_refresh: force,
      },
    }),
    refreshBeforeEndMs: 285 * SECOND,
    canForce: true,
    early: { perDay: 20, intervalMs: 30 * SECOND },
  },

  /**
   * https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken: a new token whenever it
   * is asked; the old one works for 300 s more, so that is the earliest sensible moment.
   */
  classic: {
    ...OWN_TOKEN,
    request: ({ appId, secret }) => ({
      method: 'GET',
      path: '/cgi-bin/token',
      query: { grant_type: 'client_credential', appid: appId, secret },
    }),
    refreshBeforeEndMs: 300 * SECOND,
    canForce: false,
    early: EARLY,
  },

  /**
   * https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/ThirdParty/token/component_access_token.html:
   * to be refreshed at about 1 h 50 min of its 2 h.
   */
  component: {
    space: 'open',
    needs: ['secret', 'ticket'],
    parent: null,
    request: ({ appId, secret, ticket }) => ({
      method: 'POST',
      path: '/cgi-bin/component/api_component_token',
      body: {
        component_appid: appId,
        component_appsecret: secret,
        component_verify_ticket: ticket,
      },
    }),
    replyField: 'component_access_token',
    queryName: 'component_access_token',
    refreshBeforeEndMs: 10 * MINUTE,
    canForce: false,
    early: EARLY,
    deadCodes: [40001, 40014, 41021, 42001, 42006, 89256],
    ticketCodes: [40091, 61005, 61006, 61058],
  },

  /** https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizeraccesstoken.md */
  authorizer: {
    space: 'open',
    needs: ['refreshToken'],
    parent: 'component',
    request: ({ appId, refreshToken, parent }) => ({
      method: 'POST',
      path: '/cgi-bin/component/api_authorizer_token',
      accessToken: parent.token,
      tokenName: 'component_access_token',
      body: {
        component_appid: parent.appId,
        authorizer_appid: appId,
        authorizer_refresh_token: refreshToken,
      },
    }),
    replyField: 'authorizer_access_token',
    queryName: 'access_token',
    refreshBeforeEndMs: 10 * MINUTE,
    canForce: false,
    early: EARLY,
    deadCodes: OA_DEAD,
    ticketCodes: NO_TICKET,
  },

  /** https://developer.work.weixin.qq.com/document/path/91039 */
  wecom: {
    ...WECOM_TOKEN,
    needs: ['secret'],
    parent: null,
    request: ({ appId, secret }) => ({
      method: 'GET',
      path: '/cgi-bin/gettoken',
      query: { corpid: appId, corpsecret: secret },
    }),
    replyField: 'access_token',
    queryName: 'access_token',
    deadCodes: WECOM_DEAD,
    ticketCodes: NO_TICKET,
  },

  /** https://developer.work.weixin.qq.com/document/path/90600; POST alone: a GET gives 40083. */
  suite: {
    ...WECOM_TOKEN,
    needs: ['secret', 'ticket'],
    parent: null,
    request: ({ appId, secret, ticket }) => ({
      method: 'POST',
      path: '/cgi-bin/service/get_suite_token',
      body: { suite_id: appId, suite_secret: secret, suite_ticket: ticket },
    }),
    replyField: 'suite_access_token',
    queryName: 'suite_access_token',
    deadCodes: [40014, 40082, 41022, 42001, 42009],
    ticketCodes: [40085, 41023],
  },

  /** https://developer.work.weixin.qq.com/document/path/90605 */
  wecom_corp: {
    ...WECOM_TOKEN,
    needs: ['permanentCode'],
    parent: 'suite',
    request: ({ appId, permanentCode, parent }) => ({
      method: 'POST',
      path: '/cgi-bin/service/get_corp_token',
      accessToken: parent.token,
      tokenName: 'suite_access_token',
      body: { auth_corpid: appId, permanent_code: permanentCode },
    }),
    replyField: 'access_token',
    queryName: 'access_token',
    deadCodes: WECOM_DEAD,
    ticketCodes: NO_TICKET,
  },

  /**
   * https://developer.work.weixin.qq.com/document/path/97164: a corp's agency-developed app (代开发)
   * asks as an app of the corp's own, with the permanent code as its secret. No suite token is needed.
   */
  wecom_agency: {
    ...WECOM_TOKEN,
    needs: ['permanentCode'],
    parent: null,
    request: ({ appId, permanentCode }) => ({
      method: 'GET',
      path: '/cgi-bin/gettoken',
      query: { corpid: appId, corpsecret: permanentCode },
    }),
    replyField: 'access_token',
    queryName: 'access_token',
    deadCodes: WECOM_DEAD,
    ticketCodes: NO_TICKET,
  },

  /** https://developer.work.weixin.qq.com/document/path/91200; the secret is the ProviderSecret. */
  provider: {
    ...WECOM_TOKEN,
    needs: ['secret'],
    parent: null,
    request: ({ appId, secret }) => ({
      method: 'POST',
      path: '/cgi-bin/service/get_provider_token',
      body: { corpid: appId, provider_secret: secret },
    }),
    replyField: 'provider_access_token',
    queryName: 'provider_access_token',
    deadCodes: [40014, 40082, 42001],
    ticketCodes: NO_TICKET,
  },
}

/** How an account, or the provider behind it, comes by its token. */
export function tokenSourceOf(account: {
  readonly kind: AccountKind
  readonly settings: Pick<AccountSettings, 'token_kind' | 'corp_token_from'>
  readonly holder?: 'provider'
}): TokenSourceName {
  if (account.holder === 'provider') return 'provider'
  switch (account.kind) {
    case 'official_account':
    case 'mini_program':
      return account.settings.token_kind
    case 'component':
    case 'authorizer':
      return account.kind
    case 'wecom_app':
    case 'wecom_kf':
      return 'wecom'
    case 'wecom_suite':
      return 'suite'
    case 'wecom_authorizer':
      return account.settings.corp_token_from === 'gettoken' ? 'wecom_agency' : 'wecom_corp'
  }
}

/** Whether a code of the token endpoint is about the parent's token, which the request carried. */
export function isParentTokenDead(name: TokenSourceName, errcode: number): boolean {
  const { parent } = TOKEN_SOURCES[name]
  return parent !== null && TOKEN_SOURCES[parent].deadCodes.includes(errcode)
}
