import type { Account } from '../accounts/account.ts'
import { wholeSecond } from '../events/read-values.ts'
import { describeError, UnavailableError } from '../foundation/errors.ts'
import type { ListedAuthorizer } from '../wechat/authorizer-list.ts'
import { listAuthorizers, readAuthorizer } from '../wechat/component-api.ts'
import { lookUpAuthorizer } from './check-tenant.ts'
import { keepToldPermissions, type TenantParts } from './exchange-code.ts'
import { keepPermissions } from './keep-permissions.ts'
import { admitTenant, listHeldTenants, type HeldTenant } from './tenant-store.ts'

/** What a comparison with the platform's list came to. */
export interface Reconciliation {
  /** Merchants that the platform lists. */
  readonly listed: number
  /** Of these, those that we did not know, or could not act for, and now can. */
  readonly admitted: number
  /** Those that left and whose notice never came. */
  readonly withdrawn: number
  /** Those about whom the platform gave no clear answer; the next comparison asks again. */
  readonly unclear: number
}

type Found = Exclude<keyof Reconciliation, 'listed'>

/**
 * Compares the merchants that the ledger knows of a component with the platform's own list, for
 * pushes that were lost: who authorised is admitted with the refresh token that is listed, from the
 * second of the authorisation; who is not listed is asked about one by one, and only the platform's
 * “not authorised” ends the right. A later withdrawal in the ledger wins against an older entry of the
 * list. May run twice, also at once.
 *
 * @throws UnavailableError when the list cannot be had; nothing has been changed then.
 */
export async function reconcileAuthorizers(
  parts: TenantParts,
  component: Account,
  signal: AbortSignal,
): Promise<Reconciliation> {
  // Read first: who is admitted while the list is read is not missing from it.
  const held = await listHeldTenants(parts.db, component.id)
  const { listed, complete } = await listAuthorizers(parts.api, component)
  const ids = new Set(listed.map(({ appId }) => appId))
  const known = new Set(held.filter(({ whole }) => whole !== null).map(({ appId }) => appId))
  const staying = held.filter(({ appId }) => ids.has(appId))
  const missing = complete ? held.filter(({ appId }) => !ids.has(appId)) : []
  const works = [
    ...listed
      .filter(({ appId }) => !known.has(appId))
      .map((one) => () => admit(parts, component, one)),
    ...missing.map(
      ({ appId }) =>
        () =>
          doubt(parts, component, appId),
    ),
    ...staying.map((one) => () => settlePermissions(parts, component, one)),
  ]
  const found = { admitted: 0, withdrawn: 0, unclear: 0 }
  for (const work of works) {
    if (signal.aborted)
      throw new UnavailableError('stopped', 'the comparison goes on from the start')
    const what = await surely(parts, component, work)
    if (what !== null) found[what] += 1
  }
  const end = { listed: listed.length, ...found }
  parts.log.info({ account: component.name, ...end }, 'tenant.list_compared')
  return end
}

/** A merchant that we cannot act for, and should be able to. */
async function admit(
  parts: TenantParts,
  component: Account,
  { appId, refreshToken, authorizedAt }: ListedAuthorizer,
): Promise<Found | null> {
  if (refreshToken === null) return 'unclear'
  const { info, at } = await readAuthorizer(parts.api, component, appId)
  if (info === null) return null
  const outcome = await admitTenant(parts, {
    parentId: component.id,
    parentName: component.name,
    appId,
    kind: 'authorizer',
    originalId: info.originalId,
    serves: info.serves,
    secret: { name: 'refresh_token', value: refreshToken },
    grant: {
      at: authorizedAt ?? at ?? wholeSecond(parts.clock.now()),
      eventId: null,
      reason: 'listed',
    },
    readAfterwards: false,
  })
  if (outcome !== 'admitted') return null
  await keepToldPermissions(parts, { parentId: component.id, appId }, { info, at })
  return 'admitted'
}

/**
 * A merchant that is listed and known: what it lets us do is asked for where we were never told, and
 * held against the settings of now where we were.
 */
async function settlePermissions(
  parts: TenantParts,
  component: Account,
  { appId, whole }: HeldTenant,
): Promise<Found | null> {
  if (whole === null) return null // it is being admitted
  if (!whole.knowsPermissions) return doubt(parts, component, appId)
  await keepPermissions(parts, { id: whole.id, appId, serves: whole.serves, told: null })
  return null
}

/** A merchant that is not listed; pages may have moved while we read, so it is asked about. */
async function doubt(parts: TenantParts, component: Account, appId: string): Promise<Found | null> {
  return (await lookUpAuthorizer(parts, component, appId)) === 'withdrawn' ? 'withdrawn' : null
}

/** One merchant that cannot be cleared up shall not stop the others. */
async function surely(
  { log }: TenantParts,
  component: Account,
  work: () => Promise<Found | null>,
): Promise<Found | null> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error
    log.warn({ account: component.name, error: describeError(error) }, 'tenant.unclear')
    return 'unclear'
  }
}
