import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/foundation/errors.ts'
import { planFallback } from '../../src/templates/plan-fallback.ts'
import {
  lineResolver,
  resolveTemplate,
  type AccountTemplates,
} from '../../src/templates/resolve-template.ts'
import { aTemplate, anAlias, known, values } from './known.ts'

const EXACT = aTemplate('EXACT', ['thing1', 'time2'])
const GENERAL = aTemplate('GENERAL', ['thing5', 'phrase6'])
const SYSTEM = aTemplate('SYSTEM', ['thing9'])
const ORDER = anAlias('order', [
  { templateId: 'EXACT', map: null },
  { templateId: 'GENERAL', map: { thing5: 'thing1', phrase6: { value: '已发货' } } },
  { templateId: 'SYSTEM', map: { thing9: 'thing1' } },
])
const DATA = values({ thing1: '乌龙茶', time2: '15:01' })
const GONE = { status: 'withdrawn' } as const

const ask = (templateId: string, data: object = DATA, channel = 'template_message') => ({
  channel,
  templateId,
  content: { template_id: templateId, url: 'https://shop.example', data },
})

function faultsOf(work: () => unknown): Record<string, string> {
  try {
    work()
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return Object.fromEntries(error.faults.map(({ field, rule }) => [field, rule]))
  }
  throw new Error('nothing was refused')
}

const resolve = (account: AccountTemplates, asked: ReturnType<typeof ask>) =>
  resolveTemplate(account, asked, { data: 'complete' })

describe('resolveTemplate, for a template id', () => {
  it('passes what is not known, unless the account is strict', () => {
    expect(resolve(known([EXACT]), ask('OTHER', {}))).toMatchObject({ templateId: 'OTHER' })
    const faults = faultsOf(() => resolve(known([EXACT], [], true), ask('OTHER', {})))
    expect(faults['content.template_id']).toMatch(/templates_strict/)
  })

  it.each(['withdrawn', 'banned'] as const)('refuses one that was %s', (status) => {
    const account = known([aTemplate('EXACT', ['thing1'], { status })])
    const faults = faultsOf(() => resolve(account, ask('EXACT')))
    expect(faults['content.template_id']).toContain(status)
  })

  it('names each field that is unknown, missing or unfit', () => {
    const data = values({ thing1: '字'.repeat(21), thing7: 'x' })
    expect(faultsOf(() => resolve(known([EXACT]), ask('EXACT', data)))).toEqual({
      'content.data.thing1.value': expect.stringMatching(/20 characters/) as string,
      'content.data.thing7': expect.stringMatching(/thing1, time2/) as string,
      'content.data.time2': expect.stringMatching(/is missing.*字段time2/) as string,
    })
  })

  it('says nothing about a template of another channel', () => {
    const asked = ask('EXACT', {}, 'subscription_message')
    expect(resolve(known([EXACT]), asked).templateId).toBe('EXACT')
  })
})

