import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  archiveScope,
  CONSENT_STATES,
  externalContactScope,
  isGrantable,
  isScopeName,
  isTemplateId,
  kfScope,
  oneTimeScope,
  parseScope,
  scopeFamily,
  severity,
  supersedes,
  templateScope,
  type Standing,
} from '../../src/consent/consent.ts'

const TEMPLATE = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'

describe('parseScope', () => {
  it.each([
    ['follow', { family: 'follow' }],
    ['conversation', { family: 'conversation', window: 'message' }],
    ['conversation:action', { family: 'conversation', window: 'action' }],
    ['template:*', { family: 'template', templateId: null }],
    [`template:${TEMPLATE}`, { family: 'template', templateId: TEMPLATE }],
    ['template:a:b', { family: 'template', templateId: 'a:b' }],
    ['one_time:1000', { family: 'one_time', scene: '1000' }],
    ['member', { family: 'member' }],
    ['external_contact:LiXiaoMing', { family: 'external_contact', user: 'LiXiaoMing' }],
    ['external_contact:a:b', { family: 'external_contact', user: 'a:b' }],
    ['kf:wkT3pXBgAAmR8yL', { family: 'kf', openKfId: 'wkT3pXBgAAmR8yL' }],
    ['tenant', { family: 'tenant', part: null }],
    ['tenant:wk1', { family: 'tenant', part: 'wk1' }],
    ['msgaudit', { family: 'msgaudit', where: null }],
    ['msgaudit:LiXiaoMing', { family: 'msgaudit', where: 'LiXiaoMing' }],
    ['everything', { family: 'everything' }],
  ])('takes %s apart', (text, scope) => {
    expect(parseScope(text)).toEqual(scope)
    expect(scopeFamily(text)).toBe(scope.family)
  })

  it.each([
    '',
    'Follow',
    'follow ',
    'template',
    'template:',
    'template: a',
    `template:${'x'.repeat(129)}`,
    'conversation:',
    'conversation:other',
    'everything:',
    'everything:x',
    'member:x',
    'tenant:*',
    'external_contact',
    'external_contact:',
    'external_contact:*',
    'external_contact: a',
    'kf:',
    'kf:*',
    'one_time:',
    'msgaudit:',
    'msgaudit:*',
    ':',
    ':x',
    'constructor',
  ])('does not know %j', (text) => {
    expect(parseScope(text)).toBeUndefined()
    expect(scopeFamily(text)).toBe('other')
  })
})

describe('templateScope', () => {
  it('names one template', () => {
    expect(templateScope(TEMPLATE)).toBe(`template:${TEMPLATE}`)
  })

  it.each(['', '*', ' a', 'a ', 'a\u0000', 'x'.repeat(129)])('refuses the id %j', (id) => {
    expect(isTemplateId(id)).toBe(false)
    expect(() => templateScope(id)).toThrow('template id')
  })
})

describe('the scopes with a name', () => {
  it.each([
    [externalContactScope, 'external_contact:Li'],
    [kfScope, 'kf:Li'],
    [oneTimeScope, 'one_time:Li'],
    [archiveScope, 'msgaudit:Li'],
  ])('are built as they are read: %o', (build, text) => {
    expect(build('Li')).toBe(text)
    expect(parseScope(text)).toBeDefined()
    for (const name of ['', '*', ' a', 'a\u0000', 'x'.repeat(129)]) {
      expect(isScopeName(name)).toBe(false)
      expect(() => build(name)).toThrow('a name for a scope')
    }
  })

  it('include the archive that names nobody', () => {
    expect(archiveScope(null)).toBe('msgaudit')
  })
})

describe('isGrantable', () => {
  it.each(['follow', `template:${TEMPLATE}`, 'member', 'external_contact:Li', 'everything'])(
    'lets an operator grant %s',
    (text) => {
      expect(parseScope(text)).toSatisfy(isGrantable)
    },
  )

  it.each([
    'template:*',
    'conversation',
    'conversation:action',
    'one_time:1000',
    'kf:wkT3pXBgAAmR8yL',
    'tenant',
    'msgaudit',
    'msgaudit:Li',
  ])('leaves %s to its own evidence', (text) => {
    expect(parseScope(text)).not.toSatisfy(isGrantable)
  })
})

describe('severity', () => {
  it('puts a refusal above a suppression above a grant', () => {
    const sorted = [...CONSENT_STATES].sort((one, other) => severity(other) - severity(one))
    expect(sorted).toEqual(['revoked', 'suppressed', 'granted'])
  })
})

describe('supersedes', () => {
  const standing = (state: Standing['state'], seconds: number): Standing => ({
    state,
    effectiveAt: new Date(1767312000_000 + seconds * 1000),
  })

  it.each([
    ['a later grant', standing('granted', 1), standing('revoked', 0), true],
    ['an earlier refusal', standing('revoked', 0), standing('granted', 1), false],
    ['a refusal of the same second', standing('revoked', 0), standing('granted', 0), true],
    ['a grant of the same second', standing('granted', 0), standing('revoked', 0), false],
    ['a suppression of the same second', standing('suppressed', 0), standing('granted', 0), true],
    [
      'a suppression after a refusal, same second',
      standing('suppressed', 0),
      standing('revoked', 0),
      false,
    ],
    ['the same again', standing('granted', 0), standing('granted', 0), false],
  ])('decides about %s', (_name, newer, current, expected) => {
    expect(supersedes(newer, current)).toBe(expected)
  })

  /** Few seconds, so that ties are common. */
  const change = fc
    .tuple(fc.constantFrom(...CONSENT_STATES), fc.integer({ min: 0, max: 4 }))
    .map(([state, seconds]) => standing(state, seconds))
  const lastOf = (changes: readonly Standing[]) =>
    changes.reduce((current, newer) => (supersedes(newer, current) ? newer : current))

  it('leaves the same winner whatever the order of arrival', () => {
    const orders = fc
      .array(change, { minLength: 1, maxLength: 8 })
      .chain((changes) =>
        fc.tuple(
          fc.constant(changes),
          fc.shuffledSubarray(changes, { minLength: changes.length, maxLength: changes.length }),
        ),
      )
    fc.assert(
      fc.property(orders, ([one, other]) => {
        expect(lastOf(other)).toEqual(lastOf(one))
      }),
    )
  })

  it('leaves the same winner when changes are repeated', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        expect(lastOf([...changes, ...changes])).toEqual(lastOf(changes))
      }),
    )
  })

  it('never lets a grant win over a refusal of the newest second', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        expect(lastOf([standing('revoked', 4), ...changes]).state).toBe('revoked')
      }),
    )
  })
})
