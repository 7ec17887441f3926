import { afterEach, describe, expect, it } from 'vitest'
import { AppError } from '../../src/foundation/errors.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { countCalls, createQuotaLedger } from '../../src/wechat/quota-ledger.ts'
import {
  addCalls,
  countClears,
  forgetOldCalls,
  keepClear,
  keepQuota,
  readTallies,
} from '../../src/wechat/quota-store.ts'
import {
  chinaMonthStart,
  limitOf,
  marksPassed,
  mustRest,
  stateOf,
  type QuotaTally,
} from '../../src/wechat/quota.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import { until } from '../support/send-road.ts'
import { createHandClock, type HandClock } from '../support/token-desk.ts'

const database = useTestDatabase()
const db = () => database().db
const SEND = '/cgi-bin/message/template/send'
/** 12:00 on this day in China, where the clock of the tests begins. */
const DAY = '2026-01-31'

const undo: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A process with its ledger; all of them share the account. */
function openLedger(
  accountId: number,
  clock: HandClock,
  options: {
    limit?: number | null
    used?: number
    margin?: number
    asks?: () => Promise<void>
  } = {},
) {
  const lines: Record<string, unknown>[] = []
  const rests: string[] = []
  const asked: string[] = []
  const statements: number[] = []
  let isAway = false
  const { margin = 10 } = options
  const metrics = createMetrics()
  const write = (line: string) => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
  }
  const ledger = createQuotaLedger({
    addCalls: (counts) => {
      statements.push(counts.length)
      return isAway ? Promise.reject(new Error('away')) : addCalls(db(), counts)
    },
    findAccount: async (id) => ({ id, name: 'acme', settings: { quota_margin_percent: margin } }),
    restablePaths: new Set([SEND]),
    rest: async ({ path, until: end }) => void rests.push(`${path} ${end.toISOString()}`),
    askPlatform: async ({ id }, path) => {
      asked.push(path)
      await options.asks?.()
      const { limit: dailyLimit = 100_000, used = 0 } = options
      if (dailyLimit === null) throw new Error('the platform does not say')
      await keepQuota(db(), {
        accountId: id,
        path,
        dailyLimit,
        used,
        at: clock.now(),
        lifts: false,
      })
    },
    clock,
    log: createLog('debug', { write }),
    metrics,
    writeEveryMs: 25,
  })
  undo.push(() => ledger.stop())
  return {
    ledger,
    lines,
    rests,
    asked,
    statements,
    metrics,
    goAway: (away: boolean) => void (isAway = away),
    isResting: () => {
      const end = ledger.begin(accountId, SEND)
      end?.('not_sent')
      return end === null
    },
    callMany: (count: number, path = SEND) => {
      for (let n = 0; n < count; n += 1) ledger.begin(accountId, path)?.('called')
    },
    named: (name: string) => lines.filter(({ msg }) => msg === name),
  }
}

async function callsOf(accountId: number, day = DAY): Promise<number> {
  return (await readTallies(db(), accountId, day)).find(({ path }) => path === SEND)?.calls ?? 0
}

const untilCalls = (accountId: number, calls: number) =>
  until(
    () => callsOf(accountId),
    (found) => found === calls,
  )

