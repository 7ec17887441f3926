import { ConflictError } from '../foundation/errors.ts'
import { isId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { accountIdsOf, type Caller } from './caller.ts'
import { findMessage } from './find-message.ts'
import type { MessageStore } from './message-store.ts'
import type { Message } from './message.ts'

export interface CancelDeps {
  readonly store: Pick<MessageStore, 'cancel' | 'find'>
  readonly metrics: Metrics
  readonly log: Log
}

/**
 * Cancels a message that has not begun; cancelling it again changes nothing and answers the same.
 *
 * @returns the message, cancelled.
 * @throws NotFoundError `message_not_found`; ConflictError `not_cancellable` when a worker has it in
 *   hand or has finished with it, with the message's status in the details.
 */
export async function cancelMessage(
  deps: CancelDeps,
  wanted: { readonly caller: Caller; readonly id: string },
): Promise<Message> {
  const accountIds = accountIdsOf(wanted.caller)
  const cancelled = isId(wanted.id) && (await deps.store.cancel(wanted.id, accountIds))
  const message = await findMessage(deps.store, wanted)
  if (message.status !== 'cancelled') throw notCancellable(message)
  if (cancelled) report(deps, wanted.caller, message)
  return message
}

function notCancellable(message: Message): ConflictError {
  const waits = message.status === 'queued' || message.status === 'scheduled'
  return new ConflictError(
    'not_cancellable',
    waits
      ? 'a worker has just taken the message in hand; ask for its status to see what becomes of it'
      : `only a scheduled or queued message can be cancelled; this one is ${message.status}`,
    { details: { message_status: message.status } },
  )
}

function report(deps: CancelDeps, caller: Caller, message: Message): void {
  const { account, channel, status } = message
  deps.metrics.messages.inc({ account, channel, status, reason: '' })
  deps.log.info(
    { message_id: message.id, application: caller.name, account, channel },
    'message.cancelled',
  )
}
