import { InvalidInputError } from '../foundation/errors.ts'
import type { Caller } from './caller.ts'

/** What delivers results to applications; compose passes it in. */
export interface Callbacks {
  /** What is wrong with an address that results are to be posted to; null when nothing is. */
  urlFault(url: string): string | null
  /** Sees to it that the results of an application's messages are signed with a secret of its own. */
  readyForCallbacks(applicationId: string): Promise<void>
}

/**
 * Makes ready what a message or broadcast with a `callback_url` needs; nothing is done for one without.
 *
 * @throws InvalidInputError `invalid_request` when nothing may be delivered to the address.
 */
export async function prepareCallback(
  callbacks: Callbacks,
  caller: Pick<Caller, 'id'>,
  url: string | undefined,
): Promise<void> {
  if (url === undefined) return
  const rule =
    caller.id === null
      ? 'belongs to the messages of applications: results are signed for one'
      : callbacks.urlFault(url)
  if (rule !== null) {
    throw new InvalidInputError('invalid_request', [{ field: 'callback_url', rule }])
  }
  if (caller.id !== null) await callbacks.readyForCallbacks(caller.id)
}