describe('createQuotaLedger', () => {
  it('adds up the calls of all processes, a second of them in one statement', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const processes = [1, 2, 3].map(() => openLedger(accountId, clock))
    for (const one of processes) {
      one.callMany(500)
      one.callMany(20, '/cgi-bin/user/info')
    }
    await untilCalls(accountId, 1_500)
    expect(processes.map(({ statements }) => statements[0])).toEqual([2, 2, 2])
    expect(await readTallies(db(), accountId, DAY)).toMatchObject([
      { path: SEND, calls: 1_500 },
      { path: '/cgi-bin/user/info', calls: 60 },
    ])
  })

  it('counts the day of China, whatever day it is here', async () => {
    const clock = createHandClock(new Date('2026-01-31T15:59:59Z'))
    const accountId = await insertAccount(db())
    const { ledger, callMany } = openLedger(accountId, clock)
    callMany(3)
    clock.forward(60)
    callMany(4)
    await ledger.stop()
    expect([await callsOf(accountId), await callsOf(accountId, '2026-02-01')]).toEqual([3, 4])
  })

  it('keeps its counts while the database is away', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const { callMany, goAway, named } = openLedger(accountId, clock)
    goAway(true)
    callMany(7)
    await until(
      () => named('quota.not_written').length,
      (found) => found > 0,
    )
    goAway(false)
    callMany(1)
    await untilCalls(accountId, 8)
  })

  it('warns at 80 and 95 percent, once among all processes', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    await keepQuota(db(), {
      accountId,
      path: SEND,
      dailyLimit: 1_000,
      used: 0,
      at: clock.now(),
      lifts: false,
    })
    const both = [1, 2].map(() => openLedger(accountId, clock, { limit: 1_000, margin: 2 }))
    let calls = 0
    for (const each of [300, 105, 30, 45]) {
      for (const one of both) one.callMany(each)
      calls += 2 * each
      await untilCalls(accountId, calls)
    }
    await until(
      () => both.flatMap(({ named }) => named('quota.nearly_used')).map(({ percent }) => percent),
      (percents) => percents.length === 2 && percents.includes(80) && percents.includes(95),
    )
    const ratios = await both[0]?.metrics.quotaUsed.get()
    expect(ratios?.values).toMatchObject([{ labels: { account: 'acme', path: SEND } }])
  })

  it('asks the platform at the first call of a day, and at every mark; rests before 45009', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const one = openLedger(accountId, clock, { limit: 60_000 })
    await one.ledger.ready(accountId, SEND)
    expect(one.asked).toEqual([SEND])
    expect(one.ledger.ready(accountId, SEND)).toBeNull()
    one.callMany(20_000)
    await untilCalls(accountId, 20_000)
    expect(one.asked).toEqual([SEND])
    one.callMany(35_000)
    await until(
      () => one.rests,
      (rests) => rests.length > 0,
    )
    expect(one.asked).toEqual([SEND, SEND])
    expect(one.rests[0]).toBe(`${SEND} 2026-01-31T16:00:00.000Z`)
    expect(one.isResting()).toBe(true)
    clock.forward(12 * 3600)
    expect(one.isResting()).toBe(false)
    await one.ledger.ready(accountId, SEND)
    expect(one.asked).toEqual([SEND, SEND, SEND])
  })

  it('asks nobody about a limit that was named on this day, nor about what never rests', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    await keepQuota(db(), {
      accountId,
      path: SEND,
      dailyLimit: 100,
      used: 95,
      at: clock.now(),
      lifts: false,
    })
    const one = openLedger(accountId, clock)
    await Promise.all([one.ledger.ready(accountId, SEND), one.ledger.ready(accountId, SEND)])
    expect(one.asked).toEqual([])
    expect(one.isResting()).toBe(true)
    expect(one.ledger.ready(accountId, '/cgi-bin/token')).toBeNull()
  })

  it('does not wait for a platform that does not say, and asks it again later', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const one = openLedger(accountId, clock, { limit: null })
    await one.ledger.ready(accountId, SEND)
    expect(one.named('quota.not_read')).toHaveLength(1)
    one.callMany(1)
    await untilCalls(accountId, 1)
    expect(one.asked).toEqual([SEND])
    clock.forward(600)
    one.callMany(1)
    await until(
      () => one.asked.length,
      (asked) => asked === 2,
    )
  })

  it('asks a platform that refuses to say no more on that day', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const asks = () => Promise.reject(new AppError('quota_refused', 'errcode 76022'))
    const one = openLedger(accountId, clock, { asks })
    await one.ledger.ready(accountId, SEND)
    clock.forward(6_000)
    one.callMany(1)
    await untilCalls(accountId, 1)
    await one.ledger.stop()
    expect(one.asked).toEqual([SEND])
  })

  it('takes a 45009 for the limit, whatever was named before, until the counters are cleared', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    await keepQuota(db(), {
      accountId,
      path: SEND,
      dailyLimit: 9_000,
      used: 0,
      at: clock.now(),
      lifts: false,
    })
    const [one, other] = [1, 2].map(() => openLedger(accountId, clock, { limit: null }))
    if (!one || !other) throw new Error('not two')
    other.callMany(59)
    await untilCalls(accountId, 59)
    one.ledger.begin(accountId, SEND)?.('day_full')
    expect(one.isResting()).toBe(true)
    await untilCalls(accountId, 60)
    expect(await readTallies(db(), accountId, DAY)).toMatchObject([{ refusedUsed: 60 }])
    other.callMany(1)
    await until(
      () => other.isResting(),
      (isResting) => isResting,
    )
    expect([one.asked, other.asked]).toEqual([[SEND], []])
    await keepClear(db(), { accountId, at: clock.now(), interface: 'clear_quota', actor: 'ops' })
    one.ledger.refresh()
    await until(
      () => one.isResting(),
      (isResting) => !isResting,
    )
    expect(await readTallies(db(), accountId, DAY)).toMatchObject([{ refusedUsed: null }])
  })

  it('holds its own calls back at once, and goes on when the counters were cleared', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    await keepQuota(db(), {
      accountId,
      path: SEND,
      dailyLimit: 100,
      used: 0,
      at: clock.now(),
      lifts: false,
    })
    const { ledger } = openLedger(accountId, clock, { limit: 100 })
    let left = 0
    const client = countCalls(
      {
        call: async () => {
          left += 1
          return { kind: 'unclear', reason: 'timeout' }
        },
        close: () => Promise.resolve(),
      },
      ledger,
    )
    const call = { method: 'POST', path: SEND, accountId } as const
    await client.call(call)
    await untilCalls(accountId, 1)
    const outcomes = []
    for (let n = 0; n < 200; n += 1) outcomes.push(await client.call(call))
    expect(left).toBe(90)
    expect(outcomes.at(-1)).toEqual({ kind: 'not_sent', reason: 'quota_margin' })
    await untilCalls(accountId, 90)
    await keepClear(db(), {
      accountId,
      at: clock.now(),
      interface: 'clear_quota',
      actor: 'ops',
    })
    await until(
      () => client.call(call),
      (outcome) => outcome.kind === 'unclear',
    )
  })

  it('counts what is under way: many calls at once do not slip past the margin', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    await keepQuota(db(), {
      accountId,
      path: SEND,
      dailyLimit: 50,
      used: 0,
      at: clock.now(),
      lifts: false,
    })
    const { ledger, callMany } = openLedger(accountId, clock, { limit: 50, used: 40 })
    callMany(40)
    await untilCalls(accountId, 40)
    await until(
      () => Array.from({ length: 30 }, () => ledger.begin(accountId, SEND)),
      (begun) => {
        for (const end of begun) end?.('not_sent')
        return begun.filter((end) => end !== null).length === 5
      },
    )
  })

  it('counts no call that never left, and none that is nobody’s', async () => {
    const clock = createHandClock()
    const accountId = await insertAccount(db())
    const { ledger } = openLedger(accountId, clock)
    const client = countCalls(
      {
        call: async () => ({ kind: 'not_sent', reason: 'ECONNREFUSED' }),
        close: () => Promise.resolve(),
      },
      ledger,
    )
    await client.call({ method: 'POST', path: SEND, accountId })
    await client.call({ method: 'POST', path: SEND })
    await ledger.stop()
    expect(await readTallies(db(), accountId, DAY)).toEqual([])
  })
})

