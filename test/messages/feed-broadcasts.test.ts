import type { Knex } from 'knex'
import { beforeEach, describe, expect, it } from 'vitest'
import { beginAttempts } from '../../src/dispatch/dispatch-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { newId, sha256 } from '../../src/foundation/ids.ts'
import { createLog } from '../../src/foundation/log.ts'
import { reportPages } from '../../src/messages/broadcast-report.ts'
import { createBroadcastStore } from '../../src/messages/broadcast-store.ts'
import { showBroadcast } from '../../src/messages/find-broadcast.ts'
import { createBroadcastFeeder } from '../../src/messages/feed-broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { finishOne, giveConsent, readMessage } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'
import { quietNow, setPolicy } from '../support/send-policy.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
const db = () => database().db
const store = () => createBroadcastStore(db())

/** The most messages of one broadcast that may wait in the queue. */
const MOST_QUEUED = 1_000

let accountId: number
let wanted: {
  readonly caller: { id: null; name: string; accounts: { id: number; name: string }[] }
}
beforeEach(async () => {
  await db()('broadcast').update({ finished_at: new Date() })
  accountId = await insertAccount(db())
  wanted = { caller: { id: null, name: 'cli', accounts: [{ id: accountId, name: 'acme' }] } }
})

/** A broadcast with so many recipients, straight into the tables. */
async function aBroadcast(
  count: number,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const now = new Date()
  const id = newId(now)
  await db()('broadcast').insert({
    id,
    account_id: accountId,
    channel: 'template_message',
    template_id: 'T1',
    content: JSON.stringify({ template_id: 'T1', data: { a: { value: '1' }, b: { value: '2' } } }),
    head_digest: sha256(''),
    lines_digest: sha256(''),
    phase: 'running',
    accepted: count,
    received_at: now,
    send_at: now,
    expires_at: new Date(now.getTime() + 3_600_000),
    ...changes,
  })
  await db().raw(
    `insert into broadcast_recipient (broadcast_id, line, recipient, data)
     select ?, n + 1, 'oFed' || n, case when n = 1 then '{"b": {"value": "own"}}'::jsonb end
     from generate_series(1, ?) as n`,
    [id, count],
  )
  return id
}

/** A step of the feeder as it is 50 ms later. */
async function feedLater(id: string, seconds = 0.1) {
  await db()('broadcast')
    .where({ id })
    .update({ fed_at: db().raw(`fed_at - make_interval(secs => ?)`, [seconds]) })
  return store().feed()
}

const waitingOf = (id: string) =>
  db()('message')
    .where({ broadcast_id: id })
    .whereIn('status', ['scheduled', 'queued'])
    .orderBy('id')
    .select<{ id: string }[]>('id')

/** The workers take the first of those that wait. */
async function take(id: string, count: number, status = 'sent'): Promise<void> {
  const ids = (await waitingOf(id)).slice(0, count).map((row) => row.id)
  await db()('message').whereIn('id', ids).update({ status, finished_at: new Date() })
}

