import type { PushPlace } from './push-place.ts'
import { openReply, readElement } from './raw-envelope.ts'

/*
 * Passive replies (被动回复, callbacks.md §4.5): a message in the answer to a push.
 */

/** Whose pushes may be answered with a message, and which of them. */
const PLACES: readonly PushPlace['kind'][] = ['official_account', 'authorizer', 'wecom_app']
const EVENTS = ['text', 'subscribe', 'SCAN', 'CLICK', 'enter_agent']

/** Whether the platform looks for a message in the answer to such a push. */
export function mayBeAnswered({ kind }: PushPlace, event: string): boolean {
  return PLACES.includes(kind) && EVENTS.includes(event)
}

/**
 * The document of the message in an answer; null when the answer holds none.
 *
 * @param person whom it has to be for, if the push was one of a person.
 * @returns undefined for one that the platform cannot read: signature, envelope or receive id are
 *   wrong, it is plain where all is encrypted, for somebody else, or without a type.
 */
export function readPassiveReply(
  place: PushPlace,
  text: string,
  person: string | undefined,
): string | null | undefined {
  if (!text.startsWith('<xml>')) return null
  const document = openedBy(place, text)
  if (document === undefined || readElement(document, 'MsgType') === undefined) return undefined
  const isForThem = person === undefined || readElement(document, 'ToUserName') === person
  return isForThem ? document : undefined
}

function openedBy({ mode, token, key, receiveId }: PushPlace, text: string): string | undefined {
  const isSealed = readElement(text, 'Encrypt') !== undefined
  if (!isSealed) return mode === 'safe' ? undefined : text
  return key === null ? undefined : openReply(text, { token, key, receiveId })
}
