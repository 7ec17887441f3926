import { randomUUID } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep } from '../../src/foundation/clock.ts'
import { nextChinaDay } from '../../src/wechat/token-rules.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { useRoad, type Road } from '../support/road.ts'
import {
  agree,
  bodyOf,
  createSender,
  nextSecond,
  PATHS,
  senderOf,
  SUBSCRIPTION,
  until,
  type AskedMessage,
  ROAD_CHANNELS,
  type RoadChannel,
} from '../support/send-road.ts'

/** Long enough for a call whose answer is lost to be recorded before its receipt comes. */
const LATE_RECEIPT_MS = 2_500
const DELIVERED = ['sent', 'delivered']

describe('P6 one-request-one-message', () => {
  const road = useRoad({ processes: 2 })
  const sender = () => senderOf(road())

  test('makes one message of fifty identical requests to two processes at once', async () => {
    const person = await friend(road(), 'template_message')
    const body = bodyOf(road().account.name, { to: person, channel: 'template_message' })
    const headers = { 'idempotency-key': randomUUID() }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, process) =>
        sender().request('/v1/messages', { body, headers, process }),
      ),
    )

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    const replayed = answers.filter(
      (answer) => answer.headers.get('idempotent-replayed') === 'true',
    )
    expect(replayed).toHaveLength(49)
    expect(
      await sender()
        .messages()
        .then((all) => all.filter(({ to }) => to === person)),
    ).toHaveLength(1)
    await sender().ended(idIn(answers[0]?.text), ['delivered'])
    expect(callsFor(road(), person)).toHaveLength(1)
    expect(road().people.messages(person)).toHaveLength(1)
  })

  test('answers 409 to the same key with another body, in any process, and sends nothing', async () => {
    const person = await friend(road(), 'template_message')
    const key = randomUUID()
    const first = await sender().ask({ to: person, channel: 'template_message' }, { key })
    const other = bodyOf(road().account.name, { to: person, channel: 'template_message' })
    for (const process of [0, 1]) {
      const headers = { 'idempotency-key': key }
      const answer = await sender().request('/v1/messages', { body: other, headers, process })
      expect(answer.status).toBe(409)
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'idempotency_key_reused' })
    }
    await sender().ended(first)
    expect(road().people.messages(person)).toHaveLength(1)
  })

  test.concurrent(
    'tries again when the platform is busy, by the schedule, and gives up after four calls',
    async () => {
      const path = PATHS.template_message
      const lucky = await friend(road(), 'template_message')
      const unlucky = await friend(road(), 'template_message')
      road().sandbox.addFault({ openid: lucky, path, errcode: -1, times: 2 })
      road().sandbox.addFault({ openid: unlucky, path, errcode: -1, times: 4 })
      const [sent, failed] = await Promise.all(
        [lucky, unlucky].map(async (to) =>
          sender().ended(await sender().ask({ to, channel: 'template_message' })),
        ),
      )

      expect(outcomes(sent)).toEqual(['retry', 'retry', 'sent'])
      expect(failed).toMatchObject({ status: 'failed', reason: 'transient' })
      expect(outcomes(failed)).toEqual(['retry', 'retry', 'retry', 'failed'])
      // about 1, 2 and 4 seconds, a fifth less at the least; how much later the machine decides
      const [one = 0, two = 0, four = 0] = gaps(callsFor(road(), unlucky))
      expect(one).toBeGreaterThan(790)
      expect(two).toBeGreaterThan(1_590)
      expect(four).toBeGreaterThan(3_190)
      expect(road().people.messages(lucky)).toHaveLength(1)
      expect(road().people.messages(unlucky)).toHaveLength(0)
    },
  )

  test.concurrent(
    'repeats a template message whose connection was reset, and the person has one',
    async () => {
      const path = PATHS.template_message
      const tried = (['after', 'before'] as const).map(async (reset) => {
        const person = await friend(road(), 'template_message')
        road().sandbox.addFault({ openid: person, path, reset, times: 2 })
        const ended = await sender().ended(
          await sender().ask({ to: person, channel: 'template_message' }),
        )
        expect(DELIVERED).toContain(ended.status)
        expect(outcomes(ended)).toEqual(['unknown', 'unknown', 'sent'])
        const ids = callsFor(road(), person).map((call) => call.client_msg_id)
        expect(ids).toEqual([ended.id, ended.id, ended.id])
        expect(road().people.messages(person)).toHaveLength(1)
      })
      await Promise.all(tried)
    },
  )

  test.concurrent(
    'calls unknown what the platform may have taken without a memory for repeats, and never repeats it',
    async () => {
      const event = 'subscribe_msg_sent_event'
      road().sandbox.addPushFault({ event, delay_ms: LATE_RECEIPT_MS, times: 4 })
      const cases = (['subscription_message', 'customer_service_message'] as const).flatMap(
        (channel) => (['after', 'before'] as const).map((reset) => ({ channel, reset })),
      )
      const tried = cases.map(async ({ channel, reset }) => {
        const person = await friend(road(), channel)
        road().sandbox.addFault({ openid: person, path: PATHS[channel], reset, times: 1 })
        const id = await sender().ask({ to: person, channel })
        const unknown = await sender().ended(id)
        expect(unknown).toMatchObject({ status: 'unknown', attempt_count: 1 })

        // longer than any schedule's first step and than the upkeep's round
        await sleep(3_000)
        expect(callsFor(road(), person)).toHaveLength(1)
        expect(road().people.messages(person)).toHaveLength(reset === 'after' ? 1 : 0)
        // the one receipt there is tells the truth at last
        const told = channel === 'subscription_message' && reset === 'after'
        const later = await sender().ended(id, [told ? 'delivered' : 'unknown'])
        expect(outcomes(later)).toEqual([told ? 'sent' : 'unknown'])
      })
      await Promise.all(tried)
      await road().sandbox.settled()
      road().sandbox.clearPushFaults()
    },
  )

  test('changes nothing when receipts are repeated, not even for the next message', async () => {
    const person = await friend(road(), 'subscription_message')
    // a second acceptance in the same second would be the same document, and so a repeat
    await nextSecond()
    await road().people.accept(person, [SUBSCRIPTION])
    await road().people.follow(person)
    const push = { duplicate: 4, concurrent: true, times: 1 }
    road().sandbox.addPushFault({ event: 'subscribe_msg_sent_event', ...push })
    const first = await sender().ask({ to: person, channel: 'subscription_message' })
    await sender().ended(first, ['delivered'])
    await road().sandbox.settled()
    const ledger = await ledgerOf(road(), person)

    road().sandbox.addPushFault({ event: 'subscribe_msg_sent_event', drop: true, times: 1 })
    road().sandbox.addPushFault({ event: 'TEMPLATESENDJOBFINISH', ...push })
    const second = await sender().ended(
      await sender().ask({ to: person, channel: 'subscription_message' }),
    )
    const notice = await sender().ask({ to: person, channel: 'template_message' })
    await sender().ended(notice, ['delivered'])
    await road().sandbox.settled()

    // the receipt of the second was lost: the copies of the first must not stand in for it
    expect((await sender().message(second.id)).status).toBe('sent')
    expect(await events(road(), person, 'event.subscribe_msg_sent_event')).toBe(1)
    expect(await events(road(), person, 'event.templatesendjobfinish')).toBe(1)
    const added = (await ledgerOf(road(), person)).slice(ledger.length)
    expect(added.map((row) => `${row.scope} ${row.change}`)).toEqual([
      `template:${SUBSCRIPTION} reserved`,
      `template:${SUBSCRIPTION} spent`,
    ])
  })

  test('waits for the next China day after 45009 and rests the channel in both processes', async () => {
    const channel = 'template_message'
    const person = await friend(road(), channel)
    road().sandbox.addFault({ openid: person, path: PATHS[channel], errcode: 45009, times: 1 })
    // just after midnight in China the next one is further away than a message lives by itself
    const expiresAt = new Date(Date.now() + 3 * 86_400_000).toISOString()
    const id = await sender().ask({ to: person, channel, expiresAt })
    const midnight = nextChinaDay(new Date())
    const queued = await until(
      () => sender().message(id),
      (message) => message.status === 'queued' && message.attempt_count === 1,
    )
    expect(queued).toMatchObject({ reason: 'quota_daily' })
    expect(outcomes(queued)).toEqual(['retry'])
    const dueAt = await dueAtOf(road(), id)
    expect(dueAt.getTime() - midnight.getTime()).toBeGreaterThanOrEqual(0)
    expect(dueAt.getTime() - midnight.getTime()).toBeLessThanOrEqual(60_000)

    await expectResting(road(), channel)
  })

  test('waits for the next minute after 45011 and rests the channel in both processes', async () => {
    const channel = 'customer_service_message'
    const person = await friend(road(), channel)
    road().sandbox.addFault({ openid: person, path: PATHS[channel], errcode: 45011, times: 1 })
    const askedAtMs = Date.now()
    const id = await sender().ask({ to: person, channel })
    await until(
      () => sender().message(id),
      (message) => message.status === 'queued' && message.attempt_count === 1,
    )
    const dueAt = await dueAtOf(road(), id)
    const minute = (Math.floor(askedAtMs / 60_000) + 1) * 60_000
    // the call may have fallen into the next minute
    expect(dueAt.getTime()).toBeGreaterThanOrEqual(minute)
    expect(dueAt.getTime()).toBeLessThanOrEqual(minute + 65_000)
    if (dueAt.getTime() - Date.now() > 3_000) await expectResting(road(), channel)
  })
})

