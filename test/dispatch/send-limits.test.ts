import { beforeEach, describe, expect, it } from 'vitest'
import {
  beginAttempts,
  claimMessages,
  type BeginDecision,
} from '../../src/dispatch/dispatch-store.ts'
import { forgetOldRobots } from '../../src/dispatch/pace-store.ts'
import { readQuietEnd, restInQuietHours } from '../../src/dispatch/quiet-store.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { findLimits } from '../../src/messages/limit-store.ts'
import type { Channel } from '../../src/wechat/channels.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  finishOne,
  giveConsent,
  insertMessage,
  newPerson,
  readMessage,
} from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'
import { quietHours, quietNow, setPolicy } from '../support/send-policy.ts'

const database = useTestDatabase()
const db = () => database().db

const ago = (ms: number) => new Date(Date.now() - ms)
const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE

let accountId: number
let person: string
beforeEach(async () => {
  await db().raw('truncate message, attempt, send_policy, robot_message cascade')
  accountId = await insertAccount(db())
  person = newPerson()
})

interface Asked {
  readonly lane?: number
  readonly channel?: Channel
  readonly recipient?: string
  readonly expiresAt?: Date
}

/** A message that is due, and whose person agrees; of lane 1 unless the test says so. */
async function aMessage({ lane = 1, channel = 'template_message', ...more }: Asked = {}) {
  const recipient = more.recipient ?? person
  const scope = channel === 'wecom_app_message' ? 'member' : 'follow'
  await giveConsent(db(), { accountId, subject: recipient, scope })
  const expiresAt = more.expiresAt ?? new Date(Date.now() + 4 * HOUR)
  const id = await insertMessage(db(), { accountId, recipient, channel, expiresAt })
  await db()('message')
    .where({ id })
    .update({ lane, consent_scope: scope === 'member' ? scope : null })
  return id
}

const claim = () => claimMessages(db(), { process: 'p1', leaseSeconds: 60, limit: 50 })

/** Asks the gate about a message, whether or not it would have been claimed. */
async function begin(id: string): Promise<BeginDecision> {
  await db().raw(
    `update message set lease_owner = 'p1', leased_until = now() + interval '1 minute' where id = ?`,
    [id],
  )
  const [decision] = await beginAttempts(db(), {
    process: 'p1',
    leaseSeconds: 60,
    messageIds: [id],
  })
  if (!decision) throw new Error('no decision')
  return decision
}

/** Sends a message; answers what the gate said. */
async function send(asked: Asked = {}, status: 'sent' | 'failed' | 'unknown' = 'sent') {
  const id = await aMessage(asked)
  const decision = await begin(id)
  if (decision.kind === 'begun') {
    const attempt = { attemptId: decision.attemptId, messageId: id, accountId }
    await finishOne(db(), { ...attempt, recipient: person }, { outcome: status, status })
  }
  return { id, decision }
}

