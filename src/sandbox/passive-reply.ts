import type { PushPlace } from './push-place.ts'
import { openReply, readField } from './raw-envelope.ts'

/*
 * Passive replies (被动回复, callbacks.md §4.5): a message in the answer to a push.
 */

const TO_PEOPLE = ['text', 'subscribe', 'SCAN', 'CLICK', 'enter_agent']

/** Whose pushes may be answered with a message, and which of them. */
const ANSWERED: Readonly<Partial<Record<PushPlace['kind'], readonly string[]>>> = {
  official_account: TO_PEOPLE,
  authorizer: TO_PEOPLE,
  wecom_app: TO_PEOPLE,
  wecom_authorizer: TO_PEOPLE,
  // a message of the person is handed to customer service, an event is not
  mini_program: ['text', 'image', 'miniprogrampage'],
}

/** Whether the platform looks for a message in the answer to such a push. */
export function mayBeAnswered({ kind }: PushPlace, event: string): boolean {
  return ANSWERED[kind]?.includes(event) ?? false
}

/**
 * The document of the message in an answer; null when the answer holds none.
 *
 * @param person whom it has to be for, if the push was one of a person.
 * @returns undefined for one that the platform cannot read: signature, envelope or receive id are
 *   wrong, it is plain where all is encrypted, for somebody else, without a type, or of one that
 *   nobody gets by such a place.
 */
export function readPassiveReply(
  place: PushPlace,
  text: string,
  person: string | undefined,
): string | null | undefined {
  const isJson = place.format === 'json'
  if (!text.startsWith(isJson ? '{' : '<xml>')) return null
  const document = openedBy(place, text)
  const type = document === undefined ? undefined : readField(document, 'MsgType')
  if (document === undefined || type === undefined) return undefined
  if (place.kind === 'mini_program' && type !== 'transfer_customer_service') return undefined
  const isForThem = person === undefined || readField(document, 'ToUserName') === person
  return isForThem ? document : undefined
}

function openedBy({ mode, token, key, receiveId }: PushPlace, text: string): string | undefined {
  const isSealed = readField(text, 'Encrypt') !== undefined
  if (!isSealed) return mode === 'safe' ? undefined : text
  return key === null ? undefined : openReply(text, { token, key, receiveId })
}
