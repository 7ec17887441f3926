import { createCipheriv, createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import WXBizMsgCrypt from 'wechat-crypto'
import { InvariantError } from '../../src/foundation/errors.ts'
import {
  isAesKey,
  openEnvelope,
  prepareKey,
  sealEnvelope,
} from '../../src/receiver/message-crypto.ts'
import {
  FOREIGN_AES_KEY,
  OFFICIAL_ACCOUNT,
  REFUSED,
  SEALED,
  sealedVector,
  type SealedVector,
} from '../fixtures/vectors.ts'

const { aesKey, previousAesKey, appId: receiveId, token } = OFFICIAL_ACCOUNT
const key = prepareKey(aesKey)
const previous = prepareKey(previousAesKey)
const keys = { current: key, previous: null }
const random = Buffer.from('0123456789abcdef')
/** The library under test elsewhere, as the second opinion here. */
const library = new WXBizMsgCrypt(token, aesKey, receiveId)

/** Seals bytes that a correct sender would never make: the whole plaintext, padding included. */
function sealRaw(plain: Buffer): string {
  const cipher = createCipheriv('aes-256-cbc', key.key, key.iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64')
}

/** A plaintext with every part given. */
function plaintext(parts: {
  message: Buffer
  length?: number
  id?: string
  padWith?: (pad: number) => Buffer
}): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(parts.length ?? parts.message.length)
  const full = Buffer.concat([random, length, parts.message, Buffer.from(parts.id ?? receiveId)])
  const pad = 32 - (full.length % 32)
  return Buffer.concat([full, parts.padWith?.(pad) ?? Buffer.alloc(pad, pad)])
}

function open(encrypt: string) {
  return openEnvelope({ encrypt, keys, receiveId })
}

function openVector(vector: SealedVector) {
  const current = prepareKey(vector.aesKey)
  return openEnvelope({
    encrypt: vector.encrypt,
    keys: { current, previous: null },
    receiveId: vector.receiveId,
  })
}

describe('openEnvelope', () => {
  it.each(SEALED)('opens $name', (vector) => {
    const opened = openVector(vector)
    if (!opened.ok) throw new Error(opened.reason)
    expect(Buffer.byteLength(opened.message)).toBe(vector.messageBytes)
    if (vector.message !== undefined) expect(opened.message).toBe(vector.message)
    if (vector.sha256 !== undefined) {
      expect(createHash('sha256').update(opened.message).digest('hex')).toBe(vector.sha256)
    }
  })

  it('says which of the two keys opened it', () => {
    const both = { current: key, previous }
    const { encrypt: current } = sealedVector('F2')
    const { encrypt: old } = sealedVector('F3')
    expect(openEnvelope({ encrypt: current, keys: both, receiveId })).toMatchObject({
      ok: true,
      keyUsed: 'current',
    })
    expect(openEnvelope({ encrypt: old, keys: both, receiveId })).toMatchObject({
      ok: true,
      keyUsed: 'previous',
    })
    expect(open(old)).toEqual({ ok: false, reason: 'not_decryptable' })
  })

  it.each([
    ['N1', { reason: 'wrong_receive_id', got: 'wx0000000000000000' }],
    ['N2', { reason: 'not_decryptable' }],
    ['N3', { reason: 'not_decryptable' }],
    ['N4', { reason: 'not_decryptable' }],
  ])('refuses %s', (name, fault) => {
    const { encrypt } = REFUSED.find((vector) => vector.name === name)!
    const both = { current: key, previous }
    expect(openEnvelope({ encrypt, keys: both, receiveId })).toEqual({ ok: false, ...fault })
  })

  const whole = sealedVector('F2').encrypt
  it.each([
    ['nothing', ''],
    ['a text that is not base64', 'a*b='],
    ['base64 of the URL alphabet', whole.replaceAll('+', '-').replaceAll('/', '_')],
    ['base64 with a line break inside', `${whole.slice(0, 76)}\n${whole.slice(76)}`],
    ['a character less', whole.slice(0, -1)],
    ['16 bytes less: a multiple of AES blocks only', dropBytes(whole, 16)],
    ['one byte less', dropBytes(whole, 1)],
    ['padding characters alone', '===='],
  ])('refuses %s as a ciphertext', (_, encrypt) => {
    expect(open(encrypt)).toEqual({ ok: false, reason: 'bad_ciphertext' })
  })

  const message = Buffer.from('<xml/>')
  it.each([
    ['padding of zeros', plaintext({ message, padWith: (pad) => Buffer.alloc(pad) })],
    ['one wrong byte of padding', plaintext({ message, padWith: spoilFirst })],
    ['no room for a length', Buffer.alloc(32, 32)],
    ['padding over the length field', Buffer.concat([Buffer.alloc(15), Buffer.alloc(17, 17)])],
    ['a length one past the end', plaintext({ message, length: 6 + receiveId.length + 1 })],
    ['the largest length', plaintext({ message, length: 0xffff_ffff })],
  ])('refuses %s', (_, plain) => {
    expect(open(sealRaw(plain))).toEqual({ ok: false, reason: 'not_decryptable' })
  })

  it.each([
    ['the start of the id', 'wx7f3a9c2e5b8d104'],
    ['the id and more', `${receiveId}0`],
    ['the id in capitals', receiveId.toUpperCase()],
    ['a space behind the id', `${receiveId} `],
    ['no id', ''],
  ])('refuses %s in place of the id', (_, id) => {
    expect(open(sealRaw(plaintext({ message, id })))).toEqual({
      ok: false,
      reason: 'wrong_receive_id',
      got: id,
    })
  })

  it.each([
    ['a cut character', Buffer.from('退').subarray(0, 2)],
    ['an overlong slash', Buffer.from([0xc0, 0xaf])],
    ['half a surrogate pair', Buffer.from([0xed, 0xa0, 0x80])],
    ['U+0000', Buffer.from('a\0b')],
  ])('refuses %s in the message', (_, bytes) => {
    expect(open(sealRaw(plaintext({ message: bytes })))).toEqual({
      ok: false,
      reason: 'bad_message',
    })
  })

  it('opens what the library seals', () => {
    const text = '欢迎 👋 ]]> <xml>'
    expect(open(library.encrypt(text))).toEqual({ ok: true, message: text, keyUsed: 'current' })
  })

  it('never throws, whichever byte of a ciphertext is changed, and never finds the text unchanged', () => {
    const bytes = Buffer.from(whole, 'base64')
    const original = sealedVector('F2').message
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes)
        changed[at]! ^= flip
        const opened = open(changed.toString('base64'))
        // It may find another text: the envelope has no seal of its own, the signature is it.
        return !opened.ok || opened.message !== original
      }),
      { numRuns: 300 },
    )
  })
})

