import { describe, expect, it } from 'vitest'
import { aliasFaults, stepsOf } from '../../src/templates/alias.ts'
import { compareLists, findingsOf } from '../../src/templates/drift.ts'
import { aTemplate, anAlias } from './known.ts'

const NOW = new Date('2026-03-01T04:20:00Z')
const EXACT = aTemplate('EXACT', ['thing1', 'time2'])
const channel = 'template_message' as const
const compare = (
  stored: Parameters<typeof compareLists>[0],
  listed: Parameters<typeof compareLists>[1]['listed'],
) => compareLists(stored, { channel, listed }, NOW)

describe('compareLists', () => {
  it('notices what appears, changes and goes away', () => {
    const changed = aTemplate('EXACT', ['thing1'])
    const { changes, templates } = compare(
      [EXACT, aTemplate('OLD', [])],
      [changed, aTemplate('NEW', [])],
    )
    expect(changes.map((one) => [one.templateId, one.change])).toEqual([
      ['EXACT', 'changed'],
      ['NEW', 'appeared'],
      ['OLD', 'withdrawn'],
    ])
    expect(templates).toMatchObject([
      { templateId: 'EXACT', content: changed.content, changedAt: NOW, lastSeenAt: NOW },
      { templateId: 'NEW', status: 'live', firstSeenAt: NOW },
      { templateId: 'OLD', status: 'withdrawn', statusAt: NOW },
    ])
  })

  it('finds nothing in the same list, whatever the example says', () => {
    expect(compare([EXACT], [{ ...EXACT, example: '新的示例' }]).changes).toEqual([])
  })

  it('keeps a young ban on a template that is still listed, and lifts an old one', () => {
    const banned = (minutes: number) => ({
      ...EXACT,
      status: 'banned' as const,
      statusAt: new Date(NOW.getTime() - minutes * 60_000),
    })
    expect(compare([banned(59)], [EXACT]).templates).toMatchObject([{ status: 'banned' }])
    expect(compare([banned(61)], [EXACT])).toMatchObject({
      templates: [{ status: 'live' }],
      changes: [{ change: 'returned' }],
    })
  })
})

describe('aliasFaults', () => {
  const general = aTemplate('GENERAL', ['thing5'])
  const find = (id: string) => [EXACT, general].find(({ templateId }) => templateId === id)
  const faults = (map: Record<string, string | { value: string }> | undefined, id = 'GENERAL') =>
    aliasFaults(
      stepsOf({ channel, template_id: 'EXACT', fallbacks: [{ template_id: id, map }] }),
      find,
    ).map(({ field }) => field)

  it('finds nothing in a map that fits, and nothing about templates it does not know', () => {
    expect(faults({ thing5: 'thing1' })).toEqual([])
    expect(faults({ thing5: { value: '已发货' } })).toEqual([])
    expect(faults({ anything1: 'thing1' }, 'UNKNOWN')).toEqual([])
  })

  it('names fields that the templates do not have, values that are missing, and repeats', () => {
    expect(faults({ thing6: 'thing1' })).toEqual([
      'fallbacks.0.map.thing6',
      'fallbacks.0.map.thing5',
    ])
    expect(faults({ thing5: 'thing9' })).toEqual(['fallbacks.0.map.thing5'])
    expect(faults(undefined)).toEqual(['fallbacks.0.map.thing5'])
    expect(faults(undefined, 'EXACT')).toEqual(['fallbacks.0.template_id'])
  })
})

describe('findingsOf', () => {
  it('tells an operator what to look at', () => {
    const templates = [
      aTemplate('GONE', ['thing1'], { status: 'withdrawn' }),
      aTemplate('NEWS', ['thing1'], { changedAt: new Date(NOW.getTime() - 86_400_000) }),
      aTemplate('OTHER', ['thing1', 'phrase2'], { changedAt: new Date(0) }),
    ]
    const alias = anAlias('order', [
      { templateId: 'GONE', map: null },
      { templateId: 'NEWS', map: null },
      { templateId: 'OTHER', map: null },
      { templateId: 'NOBODY', map: null },
    ])
    const findings = findingsOf({ templates, aliases: [alias] }, new Map([['GONE', 3]]), NOW)
    expect(findings.map(({ kind, templateId, detail }) => [kind, templateId, detail])).toEqual([
      ['gone', 'GONE', 'withdrawn'],
      ['changed', 'NEWS', '2026-02-28T04:20:00.000Z'],
      ['not_known', 'NOBODY', ''],
      ['map', 'OTHER', 'phrase2'],
      ['waiting', 'GONE', '3'],
    ])
  })
})
