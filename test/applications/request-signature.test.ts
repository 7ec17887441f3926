import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  isFresh,
  isSignedWith,
  readClaim,
  readContentDigest,
  signatureOf,
  type SignedParts,
} from '../../src/applications/request-signature.ts'
import { sha256 } from '../../src/foundation/ids.ts'

const SECRET = 'wcgs_InventedSigningSecretOfTheDocs000000000000000'
const BODY = '{"results": {"T1": "accept"}, "requested_at": "2026-03-01T09:00:00+08:00"}'

/** Signed with `openssl dgst -sha256 -hmac`, as docs/api.md shows it. */
const REPORT = {
  parts: {
    method: 'POST',
    path: '/v1/accounts/acme/consents/oInventedOpenid0001/reports',
    query: '',
    bodyDigest: 'f9a7184d9b42a5b2153dafc242acfb371b9d01e97c8e7e17206e12df02fed5a3',
    timestamp: '1772326800',
    nonce: '5f0c2d7e-90a1-4b52-8d3e-6f1a2b3c4d5e',
  },
  hex: '18d7e7615e58e4726e16c505b1b2ea9bf1a28fec258db855726046ffbf1a286c',
}
const LIST = {
  parts: {
    method: 'GET',
    path: '/v1/events',
    query: 'account=acme&kind=event.unsubscribe&cursor=a%2Bb',
    bodyDigest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    timestamp: '1772326800',
    nonce: '0123456789abcdef',
  },
  hex: 'cd27b299af158bb4bfb27bcd48b5b3905402166004f99eed3428ffffeae875b4',
}

describe('signatureOf', () => {
  it.each([REPORT, LIST])('makes what openssl makes of $parts.method $parts.path', (vector) => {
    expect(signatureOf(SECRET, vector.parts).toString('hex')).toBe(vector.hex)
  })

  it('is over the digest of the bytes of the body', () => {
    expect(sha256(BODY).toString('hex')).toBe(REPORT.parts.bodyDigest)
    expect(sha256('').toString('hex')).toBe(LIST.parts.bodyDigest)
  })

  it('is the one that docs/api.md shows', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/api.md'), 'utf8')
    const { method, path, query, bodyDigest, timestamp, nonce } = REPORT.parts
    expect(page).toContain([method, path, query, bodyDigest, timestamp, nonce].join('\n'))
    for (const text of [SECRET, BODY, `sha256=${REPORT.hex}`]) expect(page).toContain(text)
  })
})

describe('isSignedWith', () => {
  const signature = Buffer.from(REPORT.hex, 'hex')

  it('takes each of the secrets that count', () => {
    expect(isSignedWith([SECRET], REPORT.parts, signature)).toBe(true)
    expect(isSignedWith(['another', SECRET], REPORT.parts, signature)).toBe(true)
    expect(isSignedWith(['another'], REPORT.parts, signature)).toBe(false)
    expect(isSignedWith([], REPORT.parts, signature)).toBe(false)
  })

  it.each([
    { method: 'PUT' },
    { path: '/v1/accounts/acme/consents/oInventedOpenid0002/reports' },
    { query: 'x=1' },
    { bodyDigest: LIST.parts.bodyDigest },
    { timestamp: '1772326801' },
    { nonce: '5f0c2d7e-90a1-4b52-8d3e-6f1a2b3c4d5f' },
  ] satisfies Partial<SignedParts>[])('does not fit with %j instead', (change) => {
    expect(isSignedWith([SECRET], { ...REPORT.parts, ...change }, signature)).toBe(false)
  })
})

describe('readClaim', () => {
  const headers = {
    timestamp: '1772326800',
    nonce: '0123456789abcdef',
    signature: `sha256=${REPORT.hex}`,
  }

  it('reads the three headers', () => {
    const { timestamp, nonce } = headers
    expect(readClaim(headers)).toEqual({
      ...{ timestamp, nonce },
      signature: Buffer.from(REPORT.hex, 'hex'),
    })
  })

  it.each([
    [{ signature: REPORT.hex }, 'X-Signature'],
    [{ signature: `sha256=${REPORT.hex.toUpperCase()}` }, 'X-Signature'],
    [{ signature: `sha256=${REPORT.hex}0` }, 'X-Signature'],
    [{ signature: `sha256=${REPORT.hex}, sha256=${REPORT.hex}` }, 'X-Signature'],
    [{ timestamp: undefined }, 'X-Timestamp'],
    [{ timestamp: '1772326800000' }, 'X-Timestamp'],
    [{ timestamp: '1772326800.5' }, 'X-Timestamp'],
    [{ timestamp: '2026-03-01T01:00:00Z' }, 'X-Timestamp'],
    [{ nonce: undefined }, 'X-Nonce'],
    [{ nonce: '0123456789abcde' }, 'X-Nonce'],
    [{ nonce: 'x'.repeat(129) }, 'X-Nonce'],
    [{ nonce: '0123456789 abcdef' }, 'X-Nonce'],
  ])('names the header of %j', (change, header) => {
    expect(readClaim({ ...headers, ...change })).toMatchObject({ header })
  })
})

describe('isFresh', () => {
  const now = new Date(1_772_326_800_900)

  it.each([
    [0, true],
    [-300, true],
    [300, true],
    [-301, false],
    [301, false],
  ])('of a request %d seconds from now is %s', (seconds, fresh) => {
    expect(isFresh(String(1_772_326_800 + seconds), now)).toBe(fresh)
  })
})

describe('readContentDigest', () => {
  const digest = sha256('lines')
  const field = `sha-256=:${digest.toString('base64')}:`

  it.each([field, `sha-512=:AAAA:, ${field}`, `${field},sha-512=:AAAA:`])('reads %s', (header) => {
    expect(readContentDigest(header)).toBe(digest.toString('hex'))
  })

  it.each([undefined, '', 'sha-512=:AAAA:', digest.toString('hex'), `x${field}`, `${field}x`])(
    'finds none in %s',
    (header) => {
      expect(readContentDigest(header)).toBeUndefined()
    },
  )
})
