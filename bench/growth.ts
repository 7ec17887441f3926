import { PEOPLE } from './callbacks.ts'
import type { Children } from './children.ts'
import { inTurn, type Contender } from './contenders.ts'
import type { BenchServer } from './database.ts'
import type { Plan } from './plan.ts'
import { createTally, gatewayUnderLoad, NO_PLATFORM } from './pushed-gateway.ts'
import type { Check } from './report.ts'
import type { Series } from './sample.ts'
import { seed } from './seed.ts'

const SMALL_ROWS = 10_000
/** Until nearly everybody of the ten thousand has written once: a first time costs more than all others. */
const WARM_UP_MS = 6_000

export interface GrowthFigures {
  readonly series: Readonly<Record<string, Series>>
  readonly checks: readonly Check[]
}

/**
 * Callbacks with few and with many rows in the database: two databases of one server, a gateway on
 * each, in turn. In `small` and `large` the same ten thousand people write, who lie all over the
 * large tables; in `largeAnybody` every push comes from any of the people of the large database.
 */
export async function measureGrowth(
  children: Children,
  server: BenchServer,
  plan: Plan & { readonly growthRows: number },
): Promise<GrowthFigures> {
  const load = await children.startHelper('load-generator.ts')
  const start = async (rows: number) => {
    const database = await server.createDatabase(`bench_${rows}`)
    await seed(database, { people: rows, limitMs: plan.seedLimitMs, onProgress: say(rows) })
    const gateway = await children.startGateway({
      databaseUrl: database.url,
      platformUrl: NO_PLATFORM,
    })
    const tally = createTally(database)
    return { rows, tally, parts: { load, gateway, database, tally } }
  }
  const small = await start(SMALL_ROWS)
  const large = await start(plan.growthRows)
  const contender = (key: string, at: typeof small, people: number): Contender =>
    gatewayUnderLoad(
      { ...at.parts, people },
      { key, name: nameOf(at.rows, people), connections: 64 },
    )
  const series = await inTurn(
    [
      contender('small', small, PEOPLE),
      contender('large', large, PEOPLE),
      contender('largeAnybody', large, plan.growthRows),
    ],
    { ...plan, warmUpMs: WARM_UP_MS },
  )
  const checks = [small, large].map(({ tally, rows }) =>
    tally.check(`pushes answered with 200 that stand in the log of ${rows.toLocaleString('en')}`),
  )
  return { series, checks: await Promise.all(checks) }
}

function nameOf(rows: number, people: number): string {
  const number = (value: number) => value.toLocaleString('en')
  return `this gateway, 64 connections, ${number(rows)} rows, ${number(people)} people writing`
}

function say(rows: number): (done: number) => void {
  const startedMs = performance.now()
  return (done) => {
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    console.error(`seeding: ${done} of ${rows} after ${seconds} s`)
  }
}
