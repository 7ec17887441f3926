import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changesOf, documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { recordedAbout } from '../support/recorded.ts'
import { useRoad } from '../support/road.ts'
import { postPush, signPush } from '../support/sign-push.ts'

const PROCESSES = 3
const road = useRoad({ processes: PROCESSES })

const recorded = (openid: string) => recordedAbout(road().database.db, road().account.id, openid)

/** A second of the recent past, so that seconds of a test may differ in both directions. */
const T0 = Math.floor(Date.now() / 1000) - 300

function documentFrom(openid: string, act: Act, second = 0): string {
  return documentOf({ originalId: road().account.originalId, openid, at: T0 + second }, act)
}

function ledgerOf(documents: readonly string[]): string[] {
  const changes = documents.flatMap((document) => changesOf(document))
  return changes.map(({ scope, change }) => `${scope} ${change}`).sort()
}

/** How often each process says in its log that it recorded or repeated a push of this name. */
function said(outcome: 'recorded' | 'repeated', eventId: string): number {
  const lines = road().gateways.flatMap(({ lines }) => lines)
  return lines.filter(
    (line) => line.includes(`"push.${outcome}"`) && line.includes(`"event_id":"${eventId}"`),
  ).length
}

describe('p2 repeats-change-nothing', { timeout: 60_000 }, () => {
  it.each([
    ['with the same bytes', false],
    ['sealed and signed anew', true],
  ])('records one push of 60 that reach three processes at once, %s', async (_, anew) => {
    const openid = newOpenid()
    const document = documentFrom(openid, { kind: 'accept', templateId: 'T1' })
    const { account } = road()
    const first = signPush(account, document)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, copy) => {
        const timestamp = String(Math.floor(Date.now() / 1000) - copy)
        const push = anew ? signPush(account, document, { timestamp }) : first
        return postPush(road().callbackUrl(road().gateways[copy % PROCESSES]), push)
      }),
    )
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(
      new Set(['200 success']),
    )
    const all = { documents: [document], ledger: ['template:T1 granted'], scopes: ['template:T1'] }
    expect(await recorded(openid)).toEqual(all)
    const { db } = road().database
    const [consent]: { credits: number | null }[] = await db('consent')
      .where({ subject: openid })
      .select('credits')
    expect(consent).toEqual({ credits: 1 })

    const [event]: { id: string }[] = await db('event').where({ subject: openid }).select('id')
    const id = event?.id ?? ''
    const heard = () => said('recorded', id) + said('repeated', id)
    await expect.poll(heard, { timeout: 10_000 }).toBe(60)
    expect(said('recorded', id)).toBe(1)
  })

  it('answers a repeat days later as the first one', async () => {
    const openid = newOpenid()
    const document = documentFrom(openid, { kind: 'unsubscribe', key: '' }, -3 * 86_400)
    expect(await road().push(document)).toMatchObject({ status: 200, text: 'success' })
    const before = await recorded(openid)
    expect(await road().push(document)).toMatchObject({ status: 200, text: 'success' })
    expect(await recorded(openid)).toEqual(before)
  })

  it.each<[string, Act, Act]>([
    ['two scans with different keys', { kind: 'scan', key: '1' }, { kind: 'scan', key: '2' }],
    [
      'two templates accepted',
      { kind: 'accept', templateId: 'T1' },
      { kind: 'accept', templateId: 'T2' },
    ],
    [
      'two messages of the same text',
      { kind: 'say', text: '好', msgId: '3400000000000000001' },
      { kind: 'say', text: '好', msgId: '3400000000000000002' },
    ],
    [
      'an accepted and a rejected template',
      { kind: 'accept', templateId: 'T1' },
      { kind: 'reject', templateId: 'T1' },
    ],
  ])('keeps two pushes of one person and one second apart: %s', async (_, one, other) => {
    const openid = newOpenid()
    const documents = [documentFrom(openid, one), documentFrom(openid, other)]
    const answers = await Promise.all(
      documents.map((document, index) =>
        road().push(document, { gateway: road().gateways[index]! }),
      ),
    )
    expect(answers.map(({ text }) => text)).toEqual(['success', 'success'])
    const now = await recorded(openid)
    expect([...now.documents].sort()).toEqual([...documents].sort())
    expect(now.ledger).toEqual(ledgerOf(documents))
  })

  it('counts right whatever is repeated, wherever and however often', async () => {
    const anyAct = fc.oneof(
      fc.record({
        kind: fc.constantFrom('subscribe' as const, 'unsubscribe' as const, 'menu' as const),
        key: fc.constantFrom('', '1'),
      }),
      fc.record({
        kind: fc.constantFrom('accept' as const, 'reject' as const, 'switch_off' as const),
        templateId: fc.constantFrom('T1', 'T2'),
      }),
    )
    const anyCopy = fc.record({
      process: fc.nat({ max: PROCESSES - 1 }),
      anew: fc.boolean(),
    })
    const anyPush = fc.record({
      act: anyAct,
      second: fc.nat({ max: 2 }),
      person: fc.nat({ max: 1 }),
      copies: fc.array(anyCopy, { minLength: 1, maxLength: 5 }),
      turn: fc.nat({ max: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(anyPush, { minLength: 1, maxLength: 8 }), async (pushes) => {
        const people = [newOpenid(), newOpenid()]
        const { account } = road()
        const copies = pushes.flatMap(({ act, second, person, copies, turn }) => {
          const document = documentFrom(people[person]!, act, second)
          const first = signPush(account, document)
          return copies.map(({ process, anew }) => ({
            push: anew ? signPush(account, document) : first,
            url: road().callbackUrl(road().gateways[process]),
            turn,
          }))
        })
        for (const turn of [0, 1, 2, 3]) {
          const now = copies.filter((copy) => copy.turn === turn)
          const answers = await Promise.all(now.map(({ url, push }) => postPush(url, push)))
          expect(answers.filter(({ text }) => text !== 'success')).toEqual([])
        }
        for (const [index, openid] of people.entries()) {
          const own = pushes.filter(({ person }) => person === index)
          const documents = new Set(own.map(({ act, second }) => documentFrom(openid, act, second)))
          const now = await recorded(openid)
          expect([...now.documents].sort()).toEqual([...documents].sort())
          expect(now.ledger).toEqual(ledgerOf([...documents]))
        }
      }),
      { numRuns: 200 },
    )
  })
})