describe('the quota of one API', () => {
  const tally: QuotaTally = {
    accountId: 1,
    day: DAY,
    path: SEND,
    calls: 0,
    cleared: 0,
    elsewhere: 0,
    dailyLimit: 1_000,
    limitReadAt: new Date(0),
    refusedUsed: null,
  }

  it.each([
    [0, 'ok'],
    [799, 'ok'],
    [800, 'warning'],
    [949, 'warning'],
    [950, 'critical'],
    [979, 'critical'],
    [980, 'resting'],
    [5_000, 'resting'],
  ] as const)('with %i of 1,000 used is %s', (calls, state) => {
    expect(stateOf({ ...tally, calls }, 2)).toBe(state)
  })

  it('counts what others have used, and not what was before a clearing', () => {
    expect(stateOf({ ...tally, calls: 500, elsewhere: 480 }, 2)).toBe('resting')
    expect(stateOf({ ...tally, calls: 990, cleared: 980 }, 2)).toBe('ok')
  })

  it('is full where the platform has said 45009, whatever it named or published', () => {
    const met = { ...tally, calls: 60, refusedUsed: 60 }
    expect(stateOf(met, 2)).toBe('resting')
    expect(limitOf(met)).toMatchObject({ perDay: 60, source: 'refusal' })
    expect(limitOf({ ...met, path: '/cgi-bin/unpublished', dailyLimit: null })).toMatchObject({
      perDay: 60,
      source: 'refusal',
    })
    expect(limitOf({ ...met, dailyLimit: 50 })).toMatchObject({ perDay: 50, source: 'platform' })
  })

  it('rests for no limit that is only published, and knows none of most paths', () => {
    const published = { ...tally, dailyLimit: null, calls: 100_000 }
    expect(mustRest(published, 2)).toBe(false)
    expect(stateOf(published, 2)).toBe('critical')
    expect(stateOf({ ...published, path: '/cgi-bin/menu/get' }, 2)).toBe('unlimited')
  })

  it('passes each mark once, however large the step', () => {
    expect(marksPassed({ ...tally, calls: 960 }, 960)).toEqual([0.5, 0.8, 0.95])
    expect(marksPassed({ ...tally, calls: 960 }, 1)).toEqual([])
    expect(marksPassed({ ...tally, calls: 800 }, 1)).toEqual([0.8])
  })
})

