import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account, EventSource } from '../accounts/account.ts'
import type { SubjectField } from '../events/catalogue-row.ts'
import { rowOf } from '../events/catalogue.ts'
import type { Fields } from '../events/document.ts'
import { readEvent, type EventRecord } from '../events/read-event.ts'
import { trimmed } from '../events/read-values.ts'
import { repeatKey } from '../events/repeat-key.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { parkPush, type ParkingPlace } from './parked-store.ts'
import { isAboutTenant, type Seal } from './push-effects.ts'

/** The account of a merchant or corp behind a component or suite, once the gateway has made it. */
export type FindTenant = (parentId: number, appId: string) => Promise<Account | undefined>

/** A push that the platform sent for somebody behind an account of ours who is in no copy of ours. */
export interface EarlyPush {
  /** The component or suite that it came to. */
  readonly parent: Account
  /** The appid or corpid in its path. */
  readonly tenant: string
  /** Null where it follows from what the merchant is. */
  readonly source: EventSource | null
  readonly document: string
  readonly fields: Fields
  /** `timestamp` of the query, Unix seconds as text. */
  readonly timestamp: string
  readonly receivedAt: Date
}

/** Where a push is to go. */
export type Place =
  | {
      readonly outcome: 'known'
      readonly account: Account
      /** A corp that cancelled: that something came is recorded, nothing of what it said. */
      readonly hasLeft: boolean
    }
  /** It waits, and is recorded as soon as its tenant's account is there. */
  | { readonly outcome: 'parked' }
  /** There is no account for it and there will be none, or too much waits already. */
  | { readonly outcome: 'nowhere'; readonly reason: 'withdrawn' | 'full' }

export interface PlaceParts {
  readonly db: Knex
  readonly seal: Seal
  /** From the copy in memory: accounts in service. */
  readonly findTenant: FindTenant
  /** From the database: also one that is switched off. */
  readonly findStoredTenant: FindTenant
}

/**
 * The merchant or corp whose event it is: what a notice to a component or suite says of a person is of
 * the one that it names, never of the parent. Null where it is of the account that its push came to;
 * that a tenant came or left is the parent's own.
 */
export function tenantOf(event: EventRecord): string | null {
  return isAboutTenant(event) ? null : event.tenant
}

/** The account that a tenant's event of a verified push belongs to. */
export async function placeEvent(
  parts: PlaceParts,
  push: EarlyPush,
  event: EventRecord,
): Promise<Place> {
  const { parent, tenant } = push
  const inService = await parts.findTenant(parent.id, tenant)
  if (inService) return known(inService)
  if (!isOfItsPeople(event))
    return known((await parts.findStoredTenant(parent.id, tenant)) ?? parent)
  const place = await park(parts, push, event)
  const isOfNobody = place.outcome === 'nowhere' && place.reason === 'withdrawn'
  return isOfNobody ? { ...known(parent), hasLeft: true } : place
}

/** The same for a push to a tenant's own address that is in no copy of ours. */
export function placeEarly(parts: PlaceParts, early: EarlyPush): Promise<Place> {
  // whatever a merchant is, the time and the person stand in the same elements
  const source = early.source ?? 'official_account'
  return park(parts, early, readEvent({ ...early, source }))
}

async function park(parts: PlaceParts, early: EarlyPush, event: EventRecord): Promise<Place> {
  const { parent, tenant, source, document, timestamp, receivedAt } = early
  const place = { parentId: parent.id, tenant, repeatKey: repeatKey(document) }
  const { outcome } = await parkPush(parts.db, {
    ...place,
    source,
    subject: event.subject,
    effectiveAt: event.effectiveAt,
    sealed: parts.seal(JSON.stringify({ document, timestamp }), placeOfParked(place)).sealed,
    receivedAt,
  })
  if (outcome === 'parked') return { outcome }
  if (outcome === 'full') return { outcome: 'nowhere', reason: outcome }
  const account = await parts.findStoredTenant(parent.id, tenant)
  if (!account && outcome === 'withdrawn') return { outcome: 'nowhere', reason: outcome }
  if (!account) throw new UnavailableError('tenant_unreadable', 'its account cannot be read now')
  return { outcome: 'known', account, hasLeft: outcome === 'withdrawn' }
}

function known(account: Account) {
  return { outcome: 'known', account, hasLeft: false } as const
}

/** The elements that name an account or corp instead of a person. */
const NAMES_OF_TENANTS: ReadonlySet<SubjectField> = new Set<SubjectField>([
  ...(['AuthorizerAppid', 'authorizer_appid', 'appid', 'verify_appid'] as const),
  ...(['AuthCorpId', 'PaidCorpId', 'CorpId'] as const),
])

/**
 * Whether a notice tells of the members and customers of a tenant, as opposed to what its parent has
 * to do with it (orders, licences, permissions). One that nobody has heard of may.
 */
export function isOfItsPeople({ kind, fields }: EventRecord): boolean {
  const { subject } = rowOf(kind)
  if (subject !== null) return !NAMES_OF_TENANTS.has(subject)
  return kind === 'suite.unknown' || trimmed(fields, 'ChangeType') !== ''
}

/** Where a parked push rests; its sealed text opens nowhere else. */
export function placeOfParked(place: ParkingPlace & { readonly repeatKey: Buffer }): string {
  return `parked_push/${place.parentId}/${place.tenant}/${place.repeatKey.toString('hex')}`
}

const sealedSchema = z.object({ document: z.string(), timestamp: z.string() })

/** What was sealed of a parked push, opened. */
export function readParked(opened: string): z.output<typeof sealedSchema> {
  return sealedSchema.parse(JSON.parse(opened))
}