describe('quiet hours', () => {
  it('hold marketing back, from the claim to the gate, and nothing else', async () => {
    const { hours, until } = quietNow()
    const marketing = await aMessage()
    const order = await aMessage({ lane: 0, recipient: newPerson() })
    await setPolicy(db(), accountId, { quiet_hours: hours })
    expect((await claim()).map(({ id }) => id)).toEqual([order])
    expect(await begin(order)).toMatchObject({ kind: 'begun' })
    expect(await begin(marketing)).toEqual({ kind: 'later', reason: 'quiet_hours', until })
    expect(await readMessage(db(), marketing)).toMatchObject({
      status: 'queued',
      reason: 'quiet_hours',
      due_at: until,
      lease_owner: null,
      attempt_count: 0,
    })
  })

  it('make what waits due at their end, or end it when it expires before', async () => {
    const { hours, until } = quietNow()
    const long = await aMessage()
    const short = await aMessage({ expiresAt: new Date(until.getTime() - HOUR) })
    const over = await aMessage({ expiresAt: ago(SECOND) })
    await setPolicy(db(), accountId, { quiet_hours: hours })
    expect(await restInQuietHours(db())).toBe(false)
    expect((await readMessage(db(), long)).due_at).toEqual(until)
    expect(await readQuietEnd(db(), accountId)).toEqual(until)
    expect(await readQuietEnd(db(), accountId + 1)).toBeNull()
    expect((await readMessage(db(), short)).due_at).toEqual(new Date(until.getTime() - HOUR))
    // the gate ends it: no call is made for it
    expect((await claim()).map(({ id }) => id)).toEqual([over])
    expect(await begin(over)).toEqual({ kind: 'expired' })
  })

  it('that are changed let what rests by those before be due anew', async () => {
    const { hours, until } = quietNow()
    await setPolicy(db(), accountId, { quiet_hours: hours })
    const id = await aMessage()
    await restInQuietHours(db())
    const sooner = new Date(until.getTime() - HOUR)
    const shorter = quietHours(new Date(until.getTime() - 4 * HOUR), sooner)
    await setPolicy(db(), accountId, { quiet_hours: shorter })
    await restInQuietHours(db())
    expect((await readMessage(db(), id)).due_at).toEqual(sooner)

    await setPolicy(db(), accountId, {})
    await restInQuietHours(db())
    expect(await claim()).toMatchObject([{ id }])
    expect(await begin(id)).toMatchObject({ kind: 'begun' })
    await db()('send_policy').update({ changed_at: ago(MINUTE) })
    await restInQuietHours(db())
    expect(await db()('send_policy')).toEqual([])
  })

  it('do not keep a repeat until the platform has forgotten the first call', async () => {
    const id = await aMessage()
    const decision = await begin(id)
    if (decision.kind !== 'begun') throw new Error('not begun')
    const attempt = { attemptId: decision.attemptId, messageId: id, accountId, recipient: person }
    await finishOne(db(), attempt, { outcome: 'unknown', status: 'queued', dueAt: ago(SECOND) })
    await setPolicy(db(), accountId, { quiet_hours: quietNow().hours })
    expect(await begin(id)).toMatchObject({ kind: 'later' })
    const { due_at } = await readMessage(db(), id)
    expect(due_at.getTime()).toBeLessThanOrEqual(Date.now() + 9 * MINUTE)
  })

  it.each([
    ['22:00', '08:00', '2026-03-01T21:59:59+08:00', null],
    ['22:00', '08:00', '2026-03-01T22:00:00+08:00', '2026-03-02T08:00:00+08:00'],
    ['22:00', '08:00', '2026-03-02T07:59:59+08:00', '2026-03-02T08:00:00+08:00'],
    ['22:00', '08:00', '2026-03-02T08:00:00+08:00', null],
    ['12:00', '14:00', '2026-03-01T13:00:00+08:00', '2026-03-01T14:00:00+08:00'],
    ['12:00', '14:00', '2026-03-01T11:00:00+08:00', null],
    ['22:00', '00:00', '2026-03-01T23:30:00+08:00', '2026-03-02T00:00:00+08:00'],
    ['22:00', '00:00', '2026-03-02T00:00:00+08:00', null],
    [null, null, '2026-03-01T23:30:00+08:00', null],
  ])('from %s to %s: at %s until %s', async (begins, ends, at, until) => {
    const { rows } = await db().raw<{ rows: { until: Date | null }[] }>(
      `select quiet_until(?::time, ?::time, ?) as until`,
      [begins, ends, at],
    )
    expect(rows).toEqual([{ until: until && new Date(until) }])
  })
})

