import type { Account } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import { wholeSecond } from '../events/read-values.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import {
  findRefreshToken,
  queryAuth,
  readAuthorizer,
  type AuthorizerInfo,
} from '../wechat/component-api.ts'
import type { PermissionSets } from '../wechat/permission-sets.ts'
import { getPermanentCode } from '../wechat/suite-api.ts'
import { openCode, type FollowUpPayload } from './follow-up-payload.ts'
import { keepPermissions } from './keep-permissions.ts'
import {
  admitTenant,
  findAdmitted,
  findTenant,
  type AdmissionParts,
  type TenantGrant,
  type TenantKey,
} from './tenant-store.ts'

/** What the tasks about tenants work with. */
export interface TenantParts extends AdmissionParts {
  readonly clock: Clock
  readonly api: AccountApi
  /** An account in service. */
  readonly findAccount: (id: number) => Promise<Account | undefined>
  /** What the operator says about channels in place of the platform's pages. */
  readonly permissionSets: PermissionSets
}

/**
 * Exchanges the code with which a merchant authorised a component, and keeps what came of it: the
 * merchant's account with its refresh token. A code comes by push and by redirect and can be
 * exchanged once; who comes second finds nothing to do, and an exchange whose answer was lost is made
 * good from the platform's list.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function exchangeAuthorizationCode(
  parts: TenantParts,
  payload: FollowUpPayload,
): Promise<void> {
  const { api, log } = parts
  const component = await parts.findAccount(payload.account_id)
  const code = openCode(parts.box, payload)
  if (component?.kind !== 'component' || code === null) return
  const told = { account: component.name, event_id: payload.event_id }
  const exchanged = await queryAuth(api, component, code)
  if (exchanged === 'withdrawn') return log.info(told, 'tenant.withdrawn')
  const found =
    exchanged === 'spent' ? await recoverAuthorization(parts, component, payload) : exchanged
  if (found === null) return log.info(told, 'tenant.code_spent')

  const { info, at } = await readAuthorizer(api, component, found.appId)
  if (info === null) return log.info(told, 'tenant.withdrawn')
  const outcome = await admitTenant(parts, {
    parentId: component.id,
    parentName: component.name,
    appId: found.appId,
    kind: 'authorizer',
    originalId: info.originalId,
    serves: info.serves,
    secret: { name: 'refresh_token', value: found.refreshToken },
    grant: grantOfRedirect(parts.clock, payload, found.at),
    readAfterwards: false,
  })
  if (outcome === 'withdrawn') return log.info(told, 'tenant.withdrawn')
  await keepToldPermissions(parts, { parentId: component.id, appId: found.appId }, { info, at })
  log.info(told, 'tenant.admitted')
}

/** Keeps what the platform has just told of a merchant's permissions, where we have its account. */
export async function keepToldPermissions(
  parts: TenantParts,
  key: TenantKey,
  { info, at }: { readonly info: AuthorizerInfo; readonly at: Date | null },
): Promise<void> {
  const tenant = await findTenant(parts.db, key)
  if (tenant === undefined) return
  await keepPermissions(parts, {
    ...{ id: tenant.id, appId: key.appId, serves: info.serves },
    told: { sets: info.permissionSets, at: at ?? wholeSecond(parts.clock.now()) },
  })
}

/**
 * Exchanges the code with which a corp installed a suite, or with which its permanent code was reset,
 * and keeps the corp's account with its permanent code. Nothing names the corp before. If the answer
 * is lost, so is the permanent code: then the corp must be asked to authorise again.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function exchangeAuthCode(
  parts: TenantParts,
  payload: FollowUpPayload,
): Promise<void> {
  const { db, log } = parts
  const suite = await parts.findAccount(payload.account_id)
  const code = openCode(parts.box, payload)
  if (suite?.kind !== 'wecom_suite' || code === null) return
  const told = { account: suite.name, event_id: payload.event_id }
  // The job of an earlier try that ended behind its commit.
  const eventId = payload.event_id
  if (eventId !== null && (await findAdmitted(db, suite.id, eventId)) !== null) return
  const exchanged = await getPermanentCode(parts.api, suite, code)
  if (exchanged === 'spent') {
    return eventId === null
      ? log.info(told, 'tenant.code_spent')
      : log.error(told, 'tenant.code_lost')
  }
  const outcome = await admitTenant(parts, {
    parentId: suite.id,
    parentName: suite.name,
    appId: exchanged.corpId,
    kind: 'wecom_authorizer',
    originalId: null,
    serves: null,
    secret: { name: 'permanent_code', value: exchanged.permanentCode },
    grant: grantOfEvent(payload) ?? grantOfRedirect(parts.clock, payload, exchanged.at),
    readAfterwards: true,
  })
  if (outcome === 'withdrawn') return log.info(told, 'tenant.withdrawn')
  log.info(told, 'tenant.admitted')
}

async function recoverAuthorization(
  { api }: TenantParts,
  component: Account,
  { tenant }: FollowUpPayload,
) {
  if (!tenant) return null
  const refreshToken = await findRefreshToken(api, component, tenant)
  return refreshToken === null ? null : { appId: tenant, refreshToken, at: null }
}

/** It holds from the second of the event, so a later withdrawal wins however long this took. */
function grantOfEvent({ event_id, effective_at }: FollowUpPayload): TenantGrant | null {
  if (event_id === null || !effective_at) return null
  return { at: effective_at, eventId: event_id, reason: 'exchanged' }
}

/**
 * A redirect brings no event; the exchange itself proves the right, from then on. Null for a push of
 * a component, which was recorded as the grant when it came.
 */
function grantOfRedirect(
  clock: Clock,
  { event_id }: FollowUpPayload,
  exchangedAt: Date | null,
): TenantGrant | null {
  if (event_id !== null) return null
  return { at: exchangedAt ?? wholeSecond(clock.now()), eventId: null, reason: 'exchanged' }
}
