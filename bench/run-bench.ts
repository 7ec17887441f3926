import { cpus, loadavg, release, totalmem } from 'node:os'
import type { Knex } from 'knex'
import { measureCallbacks } from './callbacks.ts'
import type { Children } from './children.ts'
import type { BenchDatabase, BenchServer } from './database.ts'
import { memoryRatio, ratiosOf } from './goals.ts'
import { measureGrowth } from './growth.ts'
import type { Part, Plan } from './plan.ts'
import { NO_PLATFORM } from './pushed-gateway.ts'
import type { Check, Figure, Report } from './report.ts'
import type { Series } from './sample.ts'
import { measureSends } from './sends.ts'
import { spreadOf } from './statistics.ts'

const MEGABYTE = 1_000_000

/** What one part of a run brings; the report has those of all. */
interface Measured {
  readonly series: Readonly<Record<string, Series>>
  readonly figures: readonly Figure[]
  readonly checks: readonly Check[]
  /** Peaks of the gateways, in MB. */
  readonly peaks: readonly number[]
}

interface Surroundings {
  readonly children: Children
  readonly server: BenchServer
  readonly database: BenchDatabase
  readonly plan: Plan
}

/** Measures what the plan says on a server that the caller has started and will stop. */
export async function runBench(
  children: Children,
  server: BenchServer,
  plan: Plan,
): Promise<Report> {
  const startedMs = performance.now()
  const startedAt = new Date().toISOString()
  await server.layOutLog(plan.logFiles)
  const database = await server.createDatabase('bench')
  const machine = await describeMachine(database.db)
  const surroundings = { children, server, database, plan }
  const measured =
    plan.growthRows === null
      ? await measureParts(surroundings)
      : [await growth(surroundings, plan.growthRows)]
  const series = Object.fromEntries(measured.flatMap((part) => Object.entries(part.series)))
  return {
    startedAt,
    machine,
    tookSeconds: (performance.now() - startedMs) / 1000,
    series: Object.values(series),
    figures: measured.flatMap((part) => part.figures),
    ratios: [...ratiosOf(series), ...memoryRatio(measured.flatMap((part) => part.peaks))],
    checks: measured.flatMap((part) => part.checks),
  }
}

const MEASURE: Readonly<Record<Part, (surroundings: Surroundings) => Promise<Measured>>> = {
  callbacks,
  starts,
  sends,
}

async function measureParts(surroundings: Surroundings): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const part of surroundings.plan.parts) measured.push(await MEASURE[part](surroundings))
  return measured
}

async function callbacks({ children, database, plan }: Surroundings): Promise<Measured> {
  const { series, check, peakBytes } = await measureCallbacks(children, database, plan)
  const peak = peakBytes / MEGABYTE
  return { series, checks: [check], peaks: [peak], figures: [peakFigure('callbacks', peak)] }
}

async function sends({ children, server, plan }: Surroundings): Promise<Measured> {
  const database = await server.createDatabase('bench_sends')
  const { series, checks, peakBytes } = await measureSends(children, database, plan)
  const peak = peakBytes / MEGABYTE
  return { series, checks, peaks: [peak], figures: [peakFigure('sends', peak)] }
}

async function growth(
  { children, server, plan }: Surroundings,
  growthRows: number,
): Promise<Measured> {
  const { series, checks } = await measureGrowth(children, server, { ...plan, growthRows })
  return { series, checks, peaks: [], figures: [] }
}

/** From the start of the process to `/readyz`, on a database that is there and has been used. */
async function starts({ children, database, plan }: Surroundings): Promise<Measured> {
  const times: number[] = []
  for (let round = 0; round < plan.starts; round++) {
    const gateway = await children.startGateway({
      databaseUrl: database.url,
      platformUrl: NO_PLATFORM,
    })
    times.push(gateway.readyMs)
    await gateway.end()
  }
  const figure = { name: 'start of the process until ready', value: spreadOf(times) }
  return { series: {}, checks: [], peaks: [], figures: [{ ...figure, unit: 'ms' }] }
}

function peakFigure(of: string, megabytes: number): Figure {
  return { name: `peak memory of the gateway, ${of}`, unit: 'MB', value: spreadOf([megabytes]) }
}

async function describeMachine(db: Knex): Promise<Record<string, string>> {
  const names = ['server_version', 'shared_buffers', 'max_wal_size', 'fsync', 'synchronous_commit']
  const { rows } = await db.raw<{ rows: { name: string; setting: string }[] }>(
    `select name, current_setting(name) as setting from pg_settings where name = any (?)`,
    [names],
  )
  return {
    processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    system: `${process.platform} ${release()}`,
    node: process.version,
    postgresql: rows.map(({ name, setting }) => `${name} ${setting}`).join(', '),
    'load of the machine before the run': (loadavg()[0] ?? Number.NaN).toFixed(1),
  }
}
