import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ALL_HOT,
  collectPlans,
  indexesUsed,
  type PlannedStatement,
} from '../../bench/collect-plans.ts'
import { startServer, type BenchServer } from '../../bench/database.ts'
import { replaceGenerated, writePlans } from '../../bench/plans-page.ts'
import { openPlanWatch } from '../../bench/plans.ts'

/** It starts a PostgreSQL and fills two databases. */
const LIMIT_MS = 60_000

/** People are many more than messages wait, so that reading a table from end to end shows. */
const SIZE = { people: 5_000, queued: 1_000, batch: 64 }

describe('hot statements', () => {
  let server: BenchServer

  beforeAll(async () => {
    server = await startServer({ autovacuum: 'off', fsync: 'off' })
  }, LIMIT_MS)
  afterAll(() => server.stop(), LIMIT_MS)

  it(
    'are served by their indexes, and the page names all of them',
    async () => {
      const planned = await collectPlans(server, {
        database: 'analysed',
        size: SIZE,
        history: 'analysed',
      })
      expect(planned.flatMap(faultsOf)).toEqual([])

      const page = await readFile(new URL('../../docs/plans.md', import.meta.url), 'utf8')
      const headings = [...page.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading)
      expect(headings).toEqual(ALL_HOT.map(({ name }) => name))
      expect(rowsOf(page)).toEqual(rowsOf(replaceGenerated(page, writePlans(planned))))
    },
    LIMIT_MS,
  )

  it(
    'are so on a connection that planned them when the database was nearly empty',
    async () => {
      const planned = await collectPlans(server, {
        database: 'grown',
        size: SIZE,
        history: 'grown',
      })
      const healing = planned.filter(({ statement }) => statement.needsStatistics)
      const others = planned.filter(({ statement }) => !statement.needsStatistics)
      expect(others.flatMap(faultsOf)).toEqual([])
      expect(healing.flatMap(scansOf)).toEqual([])
    },
    LIMIT_MS,
  )

  it(
    'are so when rows come of kinds that were not there when everything was analysed',
    async () => {
      const planned = await collectPlans(server, {
        database: 'shifted',
        size: SIZE,
        history: 'shifted',
      })
      expect(planned.flatMap(faultsOf)).toEqual([])
    },
    LIMIT_MS,
  )

  it('are seen to go through an index with nothing to look for', async () => {
    const { url } = await server.createDatabase('walking')
    const watch = await openPlanWatch(url)
    try {
      const [all, one] = await watch.watch(async () => {
        await watch.db.raw(`set enable_seqscan = off; set enable_bitmapscan = off`)
        await watch.db.raw(`do $$ begin
          perform from consent order by account_id, subject, scope;
          perform from consent where account_id = 1 and subject = 'p' and scope = 'follow';
        end $$`)
      })
      expect(all?.walked).toEqual(['consent_pkey'])
      expect(one?.walked).toEqual([])
    } finally {
      await watch.close()
    }
  })

  it('are seen to read a table from end to end when they do', async () => {
    const { url, db } = await server.createDatabase('scanning')
    const watch = await openPlanWatch(url)
    try {
      await db.raw(`insert into consent (account_id, subject, scope, state, effective_at, ledger_id)
        select 1, n::text, 'follow', 'granted', now(), n from generate_series(1, 500) as n`)
      const [plan, ...more] = await watch.watch(() =>
        watch.db.raw(`do $$ begin perform from consent where state = 'revoked'; end $$`),
      )
      expect(more).toEqual([])
      expect(plan).toMatchObject({ scanned: ['consent'], indexes: [], mostRead: 500 })
      expect(plan?.text).toMatch(/^Seq Scan on consent \(actual rows=0.00 loops=1\)\n/)
    } finally {
      await watch.close()
    }
  })

  it('say what is missing where plans cannot be seen', async () => {
    const { url, db } = await server.createDatabase('unseen')
    await db.raw(`create role nobody_special login password 'x'`)
    const poor = new URL(url)
    poor.username = 'nobody_special'
    poor.password = 'x'
    await expect(openPlanWatch(poor.href)).rejects.toThrow(
      /^auto_explain cannot be loaded \(.+\), so no plan can be seen: use a superuser/s,
    )
  })
})

/** What is wrong with the plans of a statement, each with the plan. */
function faultsOf(planned: PlannedStatement): string[] {
  const { name, indexes, walks = [] } = planned.statement
  const used = indexesUsed(planned)
  const missing = indexes.filter((index) => !index.split(' or ').some((one) => used.includes(one)))
  const greedy = planned.plans.filter((plan) => plan.mostRead > SIZE.queued)
  return [
    ...scansOf(planned),
    ...planned.plans.flatMap((plan) =>
      plan.walked
        .filter((index) => !walks.includes(index))
        .map((index) => `${name}: goes through ${index}\n${plan.statement}\n${plan.text}`),
    ),
    ...missing.map((index) => `${name}: not served by ${index}, but by ${used.join(', ')}`),
    ...greedy.map(
      (plan) => `${name}: reads ${plan.mostRead} rows\n${plan.statement}\n${plan.text}`,
    ),
  ]
}

function scansOf({ statement, plans }: PlannedStatement): string[] {
  return plans
    .filter(({ scanned }) => scanned.length > 0)
    .map(
      (plan) => `${statement.name}: scans ${plan.scanned.join()}\n${plan.statement}\n${plan.text}`,
    )
}

/** The overview without its figures. */
function rowsOf(page: string): string[] {
  return [...page.matchAll(/^\| .+ \|$/gm)].map(([row]) => row.replace(/ \d+ \|$/, ''))
}
