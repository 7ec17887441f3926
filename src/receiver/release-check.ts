import type { Account } from '../accounts/account.ts'
import { textOf } from '../events/document.ts'
import type { Tenant, VerifiedPush } from './receive-push.ts'

/*
 * The platform's check of a third-party platform before its release (全网发布检测). It speaks as one of
 * two fixed accounts and expects answers that no other push gets: this file knows them all.
 * https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/operation/thirdparty/releases_instructions.html
 */

/** The accounts that check, by appid. Their original ids are not published. */
const CHECKERS: Readonly<Record<string, Pick<Account, 'serves'>>> = {
  wx570bc396a51b8ff8: { serves: 'official_account' },
  wxd101a85aa106f53e: { serves: 'mini_program' },
}

const TEXT = 'TESTCOMPONENT_MSG_TYPE_TEXT'
const CODE = 'QUERY_AUTH_CODE:'

/** What a message of the check is to be answered with. */
export type CheckAnswer =
  | { readonly kind: 'reply'; readonly text: string }
  /** Empty at once; then the code is exchanged and `<code>_from_api` is sent to the person. */
  | { readonly kind: 'code'; readonly code: string; readonly openid: string }

/**
 * The tenant of a component's push, also where it is a checking account that never authorised: then
 * one that exists for this push alone.
 */
export function tenantOrChecker(component: Account, tenant: Tenant): Tenant {
  const checker = component.kind === 'component' ? CHECKERS[tenant.appId] : undefined
  if (tenant.account || !checker) return tenant
  const { appId } = tenant
  const account: Account = {
    ...component,
    ...checker,
    ...{ kind: 'authorizer', appId, parentId: component.id, callbackKey: null, originalId: null },
  }
  return { appId, account }
}

/** Whether a push is of an account that exists for the check alone; nothing is recorded for it. */
export function isStranger({ account }: VerifiedPush, component: Account): boolean {
  return account.id === component.id && account.appId !== component.appId
}

/** What the check expects as the answer to a push; null for every other push. */
export function checkAnswerTo({ account, fields }: VerifiedPush): CheckAnswer | null {
  if (account.kind !== 'authorizer' || !Object.hasOwn(CHECKERS, account.appId)) return null
  const event = textOf(fields, 'Event')?.trim()
  if (event) return { kind: 'reply', text: `${event}from_callback` }
  const content = textOf(fields, 'Content')?.trim() ?? ''
  if (content === TEXT) return { kind: 'reply', text: `${TEXT}_callback` }
  if (!content.startsWith(CODE)) return null
  const openid = textOf(fields, 'FromUserName')?.trim() ?? ''
  return { kind: 'code', code: content.slice(CODE.length), openid }
}
