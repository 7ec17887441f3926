import type { Account } from '../accounts/account.ts'
import { createSecretStore } from '../accounts/secret-store.ts'
import { wholeSecond } from '../events/read-values.ts'
import { readAuthorizer } from '../wechat/component-api.ts'
import { getAuthInfo } from '../wechat/suite-api.ts'
import { keepToldPermissions, type TenantParts } from './exchange-code.ts'
import { eraseTenant } from './erase-tenant.ts'
import type { FollowUpPayload } from './follow-up-payload.ts'
import { changeTenant, describeTenant, findTenant, forgetTenant } from './tenant-store.ts'

/**
 * Asks the platform what a tenant lets us do, and records its answer: what its account is, and
 * whether it may be acted for at all. A push that was lost is made good so.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function checkTenant(
  parts: TenantParts,
  payload: FollowUpPayload,
  signal: AbortSignal,
): Promise<void> {
  const place = await findPlace(parts, payload)
  if (place === undefined) return
  const { parent, appId } = place
  if (parent.kind === 'component') return checkAuthorizer(parts, parent, appId)
  if (parent.kind === 'wecom_suite') return checkCorp(parts, { parent, appId, signal })
}

/** The event may have been recorded for the tenant itself, or for its parent. */
async function findPlace(
  { findAccount }: TenantParts,
  { account_id, tenant }: FollowUpPayload,
): Promise<{ readonly parent: Account; readonly appId: string } | undefined> {
  const account = await findAccount(account_id)
  if (account === undefined) return undefined
  if (account.parentId !== null) {
    const parent = await findAccount(account.parentId)
    return parent && { parent, appId: account.appId }
  }
  return tenant ? { parent: account, appId: tenant } : undefined
}

async function checkAuthorizer(
  parts: TenantParts,
  component: Account,
  appId: string,
): Promise<void> {
  const tenant = await findTenant(parts.db, { parentId: component.id, appId })
  if (tenant !== undefined) await lookUpAuthorizer(parts, component, appId)
}

/**
 * Asks the platform about one merchant and records its answer: what its account is, or that it has
 * not authorised the component (any more).
 *
 * @throws UnavailableError when the platform gives no clear answer.
 */
export async function lookUpAuthorizer(
  parts: TenantParts,
  component: Account,
  appId: string,
): Promise<'stays' | 'withdrawn'> {
  const { db } = parts
  const key = { parentId: component.id, appId }
  const looked = await readAuthorizer(parts.api, component, appId)
  if (looked.info !== null) {
    const tenant = await findTenant(db, key)
    if (tenant !== undefined) await describeTenant(db, tenant.id, looked.info)
    await keepToldPermissions(parts, key, { info: looked.info, at: looked.at })
    return 'stays'
  }
  const at = looked.at ?? wholeSecond(parts.clock.now())
  await changeTenant(db, key, { change: 'revoked', at, reason: 'not_authorized' })
  await forgetTenant(db, key, at)
  parts.log.info({ account: component.name }, 'tenant.withdrawn')
  return 'withdrawn'
}

async function checkCorp(
  parts: TenantParts,
  place: { readonly parent: Account; readonly appId: string; readonly signal: AbortSignal },
): Promise<void> {
  const { db, box, clock, log } = parts
  const { parent, appId } = place
  const key = { parentId: parent.id, appId }
  const tenant = await findTenant(db, key)
  const permanentCode =
    tenant && (await createSecretStore(box).open(db, tenant.id, 'permanent_code'))
  // Nothing to ask with: what the ledger says stands.
  if (tenant === undefined || permanentCode === undefined) return
  const looked = await getAuthInfo(parts.api, parent, { corpId: appId, permanentCode })
  const { info } = looked
  const at = looked.at ?? wholeSecond(clock.now())
  if (info === null) {
    await changeTenant(db, key, { change: 'revoked', at, reason: 'not_authorized' })
    log.info({ account: parent.name }, 'tenant.withdrawn')
    return eraseTenant(parts, { key, leftAt: at, reason: 'not_authorized' }, place.signal)
  }
  await changeTenant(db, key, { change: 'granted', at, reason: 'looked_up' })
  if (info.agentId !== null) await describeTenant(db, tenant.id, { agentId: info.agentId })
}
