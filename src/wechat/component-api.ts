import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi, type Looked } from './account-api.ts'
import {
  AUTHORIZER_LIST,
  findListedToken,
  walkAuthorizerList,
  type AskForPage,
  type ListedAuthorizer,
} from './authorizer-list.ts'
import type { PlatformClient } from './platform-client.ts'
import type { TokenAccount } from './refresh-token.ts'

/*
 * What a third-party platform (第三方平台) asks about the merchants that have authorised it.
 * https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/
 */

/** A component as its calls need it. */
export type Component = TokenAccount & { readonly appId: string }

/** What a code was exchanged for. */
export interface Authorization {
  readonly appId: string
  readonly refreshToken: string
  /** Of the merchant's account, good for two hours. */
  readonly accessToken: string
  /** When, by the platform's clock; null when it did not say. */
  readonly at: Date | null
}

/** What a merchant's account is. */
export interface AuthorizerInfo {
  readonly originalId: string
  readonly serves: NonNullable<Account['serves']>
  /** Ids of the sets of permissions (权限集) that it has given us; null: the answer names none. */
  readonly permissionSets: readonly number[] | null
}

/** 61009 invalid, 61010 expired or used: nothing more comes of this code. */
const SPENT_CODES: readonly number[] = [61009, 61010]
/** The account has not authorised this component, or not any more. */
const NOT_AUTHORIZED: readonly number[] = [61003]

const authorizationSchema = z.object({
  authorization_info: z.object({
    authorizer_appid: z.string().min(1),
    authorizer_access_token: z.string().default(''),
    authorizer_refresh_token: z.string().min(1),
  }),
})

const infoSchema = z.object({
  authorizer_info: z.object({
    user_name: z.string().min(1),
    MiniProgramInfo: z.unknown().optional(),
  }),
  // What is not as we know it says nothing: better than to stop what may be sent.
  authorization_info: z
    .object({
      func_info: z.array(z.object({ funcscope_category: z.object({ id: z.coerce.number() }) })),
    })
    .nullish()
    .catch(null),
})

/** What asking for the pushes of tickets came to. */
export type TicketStart =
  | { readonly outcome: 'started' | 'already_on' }
  | { readonly outcome: 'refused'; readonly errcode: number; readonly errmsg: string }
  | { readonly outcome: 'failed'; readonly reason: string }

/** The platform's words are for people; nothing says how long they may be. */
const LONGEST_ERRMSG = 300

/** `ok` says that the pushes were off. */
const WERE_ON = 'in a normal state'

/**
 * Switches the pushes of `component_verify_ticket` on. Of all calls this one needs no token, and names
 * the secret `component_secret`.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_startpushticket.html
 */
export async function startTicketPushes(
  call: PlatformClient['call'],
  component: { readonly appId: string; readonly secret: string },
): Promise<TicketStart> {
  const answer = await call({
    method: 'POST',
    path: '/cgi-bin/component/api_start_push_ticket',
    body: { component_appid: component.appId, component_secret: component.secret },
  })
  if (answer.kind !== 'answer') return { outcome: 'failed', reason: answer.reason }
  const { errcode, errmsg } = answer
  if (errcode !== 0) {
    return { outcome: 'refused', errcode, errmsg: errmsg.slice(0, LONGEST_ERRMSG) }
  }
  return { outcome: errmsg.includes(WERE_ON) ? 'already_on' : 'started' }
}

/**
 * Exchanges an authorization code. It can be done once.
 *
 * @returns `spent` when the code is over or was exchanged before, `withdrawn` when the merchant has
 *   taken its right back.
 */
export async function queryAuth(
  api: AccountApi,
  component: Component,
  code: string,
): Promise<Authorization | 'spent' | 'withdrawn'> {
  const answer = await api(component, {
    method: 'POST',
    path: '/cgi-bin/component/api_query_auth',
    body: { component_appid: component.appId, authorization_code: code },
  })
  if (SPENT_CODES.includes(answer.errcode)) return 'spent'
  if (NOT_AUTHORIZED.includes(answer.errcode)) return 'withdrawn'
  const { authorization_info: info } = read(
    authorizationSchema,
    bodyOf('api_query_auth', answer),
    'api_query_auth',
  )
  return {
    appId: info.authorizer_appid,
    refreshToken: info.authorizer_refresh_token,
    accessToken: info.authorizer_access_token,
    at: answer.platformTime,
  }
}

/** What the merchant's account is, and when that held by the platform's clock. */
export async function readAuthorizer(
  api: AccountApi,
  component: Component,
  appId: string,
): Promise<Looked<AuthorizerInfo>> {
  const answer = await api(component, {
    method: 'POST',
    path: '/cgi-bin/component/api_get_authorizer_info',
    body: { component_appid: component.appId, authorizer_appid: appId },
  })
  const at = answer.platformTime
  if (NOT_AUTHORIZED.includes(answer.errcode)) return { info: null, at }
  const { authorizer_info: told, authorization_info: given } = read(
    infoSchema,
    bodyOf('api_get_authorizer_info', answer),
    'api_get_authorizer_info',
  )
  // The field is there for a Mini Program alone.
  const isMini = typeof told.MiniProgramInfo === 'object' && told.MiniProgramInfo !== null
  const serves = isMini ? 'mini_program' : 'official_account'
  const permissionSets = given?.func_info.map((one) => one.funcscope_category.id) ?? null
  return { info: { originalId: told.user_name, serves, permissionSets }, at }
}

/** The refresh token that the platform lists for a merchant; null when it lists none. */
export async function findRefreshToken(
  api: AccountApi,
  component: Component,
  appId: string,
): Promise<string | null> {
  const list = { componentAppId: component.appId, ask: askAs(api, component) }
  const found = await findListedToken(list, appId)
  return found.kind === 'listed' ? found.refreshToken : refuseAnswer(AUTHORIZER_LIST)
}

/**
 * Every merchant that the platform lists for a component.
 *
 * @returns `complete` is false when the list is longer than what we read of it.
 */
export async function listAuthorizers(
  api: AccountApi,
  component: Component,
): Promise<{ readonly listed: readonly ListedAuthorizer[]; readonly complete: boolean }> {
  const listed: ListedAuthorizer[] = []
  const walked = await walkAuthorizerList({
    componentAppId: component.appId,
    ask: askAs(api, component),
    visit: (page) => {
      listed.push(...page)
      return true
    },
  })
  if (walked.kind === 'bad') return refuseAnswer(AUTHORIZER_LIST)
  return { listed, complete: walked.kind === 'complete' }
}

/** Asks as the component; what fails is thrown. */
function askAs(api: AccountApi, component: Component): AskForPage<never> {
  return async (call) => {
    return { kind: 'body', body: bodyOf(AUTHORIZER_LIST, await api(component, call)) }
  }
}

/** A code for the page on which a merchant authorises the component; good for half an hour. */
export async function createPreAuthCode(api: AccountApi, component: Component): Promise<string> {
  const what = 'api_create_preauthcode'
  const answer = await api(component, {
    method: 'POST',
    path: `/cgi-bin/component/${what}`,
    body: { component_appid: component.appId },
  })
  const schema = z.object({ pre_auth_code: z.string().min(1) })
  return read(schema, bodyOf(what, answer), what).pre_auth_code
}

function read<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const result = schema.safeParse(body)
  return result.success ? result.data : refuseAnswer(what)
}

function refuseAnswer(what: string): never {
  throw new UnavailableError('bad_platform_answer', `${what}: not the answer that was expected`)
}
