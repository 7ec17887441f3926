import { isUtf8 } from 'node:buffer'
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomBytes,
  type Decipheriv,
  type KeyObject,
} from 'node:crypto'
import WXBizMsgCrypt from 'wechat-crypto'
import { InvariantError } from '../foundation/errors.ts'

/*
 * The AES envelope of the platform, and the only file that imports wechat-crypto.
 *
 *   AES-256-CBC(key, iv = first 16 bytes of key,
 *     16 random bytes ‖ length of message (4 bytes, big-endian) ‖ message ‖ receive id ‖ padding)
 *
 * The library makes the signatures. Opening and sealing are our own: its `decrypt` takes any
 * padding, and returns text decoded leniently, so that neither the length field nor broken UTF-8
 * can be seen behind it; its `encrypt` cannot be given the random part, so no published vector could
 * prove it. The tests hold both against the library: whatever one of them seals, the other opens.
 */

const RANDOM_BYTES = 16
const HEADER_BYTES = RANDOM_BYTES + 4
/** The platform pads to 32, not to AES's own 16; Node's automatic padding knows only 16. */
const BLOCK_BYTES = 32

const AES_KEY = /^[A-Za-z0-9]{43}$/

/** An EncodingAESKey made ready for use; making it costs four times one decryption. */
export interface EnvelopeKey {
  readonly key: KeyObject
  readonly iv: Buffer
  /**
   * Opens one envelope after the other; making one for each costs five times what opening does. In
   * CBC what was opened before only changes the first 16 bytes, and those are random and thrown away.
   */
  readonly opener: Decipheriv
}

/** The key in use and the one before the last rotation. */
export interface EnvelopeKeys {
  readonly current: EnvelopeKey
  readonly previous: EnvelopeKey | null
}

/** Why an envelope does not open; each is also the name of a refusal. */
export type EnvelopeFault =
  | { readonly reason: 'bad_ciphertext' }
  | { readonly reason: 'not_decryptable' }
  | { readonly reason: 'wrong_receive_id'; readonly got: string }
  | { readonly reason: 'bad_message' }

export type OpenedEnvelope =
  | { readonly ok: true; readonly message: string; readonly keyUsed: 'current' | 'previous' }
  | ({ readonly ok: false } & EnvelopeFault)

type Unpacked =
  { readonly ok: true; readonly message: string } | ({ readonly ok: false } & EnvelopeFault)

/** Whether a text has the form of an EncodingAESKey: 43 letters and digits. */
export function isAesKey(text: string): boolean {
  return AES_KEY.test(text)
}

/**
 * Makes an EncodingAESKey ready for use.
 *
 * The last of the 43 characters may carry two bits that no byte needs; strict base64 readers refuse
 * such keys, Node's does not.
 *
 * @throws InvariantError when the text is not an EncodingAESKey: ask `isAesKey` first.
 */
export function prepareKey(aesKey: string): EnvelopeKey {
  if (!isAesKey(aesKey)) throw new InvariantError('an EncodingAESKey has 43 letters and digits')
  const bytes = Buffer.from(`${aesKey}=`, 'base64')
  const key = createSecretKey(bytes)
  const iv = bytes.subarray(0, 16)
  const opener = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  return { key, iv, opener }
}

/** SHA-1 over the sorted strings, lower-case hex; an empty `encrypt` adds nothing. */
export function sha1OfSorted(parts: {
  readonly token: string
  readonly timestamp: string
  readonly nonce: string
  readonly encrypt: string
}): string {
  const { token, timestamp, nonce, encrypt } = parts
  // On a bare token: the library's constructor wants a key and an id, which no signature needs.
  return WXBizMsgCrypt.prototype.getSignature.call({ token }, timestamp, nonce, encrypt)
}

/**
 * Opens an envelope whose signature has been checked, with the current key, then with the previous.
 *
 * @param input.encrypt base64, trimmed.
 * @param input.receiveId what must stand behind the message: the account's appid, say.
 * @param input.orNone whether nothing may stand there as well.
 * @returns the message exactly as sealed, or why not. When both keys fail, the reason is the one of
 *   the key that came further.
 */
