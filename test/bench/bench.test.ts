import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createChildren } from '../../bench/children.ts'
import { startServer, type BenchServer } from '../../bench/database.ts'
import { readOptions, SMALLEST } from '../../bench/plan.ts'
import { createPushMaker, openidOf } from '../../bench/pushes.ts'
import { writeReport, type Report } from '../../bench/report.ts'
import { runBench } from '../../bench/run-bench.ts'
import { seed } from '../../bench/seed.ts'
import { ratioOf } from '../../bench/sample.ts'
import { percentile, spreadOf } from '../../bench/statistics.ts'

/** It starts a PostgreSQL and a dozen processes. */
const RUN_LIMIT_MS = 60_000

describe('the bench', () => {
  const children = createChildren({ profileFolder: null })
  let server: BenchServer

  beforeAll(async () => {
    server = await startServer()
  }, RUN_LIMIT_MS)
  afterAll(async () => {
    await children.endAll()
    await server.stop()
  }, RUN_LIMIT_MS)

  it(
    'measures every part, loses nothing and does nothing twice',
    async () => {
      const report = await runBench(children, server, SMALLEST)
      expect(report.series).toHaveLength(16)
      for (const { name, samples } of report.series) {
        expect(samples, name).toHaveLength(1)
        expect(samples[0]?.rate, name).toBeGreaterThan(0)
      }
      expect(report.figures).toHaveLength(3)
      expect(report.ratios).toHaveLength(14)
      expect(report.checks).toHaveLength(3)
      for (const { name, expected, found } of report.checks) {
        expect(found, name).toBe(expected)
        expect(found, name).toBeGreaterThan(0)
      }
      const text = writeReport(report)
      for (const { name } of [...report.series, ...report.figures, ...report.ratios]) {
        expect(text).toContain(`| ${name} `)
      }
    },
    RUN_LIMIT_MS,
  )

  it('seeds people as the gateway itself would have left them', async () => {
    const database = await server.createDatabase('bench_seed')
    const { db } = database
    // the log gets a partition for each month that is seeded
    const schema = `
      select indexdef from pg_indexes
      where schemaname = 'public' and tablename !~ '^event_\\d' order by indexdef`
    const before = await db.raw<{ rows: unknown[] }>(schema)
    await seed(database, { people: 30 })
    expect((await db.raw<{ rows: unknown[] }>(schema)).rows).toEqual(before.rows)

    const columns = ['subject', 'scope', 'state', 'effective_at', 'ledger_id', 'credits', 'refused']
    const seeded = await db('consent').select(columns).orderBy('subject')
    expect(seeded.map(({ subject }: { subject: string }) => subject)).toEqual(
      Array.from({ length: 30 }, (_, person) => openidOf(person)).sort(),
    )
    await db.raw(`
      select project_consents(array_agg(account_id), array_agg(subject), array_agg(scope))
      from consent_ledger`)
    expect(await db('consent').select(columns).orderBy('subject')).toEqual(seeded)
    expect(
      await db('event')
        .join('consent_ledger', 'consent_ledger.event_id', 'event.id')
        .whereRaw('consent_ledger.subject = event.subject')
        .count(),
    ).toEqual([{ count: '30' }])
  })
})

describe('createPushMaker', () => {
  it('makes whole requests of which no two are the same', () => {
    const maker = createPushMaker({ people: 10, mix: 'mixed' })
    const pushes = Array.from({ length: 100 }, () => maker.next().toString())
    expect(new Set(pushes).size).toBe(100)
    for (const push of pushes) {
      const [head = '', body = ''] = push.split('\r\n\r\n')
      expect(head).toMatch(/^POST \/callbacks\/bench\?signature=[0-9a-f]{40}&timestamp=\d{10}&/)
      expect(head).toContain(`\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`)
    }
  })
})

describe('readOptions', () => {
  it('knows the words of the usage and no others', () => {
    expect(readOptions([])?.plan.growthRows).toBeNull()
    expect(readOptions(['--quick', '--only', 'sends'])?.plan.parts).toEqual(['sends'])
    expect(readOptions(['--growth', '--rows', '20000'])?.plan.growthRows).toBe(20_000)
    expect(readOptions(['--postgres', '/opt/pg'])?.postgresFolder).toBe('/opt/pg')
    for (const words of [['--fast'], ['--only', 'rows'], ['--rows', '5'], ['sends']]) {
      expect(readOptions(words), words.join(' ')).toBeUndefined()
    }
  })
})

describe('figures', () => {
  it('are the median and the range, and percentiles by the nearest rank', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 })
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 })
    const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1)
    expect(percentile(hundred, 0.5)).toBe(50)
    expect(percentile(hundred, 0.99)).toBe(99)
  })

  it('are divided round by round', () => {
    const above = { name: 'a', samples: [{ rate: 10 }, { rate: 30 }] }
    const below = { name: 'b', samples: [{ rate: 10 }, { rate: 10 }] }
    expect(ratioOf(above, below)).toEqual({ median: 2, least: 1, most: 3 })
  })

  it('say of a ratio whether it reaches its goal, its bound or neither', () => {
    const ratio = { name: 'r', goal: { goal: 3, bound: 2 }, better: 'more' } as const
    const report: Report = {
      startedAt: '',
      machine: {},
      tookSeconds: 1,
      series: [],
      figures: [],
      ratios: [3, 2, 1].map((value) => ({ ...ratio, value: spreadOf([value]) })),
      checks: [{ name: 'rows', expected: 2, found: 1 }],
    }
    const text = writeReport(report)
    expect(text.match(/(goal|reached|missed) \|$/gm)).toEqual(['goal |', 'reached |', 'missed |'])
    expect(text).toContain('WRONG: rows: 1 of 2')
  })
})
