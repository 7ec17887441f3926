import { describe, expect, it } from 'vitest'
import { createRecorder } from '../../src/consent/record-push.ts'
import { keepEventLog } from '../../src/events/keep-event-log.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { useTestDatabase } from '../support/database.ts'
import { newPerson, readLedger } from '../support/messages.ts'
import { accountOf, eventOf } from '../support/proven-pushes.ts'
import { recorderParts } from '../support/recorder-parts.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const log = createLog('silent')
const DAY_MS = 24 * 3600_000

const keep = (now: Date, retentionDays = 0) =>
  keepEventLog({ db: db(), clock: { now: () => now }, log, retentionDays })

function startRecorder() {
  const settle = async () => undefined
  return createRecorder({
    ...recorderParts,
    db: db(),
    clock: systemClock,
    metrics: createMetrics(),
    settle,
  })
}

/** Where the events of an account lie, and how many are there. */
async function placesOf(accountId: number): Promise<Record<string, number>> {
  const { rows } = await db().raw<{ rows: { place: string; count: string }[] }>(
    `select tableoid::regclass::text as place, count(*) from event
     where account_id = ? group by 1 order by 1`,
    [accountId],
  )
  return Object.fromEntries(rows.map(({ place, count }) => [place, Number(count)]))
}

const monthOf = (time: Date) => `event_${time.toISOString().slice(0, 7).replace('-', '')}`

describe('keepEventLog', () => {
  it('has this month and the next two from the beginning, and makes those that follow', async () => {
    const account = accountOf(await insertAccount(db()))
    const now = new Date()
    const inSixMonths = new Date(now.getTime() + 183 * DAY_MS)
    const recorder = startRecorder()
    await recorder.record(eventOf(account, { from: newPerson(), name: 'subscribe' }))
    await recorder.record(
      eventOf(account, { from: newPerson(), name: 'subscribe', at: inSixMonths }),
    )
    expect(await placesOf(account.id)).toEqual({ [monthOf(now)]: 1, event_other: 1 })
    await keep(inSixMonths)
    await keep(inSixMonths)
    expect(await placesOf(account.id)).toEqual({ [monthOf(now)]: 1, [monthOf(inSixMonths)]: 1 })
  })

  it('knows a repeat also where its month was made meanwhile', async () => {
    const account = accountOf(await insertAccount(db()))
    const inAYear = new Date(Date.now() + 400 * DAY_MS)
    const recorder = startRecorder()
    const push = eventOf(account, { from: newPerson(), name: 'subscribe', at: inAYear })
    const first = await recorder.record(push)
    await keep(inAYear)
    expect(await recorder.record(push)).toEqual({ ...first, outcome: 'repeated' })
    expect(await placesOf(account.id)).toEqual({ [monthOf(inAYear)]: 1 })
  })

  it('drops whole months that have been kept long enough, and nothing of the ledger', async () => {
    const account = accountOf(await insertAccount(db()))
    const [old, recent] = [newPerson(), newPerson()]
    const longAgo = new Date(Date.now() - 200 * DAY_MS)
    await db().raw(`select create_event_partitions(?, ?)`, [longAgo, longAgo])
    const recorder = startRecorder()
    await recorder.record(eventOf(account, { from: old, name: 'subscribe', at: longAgo }))
    await recorder.record(eventOf(account, { from: recent, name: 'subscribe' }))
    await keep(new Date(), 0)
    expect(Object.keys(await placesOf(account.id))).toContain(monthOf(longAgo))
    await keep(new Date(), 90)
    expect(await placesOf(account.id)).toEqual({ [monthOf(new Date())]: 1 })
    expect(await readLedger(db(), account.id, old)).toContain('follow granted')
  })
})