describe('a cap per person', () => {
  const cap = (count: number) => setPolicy(db(), accountId, { marketing_per_person_per_day: count })

  it('lets so many of a day through, and blocks the next until the day ends in China', async () => {
    await cap(2)
    expect((await send()).decision.kind).toBe('begun')
    expect((await send({}, 'unknown')).decision.kind).toBe('begun')
    const { id, decision } = await send()
    expect(decision).toEqual({ kind: 'blocked', reason: 'person_cap', scope: null })
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'blocked',
      reason: 'person_cap',
      missing_scope: null,
    })
    const limits = await findLimits(db(), {
      accountId,
      subject: person,
      channels: ['template_message'],
      isMarketing: true,
      at: new Date(),
    })
    const until = limits.get('template_message')?.[0]?.until
    expect(until?.toISOString()).toMatch(/T16:00:00\.000Z$/)
    expect((until?.getTime() ?? 0) - Date.now()).toBeLessThanOrEqual(24 * HOUR)
  })

  it('neither counts nor stops what people wait for, nor others, nor what was not sent', async () => {
    await cap(1)
    await send({}, 'failed')
    await send({ lane: 0 })
    expect((await send()).decision.kind).toBe('begun')
    expect((await send({ lane: 0 })).decision.kind).toBe('begun')
    expect((await send({ recipient: newPerson() })).decision.kind).toBe('begun')
    expect((await send()).decision.kind).toBe('blocked')
  })

  it('counts what is on its way, but not the message itself, nor another day', async () => {
    await cap(1)
    const id = await aMessage()
    const decision = await begin(id)
    if (decision.kind !== 'begun') throw new Error('not begun')
    const attempt = { attemptId: decision.attemptId, messageId: id, accountId, recipient: person }
    await finishOne(db(), attempt, { outcome: 'retry', status: 'queued', dueAt: ago(SECOND) })
    expect((await send()).decision.kind).toBe('blocked')
    expect((await begin(id)).kind).toBe('begun')
    await db()('message')
      .where({ id })
      .update({ status: 'sent', counted_at: ago(24 * HOUR) })
    expect((await send()).decision.kind).toBe('begun')
  })

  it('takes no other channel in place of one that it stops', async () => {
    await cap(1)
    await send()
    const id = await aMessage({ channel: 'customer_service_message' })
    const ways = ['customer_service_message', 'template_message'].map((channel) => {
      return { channel, template_id: 'T', content: {} }
    })
    await giveConsent(db(), {
      accountId,
      subject: person,
      scope: 'conversation',
      credits: 5,
      expiresAt: new Date(Date.now() + HOUR),
    })
    await db()('message')
      .where({ id })
      .update({ plan: JSON.stringify({ planned: 'customer_service_message', ways }) })
    expect(await begin(id)).toMatchObject({ kind: 'blocked', reason: 'person_cap' })
    expect((await readMessage(db(), id)).status).toBe('blocked')
  })

  it('notes nothing of messages of accounts without one', async () => {
    const { id } = await send()
    expect(await db()('message').where({ id }).whereNotNull('counted_at')).toEqual([])
  })
})

describe('a pace per recipient', () => {
  const channel = 'wecom_app_message'

  /** As many that were sent to the person, the first so long ago and each a second after it. */
  async function sentBefore(count: number, firstAgoMs: number) {
    const { id } = await send({ channel, lane: 0 })
    await db()('message')
      .where({ id })
      .update({ counted_at: ago(firstAgoMs) })
    await db().raw(
      `insert into message (
         id, account_id, recipient, channel, content, status, send_at, due_at, expires_at, lane,
         counted_at
       )
       select gen_random_uuid(), account_id, recipient, channel, content, status, send_at, due_at,
         expires_at, lane, counted_at + make_interval(secs => n)
       from message, generate_series(1, ?) as n where id = ?`,
      [count - 1, id],
    )
  }

  it('puts a message off until the platform would deliver it', async () => {
    await sentBefore(30, 50 * SECOND)
    const id = await aMessage({ channel, lane: 0 })
    const decision = await begin(id)
    expect(decision).toMatchObject({ kind: 'later', reason: 'recipient_pace' })
    if (decision.kind !== 'later') return
    const waitMs = decision.until.getTime() - Date.now()
    expect(waitMs).toBeGreaterThan(5 * SECOND)
    expect(waitMs).toBeLessThanOrEqual(10 * SECOND)
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'queued',
      reason: 'recipient_pace',
      due_at: decision.until,
    })
  })

  it('looks at this recipient alone, and a minute back', async () => {
    await sentBefore(30, 95 * SECOND)
    expect((await send({ channel, lane: 0 })).decision.kind).toBe('begun')
    const other = await aMessage({ channel, lane: 0, recipient: newPerson() })
    expect((await begin(other)).kind).toBe('begun')
  })

  it('counts an hour, too', async () => {
    await sentBefore(1_000, 50 * MINUTE)
    const decision = await begin(await aMessage({ channel, lane: 0 }))
    if (decision.kind !== 'later') throw new Error('begun')
    expect(Math.round((decision.until.getTime() - Date.now()) / MINUTE)).toBe(10)
  })

  it('can be set for an account, also where the channel has none', async () => {
    expect((await send({ lane: 0 })).decision.kind).toBe('begun')
    await setPolicy(db(), accountId, { recipient_per_minute: { template_message: 1 } })
    expect((await send({ lane: 0 })).decision.kind).toBe('begun')
    expect((await send({ lane: 0 })).decision).toMatchObject({
      kind: 'later',
      reason: 'recipient_pace',
    })
  })
})

