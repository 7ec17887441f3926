import { describe, expect, it } from 'vitest'
import { idFor, isId, newApiKey, newId, personMark, sha256 } from '../../src/foundation/ids.ts'

const NOW = new Date('2026-03-01T00:00:00.123Z')

describe('newId', () => {
  it('is a UUID of version 7 that begins with the time', () => {
    const id = newId(NOW)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(NOW.getTime())
    expect(isId(id)).toBe(true)
  })

  it('sorts by time', () => {
    const times = [0, 1, 1_000, 1_772_323_200_000, 2 ** 47]
    const ids = times.map((time) => newId(new Date(time)))
    expect([...ids].sort()).toEqual(ids)
  })

  it('differs within one millisecond', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => newId(NOW))).size).toBe(1_000)
  })
})

describe('idFor', () => {
  it('is the same for the same cause, and of the form of every id', () => {
    const id = idFor('welcome/1/7', NOW)
    expect(idFor('welcome/1/7', NOW)).toBe(id)
    expect(idFor('welcome/1/8', NOW)).not.toBe(id)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(NOW.getTime())
  })
})

describe('isId', () => {
  it.each([
    '',
    'x',
    '0',
    `${newId(NOW)}0`,
    newId(NOW).toUpperCase(),
    newId(NOW).replaceAll('-', ''),
  ])('is false for %j', (text) => {
    expect(isId(text)).toBe(false)
  })
})

describe('newApiKey', () => {
  it('holds 32 random bytes behind its prefix', () => {
    const key = newApiKey()
    expect(key).toMatch(/^wcg_[A-Za-z0-9_-]{43}$/)
    expect(newApiKey()).not.toBe(key)
  })
})

describe('sha256', () => {
  it('gives the digest of the standard', () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(sha256('abc').toString('hex')).toBe(expected)
    expect(sha256(Buffer.from('abc')).toString('hex')).toBe(expected)
  })
})

describe('personMark', () => {
  it('is the same for the same person, and does not hold the openid', () => {
    const openid = 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa'
    expect(personMark(openid)).toMatch(/^[0-9a-f]{12}$/)
    expect(personMark(openid)).toBe(personMark(openid))
    expect(personMark(openid)).not.toBe(personMark(`${openid}b`))
  })
})