describe('resolveTemplate, for an alias', () => {
  it('becomes the alias’s own template with the values as they are', () => {
    expect(resolve(known([EXACT, GENERAL], [ORDER]), ask('@order'))).toEqual({
      templateId: 'EXACT',
      content: { template_id: 'EXACT', url: 'https://shop.example', data: DATA },
      alias: { name: 'order', step: 0, reason: null, askedData: null },
    })
  })

  it('becomes the first fallback that is not gone, with the values mapped', () => {
    const account = known([{ ...EXACT, ...GONE }, GENERAL, SYSTEM], [ORDER])
    expect(resolve(account, ask('@order'))).toEqual({
      templateId: 'GENERAL',
      content: {
        ...{ template_id: 'GENERAL', url: 'https://shop.example' },
        data: values({ thing5: '乌龙茶', phrase6: '已发货' }),
      },
      alias: { name: 'order', step: 1, reason: 'withdrawn', askedData: DATA },
    })
    const both = known([{ ...EXACT, status: 'banned' }, { ...GENERAL, ...GONE }, SYSTEM], [ORDER])
    expect(resolve(both, ask('@order'))).toMatchObject({
      templateId: 'SYSTEM',
      alias: { step: 2, reason: 'banned' },
    })
  })

  it('holds the values to the first template also when that is gone', () => {
    const account = known([{ ...EXACT, ...GONE }, GENERAL], [ORDER])
    const faults = faultsOf(() => resolve(account, ask('@order', values({ thing1: '茶' }))))
    expect(Object.keys(faults)).toEqual(['content.data.time2'])
  })

  it('refuses an alias that does not exist, is of another channel, or has nothing left', () => {
    const rule = (account: AccountTemplates, asked: ReturnType<typeof ask>) =>
      faultsOf(() => resolve(account, asked))['content.template_id']
    expect(rule(known([], [ORDER]), ask('@oder'))).toMatch(/it has @order/)
    expect(rule(known([], [ORDER]), ask('@order', DATA, 'subscription_message'))).toMatch(
      /template_message/,
    )
    expect(rule(known([], [ORDER]), ask('@order', DATA, 'device_message'))).toMatch(
      /an alias works/,
    )
    const gone = [EXACT, GENERAL, SYSTEM].map((one) => ({ ...one, ...GONE }))
    expect(rule(known(gone, [ORDER]), ask('@order'))).toMatch(/wcg templates alias/)
  })
})

describe('lineResolver', () => {
  const head = { ...ask('@order', values({ thing1: '茶' })), resolvedId: 'EXACT' }

  it('counts the values of the head as given, and names what a line lacks', () => {
    const resolveLine = lineResolver(known([EXACT, GENERAL], [ORDER]), head)
    expect(resolveLine(values({ time2: '15:01' }))).toEqual(values({ time2: '15:01' }))
    expect(Object.keys(faultsOf(() => resolveLine(null)))).toEqual(['data.time2'])
    expect(Object.keys(faultsOf(() => resolveLine(values({ thing3: 'x' }))))).toContain(
      'data.thing3',
    )
  })

  it('maps lines as the head was mapped', () => {
    const account = known([{ ...EXACT, ...GONE }, GENERAL], [ORDER])
    const resolveLine = lineResolver(account, { ...head, resolvedId: 'GENERAL' })
    expect(resolveLine(values({ thing1: '绿茶' }))).toMatchObject({ thing5: { value: '绿茶' } })
    expect(resolveLine(null)).toBeNull()
  })
})

describe('planFallback', () => {
  const refused = {
    ...{ alias: 'order', channel: 'template_message', templateId: 'EXACT', tried: [] },
    ...{ content: ask('EXACT').content, askedData: null },
  }
  const idsOf = (plan: ReturnType<typeof planFallback>) =>
    typeof plan === 'string' ? plan : plan.map(({ templateId }) => templateId)

  it('offers what is left of the alias in its order', () => {
    const account = known([EXACT, GENERAL, SYSTEM], [ORDER])
    expect(idsOf(planFallback(account, refused))).toEqual(['GENERAL', 'SYSTEM'])
    const second = { ...refused, templateId: 'GENERAL', tried: ['EXACT'], askedData: DATA }
    const plan = planFallback(account, { ...second, content: ask('GENERAL', {}).content })
    expect(plan).toMatchObject([
      { step: 2, content: { template_id: 'SYSTEM', data: values({ thing9: '乌龙茶' }) } },
    ])
  })

  it('takes a new first template that an operator has set meanwhile', () => {
    const mended = { ...ORDER, steps: [{ templateId: 'NEW', map: null }] as const }
    expect(idsOf(planFallback(known([EXACT], [mended]), refused))).toEqual(['NEW'])
  })

  it('says why nothing can be sent', () => {
    expect(planFallback(known([EXACT]), refused)).toBe('alias_gone')
    const all = { ...refused, tried: ['GENERAL', 'SYSTEM'] }
    expect(planFallback(known([EXACT], [ORDER]), all)).toBe('none_left')
    const long = { ...refused, askedData: values({ thing1: '字'.repeat(21) }) }
    expect(planFallback(known([EXACT, GENERAL, SYSTEM], [ORDER]), long)).toBe('does_not_fit')
  })
})