describe('P6 one-request-one-message, without a way to the platform', () => {
  const road = useRoad()
  let relay: Relay
  let gateway: GatewayProcess

  beforeAll(async () => {
    relay = await startRelay(road().sandboxUrl)
    gateway = await road().startGateway({ env: { WECHAT_API_BASE_URL: relay.url } })
    // this one alone is to send
    await road().gateways[0]?.end()
    const { appId, secret, originalId, token, aesKey } = road().account
    road().sandbox.addAccount({
      ...{ app_id: appId, secret, original_id: originalId, token, aes_key: aesKey },
      callback_url: road().callbackUrl(gateway),
    })
  })
  afterAll(() => relay?.close())

  test('keeps what never left, and sends each once when the way is open', async () => {
    const { key, account } = road()
    const sender = createSender({ urls: () => [gateway.url], key, account: account.name })
    // the token is there before the way is cut: it is the sends that find no way
    const first = await friend(road(), 'template_message')
    await sender.ended(await sender.ask({ to: first, channel: 'template_message' }))
    await relay.cut()

    const asked = new Map<string, string>()
    for (const channel of ROAD_CHANNELS) {
      const person = await friend(road(), channel)
      asked.set(await sender.ask({ to: person, channel }), person)
    }
    for (const id of asked.keys()) {
      const tried = await until(
        () => sender.message(id),
        ({ status, attempt_count }) => status === 'queued' && attempt_count > 0,
      )
      expect(tried.attempts[0]).toMatchObject({ outcome: 'retry', errmsg: 'ECONNREFUSED' })
    }
    await relay.open()
    for (const [id, person] of asked) {
      expect(DELIVERED).toContain((await sender.ended(id)).status)
      expect(callsFor(road(), person)).toHaveLength(1)
      expect(road().people.messages(person)).toHaveLength(1)
    }
  })
})

