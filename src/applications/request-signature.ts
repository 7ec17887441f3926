import { createHmac, timingSafeEqual } from 'node:crypto'

/** Whether an application's requests are signed: `optional` checks a signature that is sent. */
export const SIGNATURE_DEMANDS = ['off', 'optional', 'required'] as const
export type SignatureDemand = (typeof SIGNATURE_DEMANDS)[number]

/** How far the time in a signed request may be from ours, either way. */
export const SIGNATURE_WINDOW_SECONDS = 300

/** What a signature is over. */
export interface SignedParts {
  /** In capitals. */
  readonly method: string
  /** As it was sent: not decoded, not tidied. */
  readonly path: string
  /** What stands behind the first `?`, as it was sent; empty where there is none. */
  readonly query: string
  /** SHA-256 of the bytes of the body, of no bytes where there is none; hex in lower case. */
  readonly bodyDigest: string
  /** Unix time in seconds, as it was sent. */
  readonly timestamp: string
  readonly nonce: string
}

/** What the headers of a signed request say. */
export interface SignatureClaim {
  readonly timestamp: string
  readonly nonce: string
  /** 32 bytes. */
  readonly signature: Buffer
}

/** A header that is not in its form, with what is expected there. */
export interface MalformedHeader {
  readonly header: string
  readonly rule: string
}

const TIMESTAMP = /^[1-9]\d{8,10}$/
const NONCE = /^[\x21-\x7e]{16,128}$/
const SIGNATURE = /^sha256=([0-9a-f]{64})$/

/**
 * The text that is signed: the six parts in this order, one a line, with no line end behind the last.
 * None of them can hold a line end, so no two requests have the same text.
 */
function signedText(parts: SignedParts): string {
  const { method, path, query, bodyDigest, timestamp, nonce } = parts
  return [method, path, query, bodyDigest, timestamp, nonce].join('\n')
}

/** HMAC-SHA256 over the text that is signed; the key is the secret as it was shown, in UTF-8. */
export function signatureOf(secret: string, parts: SignedParts): Buffer {
  return createHmac('sha256', secret).update(signedText(parts)).digest()
}

/** Whether the signature was made with one of the secrets; takes the same time wherever it differs. */
export function isSignedWith(
  secrets: readonly string[],
  parts: SignedParts,
  signature: Buffer,
): boolean {
  const fits = secrets.map((secret) => timingSafeEqual(signatureOf(secret, parts), signature))
  return fits.includes(true)
}

/** Reads the headers `X-Timestamp`, `X-Nonce` and `X-Signature` of a request that has the last one. */
export function readClaim(headers: {
  readonly timestamp: string | undefined
  readonly nonce: string | undefined
  readonly signature: string
}): SignatureClaim | MalformedHeader {
  const { timestamp = '', nonce = '' } = headers
  const hex = SIGNATURE.exec(headers.signature)?.[1]
  if (hex === undefined) {
    return { header: 'X-Signature', rule: 'must be sha256= and 64 hex digits in lower case' }
  }
  if (!TIMESTAMP.test(timestamp)) {
    return { header: 'X-Timestamp', rule: 'must be the Unix time in seconds' }
  }
  if (!NONCE.test(nonce)) {
    return { header: 'X-Nonce', rule: 'must be 16 to 128 visible ASCII characters' }
  }
  return { timestamp, nonce, signature: Buffer.from(hex, 'hex') }
}

/** Whether the time of a signed request is near enough to now. */
export function isFresh(timestamp: string, now: Date): boolean {
  const seconds = Math.floor(now.getTime() / 1000)
  return Math.abs(seconds - Number(timestamp)) <= SIGNATURE_WINDOW_SECONDS
}

const CONTENT_DIGEST = /(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/]{43}=):[ \t]*(?=,|$)/

/**
 * The SHA-256 that a `Content-Digest` header states, as lower-case hex; undefined where it states none.
 *
 * @see RFC 9530, section 2
 */
export function readContentDigest(header: string | undefined): string | undefined {
  const base64 = CONTENT_DIGEST.exec(header ?? '')?.[1]
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex')
}
