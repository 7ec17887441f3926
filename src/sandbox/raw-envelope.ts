import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { EnvelopeKey } from '../receiver/message-crypto.ts'
import { signMessage } from '../receiver/signature.ts'

/*
 * The envelope by hand: to seal what no right sender makes, and to read a reply without the code
 * that wrote it.
 */

const BLOCK_BYTES = 32
const HEADER_BYTES = 20

export type EnvelopeDamage = 'broken_length' | 'broken_padding'

/** Seals a message so that it decrypts, but says a wrong length or has a padding that is none. */
export function sealDamaged(input: {
  readonly message: string
  readonly receiveId: string
  readonly key: EnvelopeKey
  readonly random: Buffer
  readonly damage: EnvelopeDamage
}): string {
  const message = Buffer.from(input.message)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(input.damage === 'broken_length' ? 0x7fffffff : message.length)
  const full = Buffer.concat([input.random, length, message, Buffer.from(input.receiveId)])
  const pad = BLOCK_BYTES - (full.length % BLOCK_BYTES)
  const padding = Buffer.alloc(pad, pad)
  if (input.damage === 'broken_padding') padding[pad - 1] = 42
  const cipher = createCipheriv('aes-256-cbc', input.key.key, input.key.iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(full), cipher.update(padding), cipher.final()]).toString(
    'base64',
  )
}

/**
 * The document of an encrypted passive reply (callbacks.md §4.5); undefined when the signature, the
 * padding or the receive id is wrong.
 */
export function openReply(
  body: string,
  owner: { readonly token: string; readonly key: EnvelopeKey; readonly receiveId: string },
): string | undefined {
  const encrypt = readField(body, 'Encrypt')
  const nonce = readField(body, 'Nonce')
  const timestamp = readField(body, 'TimeStamp')
  const signature = readField(body, 'MsgSignature')
  if (!encrypt || nonce === undefined || timestamp === undefined) return undefined
  if (signature !== signMessage({ token: owner.token, timestamp, nonce, encrypt })) return undefined
  const bytes = Buffer.from(encrypt, 'base64')
  if (bytes.length === 0 || bytes.length % 16 !== 0) return undefined
  const { key, iv } = owner.key
  const aes = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  const plain = Buffer.concat([aes.update(bytes), aes.final()])
  const end = plain.length - (plain.at(-1) ?? 0)
  const messageEnd = HEADER_BYTES + plain.readUInt32BE(HEADER_BYTES - 4)
  if (messageEnd > end) return undefined
  if (plain.subarray(messageEnd, end).toString() !== owner.receiveId) return undefined
  return plain.subarray(HEADER_BYTES, messageEnd).toString()
}

/** The text of one element or, in JSON, of one member at the top; numbers as they are written. */
export function readField(document: string, name: string): string | undefined {
  return document.startsWith('{') ? readMember(document, name) : readElement(document, name)
}

function readMember(document: string, name: string): string | undefined {
  return new RegExp(`"${name}":\\s*(?:"([^"]*)"|(\\d+))`).exec(document)?.slice(1).find(Boolean)
}

/** The text of one element, with or without CDATA. */
export function readElement(document: string, name: string): string | undefined {
  return new RegExp(`<${name}>\\s*(?:<!\\[CDATA\\[)?([^]*?)(?:\\]\\]>)?\\s*</${name}>`).exec(
    document,
  )?.[1]
}
