import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { tenantPartScope } from '../consent/consent.ts'
import { wholeSecond } from '../events/read-values.ts'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { lackingPermissions, type PermissionSets } from '../wechat/permission-sets.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import { changeParts, holdPermissionSets, listLostParts, type PartChange } from './tenant-store.ts'

/** What keeping permissions works with. */
export interface PermissionParts {
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  /** What the operator says about channels in place of the platform's pages. */
  readonly permissionSets: PermissionSets
}

/** An account of a merchant, and what the platform answered about it. */
interface Asked {
  readonly id: number
  readonly appId: string
  readonly serves: NonNullable<Account['serves']>
  /** The sets that the merchant has given us, and when that held by the platform's clock. */
  readonly told: { readonly sets: readonly number[] | null; readonly at: Date } | null
}

/**
 * Keeps which sets of permissions a merchant has given us, and withdraws or gives back the channels
 * that follow. Where the platform has said nothing new (`told` is null), what it said last is held
 * against the table and the settings of now. Sets that nobody ever told us of withdraw nothing.
 *
 * @throws UnavailableError when another answer of the same second says otherwise.
 */
export async function keepPermissions(parts: PermissionParts, asked: Asked): Promise<void> {
  const { db, clock, log } = parts
  const changes = await withTransaction(db, async (trx) => {
    const held = await holdPermissionSets(trx, asked.id, asked.told)
    if (held === 'contradicted') {
      throw new UnavailableError('tenant_just_changed', 'the platform is asked again in a moment')
    }
    if (held === null) return []
    const changed = changesOf(await listLostParts(trx, asked), {
      lacking: lackingPermissions(asked.serves, held.sets, parts.permissionSets),
      at: asked.told === null ? behind(held.at, wholeSecond(clock.now())) : held.at,
    })
    if (changed.length > 0) await changeParts(trx, asked, changed)
    return changed
  })
  if (changes.length === 0) return
  const named = (change: PartChange['change']) =>
    changes.filter((one) => one.change === change).map(({ scope }) => scope)
  log.info(
    { account_id: asked.id, lost: named('revoked'), regained: named('granted') },
    'tenant.permissions_changed',
  )
}

/** Our own decision, taken on an answer: never before it, however late our clock is. */
function behind(answered: Date, now: Date): Date {
  const next = new Date(answered.getTime() + 1_000)
  return now > next ? now : next
}

function changesOf(
  lost: readonly string[],
  now: { readonly lacking: ReturnType<typeof lackingPermissions>; readonly at: Date },
): PartChange[] {
  const { at } = now
  const lacking = now.lacking.map(({ channel, sets }) => {
    return { scope: tenantPartScope(channel), reason: `permission_set:${sets.join('|')}` }
  })
  return [
    ...lacking
      .filter(({ scope }) => !lost.includes(scope))
      .map((one) => ({ ...one, change: 'revoked' as const, at })),
    ...lost
      .filter((scope) => !lacking.some((one) => one.scope === scope))
      .map((scope) => ({ scope, reason: 'permission_set:given', change: 'granted' as const, at })),
  ]
}
