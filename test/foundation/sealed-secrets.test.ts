import { describe, expect, it } from 'vitest'
import {
  addSeals,
  countSeals,
  createSecretBox,
  isForeign,
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

describe('countSeals', () => {
  const held = ['now', 'before']
  const thing = (place: string, ...keyIds: string[]) => ({ place, keyIds })
  const lostAt = (place: string, count = 1) => ({ lost: { count, place, keyId: 'gone' } })

  it.each([
    ['nothing', [], { total: 0, underOldKeys: 0 }],
    ['the sealing key', [thing('a', 'now')], { total: 1, underOldKeys: 0 }],
    ['an older key', [thing('a', 'before')], { total: 1, underOldKeys: 1 }],
    ['both', [thing('a', 'now', 'before')], { total: 1, underOldKeys: 1 }],
    ['a lost key', [thing('a', 'gone')], { total: 1, underOldKeys: 0, ...lostAt('a') }],
    [
      'a lost key beside a held one',
      [thing('a', 'before'), thing('b', 'now', 'gone')],
      { total: 2, underOldKeys: 1, ...lostAt('b') },
    ],
    [
      'many at once',
      [{ ...thing('a', 'gone'), count: 5 }],
      { total: 5, underOldKeys: 0, ...lostAt('a', 5) },
    ],
  ])('knows what %s sealed', (_, things, count) => {
    expect(countSeals(held, things)).toEqual(count)
  })

  it('is one count of several, with the first that is lost', () => {
    const counts = [[thing('a', 'now')], [thing('b', 'gone')], [thing('c', 'gone')]]
    expect(addSeals(counts.map((things) => countSeals(held, things)))).toEqual({
      ...{ total: 3, underOldKeys: 0 },
      ...lostAt('b', 2),
    })
    expect(addSeals([])).toEqual({ total: 0, underOldKeys: 0 })
  })

  it.each([
    [[], false],
    [['now'], false],
    [['before', 'gone'], false],
    [['gone'], true],
    [['gone', 'gone too'], true],
  ])('calls keys foreign where things rest under %j: %s', (keyIds, foreign) => {
    const things = keyIds.map((keyId) => thing('a', keyId))
    expect(isForeign(countSeals(held, things))).toBe(foreign)
  })
})
