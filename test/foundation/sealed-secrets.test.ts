import { describe, expect, it } from 'vitest'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
  type MasterKey,
} from '../../src/foundation/sealed-secrets.ts'

const PLACE = 'account/7/app_secret'

function aKey(): MasterKey {
  const key = parseMasterKey(newMasterKey())
  if (!key) throw new Error('a new master key does not parse')
  return key
}

describe('parseMasterKey', () => {
  const bytes = Buffer.alloc(32, 0xfb)

  it.each([
    ['hex', bytes.toString('hex')],
    ['hex in capitals', bytes.toString('hex').toUpperCase()],
    ['base64', bytes.toString('base64')],
    ['base64 without padding', bytes.toString('base64').replace('=', '')],
    ['base64url', bytes.toString('base64url')],
  ])('reads %s', (_form, text) => {
    expect(parseMasterKey(text)?.bytes).toEqual(bytes)
  })

  it.each([
    '',
    'short',
    bytes.toString('hex').slice(2),
    `${bytes.toString('hex')}00`,
    ' '.repeat(44),
  ])('does not read %j', (text) => {
    expect(parseMasterKey(text)).toBeUndefined()
  })
})

describe('createSecretBox', () => {
  it.each(['', 'a secret', '密钥 🔑'])('opens what it sealed: %j', (plain) => {
    const box = createSecretBox([aKey()])
    const sealed = box.seal(plain, PLACE)
    if (plain !== '') expect(sealed).not.toContain(plain)
    expect(box.open(sealed, PLACE)).toBe(plain)
    expect(box.keyIdOf(sealed)).toBe(box.keyId)
  })

  it('never seals alike', () => {
    const box = createSecretBox([aKey()])
    expect(box.seal('a secret', PLACE)).not.toBe(box.seal('a secret', PLACE))
  })

  it('opens under an older key and seals under the first', () => {
    const [older, newer] = [aKey(), aKey()]
    const sealed = createSecretBox([older]).seal('a secret', PLACE)
    const rotated = createSecretBox([newer, older])
    expect(rotated.open(sealed, PLACE)).toBe('a secret')
    expect(rotated.keyIdOf(rotated.seal('a secret', PLACE))).toBe(newer.id)
  })

  it('does not open at another place', () => {
    const box = createSecretBox([aKey()])
    const sealed = box.seal('a secret', PLACE)
    expect(() => box.open(sealed, 'account/8/app_secret')).toThrow(
      expect.objectContaining({ code: 'broken_seal' }),
    )
  })

  it.each([0, 2, 3, 4])('does not open when part %i was changed', (part) => {
    const box = createSecretBox([aKey()])
    const parts = box.seal('a secret', PLACE).split('.')
    const changed = parts[part] ?? ''
    parts[part] = (changed.startsWith('A') ? 'B' : 'A') + changed.slice(1)
    expect(() => box.open(parts.join('.'), PLACE)).toThrow(
      expect.objectContaining({ code: 'broken_seal' }),
    )
  })

  it('does not take a shortened tag', () => {
    const box = createSecretBox([aKey()])
    const parts = box.seal('a secret', PLACE).split('.')
    parts[3] = Buffer.from(parts[3] ?? '', 'base64url')
      .subarray(0, 4)
      .toString('base64url')
    expect(() => box.open(parts.join('.'), PLACE)).toThrow(
      expect.objectContaining({ code: 'broken_seal' }),
    )
  })

  it('names the master key that is missing', () => {
    const sealed = createSecretBox([aKey()]).seal('a secret', PLACE)
    expect(() => createSecretBox([aKey()]).open(sealed, PLACE)).toThrow(
      expect.objectContaining({ code: 'unknown_master_key' }),
    )
  })
})