/** Other messages of the channel wait, whichever process takes them; the other channels go on. */
async function expectResting(road: Road, channel: RoadChannel): Promise<void> {
  const sender = senderOf(road)
  const others = await Promise.all(Array.from({ length: 6 }, () => friend(road, channel)))
  const waiting = await Promise.all(
    others.map((to, process) => sender.ask({ to, channel }, { process })),
  )
  const free = await friend(road, 'subscription_message')
  const passing = await sender.ask({ to: free, channel: 'subscription_message' })
  expect(DELIVERED).toContain((await sender.ended(passing)).status)
  // two looks of every dispatcher
  await sleep(1_100)
  for (const [index, id] of waiting.entries()) {
    expect(await sender.message(id)).toMatchObject({ status: 'queued', attempt_count: 0 })
    expect(callsFor(road, others[index] ?? '')).toHaveLength(0)
  }
}

/** Somebody who has agreed to a channel. */
async function friend(road: Road, channel: RoadChannel): Promise<string> {
  const person = road.people.newOpenid()
  await agree(road.people, person, channel)
  return person
}

function callsFor(road: Road, person: string) {
  const { entries } = road.sandbox.log({ kind: 'call', openid: person })
  return entries.filter((entry) => entry.kind === 'call')
}

function outcomes(message: AskedMessage | undefined): (string | null)[] | undefined {
  return message?.attempts.map(({ outcome }) => outcome)
}

/** Milliseconds between the arrivals of calls. */
function gaps(calls: readonly { readonly arrived_ms: number }[]): number[] {
  return calls.slice(1).map((call, index) => call.arrived_ms - (calls[index]?.arrived_ms ?? 0))
}

function idIn(text: string | undefined): string {
  const { id } = JSON.parse(text ?? '{}') as { id?: string }
  return id ?? ''
}

async function dueAtOf(road: Road, id: string): Promise<Date> {
  const row: { due_at: Date } = await road.database.db('message').where({ id }).first('due_at')
  return row.due_at
}

async function events(road: Road, subject: string, kind: string): Promise<number> {
  const rows: unknown[] = await road.database.db('event').where({ subject, kind })
  return rows.length
}

async function ledgerOf(road: Road, subject: string): Promise<{ scope: string; change: string }[]> {
  return road.database
    .db('consent_ledger')
    .where({ subject })
    .orderBy('id')
    .select('scope', 'change')
}

interface Relay {
  readonly url: string
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>
  /** Listens on the same port again. */
  open(): Promise<void>
  close(): Promise<void>
}

/** A way to the platform that can be cut: no connection is made then, as when a host is down. */
async function startRelay(target: string): Promise<Relay> {
  const { hostname, port: targetPort } = new URL(target)
  const sockets = new Set<Socket>()
  let port = 0
  let server: Server | undefined

  async function open(): Promise<void> {
    const next = createServer((inner) => {
      const outer = connect(Number(targetPort), hostname)
      for (const socket of [inner, outer]) {
        sockets.add(socket)
        socket
          .on('error', () => undefined)
          .on('close', () => {
            sockets.delete(socket)
            inner.destroy()
            outer.destroy()
          })
      }
      inner.pipe(outer).pipe(inner)
    })
    await new Promise<void>((resolve) => next.listen(port, '127.0.0.1', () => resolve()))
    const address = next.address()
    port = typeof address === 'object' && address ? address.port : 0
    server = next
  }

  async function cut(): Promise<void> {
    const old = server
    server = undefined
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => (old ? old.close(() => resolve()) : resolve()))
  }

  await open()
  return { url: `http://127.0.0.1:${port}`, open, cut, close: cut }
}
