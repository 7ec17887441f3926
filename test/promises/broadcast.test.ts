import { describe, expect, test } from 'vitest'
import { broadcasterOf, headOf } from '../support/broadcasts.ts'
import { useRoad, type Road } from '../support/road.ts'
import { crowd, PATHS, senderOf, until } from '../support/send-road.ts'

/** More than one window of the feeder, so that a part of a list is always still to come. */
const CROWD = 600

/** People who follow; the gateway knows it from their pushes. */
async function followers(road: Road, count: number): Promise<string[]> {
  const people = Array.from({ length: count }, () => road.people.newOpenid())
  await crowd(people, (person) => road.people.follow(person), 32)
  return people
}

function received(road: Road, people: readonly string[]): number[] {
  return people.map((person) => road.people.messages(person).length)
}

describe('a broadcast', () => {
  const road = useRoad()
  const app = () => broadcasterOf(senderOf(road()))

  test('reaches whom it may, once, with their own data, whatever else stands in the list', async () => {
    const [anna, ben, carl] = (await followers(road(), 3)) as [string, string, string]
    const stranger = road().people.newOpenid()
    const broadcast = await app().create([
      headOf(road().account.name),
      { to: anna, data: { character_string2: { value: 'A-1' } } },
      '{"to": ',
      { to: ben },
      { to: anna },
      { to: 'with space' },
      '',
      { to: stranger },
      { to: carl, dota: {} },
    ])
    expect(broadcast.lines).toEqual({ accepted: 3, duplicate: 1, bad: 3, complete: true })
    expect(broadcast.bad_lines.map(({ line }) => line)).toEqual([3, 6, 9])
    expect(broadcast.bad_lines[2]?.reason).toContain('dota')

    const ended = await app().ended(broadcast.id)
    expect(ended.messages).toMatchObject({ blocked: 1, waiting: 0, queued: 0, sending: 0 })
    await road().sandbox.settled()
    expect(received(road(), [anna, ben, carl, stranger])).toEqual([1, 1, 0, 0])
    expect(JSON.stringify(road().people.messages(anna))).toContain('A-1')
    expect(JSON.stringify(road().people.messages(ben))).toContain('—')

    const report = await app().report(broadcast.id)
    const rows = report.map(({ line, recipient, status }) => [line, recipient, status])
    expect(rows.slice(3)).toEqual([
      ['3', '', 'bad_line'],
      ['6', '', 'bad_line'],
      ['9', '', 'bad_line'],
    ])
    expect(rows.slice(0, 3)).toEqual([
      ['2', anna, expect.stringMatching(/^(sent|delivered)$/)],
      ['4', ben, expect.stringMatching(/^(sent|delivered)$/)],
      ['8', stranger, 'blocked'],
    ])
    const said = road().gateways.flatMap(({ lines }) => lines)
    expect(said.filter((line) => line.includes(anna))).toEqual([])
  })

  test('does not reach who unfollows between its creation and their turn', async () => {
    const people = await followers(road(), 4)
    const [leaver = ''] = people
    const broadcast = await app().create([
      headOf(road().account.name, { send_at: new Date(Date.now() + 1_500).toISOString() }),
      ...people.map((to) => ({ to })),
    ])
    expect(broadcast.status).toBe('scheduled')
    await road().people.unfollow(leaver)
    const { messages } = await app().ended(broadcast.id)
    expect(messages['blocked']).toBe(1)
    await road().sandbox.settled()
    expect(received(road(), people)).toEqual([0, 1, 1, 1])
    expect(road().sandbox.report().sends_after_opt_out).toEqual([])
  })

  test('to an audience reaches everybody with live consent, and nobody else', async () => {
    const people = await followers(road(), 20)
    const [leaver = ''] = people
    await road().people.unfollow(leaver)
    const { id } = await app().toAudience({
      ...headOf(road().account.name),
      audience: { scope: 'follow' },
    })
    const { lines } = await app().ended(id)
    await road().sandbox.settled()
    expect(received(road(), people)).toEqual([0, ...people.slice(1).map(() => 1)])
    const [row] = await road()
      .database.db('consent')
      .where({ scope: 'follow', state: 'granted' })
      .count()
    expect(lines.accepted).toBe(Number(row?.['count']))
  })

  test('can be paused, resumed and cancelled, and never stands before a single message', async () => {
    road().sandbox.addFault({ path: PATHS.template_message, delay_ms: 150 })
    const people = await followers(road(), CROWD)
    const [single = '', ...others] = people
    const { id } = await app().create([
      headOf(road().account.name),
      ...others.map((to) => ({ to })),
    ])
    const { db } = road().database
    await until(
      () => road().people.messages().length,
      (count) => count > 0,
    )

    const asked = await senderOf(road()).ask({ to: single, channel: 'template_message' })
    await senderOf(road()).ended(asked)
    const meanwhile = await app().show(id)
    expect(meanwhile.messages['waiting']).toBeGreaterThan(0)

    expect((await app().change(id, 'pause')).status).toBe('paused')
    // what a worker had in hand has gone out, and what waits in the queue is held
    const notHeld = () =>
      db('message')
        .where({ broadcast_id: id })
        .whereIn('status', ['scheduled', 'queued', 'sending'])
        .whereRaw('due_at < expires_at')
    await until(notHeld, (rows) => rows.length === 0)
    const before = (await app().show(id)).messages
    expect(before['waiting']).toBeGreaterThan(0)
    // the feeder has been round since
    const lastRound = async () =>
      (await db('broadcast').where({ id }).first<{ fed_at: Date } | undefined>('fed_at'))?.fed_at
    const round = await lastRound()
    await until(lastRound, (now) => now !== undefined && round !== undefined && now > round)
    const { waiting, queued } = (await app().show(id)).messages
    expect({ waiting, queued }).toEqual({ waiting: before['waiting'], queued: before['queued'] })

    expect((await app().change(id, 'resume')).status).toBe('running')
    await until(
      () => app().show(id),
      ({ messages }) => (messages['waiting'] ?? 0) < (before['waiting'] ?? 0),
    )
    await app().change(id, 'cancel')
    await until(
      () => db('broadcast').where({ id }).whereNotNull('finished_at'),
      (rows) => rows.length === 1,
    )
    await road().sandbox.settled()
    road().sandbox.clearFaults()
    const { messages } = await app().show(id)
    expect(messages['cancelled']).toBeGreaterThan(0)
    const reached = received(road(), others).reduce((sum, count) => sum + count, 0)
    expect(reached + (messages['cancelled'] ?? 0)).toBe(others.length)
    await expect(app().change(id, 'resume')).rejects.toThrow('broadcast_ended')
  }, 60_000)
})

describe('the death of a process in the middle of a broadcast', () => {
  const road = useRoad({ processes: 2 })

  test('makes exactly one message for each, and the report is what the platform saw', async () => {
    const people = await followers(road(), CROWD)
    const app = broadcasterOf(senderOf({ ...road(), gateways: road().gateways.slice(0, 1) }))
    road().sandbox.addFault({ path: PATHS.template_message, delay_ms: 60 })
    const { id } = await app.create([headOf(road().account.name), ...people.map((to) => ({ to }))])
    await until(
      () => road().people.messages().length,
      (count) => count >= CROWD / 3,
    )
    await road().gateways[1]?.end('SIGKILL')
    expect(road().people.messages().length).toBeLessThan(CROWD)
    await app.ended(id, 60_000)
    await road().sandbox.settled()

    expect(road().sandbox.report().duplicates).toEqual([])
    const rows = await road().database.db('message').where({ broadcast_id: id })
    expect(rows).toHaveLength(CROWD)
    expect(received(road(), people)).toEqual(people.map(() => 1))
    const report = await app.report(id)
    expect(report.map(({ recipient }) => recipient)).toEqual(people)
    expect(report.filter(({ status }) => status !== 'sent' && status !== 'delivered')).toEqual([])
  }, 90_000)
})
