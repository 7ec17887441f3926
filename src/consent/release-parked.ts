import type { Knex } from 'knex'
import type { Account, EventSource } from '../accounts/account.ts'
import { readEvent } from '../events/read-event.ts'
import { AppError } from '../foundation/errors.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import {
  dropParked,
  removeParked,
  takeParked,
  type ParkedPush,
  type ParkingPlace,
} from './parked-store.ts'
import { placeOfParked, readParked } from './place-push.ts'
import type { ProvenPush, ReadEvent } from './record-push.ts'

/** What became of the pushes that had waited for an account. */
export interface Released {
  readonly recorded: number
  /** Refused by the database one by one; they lie in `push_aside`. */
  readonly aside: number
  /** Not for this account after all. */
  readonly dropped: number
}

export interface ReleaseParts {
  readonly box: SecretBox
  /** The two accounts as the transaction sees them, also where they are switched off. */
  readonly findFamily: (
    trx: Knex.Transaction,
    place: ParkingPlace,
  ) => Promise<{ readonly parent: Account; readonly tenant: Account } | undefined>
  /** Reads a document that was verified when it came, and checks that it is the tenant's. */
  readonly acceptParked: (parked: {
    readonly parent: Account
    readonly tenant: Account
    readonly source: EventSource | null
    readonly document: string
    readonly timestamp: string
    readonly receivedAt: Date
  }) =>
    | { readonly ok: true; readonly push: ProvenPush }
    | { readonly ok: false; readonly refusal: { readonly reason: string } }
  readonly recordWithin: (
    trx: Knex.Transaction,
    reads: readonly ReadEvent[],
  ) => Promise<{ readonly aside: number }>
}

/**
 * Records what has waited for a tenant's account, in the order of arrival, in the transaction that
 * makes the account: so nothing is lost between the two, and no send can be decided in between.
 *
 * @throws UnavailableError and what PostgreSQL says of the transaction as a whole.
 */
export async function releaseParked(
  parts: ReleaseParts,
  trx: Knex.Transaction,
  place: ParkingPlace,
): Promise<Released> {
  const parked = await takeParked(trx, place)
  const family = parked.length === 0 ? undefined : await parts.findFamily(trx, place)
  if (!family) return { recorded: 0, aside: 0, dropped: 0 }
  const reads: ReadEvent[] = []
  const ids: string[] = []
  for (const one of parked) {
    const accepted = acceptOne(parts, { ...place, ...one }, family)
    if (accepted.ok) {
      const { push } = accepted
      reads.push({ account: push.account, event: readEvent(push), document: push.document })
      ids.push(one.id)
    } else await dropParked(trx, one.id, accepted.refusal.reason)
  }
  const { aside } = await parts.recordWithin(trx, reads)
  await removeParked(trx, ids)
  return { recorded: reads.length - aside, aside, dropped: parked.length - reads.length }
}

function acceptOne(
  { box, acceptParked }: ReleaseParts,
  parked: ParkingPlace & ParkedPush,
  family: { readonly parent: Account; readonly tenant: Account },
) {
  const opened = tryToOpen(box, parked)
  if ('refusal' in opened) return { ok: false, ...opened } as const
  const { source, receivedAt } = parked
  return acceptParked({ ...family, ...opened, source, receivedAt })
}

/** One that no master key opens any more is lost; the right that its tenant has given is not. */
function tryToOpen(box: SecretBox, parked: ParkingPlace & ParkedPush) {
  try {
    return readParked(box.open(parked.sealed, placeOfParked(parked)))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { refusal: { reason: error.code } }
  }
}
