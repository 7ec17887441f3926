import { describe, expect, it } from 'vitest'
import { sameSignature, signMessage, signRequest } from '../../src/receiver/signature.ts'
import { REFUSED, OFFICIAL_ACCOUNT, SEALED, SIGNED_REQUESTS } from '../fixtures/vectors.ts'

describe('signRequest', () => {
  it.each(SIGNED_REQUESTS)('makes the signature of $name', (request) => {
    const { token, timestamp, nonce, signature } = request
    expect(signRequest(token, timestamp, nonce)).toBe(signature)
  })

  it.each(SEALED.filter((vector) => vector.signature !== undefined))(
    'makes the signature that accompanies $name',
    ({ token, timestamp, nonce, signature }) => {
      expect(signRequest(token, timestamp, nonce)).toBe(signature)
    },
  )
})

describe('signMessage', () => {
  it.each(SEALED)('makes the msg_signature of $name', (vector) => {
    expect(signMessage(vector)).toBe(vector.msgSignature)
  })

  it.each(REFUSED)('makes the msg_signature of $name, whose fault lies deeper', (vector) => {
    expect(signMessage({ ...vector, token: OFFICIAL_ACCOUNT.token })).toBe(vector.msgSignature)
  })

  it('sorts by code unit: capitals before small letters, whatever the locale', () => {
    const parts = { timestamp: '1', nonce: '2' }
    expect(signMessage({ ...parts, token: 'a', encrypt: 'B' })).toBe(
      signMessage({ ...parts, token: 'Ba', encrypt: '' }),
    )
  })
})

describe('sameSignature', () => {
  const right = 'f464b24fc39322e44b38aa78f5edd27bd1441696'

  it('finds a signature the same as itself', () => {
    expect(sameSignature(right, right)).toBe(true)
  })

  it.each([
    ['another last digit', 'f464b24fc39322e44b38aa78f5edd27bd1441697'],
    ['capitals', right.toUpperCase()],
    ['a digit less', right.slice(1)],
    ['a digit more', `${right}0`],
    ['a line break behind it', `${right}\n`],
    ['nothing', ''],
    ['wide digits', right.replace('4', '４')],
  ])('finds it different from %s', (_, other) => {
    expect(sameSignature(right, other)).toBe(false)
    expect(sameSignature(other, right)).toBe(false)
  })

  it('finds two equal texts that are no signatures different', () => {
    expect(sameSignature('success', 'success')).toBe(false)
  })
})
