import { timingSafeEqual } from 'node:crypto'
import { sha1OfSorted } from './message-crypto.ts'

/** A SHA-1 as the platform writes it. */
const SIGNATURE = /^[0-9a-f]{40}$/

/** What `msg_signature` covers; all four exactly as received, `encrypt` trimmed. */
export interface SignedMessage {
  readonly token: string
  readonly timestamp: string
  readonly nonce: string
  readonly encrypt: string
}

/**
 * The `signature` of a handshake or of a push in plain mode: lower-case hex.
 *
 * It covers neither the body nor `echostr`, and it does not bind which of the two values is the
 * timestamp: whoever has seen one request can repeat it. The repeat key of the event, not this,
 * makes repeats harmless.
 */
export function signRequest(token: string, timestamp: string, nonce: string): string {
  return sha1OfSorted({ token, timestamp, nonce, encrypt: '' })
}

/** The `msg_signature` of an encrypted push or reply: lower-case hex. */
export function signMessage(message: SignedMessage): string {
  return sha1OfSorted(message)
}

/**
 * Whether two signatures are the same, in a time that does not depend on where they differ. Anything
 * that is not 40 lower-case hex digits is the same as nothing, itself included.
 */
export function sameSignature(a: string, b: string): boolean {
  if (!SIGNATURE.test(a) || !SIGNATURE.test(b)) return false
  return timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