describe('feed_broadcast', () => {
  it('keeps the queue of 20,000 recipients bounded and makes one message for each', async () => {
    const total = 20_000
    const id = await aBroadcast(total)
    let mostQueued = 0
    for (let steps = 0; steps < 500; steps += 1) {
      const step = await feedLater(id)
      const waiting = (await waitingOf(id)).length
      mostQueued = Math.max(mostQueued, waiting)
      if (step?.state === 'ended') break
      await take(id, waiting)
    }
    expect(mostQueued).toBeGreaterThan(500)
    expect(mostQueued).toBeLessThanOrEqual(MOST_QUEUED)
    const { messages, status } = await showBroadcast(
      { store: store(), clock: systemClock },
      { ...wanted, id },
    )
    expect(status).toBe('completed')
    expect(messages).toMatchObject({ sent: total, waiting: 0, queued: 0 })
  })

  it('adds hardly anything while nobody takes what is there', async () => {
    const id = await aBroadcast(5_000)
    for (let steps = 0; steps < 30; steps += 1) await feedLater(id)
    expect(await waitingOf(id)).toHaveLength(20)
  })

  it('replaces the members of data that a recipient has, and leaves the others', async () => {
    const id = await aBroadcast(2)
    await store().feed()
    const rows = await db()('message')
      .where({ broadcast_id: id })
      .orderBy('broadcast_line')
      .select<{ content: { data: unknown }; lane: number }[]>('content', 'lane')
    expect(rows.map(({ lane }) => lane)).toEqual([1, 1])
    expect(rows.map(({ content }) => content.data)).toEqual([
      { a: { value: '1' }, b: { value: 'own' } },
      { a: { value: '1' }, b: { value: '2' } },
    ])
  })

  it('gives ids in the form and order of all others', async () => {
    const before = newId(new Date(Date.now() - 1))
    const id = await aBroadcast(1)
    await store().feed()
    const [row] = await waitingOf(id)
    const after = newId(new Date(Date.now() + 1))
    expect(row?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect([before, row?.id, after]).toEqual([before, row?.id, after].toSorted())
  })

  it('makes each message once when many feed at once', async () => {
    const id = await aBroadcast(300)
    const others = Array.from({ length: 4 }, () => createBroadcastStore(database().openAnother()))
    for (let steps = 0; steps < 60; steps += 1) {
      await db()('broadcast').where({ id }).update({ fed_at: null })
      await Promise.all(others.map((other) => other.feed()))
      await take(id, 20)
    }
    const rows = await db()('message')
      .where({ broadcast_id: id })
      .select<{ recipient: string }[]>('recipient')
    expect(new Set(rows.map(({ recipient }) => recipient)).size).toBe(300)
    expect(rows).toHaveLength(300)
  })

  it('begins at its time, and ends as expired when it is too late for the rest', async () => {
    const soon = new Date(Date.now() + 60_000)
    const id = await aBroadcast(30, { send_at: soon })
    expect(await store().feed()).toBeUndefined()
    await db()('broadcast').where({ id }).update({ send_at: new Date() })
    expect(await store().feed()).toMatchObject({ state: 'running', fed: 20 })
    await db()('broadcast').where({ id }).update({ expires_at: new Date() })
    expect(await feedLater(id)).toMatchObject({ state: 'running', fed: 0 })
    await take(id, 20, 'expired')
    expect(await feedLater(id)).toMatchObject({ state: 'ended', reason: 'expired' })
    const shown = await showBroadcast({ store: store(), clock: systemClock }, { ...wanted, id })
    expect(shown).toMatchObject({ status: 'completed', reason: 'expired' })
    expect(shown.messages).toMatchObject({ expired: 30, waiting: 0 })
  })

  it('rests in quiet hours, says so, and goes on after them', async () => {
    const { hours, until: end } = quietNow()
    await setPolicy(db(), accountId, { quiet_hours: hours })
    const id = await aBroadcast(30)
    expect(await store().feed()).toMatchObject({ id, state: 'resting', fed: 0 })
    expect(await feedLater(id)).toBeUndefined()
    expect(
      await showBroadcast({ store: store(), clock: systemClock }, { ...wanted, id }),
    ).toMatchObject({
      status: 'running',
      reason: 'quiet_hours',
      until: end,
      ratePerSecond: null,
    })
    await setPolicy(db(), accountId, {})
    expect(await feedLater(id, 2)).toMatchObject({ state: 'running', fed: 20 })
  })

  it('waits for an erasure under way, and writes to nobody who was erased', async () => {
    const id = await aBroadcast(3)
    const erasing = await database().openAnother().transaction()
    await erase(erasing, 'oFed2')
    expect(await store().feed()).toMatchObject({ fed: 0, state: 'running' })
    await erasing.commit()
    expect(await feedLater(id)).toMatchObject({ fed: 2 })
    await erase(db(), 'oFed3')
    const shown = await showBroadcast({ store: store(), clock: systemClock }, { ...wanted, id })
    expect(shown.messages).toMatchObject({ queued: 1, cancelled: 2, waiting: 0 })
    const kept = JSON.stringify([
      await db()('broadcast_recipient').where({ broadcast_id: id }),
      await db()('message').where({ broadcast_id: id }),
    ])
    expect(kept).toContain('oFed1')
    for (const person of ['oFed2', 'oFed3']) expect(kept).not.toContain(person)
    const pages = []
    for await (const page of reportPages(store(), { ...shown, ...(await found(id)) }))
      pages.push(...page)
    expect(pages).toMatchObject([
      { recipient: 'oFed1', status: 'queued' },
      { recipient: 'erased', status: 'cancelled', reason: 'erased' },
      { recipient: 'erased', status: 'cancelled', reason: 'erased' },
    ])
  })
})

describe('expand_broadcast', () => {
  async function audienceOf(people: readonly string[]): Promise<string> {
    for (const subject of people) await giveConsent(db(), { accountId, subject, scope: 'follow' })
    return aBroadcast(0, { phase: 'expanding', audience_scope: 'follow', received_at: null })
  }

  it('goes on behind the last one in whatever process, and takes live consent only', async () => {
    const people = ['oA', 'oB', 'oC', 'oD', 'oE']
    const id = await audienceOf(people)
    await giveConsent(db(), {
      accountId,
      subject: 'oC',
      scope: 'follow',
      change: 'revoked',
      at: new Date(),
    })
    const another = createBroadcastStore(database().openAnother())
    expect(await store().expand(2)).toMatchObject({ accepted: 2, done: false })
    expect(await another.expand(2)).toMatchObject({ accepted: 4, done: false })
    expect(await store().expand(2)).toMatchObject({ accepted: 4, done: true })
    expect(await store().expand(2)).toBeUndefined()
    const rows = await db()('broadcast_recipient')
      .where({ broadcast_id: id })
      .orderBy('line')
      .select('line', 'recipient')
    expect(rows).toEqual(
      ['oA', 'oB', 'oD', 'oE'].map((recipient, at) => ({ line: String(at + 1), recipient })),
    )
    expect((await found(id)).status).toBe('running')
  })

  it('comes to the few of a large account by steps that read no more than others', async () => {
    const others = Array.from({ length: 45 }, (_, n) => `oM${String(n).padStart(2, '0')}`)
    for (const subject of others) await giveConsent(db(), { accountId, subject, scope: 'member' })
    const id = await audienceOf(['oA', 'oZ'])
    const steps: unknown[] = []
    for (let step = await store().expand(2); step; step = await store().expand(2)) steps.push(step)
    // twenty consents each: the second person stands behind the third twenty
    expect(steps).toMatchObject([
      { accepted: 1, done: false },
      { accepted: 1, done: false },
      { accepted: 2, done: true },
    ])
    const rows = await db()('broadcast_recipient').where({ broadcast_id: id }).orderBy('line')
    expect(rows).toMatchObject([{ recipient: 'oA' }, { recipient: 'oZ' }])
  })

  it('takes of those who once wrote only whose window is open and has answers left', async () => {
    const hour = 3_600_000
    const windows = [
      { subject: 'oOpen', credits: 5, expiresAt: new Date(Date.now() + hour) },
      { subject: 'oOver', credits: 5, expiresAt: new Date(Date.now() - hour) },
      { subject: 'oUsedUp', credits: 0, expiresAt: new Date(Date.now() + hour) },
    ]
    for (const one of windows) {
      await giveConsent(db(), { accountId, scope: 'conversation', ...one })
    }
    const id = await aBroadcast(0, {
      ...{ phase: 'expanding', audience_scope: 'conversation', received_at: null },
      channel: 'customer_service_message',
    })
    expect(await store().expand(10)).toMatchObject({ accepted: 1, done: true })
    const rows = await db()('broadcast_recipient').where({ broadcast_id: id })
    expect(rows).toMatchObject([{ recipient: 'oOpen' }])
  })

  it('waits for an erasure under way, and lists nobody who was erased', async () => {
    const id = await audienceOf(['oA', 'oB'])
    const erasing = await database().openAnother().transaction()
    await erase(erasing, 'oA')
    expect(await store().expand(10)).toBeUndefined()
    await erasing.commit()
    expect(await store().expand(10)).toMatchObject({ accepted: 1, done: true })
    const rows = await db()('broadcast_recipient').where({ broadcast_id: id })
    expect(rows).toMatchObject([{ recipient: 'oB' }])
  })
})

describe('createBroadcastFeeder', () => {
  it('says in the log what it finished, and gives up lists that nobody has continued', async () => {
    const lines: string[] = []
    const log = createLog('info', { write: (line: string) => void lines.push(line) })
    await giveConsent(db(), { accountId, subject: 'oA', scope: 'follow' })
    const people = await aBroadcast(0, {
      phase: 'expanding',
      audience_scope: 'follow',
      received_at: null,
    })
    const left = await aBroadcast(0, {
      phase: 'receiving',
      received_at: null,
      updated_at: new Date(0),
    })
    const feeder = createBroadcastFeeder({ store: store(), clock: systemClock, log })
    feeder.start()
    await until(
      () => waitingOf(people),
      (rows) => rows.length === 1,
    )
    await take(people, 1)
    await until(
      () => found(people),
      ({ status }) => status === 'completed',
    )
    await feeder.stop()
    expect(await found(left)).toMatchObject({ status: 'cancelled', reason: 'interrupted' })
    const said = lines.map((line) => JSON.parse(line) as { msg: string; broadcast_id: string })
    expect(said.filter(({ broadcast_id: id }) => id === people).map(({ msg }) => msg)).toEqual([
      'broadcast.expanded',
      'broadcast.ended',
    ])
    expect(said.find(({ broadcast_id: id }) => id === left)?.msg).toBe('broadcast.interrupted')
    expect(lines.join()).not.toContain('oA"')
  })
})

describe('reportPages', () => {
  it('reads the next page when the one before has been taken, and not sooner', async () => {
    const id = await aBroadcast(3_500)
    let read = 0
    const counting: ReturnType<typeof store> = {
      ...store(),
      report: (...place) => {
        read += 1
        return store().report(...place)
      },
    }
    const sizes: number[] = []
    for await (const page of reportPages(counting, await found(id))) {
      sizes.push(page.length)
      expect(read).toBe(sizes.length)
    }
    expect(sizes).toEqual([1_000, 1_000, 1_000, 500])
  })
})

async function found(id: string) {
  const broadcast = await store().find(id, [accountId])
  if (!broadcast) throw new Error('no such broadcast')
  return broadcast
}

async function erase(on: Knex, subject: string): Promise<void> {
  await on.raw(`select erase_subject(?, ?, clock_timestamp(), 'ada', 'asked')`, [
    accountId,
    subject,
  ])
}

describe('a pause', () => {
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000)
  const dueOf = async (id: string) => (await readMessage(db(), id)).due_at

  it('keeps when a message is to be tried again, also of one whose call was under way', async () => {
    const id = await aBroadcast(5)
    await store().feed()
    const ids = (await waitingOf(id)).map((row) => row.id)
    const [waits = '', over = '', quiet = '', called = '', fresh = ''] = ids
    const later = inSeconds(300)
    const retry = { status: 'queued', reason: 'rate_minute', attempt_count: 1 }
    await db()('message')
      .where({ id: waits })
      .update({ ...retry, due_at: later })
    await db()('message')
      .where({ id: over })
      .update({ ...retry, due_at: inSeconds(-1) })
    await db()('message')
      .where({ id: quiet })
      .update({ reason: 'quiet_hours', due_at: inSeconds(1_800) })
    const recipient = (await readMessage(db(), called)).recipient ?? ''
    const attemptId = await beginOne(called, recipient)

    expect(await store().pause(id)).toBe(true)
    const attempt = { attemptId, messageId: called, accountId, recipient }
    const end = { outcome: 'retry', status: 'queued', reason: 'rate_minute', dueAt: later } as const
    await finishOne(db(), attempt, end)
    // the feeder's next round holds it too
    await feedLater(id, 2)
    const { expires_at: expiresAt } = await db()('broadcast')
      .where({ id })
      .first<{ expires_at: Date }>()
    for (const one of ids) expect(await dueOf(one)).toEqual(expiresAt)
    // asked twice, it holds what it has held
    expect(await store().pause(id)).toBe(false)

    expect(await store().resume(id)).toBe(true)
    const now = Date.now()
    expect(await dueOf(waits)).toEqual(later)
    expect(await dueOf(called)).toEqual(later)
    // its time has come meanwhile; quiet hours are judged anew, since they may have changed
    for (const one of [over, quiet, fresh]) {
      expect(Math.abs((await dueOf(one)).getTime() - now)).toBeLessThan(5_000)
    }
    await store().pause(id)
    await store().resume(id)
    expect(await dueOf(waits)).toEqual(later)
  })

  async function beginOne(id: string, subject: string): Promise<string> {
    await giveConsent(db(), { accountId, subject, scope: 'follow' })
    const lease = { process: 'p1', leaseSeconds: 60 }
    await db().raw(
      `update message set lease_owner = 'p1', leased_until = now() + interval '1 minute' where id = ?`,
      [id],
    )
    const [decision] = await beginAttempts(db(), { ...lease, messageIds: [id] })
    if (decision?.kind !== 'begun') throw new Error(`not begun: ${decision?.kind}`)
    return decision.attemptId
  }
})
