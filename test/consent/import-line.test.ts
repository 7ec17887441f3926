import { describe, expect, it } from 'vitest'
import { formatOf, readLine, LINE_PROBLEMS } from '../../src/consent/import-line.ts'

const NOW = new Date('2026-11-21T00:00:00Z')
const GOOD = {
  subject: 'oInventedPersonOfThisTest012',
  scope: 'follow',
  state: 'granted',
  effective_at: '2026-01-31T08:00:00+08:00',
  reason: 'crm export',
}
const read = (fields: object) => readLine(JSON.stringify(fields), { kind: 'ndjson' }, NOW)

describe('readLine', () => {
  it('reads a JSON object', () => {
    expect(read(GOOD)).toEqual({
      kind: 'consent',
      consent: {
        ...{ subject: GOOD.subject, scope: 'follow', state: 'granted', reason: 'crm export' },
        ...{ effectiveAt: new Date('2026-01-31T00:00:00Z'), credits: null },
      },
    })
  })

  it('reads columns under a line of names, in any order, with quotes', () => {
    const format = formatOf('scope,subject,state,reason,effective_at')
    const line = `follow,${GOOD.subject},revoked,"told ""no"", by phone",2026-01-31 08:00:00+08:00`
    expect(readLine(line, format, NOW)).toMatchObject({
      consent: { state: 'revoked', reason: 'told "no", by phone', subject: GOOD.subject },
    })
  })

  it.each([
    [undefined, 1],
    [3, 3],
    ['4', 4],
    [null, null],
    ['standing', null],
  ])('gives a granted template with credits %j %j sends', (credits, expected) => {
    const fields = {
      ...GOOD,
      scope: 'template:aTemplate',
      ...(credits !== undefined && { credits }),
    }
    expect(read(fields)).toMatchObject({ consent: { credits: expected } })
  })

  const BAD: readonly (readonly [(typeof LINE_PROBLEMS)[number], object])[] = [
    ['not_an_object', []],
    ['unknown_field', { ...GOOD, name: 'x' }],
    ['bad_subject', { ...GOOD, subject: 'o x' }],
    ['bad_subject', { ...GOOD, subject: 12 }],
    ['bad_scope', { ...GOOD, scope: 'following' }],
    ['not_grantable', { ...GOOD, scope: 'conversation' }],
    ['not_grantable', { ...GOOD, scope: 'template:*' }],
    ['bad_state', { ...GOOD, state: 'yes' }],
    ['bad_time', { ...GOOD, effective_at: '2026-01-31' }],
    ['bad_time', { ...GOOD, effective_at: '2026-01-31T08:00:00' }],
    ['bad_time', { ...GOOD, effective_at: '2026-13-31T08:00:00Z' }],
    ['future_time', { ...GOOD, effective_at: '2026-11-21T00:02:00Z' }],
    ['bad_reason', { ...GOOD, reason: ' ' }],
    ['bad_credits', { ...GOOD, credits: 1 }],
    ['bad_credits', { ...GOOD, scope: 'template:aTemplate', credits: -1 }],
  ]

  it.each(BAD)('calls it %s: %j', (problem, fields) => {
    expect(read(fields)).toEqual({ kind: 'bad', problem })
  })

  it('names a row with too few columns', () => {
    expect(readLine('a,b', formatOf('subject,scope,state'), NOW)).toMatchObject({
      problem: 'wrong_columns',
    })
  })

  it('has a case here for every problem', () => {
    const tried = new Set<string>([...BAD.map(([problem]) => problem), 'wrong_columns'])
    expect([...tried].sort()).toEqual([...LINE_PROBLEMS].sort())
  })
})
