import { beforeAll, describe, expect, it } from 'vitest'
import { findHistory } from '../../src/consent/consent-store.ts'
import { newId, sha256 } from '../../src/foundation/ids.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { createBroadcastStore } from '../../src/messages/broadcast-store.ts'
import { createForgetting, forgetOldMessages } from '../../src/messages/forget-messages.ts'
import { measureBroadcasts } from '../../src/messages/measure-broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, insertMessage, newPerson } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const log = createLog('silent')
const DAY_MS = 86_400_000
const RETENTION = 30
const STOPPED = AbortSignal.abort()
const GOES_ON = new AbortController().signal

const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS)
const parts = () => ({
  db: db(),
  clock: { now: () => new Date() },
  log,
  retentionDays: RETENTION,
})

let accountId: number
beforeAll(async () => {
  accountId = await insertAccount(db())
})

/** A message that was made and ended so many days ago, with an attempt. */
async function ended(days: number, changes: Record<string, unknown> = {}): Promise<string> {
  const at = daysAgo(days)
  const made = await insertMessage(db(), {
    accountId,
    recipient: newPerson(),
    channel: 'template_message',
  })
  const id = newId(at)
  await db()('message')
    .where({ id: made })
    .update({ id, created_at: at, finished_at: at, status: 'sent', ...changes })
  await db()('attempt').insert({
    message_id: id,
    account_id: accountId,
    number: 1,
    started_at: at,
    evidence: [],
    process: 'p',
  })
  return id
}

async function aBroadcast(days: number | null): Promise<string> {
  const id = newId(daysAgo(days ?? 40))
  await db()('broadcast').insert({
    id,
    account_id: accountId,
    channel: 'template_message',
    content: '{}',
    head_digest: sha256(''),
    lines_digest: sha256(''),
    phase: days === null ? 'running' : 'completed',
    accepted: 3,
    received_at: daysAgo(40),
    send_at: daysAgo(40),
    started_at: daysAgo(40),
    expires_at: daysAgo(39),
    finished_at: days === null ? null : daysAgo(days),
  })
  for (const line of [2, 3, 4]) {
    await db()('broadcast_recipient').insert({ broadcast_id: id, line, recipient: newPerson() })
  }
  await db()('broadcast_bad_line').insert({ broadcast_id: id, line: 5, reason: 'not_json' })
  return id
}

const idsOf = async (table: string, column = 'id'): Promise<string[]> => {
  const rows: Record<string, string>[] = await db()(table).distinct(column)
  return rows.map((row) => row[column] ?? '')
}

