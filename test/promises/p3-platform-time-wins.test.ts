import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expectedOf, heldBy } from '../support/consent-history.ts'
import { documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { useRoad } from '../support/road.ts'

const SETTINGS = { long_term_templates: ['TL'] }
const road = useRoad({ processes: 2, accounts: [{ settings: SETTINGS }] })

/** The first second of all histories; each lasts a few seconds only, so that many acts share one. */
const T0 = Math.floor(Date.now() / 1000) - 300

/** An act at a second, with where and when its push arrives, perhaps several times. */
interface Told {
  readonly act: Act
  readonly second: number
  readonly arrivals: readonly { readonly process: number; readonly turn: number }[]
}

const TEMPLATES = ['T1', 'T2', 'TL'] as const

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('subscribe' as const, 'unsubscribe' as const),
    key: fc.constant(''),
  }),
  fc.record({ kind: fc.constantFrom('menu' as const, 'scan' as const), key: fc.constant('1') }),
  fc.record({
    kind: fc.constantFrom('accept' as const, 'accept' as const, 'reject' as const),
    templateId: fc.constantFrom(...TEMPLATES),
  }),
  fc.record({
    kind: fc.constant('switch_off' as const),
    templateId: fc.constantFrom(...TEMPLATES),
  }),
  fc.record({
    kind: fc.constant('say' as const),
    text: fc.constantFrom('你好', '退订'),
    msgId: fc.integer({ min: 1, max: 99 }).map((last) => `34000000000000000${last}`),
  }),
)

const anyHistory: fc.Arbitrary<Told[]> = fc.array(
  fc.record({
    act: anyAct,
    second: fc.nat({ max: 3 }),
    arrivals: fc.array(fc.record({ process: fc.nat({ max: 1 }), turn: fc.nat({ max: 2 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  { minLength: 2, maxLength: 12 },
)

const held = (openid: string) =>
  heldBy(road().database.db, { accountId: road().account.id, openid }, T0)

async function arrive(openid: string, told: readonly Told[]): Promise<readonly string[]> {
  const { originalId } = road().account
  const written = told.map(({ act, second, arrivals }) => ({
    document: documentOf({ originalId, openid, at: T0 + second }, act),
    arrivals,
  }))
  for (const turn of [0, 1, 2]) {
    const now = written.flatMap(({ document, arrivals }) =>
      arrivals.filter((one) => one.turn === turn).map(({ process }) => ({ document, process })),
    )
    const answers = await Promise.all(
      now.map(({ document, process }) =>
        road().push(document, { gateway: road().gateways[process]! }),
      ),
    )
    expect(answers.filter(({ text }) => text !== 'success')).toEqual([])
  }
  return [...new Set(written.map(({ document }) => document))]
}

describe('p3 platform-time-wins', { timeout: 60_000 }, () => {
  it.each<[string, Act, Act]>([
    ['unsubscribe', { kind: 'subscribe', key: '' }, { kind: 'unsubscribe', key: '' }],
    ['popup reject', { kind: 'accept', templateId: 'T1' }, { kind: 'reject', templateId: 'T1' }],
    [
      'switching off',
      { kind: 'accept', templateId: 'TL' },
      { kind: 'switch_off', templateId: 'TL' },
    ],
  ])('lets the refusal of the same second win, whichever comes first: %s', async (_, yes, no) => {
    for (const order of [
      [yes, no],
      [no, yes],
    ]) {
      const openid = newOpenid()
      for (const [index, act] of order.entries()) {
        await arrive(openid, [{ act, second: 1, arrivals: [{ process: index, turn: 0 }] }])
      }
      const scope = 'templateId' in yes ? `template:${yes.templateId}` : 'follow'
      expect((await held(openid))[scope]).toMatchObject({ state: 'revoked', at: 1 })
    }
  })

  it('does not let a late old refusal undo a newer consent, nor a late old consent a refusal', async () => {
    const [back, gone] = [newOpenid(), newOpenid()]
    const once = [{ process: 0, turn: 0 }]
    const subscribe: Act = { kind: 'subscribe', key: '' }
    const unsubscribe: Act = { kind: 'unsubscribe', key: '' }
    await arrive(back, [{ act: subscribe, second: 2, arrivals: once }])
    await arrive(back, [{ act: unsubscribe, second: 1, arrivals: [{ process: 1, turn: 0 }] }])
    await arrive(gone, [{ act: unsubscribe, second: 2, arrivals: once }])
    await arrive(gone, [{ act: subscribe, second: 1, arrivals: [{ process: 1, turn: 0 }] }])
    expect((await held(back))['follow']).toMatchObject({ state: 'granted', at: 2 })
    expect((await held(gone))['follow']).toMatchObject({ state: 'revoked', at: 2 })
  })

  it('ends with the same consents whatever the order, the repeats and the processes', async () => {
    await fc.assert(
      fc.asyncProperty(anyHistory, async (told) => {
        const openid = newOpenid()
        const documents = await arrive(openid, told)
        expect(await held(openid)).toEqual(
          expectedOf(documents, { second: T0, settings: SETTINGS }),
        )
      }),
      { numRuns: 200 },
    )
  })
})
