import { ConflictError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { BroadcastStore, StoredBroadcast } from './broadcast-store.ts'
import type { Caller } from './caller.ts'
import { findBroadcast } from './find-broadcast.ts'

export interface ChangeBroadcastDeps {
  readonly store: Pick<BroadcastStore, 'find' | 'pause' | 'resume' | 'cancel'>
  readonly log: Log
}

interface Wanted {
  readonly caller: Caller
  readonly id: string
}

/**
 * Pauses a broadcast: what a worker has in hand goes out, nothing else begins. Pausing it again
 * changes nothing.
 *
 * @throws NotFoundError `broadcast_not_found`; ConflictError `broadcast_ended`
 */
export function pauseBroadcast(
  deps: ChangeBroadcastDeps,
  wanted: Wanted,
): Promise<StoredBroadcast> {
  return change(deps, wanted, {
    apply: (id) => deps.store.pause(id),
    isDone: ({ status }) => status === 'paused',
    tell: (fields) => deps.log.info(fields, 'broadcast.paused'),
  })
}

/**
 * Goes on with a paused broadcast; one that is not paused is left as it is.
 *
 * @throws NotFoundError `broadcast_not_found`; ConflictError `broadcast_ended`
 */
export function resumeBroadcast(
  deps: ChangeBroadcastDeps,
  wanted: Wanted,
): Promise<StoredBroadcast> {
  return change(deps, wanted, {
    apply: (id) => deps.store.resume(id),
    isDone: ({ status }) => status !== 'cancelled' && status !== 'completed',
    tell: (fields) => deps.log.info(fields, 'broadcast.resumed'),
  })
}

/**
 * Ends a broadcast: what a worker has in hand goes out, all else is cancelled. Cancelling it again
 * changes nothing.
 *
 * @throws NotFoundError `broadcast_not_found`; ConflictError `broadcast_ended` when it is completed.
 */
export function cancelBroadcast(
  deps: ChangeBroadcastDeps,
  wanted: Wanted,
): Promise<StoredBroadcast> {
  return change(deps, wanted, {
    apply: (id) => deps.store.cancel(id, null),
    isDone: ({ status }) => status === 'cancelled',
    tell: (fields) => deps.log.info(fields, 'broadcast.cancelled'),
  })
}

async function change(
  deps: ChangeBroadcastDeps,
  wanted: Wanted,
  how: {
    readonly apply: (id: string) => Promise<boolean>
    readonly isDone: (broadcast: StoredBroadcast) => boolean
    readonly tell: (fields: Record<string, unknown>) => void
  },
): Promise<StoredBroadcast> {
  const { id, account } = await findBroadcast(deps.store, wanted)
  const changed = await how.apply(id)
  const broadcast = await findBroadcast(deps.store, wanted)
  if (!how.isDone(broadcast)) {
    throw new ConflictError(
      'broadcast_ended',
      `a broadcast that is ${broadcast.status} cannot be changed any more`,
    )
  }
  if (changed) how.tell({ broadcast_id: id, application: wanted.caller.name, account })
  return broadcast
}
