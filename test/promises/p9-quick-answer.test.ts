import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { changeConsents } from '../../src/consent/consent-store.ts'
import { sleep } from '../../src/foundation/clock.ts'
import { NOTICE_TEMPLATE } from '../../src/commands/demo-world.ts'
import { documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { useRoad, type Road } from '../support/road.ts'

/** The platform gives up after 5 s. */
const PLATFORM_WAITS_MS = 5_000
/** Half a second was measured with four times as much work on the machine as it has cores. */
const CROWDED_MACHINE_MS = 2_000

function documentFrom({ account }: Road, openid: string, act: Act): string {
  const at = Math.floor(Date.now() / 1000)
  return documentOf({ originalId: account.originalId, openid, at }, act)
}

/** Messages that are due now, each to a person who agreed. */
async function fillQueue({ database: { db }, account }: Road, count: number): Promise<void> {
  const people = Array.from({ length: count }, newOpenid)
  await changeConsents(
    db,
    people.map((subject) => ({
      account_id: account.id,
      subject,
      scope: 'follow',
      change: 'granted',
      effective_at: new Date(Date.now() - 60_000),
      evidence: 'operator',
      actor: 'test',
      reason: 'test',
      credits: null,
      expires_at: null,
    })),
  )
  const now = new Date()
  const messages = people.map((recipient) => ({
    id: randomUUID(),
    account_id: account.id,
    recipient,
    channel: 'template_message',
    template_id: NOTICE_TEMPLATE,
    content: JSON.stringify({ template_id: NOTICE_TEMPLATE, data: {} }),
    status: 'queued',
    send_at: now,
    due_at: now,
    expires_at: new Date(now.getTime() + 3_600_000),
  }))
  await db.batchInsert('message', messages, 500)
}

function askForOne(road: Road, openid: string) {
  const body = {
    account: road.account.name,
    to: openid,
    channel: 'template_message',
    content: { template_id: NOTICE_TEMPLATE, data: { thing1: { value: '已发货' } } },
  }
  return road.api('/v1/messages', { body, headers: { 'idempotency-key': randomUUID() } })
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? NaN
}

describe(
  'p9 quick-answer, with the API down, a full queue and a busy application',
  { timeout: 60_000 },
  () => {
    const road = useRoad()

    it('answers 99 of 100 pushes far inside the 5 seconds, and all of them inside', async () => {
      await road().push(documentFrom(road(), newOpenid(), { kind: 'subscribe', key: '' }))
      await road().sandbox.close()
      await fillQueue(road(), 2_000)

      const person = newOpenid()
      await road().push(documentFrom(road(), person, { kind: 'subscribe', key: '' }))
      let busy = true
      let asked = 0
      const hammer = Array.from({ length: 4 }, async () => {
        while (busy) {
          expect((await askForOne(road(), person)).status).toBe(202)
          asked += 1
        }
      })
      const took: number[] = []
      const platform = Array.from({ length: 4 }, async () => {
        for (let number = 0; number < 75; number += 1) {
          const document = documentFrom(road(), newOpenid(), { kind: 'subscribe', key: '' })
          const answer = await road().push(document)
          expect(answer).toMatchObject({ status: 200, text: 'success' })
          took.push(answer.tookMs)
        }
      })
      await Promise.all(platform).finally(() => {
        busy = false
      })
      await Promise.all(hammer)

      expect(took).toHaveLength(300)
      expect(asked).toBeGreaterThan(50)
      expect(percentile(took, 0.99)).toBeLessThan(CROWDED_MACHINE_MS)
      expect(Math.max(...took)).toBeLessThan(PLATFORM_WAITS_MS)
      const waiting = await road().database.db('message').where({ status: 'queued' }).count()
      expect(Number(waiting[0]?.['count'])).toBeGreaterThan(2_000)
    })
  },
)

describe(
  'p9 quick-answer, with a send to the person under way that hangs',
  { timeout: 60_000 },
  () => {
    const road = useRoad()

    /** A person whose message has left and whose answer does not come for 8 seconds. */
    async function personWithHangingSend(): Promise<string> {
      const openid = road().people.newOpenid()
      await road().people.follow(openid)
      const path = '/cgi-bin/message/template/send'
      road().sandbox.addFault({ path, openid, delay_ms: 8_000 })
      expect((await askForOne(road(), openid)).status).toBe(202)
      const calls = () =>
        road().database.db('message').where({ recipient: openid, status: 'sending' })
      await expect.poll(calls, { timeout: 10_000 }).toHaveLength(1)
      await sleep(100)
      return openid
    }

    it('answers the opt-out before the platform gives up', async () => {
      const openid = await personWithHangingSend()
      const document = documentFrom(road(), openid, { kind: 'unsubscribe', key: '' })
      const answer = await road().push(document)
      expect(answer).toMatchObject({ status: 200, text: 'success' })
      expect(answer.tookMs).toBeLessThan(PLATFORM_WAITS_MS)
      expect(await road().consentsOf(openid)).toMatchObject({ follow: 'revoked' })
    })

    it('answers everybody else at once', async () => {
      const openid = await personWithHangingSend()
      const unsubscribe = documentFrom(road(), openid, { kind: 'unsubscribe', key: '' })
      const slow = road().push(unsubscribe)
      const others = await Promise.all(
        Array.from({ length: 50 }, () =>
          road().push(documentFrom(road(), newOpenid(), { kind: 'unsubscribe', key: '' })),
        ),
      )
      for (const answer of others) {
        expect(answer).toMatchObject({ status: 200, text: 'success' })
        expect(answer.tookMs).toBeLessThan(2_000)
      }
      expect(await slow).toMatchObject({ status: 200, text: 'success' })
    })

    it('answers in time even when the recording waits too, and acknowledges the repeat', async () => {
      const openid = await personWithHangingSend()
      const document = documentFrom(road(), openid, { kind: 'unsubscribe', key: '' })
      const trx = await road().database.db.transaction()
      await trx.raw('lock table event in access exclusive mode')
      const pushed = road().push(document)
      // Nearly as long as a recording may take; waiting for the send then begins too late to end.
      await sleep(2_500)
      await trx.rollback()
      const answer = await pushed
      expect(answer).toMatchObject({ status: 503, text: '' })
      expect(answer.tookMs).toBeLessThan(PLATFORM_WAITS_MS)

      const repeat = await road().push(document)
      expect(repeat).toMatchObject({ status: 200, text: 'success' })
      expect(repeat.tookMs).toBeLessThan(PLATFORM_WAITS_MS)
    })
  },
)
