import { describe, expect, it } from 'vitest'
import type { ActResult } from '../../src/sandbox/perform-act.ts'
import { changesOf } from '../support/push-documents.ts'
import { recordedDocuments } from '../support/recorded.ts'
import { useRoad, type Road } from '../support/road.ts'

const PEOPLE = 150
/** Pushes of one person: a follow, an answered popup, a tap on the menu, an unfollow. */
const PUSHES = PEOPLE * 4

/** The platform tries until somebody is back; its own pause of 5 s would only make the test long. */
const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250, repeatAfterWrongAnswerMs: 100 }

/** All people act at once; resolves when every push has been acknowledged or given up. */
async function streamPushes({ people }: Road): Promise<readonly ActResult[]> {
  const results = await Promise.all(
    Array.from({ length: PEOPLE }, async () => {
      const openid = people.newOpenid()
      return [
        await people.follow(openid),
        ...(await Promise.all([people.accept(openid, ['T1']), people.tapMenu(openid, 'menu')])),
        await people.unfollow(openid),
      ]
    }),
  )
  return results.flat()
}

/** Documents of the pushes that were acknowledged up to now. */
function acknowledged({ sandbox }: Road): readonly string[] {
  const { entries } = sandbox.log({ kind: 'push' })
  return entries.flatMap((entry) =>
    entry.kind === 'push' && entry.acknowledged_ms !== null ? [entry.document] : [],
  )
}

const recorded = async ({ database, account }: Road) =>
  new Set(await recordedDocuments(database.db, account.id))

/** What was promised and is not there. */
async function lost(road: Road, promised: readonly string[]): Promise<readonly string[]> {
  const kept = await recorded(road)
  return promised.filter((document) => !kept.has(document))
}

async function untilAcknowledged(road: Road, count: number): Promise<void> {
  const counted = () => acknowledged(road).length
  await expect.poll(counted, { interval: 2, timeout: 15_000 }).toBeGreaterThanOrEqual(count)
}

describe(
  'kill-receiver, with SIGKILL in the middle of a stream of pushes',
  { timeout: 60_000 },
  () => {
    const road = useRoad({ sandbox: { push: PATIENT } })

    it('has every acknowledged push, and none of them twice, when it is back', async () => {
      const [gateway] = road().gateways
      const stream = streamPushes(road())
      await untilAcknowledged(road(), PUSHES / 5)
      expect(await gateway!.end('SIGKILL')).toBeNull()
      const promised = acknowledged(road())
      expect(promised.length).toBeLessThan(PUSHES)
      expect(await lost(road(), promised)).toEqual([])

      await road().startGateway({ env: { PORT: new URL(gateway!.url).port } })
      const pushes = await stream
      expect(pushes.map((push) => push?.outcome)).toEqual(Array(PUSHES).fill('acknowledged'))

      const documents = await recordedDocuments(road().database.db, road().account.id)
      expect(documents.toSorted()).toEqual(pushes.map((push) => push?.document).toSorted())
      const ledger: { change: string; scope: string }[] = await road()
        .database.db('consent_ledger')
        .select('scope', 'change')
      const expected = documents.flatMap((document) => changesOf(document))
      const asLines = (rows: readonly { scope: string; change: string }[]) =>
        rows.map(({ scope, change }) => `${scope} ${change}`).toSorted()
      expect(asLines(ledger)).toEqual(asLines(expected))
    })
  },
)

describe(
  'kill-receiver, with SIGTERM in the middle of a stream of pushes',
  { timeout: 60_000 },
  () => {
    const road = useRoad({ sandbox: { push: { ...PATIENT, repeats: 1 } } })

    it('ends with 0 inside 10 seconds and has every acknowledged push', async () => {
      const [gateway] = road().gateways
      const stream = streamPushes(road())
      await untilAcknowledged(road(), PUSHES / 12)
      const startedMs = performance.now()
      expect(await gateway!.end('SIGTERM')).toBe(0)
      expect(performance.now() - startedMs).toBeLessThan(10_000)

      const pushes = await stream
      const promised = pushes.filter((push) => push?.outcome === 'acknowledged')
      expect(promised.length).toBeGreaterThanOrEqual(PUSHES / 12)
      expect(promised.length).toBeLessThan(PUSHES)
      expect(
        await lost(
          road(),
          promised.map((push) => push?.document ?? ''),
        ),
      ).toEqual([])
      // What was taken was also answered: nothing is in the log that the platform does not know of.
      expect((await recorded(road())).size).toBe(promised.length)
    })
  },
)
