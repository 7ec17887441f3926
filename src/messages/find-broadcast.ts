import type { Clock } from '../foundation/clock.ts'
import { NotFoundError } from '../foundation/errors.ts'
import { isId } from '../foundation/ids.ts'
import type { BroadcastStore, StoredBroadcast } from './broadcast-store.ts'
import { countRecipients, estimateEnd, type BroadcastProgress } from './broadcast.ts'
import { accountIdsOf, type Caller } from './caller.ts'

interface Wanted {
  readonly caller: Caller
  readonly id: string
}

/**
 * A broadcast by its id, if the caller may use its account.
 *
 * @throws NotFoundError `broadcast_not_found`
 */
export async function findBroadcast(
  store: Pick<BroadcastStore, 'find'>,
  wanted: Wanted,
): Promise<StoredBroadcast> {
  const broadcast = isId(wanted.id)
    ? await store.find(wanted.id, accountIdsOf(wanted.caller))
    : undefined
  if (!broadcast) {
    throw new NotFoundError(
      'broadcast_not_found',
      'there is no such broadcast for this application',
    )
  }
  return broadcast
}

/**
 * How far a broadcast has come.
 *
 * @throws NotFoundError `broadcast_not_found`
 */
export async function showBroadcast(
  deps: { readonly store: Pick<BroadcastStore, 'find' | 'countMessages'>; readonly clock: Clock },
  wanted: Wanted,
): Promise<BroadcastProgress> {
  return progressOf(deps, await findBroadcast(deps.store, wanted))
}

/** How far a broadcast that has been found has come. */
export async function progressOf(
  deps: { readonly store: Pick<BroadcastStore, 'countMessages'>; readonly clock: Clock },
  broadcast: StoredBroadcast,
): Promise<BroadcastProgress> {
  const made = await deps.store.countMessages(broadcast.id)
  const messages = countRecipients(broadcast, made, broadcast.erasedBefore)
  const { status } = broadcast
  const isMoving = status === 'running' && broadcast.until === null
  const ratePerSecond = isMoving ? broadcast.ratePerSecond : null
  const estimatedEndAt = estimateEnd({ status, messages, ratePerSecond }, deps.clock.now())
  return { ...broadcast, messages, ratePerSecond, estimatedEndAt }
}