describe('what the platform has counted', () => {
  it.each([
    [1_000, 0],
    [1_005, 0],
    [1_500, 500],
    [900, 0],
  ])('%i against our 1,000 leaves %i to others', async (used, elsewhere) => {
    const accountId = await insertAccount(db())
    await addCalls(db(), [{ accountId, day: DAY, path: SEND, calls: 1_000, isFull: false }])
    const at = new Date('2026-01-31T04:00:00Z')
    await keepQuota(db(), { accountId, path: SEND, dailyLimit: 10_000, used, at, lifts: false })
    expect(await readTallies(db(), accountId, DAY)).toMatchObject([
      { elsewhere, dailyLimit: 10_000, limitReadAt: at },
    ])
  })
})

describe('room that the platform names after a 45009', () => {
  it.each([
    [false, 2, { calls: 60, cleared: 0, refusedUsed: 60 }],
    [true, 58, { calls: 60, cleared: 0, refusedUsed: 60 }],
    [true, 2, { calls: 60, cleared: 58, refusedUsed: null }],
  ])('where it lifts (%s), %i used of 60: %o', async (lifts, used, expected) => {
    const accountId = await insertAccount(db())
    await addCalls(db(), [{ accountId, day: DAY, path: SEND, calls: 60, isFull: true }])
    const at = new Date('2026-01-31T04:00:00Z')
    await keepQuota(db(), { accountId, path: SEND, dailyLimit: 60, used, at, lifts })
    expect(await readTallies(db(), accountId, DAY)).toMatchObject([expected])
  })
})

describe('the record of clearings', () => {
  it('counts those of the month in China', async () => {
    const accountId = await insertAccount(db())
    const now = new Date('2026-02-01T01:00:00Z')
    for (const at of ['2026-01-31T15:59:59Z', '2026-01-31T16:00:00Z', '2026-02-01T00:00:00Z']) {
      const clear = { accountId, at: new Date(at), actor: 'ops' } as const
      await keepClear(db(), { ...clear, interface: 'clear_quota' })
    }
    expect(chinaMonthStart(now).toISOString()).toBe('2026-01-31T16:00:00.000Z')
    expect(await countClears(db(), accountId, chinaMonthStart(now))).toBe(2)
  })

  it('lets go of counts that are a hundred days old', async () => {
    const accountId = await insertAccount(db())
    await addCalls(db(), [{ accountId, day: '2020-01-01', path: SEND, calls: 3, isFull: false }])
    await forgetOldCalls(db())
    expect(await callsOf(accountId, '2020-01-01')).toBe(0)
  })
})