describe('the pace of a group robot', () => {
  const channel = 'wecom_robot_message'

  /** Messages of one robot that are due, each to another name, held by a process. */
  async function held(robot: string, count: number, more: { readonly accountId?: number } = {}) {
    const asked = { accountId, channel, ...more } as const
    const ids = await Promise.all(
      Array.from({ length: count }, () =>
        insertMessage(db(), { ...asked, recipient: newPerson() }),
      ),
    )
    await db()('robot_message').insert(ids.map((id) => ({ message_id: id, robot: sha256(robot) })))
    await db()('message')
      .whereIn('id', ids)
      .update({ lease_owner: 'p1', leased_until: new Date(Date.now() + MINUTE) })
    return ids
  }

  const beginAll = (messageIds: readonly string[]) =>
    beginAttempts(db(), { process: 'p1', leaseSeconds: 60, messageIds })
  const kindsOf = (decisions: readonly BeginDecision[]) =>
    Object.fromEntries(
      [...Map.groupBy(decisions, ({ kind }) => kind)].map(([kind, those]) => [kind, those.length]),
    )

  it('is one for all names of its group and all accounts, in whatever process', async () => {
    const other = await insertAccount(db())
    const mine = await held('one', 18)
    const theirs = await held('one', 6, { accountId: other })
    const begun = await Promise.all([beginAll(mine), beginAll(theirs)])
    expect(kindsOf(begun.flat())).toEqual({ begun: 20, later: 4 })
    const later = begun.flat().filter((decision) => decision.kind === 'later')
    for (const { reason, until } of later) {
      expect(reason).toBe('recipient_pace')
      expect(until.getTime() - Date.now()).toBeGreaterThan(50 * SECOND)
    }
    expect(kindsOf(await beginAll(await held('two', 20)))).toEqual({ begun: 20 })
  })

  it('looks a minute back, and counts a message once however often it is judged', async () => {
    await beginAll(await held('three', 20))
    await db()('robot_message').update({ called_at: ago(MINUTE + SECOND) })
    const ids = await held('three', 20)
    const judge = () =>
      db().raw(
        `select judge_limits(?, ?, ?, 0::smallint, id, now(), 20, null)
         from message where id = any (?::uuid[])`,
        [accountId, person, channel, ids],
      )
    await judge()
    await judge()
    expect(kindsOf(await beginAll(ids))).toEqual({ begun: 20 })
    expect(kindsOf(await beginAll(await held('three', 1)))).toEqual({ later: 1 })
  })

  it('can be set for an account', async () => {
    await setPolicy(db(), accountId, { recipient_per_minute: { [channel]: 1 } })
    expect(kindsOf(await beginAll(await held('four', 2)))).toEqual({ begun: 1, later: 1 })
  })

  it('is forgotten some minutes after its messages', async () => {
    const [ended = '', lately = '', waiting = ''] = await held('five', 3)
    const calledAt = (id: string, at: Date) =>
      db()('robot_message').where({ message_id: id }).update({ called_at: at })
    await db()('message').whereIn('id', [ended, lately]).update({ status: 'sent' })
    await calledAt(ended, ago(HOUR))
    await calledAt(lately, ago(MINUTE))
    await calledAt(waiting, ago(HOUR))
    await forgetOldRobots(db())
    const left = await db()('robot_message').whereIn('message_id', [ended, lately, waiting])
    expect(left.map((row: { message_id: string }) => row.message_id).toSorted()).toEqual(
      [lately, waiting].toSorted(),
    )
  })
})

describe('begin_sends of the version before', () => {
  it('is told what it knows, and finds nothing to give back', async () => {
    await setPolicy(db(), accountId, { quiet_hours: quietNow().hours })
    const id = await aMessage()
    await db().raw(
      `update message set lease_owner = 'p1', leased_until = now() + interval '1 minute'`,
    )
    const { rows } = await db().raw<{ rows: { decisions: string[] }[] }>(
      `select decisions from begin_sends('p1', '1 minute', array[?]::uuid[])`,
      [id],
    )
    expect(rows).toEqual([{ decisions: ['busy'] }])
    expect((await readMessage(db(), id)).reason).toBe('quiet_hours')
  })
})