export function openEnvelope(input: {
  readonly encrypt: string
  readonly keys: EnvelopeKeys
  readonly receiveId: string
  readonly orNone?: boolean
}): OpenedEnvelope {
  const ciphertext = readCiphertext(input.encrypt)
  if (!ciphertext) return { ok: false, reason: 'bad_ciphertext' }
  const { current, previous } = input.keys
  const first = unpack(current.opener.update(ciphertext), input)
  if (first.ok) return { ...first, keyUsed: 'current' }
  if (!previous || first.reason !== 'not_decryptable') return first
  const second = unpack(previous.opener.update(ciphertext), input)
  return second.ok ? { ...second, keyUsed: 'previous' } : second
}

/**
 * Seals a message as the platform does.
 *
 * @param input.random 16 bytes; fresh ones when absent. Only vectors and fixtures give it: the IV is
 *   fixed, so these bytes are all that hides equal messages.
 * @returns base64.
 */
export function sealEnvelope(input: {
  readonly message: string
  readonly receiveId: string
  readonly key: EnvelopeKey
  readonly random?: Buffer
}): string {
  const message = Buffer.from(input.message)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  const random = input.random ?? randomBytes(RANDOM_BYTES)
  const full = Buffer.concat([random, length, message, Buffer.from(input.receiveId)])
  const pad = BLOCK_BYTES - (full.length % BLOCK_BYTES)
  const cipher = createCipheriv('aes-256-cbc', input.key.key, input.key.iv).setAutoPadding(false)
  const sealed = [cipher.update(full), cipher.update(Buffer.alloc(pad, pad)), cipher.final()]
  return Buffer.concat(sealed).toString('base64')
}

/** The bytes of a base64 text; undefined when it is not base64 of whole blocks of 32 bytes. */
function readCiphertext(encrypt: string): Buffer | undefined {
  const bytes = Buffer.from(encrypt, 'base64')
  if (!isWholeBase64(encrypt, bytes.length)) return undefined
  // AES would take multiples of 16; a correct sender, padding to 32, makes none of the odd ones.
  return bytes.length > 0 && bytes.length % BLOCK_BYTES === 0 ? bytes : undefined
}

/** Whether every character counted: Node's reader skips what it does not know, and takes `-` and `_`. */
function isWholeBase64(text: string, byteLength: number): boolean {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const isWhole = text.length % 4 === 0 && (text.length / 4) * 3 - padding === byteLength
  return isWhole && !text.includes('-') && !text.includes('_')
}

/** Takes the plaintext apart: padding, length, receive id, then the text itself. */
function unpack(
  plain: Buffer,
  { receiveId, orNone }: { readonly receiveId: string; readonly orNone?: boolean },
): Unpacked {
  const end = endOfContent(plain)
  if (end === undefined || end < HEADER_BYTES) return { ok: false, reason: 'not_decryptable' }
  const messageEnd = HEADER_BYTES + plain.readUInt32BE(RANDOM_BYTES)
  if (messageEnd > end) return { ok: false, reason: 'not_decryptable' }
  const got = plain.subarray(messageEnd, end)
  if (!got.equals(Buffer.from(receiveId)) && !(orNone && got.length === 0)) {
    return { ok: false, reason: 'wrong_receive_id', got: got.toString() }
  }
  const message = plain.subarray(HEADER_BYTES, messageEnd)
  // U+0000 cannot stand in XML, and PostgreSQL cannot store it.
  if (!isUtf8(message) || message.includes(0)) return { ok: false, reason: 'bad_message' }
  return { ok: true, message: message.toString() }
}

/** Where the padding begins; undefined when it is not 1–32 bytes that all say how many they are. */
function endOfContent(plain: Buffer): number | undefined {
  const pad = plain.at(-1) ?? 0
  if (pad < 1 || pad > BLOCK_BYTES) return undefined
  const end = plain.length - pad
  return plain.subarray(end).every((byte) => byte === pad) ? end : undefined
}
