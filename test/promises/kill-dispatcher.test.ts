import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/foundation/clock.ts'
import { deduplicates } from '../../src/wechat/channels.ts'
import { useRoad, type Road } from '../support/road.ts'
import {
  agree,
  crowd,
  delays,
  seeded,
  senderOf,
  until,
  type AskedMessage,
  ROAD_CHANNELS,
  type RoadChannel,
} from '../support/send-road.ts'

/** Of each channel; enough that both processes have calls under way whenever one of them dies. */
const OF_EACH_CHANNEL = 150
const LEAST_DELAY_MS = 20
const MOST_DELAY_MS = 80
/** A lease of ten seconds, the upkeep's round and a busy machine. */
const RECOVERY_MS = 45_000

describe('the death of a dispatcher', () => {
  const road = useRoad({ processes: 2 })

  test('loses no message, sends none twice, and calls unknown only what nobody can know', async () => {
    const people = await makeFriends(road())
    for (const fault of delays(seeded(1), { least: LEAST_DELAY_MS, most: MOST_DELAY_MS })) {
      road().sandbox.addFault(fault)
    }
    const [survivor, victim] = road().gateways
    if (!survivor || !victim) throw new Error('two gateways are needed')
    const sender = senderOf(road())
    const dead = killInTheMiddle(road(), () => victim.end('SIGKILL'))
    // only the survivor takes requests: what is tested is the sending
    await crowd(people, ({ to, channel }) => sender.ask({ to, channel }), 32)
    await dead
    await road().startGateway()
    const messages = await sender.allEnded(RECOVERY_MS)
    await road().sandbox.settled()

    const report = road().sandbox.report()
    expect(report.duplicates).toEqual([])
    expect(messages).toHaveLength(people.length)
    const statuses = new Set(messages.map(({ status }) => status))
    expect([...statuses].filter((status) => !FINAL.has(status))).toEqual([])
    for (const message of messages) expectTruth(road(), message)
    // the victim held calls when it died, or nothing has been shown
    const left = messages.filter((one) => one.status === 'unknown' || one.attempt_count > 1)
    expect(left.length).toBeGreaterThan(0)
    expect(recoveredBy(road())).toBeGreaterThan(0)
  }, 90_000)

  test('ends in order on SIGTERM: exit code 0 within ten seconds, nothing left in the middle', async () => {
    road().sandbox.clearFaults()
    for (const fault of delays(seeded(2), { least: 200, most: 600 })) road().sandbox.addFault(fault)
    const gateway = await road().startGateway()
    const others = road().gateways.filter((one) => one !== gateway)
    // it is alone now: what it leaves behind nobody else can have tidied up
    await Promise.all(others.map((one) => one.end()))
    const people = road().people.addFollowers(100)
    const { db } = road().database
    const sender = senderOf({ ...road(), gateways: [gateway] })
    await crowd(people, (person) => sender.optIn(person, 'follow'), 32)
    await crowd(people, (to) => sender.ask({ to, channel: 'template_message' }), 32)
    await until(
      () => db('message').where({ status: 'sending' }).whereIn('recipient', people),
      (rows) => rows.length > 0,
    )

    const startedMs = performance.now()
    expect(await gateway.end('SIGTERM')).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(gateway.lines.some((line) => line.includes('"service.stopped"'))).toBe(true)
    const left = await db('message').where({ status: 'sending' })
    expect(left).toEqual([])
    const held = await db('message')
      .whereNotNull('lease_owner')
      .whereIn('status', ['queued', 'scheduled'])
    expect(held).toEqual([])
    const open = await db('attempt').whereNull('outcome')
    expect(open).toEqual([])

    // what was given back waits for the next process, and is sent once
    const next = await road().startGateway()
    const all = await senderOf({ ...road(), gateways: [next] }).allEnded()
    const mine = all.filter(({ to }) => to !== null && people.includes(to))
    expect(mine.filter(({ status }) => status !== 'sent' && status !== 'delivered')).toEqual([])
    expect(road().sandbox.report().duplicates).toEqual([])
    for (const person of people) expect(road().people.messages(person)).toHaveLength(1)
  }, 60_000)
})

const FINAL = new Set(['sent', 'delivered', 'unknown'])

/** One person for each message, so that nothing but the death holds any of them up. */
async function makeFriends(road: Road): Promise<{ to: string; channel: RoadChannel }[]> {
  const people = ROAD_CHANNELS.flatMap((channel) =>
    Array.from({ length: OF_EACH_CHANNEL }, () => ({ to: road.people.newOpenid(), channel })),
  )
  const shuffled = people.toSorted(() => Math.random() - 0.5)
  await crowd(shuffled, ({ to, channel }) => agree(road.people, to, channel), 32)
  return shuffled
}

/** Strikes when a third of the messages have arrived and calls are under way. */
async function killInTheMiddle(road: Road, kill: () => Promise<unknown>): Promise<void> {
  while (road.people.messages().length < OF_EACH_CHANNEL) await sleep(2)
  await kill()
}

/** What the gateway says of a message is what its person can confirm. */
function expectTruth(road: Road, message: AskedMessage): void {
  const received = road.people.messages(message.to ?? '').length
  if (message.status !== 'unknown') expect(received, JSON.stringify(message)).toBe(1)
  else expect(deduplicates(message.channel as RoadChannel), JSON.stringify(message)).toBe(false)
}

/** How many messages the survivors have taken up. */
function recoveredBy(road: Road): number {
  return road.gateways.flatMap(({ lines }) =>
    lines.filter((line) => line.includes('"dispatch.recovered"')),
  ).length
}
