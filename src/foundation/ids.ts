import { hash, randomBytes, randomUUID } from 'node:crypto'

/**
 * A UUID of version 7 (RFC 9562): the first 48 bits are the time in milliseconds, so ids made later
 * sort later and index pages fill in order.
 */
export function newId(now: Date): string {
  // Node keeps random bits for UUIDs ready: a version 4 whose front gives way to the time
  const random = randomUUID()
  const time = now.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`
}

/**
 * The id of what follows from one cause, of the same form: whoever makes it again, in whatever
 * process, makes the same.
 *
 * @param cause names it among all causes, for ever.
 */
export function idFor(cause: string, at: Date): string {
  const digits = sha256(cause).toString('hex')
  const time = at.getTime().toString(16).padStart(12, '0')
  const version = `7${digits.slice(0, 3)}`
  const variant = `8${digits.slice(3, 6)}`
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${digits.slice(6, 18)}`
}

/** Lower than every id. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000'

/** The lowest id that `newId` can make at a moment: all that were made before are lower. */
export function lowestId(at: Date): string {
  const time = at.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether a text has the form of an id of ours. */
export function isId(text: string): boolean {
  return UUID.test(text)
}

/** A key for an application: 32 random bytes behind a prefix that secret scanners can find. */
export function newApiKey(): string {
  return `wcg_${randomBytes(32).toString('base64url')}`
}

/** What an application signs with: as random as its key, and not to be taken for it. */
export function newSigningSecret(): string {
  return `wcgs_${randomBytes(32).toString('base64url')}`
}

/** SHA-256 of a text or of bytes. */
export function sha256(value: string | Buffer): Buffer {
  return hash('sha256', value, 'buffer')
}

/**
 * A person's id as it may appear in a log: the first 12 hex digits of its SHA-256. The same person
 * has the same mark in every line, and the openid cannot be read from it.
 */
export function personMark(subject: string): string {
  return sha256(subject).toString('hex', 0, 6)
}