describe('forgetOldMessages', () => {
  it('removes what ended before the time is over, with its attempts, and nothing else', async () => {
    const old = await ended(31)
    const young = await ended(29)
    const late = await ended(31, { finished_at: daysAgo(1) })
    const waiting = await ended(31, { status: 'queued', finished_at: null })
    const running = await aBroadcast(null)
    const ofRunning = await ended(31, { broadcast_id: running, broadcast_line: 2 })
    const over = await aBroadcast(31)
    const ofOver = await ended(35, { broadcast_id: over, broadcast_line: 2 })
    const youngOver = await aBroadcast(29)
    const ofYoungOver = await ended(35, { broadcast_id: youngOver, broadcast_line: 2 })
    for (const id of [old, young, late, waiting, ofRunning, ofOver, ofYoungOver]) {
      await db()('aliased_message').insert({ message_id: id, alias: 'order_sent', step: 0 })
    }

    expect(await forgetOldMessages(parts(), GOES_ON)).toBe(true)

    const kept = [young, late, waiting, ofRunning, ofYoungOver].sort()
    expect((await idsOf('message')).sort()).toEqual(kept)
    expect((await idsOf('attempt', 'message_id')).sort()).toEqual(kept)
    expect((await idsOf('aliased_message', 'message_id')).sort()).toEqual(kept)
    expect([old, ofOver].filter((id) => kept.includes(id))).toEqual([])
    const broadcasts = [running, youngOver].sort()
    expect((await idsOf('broadcast')).sort()).toEqual(broadcasts)
    expect((await idsOf('broadcast_recipient', 'broadcast_id')).sort()).toEqual(broadcasts)
    expect((await idsOf('broadcast_bad_line', 'broadcast_id')).sort()).toEqual(broadcasts)
    expect(await forgetOldMessages(parts(), GOES_ON)).toBe(true)
    expect((await idsOf('message')).sort()).toEqual(kept)
  })

  it('goes over more than one batch, past what stays', async () => {
    await db().raw(
      `insert into message (
         id, account_id, recipient, channel, content, status, send_at, expires_at, due_at, finished_at
       )
       select
         overlay(gen_random_uuid()::text placing '00000000-0000-7' from 1 for 15)::uuid,
         ?, 'oOld' || n, 'template_message', '{}', case when n % 2 = 0 then 'sent' else 'queued' end,
         now(), now(), now(), case when n % 2 = 0 then to_timestamp(0) end
       from generate_series(1, 2500) as n`,
      [accountId],
    )
    const count = () => db()('message').where('recipient', 'like', 'oOld%').count('*').first()
    expect(await forgetOldMessages(parts(), GOES_ON)).toBe(true)
    expect(await count()).toEqual({ count: '1250' })
  })

  it('leaves what the ledger says: code and words of the refusal', async () => {
    const id = await ended(31, { status: 'refused' })
    const attempt = await db()('attempt').where({ message_id: id }).first<{ id: string }>('id')
    const subject = newPerson()
    await giveConsent(db(), { accountId, subject, scope: 'follow' })
    await db().raw(`select change_consents(?::jsonb)`, [
      JSON.stringify([
        {
          account_id: accountId,
          subject,
          scope: 'follow',
          change: 'revoked',
          effective_at: new Date(),
          evidence: 'attempt',
          attempt_id: attempt?.id,
          reason: '43004 require subscribe',
        },
      ]),
    ])
    await forgetOldMessages(parts(), GOES_ON)
    expect(await idsOf('message')).not.toContain(id)
    const [latest] = await findHistory(db(), { accountId, subject }, 1)
    expect(latest).toMatchObject({ change: 'revoked', reason: '43004 require subscribe' })
  })

  it('is a job of every night that goes on where it was stopped, unless everything is kept', async () => {
    const id = await ended(31)
    const { tasks, schedule } = createForgetting(parts())
    expect(schedule).toEqual([{ task: 'forget-messages', at: '4:25' }])
    const run = tasks['forget-messages']
    await run?.({}, { id: '1', attempt: 1, signal: STOPPED })
    expect(await idsOf('message')).toContain(id)
    const jobs = db()('graphile_worker.jobs').where({ task_identifier: 'forget-messages' })
    expect(await jobs.select('key')).toEqual([{ key: 'forget-messages:go_on' }])
    await run?.({}, { id: '1', attempt: 1, signal: GOES_ON })
    expect(await idsOf('message')).not.toContain(id)
    expect(createForgetting({ ...parts(), retentionDays: 0 }).schedule).toEqual([])
  })
})

describe('measureBroadcasts', () => {
  it('counts the recipients of what has not ended, by account and state', async () => {
    await db()('broadcast').update({ finished_at: new Date() })
    const running = await aBroadcast(null)
    await ended(1, { broadcast_id: running, broadcast_line: 2 })
    const metrics = createMetrics()
    const store = createBroadcastStore(db())
    await measureBroadcasts({ store, metrics })
    const shown = await metrics.registry.metrics()
    const name = (await db()('account').where({ id: accountId }).first<{ name: string }>('name'))
      .name
    expect(shown).toContain(`wcg_broadcasts{account="${name}",status="running"} 1`)
    expect(shown).toContain(`wcg_broadcast_recipients{account="${name}",state="sent"} 1`)
    expect(shown).toContain(`wcg_broadcast_recipients{account="${name}",state="waiting"} 2`)

    await db()('broadcast').where({ id: running }).update({ finished_at: new Date() })
    await measureBroadcasts({ store, metrics })
    expect(await metrics.registry.metrics()).not.toContain('wcg_broadcasts{')
  })
})