describe('sealEnvelope', () => {
  const reproducible = SEALED.filter((vector) => vector.message && vector.random)

  it.each(reproducible)('makes $name bit for bit', (vector) => {
    const sealed = sealEnvelope({
      message: vector.message ?? '',
      receiveId: vector.receiveId,
      key: prepareKey(vector.aesKey),
      random: Buffer.from(vector.random ?? ''),
    })
    expect(sealed).toBe(vector.encrypt)
  })

  it('seals the same text differently each time', () => {
    const input = { message: '<xml/>', receiveId, key }
    expect(sealEnvelope(input)).not.toBe(sealEnvelope(input))
  })

  it('seals what openEnvelope and the library both open, whatever the text and its length', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 }).filter((t) => !t.includes('\0'))
    fc.assert(
      fc.property(text, (message) => {
        const encrypt = sealEnvelope({ message, receiveId, key })
        expect(open(encrypt)).toEqual({ ok: true, message, keyUsed: 'current' })
        expect(library.decrypt(encrypt)).toEqual({ message, id: receiveId })
      }),
      { numRuns: 200 },
    )
  })

  it('pads with 1 to 32 bytes, a whole block where nothing is missing', () => {
    const sizes = Array.from({ length: 33 }, (_, length) => 'x'.repeat(length))
    for (const message of sizes) {
      const encrypt = sealEnvelope({ message, receiveId, key })
      const content = 20 + message.length + receiveId.length
      expect(Buffer.from(encrypt, 'base64').length).toBe((Math.floor(content / 32) + 1) * 32)
      expect(open(encrypt)).toMatchObject({ ok: true, message })
    }
  })
})

describe('prepareKey', () => {
  it('reads the key of the fixtures, whose last character carries bits to spare', () => {
    expect(prepareKey(aesKey).key.export().toString('hex')).toBe(
      '910ee6669d8bc55f6c4dfe076cdd5c472f16809e6e11adc3a178ba2af32d3ea7',
    )
  })

  it('throws at a text that is not an EncodingAESKey', () => {
    expect(() => prepareKey('short')).toThrow(InvariantError)
  })
})

describe('isAesKey', () => {
  it.each([
    [true, FOREIGN_AES_KEY],
    [false, FOREIGN_AES_KEY.slice(1)],
    [false, `${FOREIGN_AES_KEY}A`],
    [false, FOREIGN_AES_KEY.replace('Q', '+')],
    [false, `${FOREIGN_AES_KEY.slice(1)}=`],
    [false, `${FOREIGN_AES_KEY}\n`],
    [false, ''],
  ])('answers %s for %j', (expected, text) => {
    expect(isAesKey(text)).toBe(expected)
  })
})

function dropBytes(base64: string, count: number): string {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.subarray(0, bytes.length - count).toString('base64')
}

function spoilFirst(pad: number): Buffer {
  const padding = Buffer.alloc(pad, pad)
  padding[0] = pad - 1
  return padding
}
