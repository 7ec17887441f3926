import { NotFoundError } from '../foundation/errors.ts'
import { isId } from '../foundation/ids.ts'
import { accountIdsOf, type Caller } from './caller.ts'
import type { MessageStore } from './message-store.ts'
import type { Message } from './message.ts'

/**
 * A message by its id, if the caller may use its account.
 *
 * @throws NotFoundError `message_not_found`
 */
export async function findMessage(
  store: Pick<MessageStore, 'find'>,
  wanted: { readonly caller: Caller; readonly id: string },
): Promise<Message> {
  const message = isId(wanted.id)
    ? await store.find(wanted.id, accountIdsOf(wanted.caller))
    : undefined
  if (!message) {
    throw new NotFoundError('message_not_found', 'there is no such message for this application')
  }
  return message
}
