import type { GatewayProcess, Helper } from './children.ts'
import type { Contender } from './contenders.ts'
import type { BenchDatabase } from './database.ts'
import type { LoadRequest, LoadResult } from './load-generator.ts'
import { postgresMs, processorMs } from './processor-time.ts'
import type { PushMix } from './pushes.ts'
import type { Check } from './report.ts'
import type { Sample } from './sample.ts'

/** Nobody listens there, and nothing is sent. */
export const NO_PLATFORM = 'http://127.0.0.1:9'

/** Compares what was answered with what stands in the table. */
export function createTally(database: BenchDatabase) {
  const count = async () => {
    const { rows } = await database.db.raw<{ rows: { count: string }[] }>(
      `select count(*) from event`,
    )
    return Number(rows[0]?.count ?? 0)
  }
  const before = count()
  let accepted = 0
  return {
    add: (more: number) => (accepted += more),
    check: async (name: string): Promise<Check> => {
      return { name, expected: accepted, found: (await count()) - (await before) }
    },
  }
}

export interface PushedGateway {
  readonly load: Helper
  /** Or another server that takes each push only once. */
  readonly gateway: Pick<GatewayProcess, 'pid' | 'port'>
  readonly database: BenchDatabase
  readonly tally: Pick<ReturnType<typeof createTally>, 'add'>
  readonly people: number
}

/** The gateway; each round gets pushes that nobody has seen. */
export function gatewayUnderLoad(
  { load, gateway, database, tally, people }: PushedGateway,
  options: { key: string; name: string; connections: number; mix?: PushMix },
): Contender {
  const { key, name, connections, mix = 'mixed' } = options
  let expectedRate = 10_000
  return {
    key,
    name,
    async run(ms) {
      // Half as many again as the last time; should they run out, the round ends a little earlier.
      const count = Math.ceil((expectedRate * 1.5 * ms) / 1000) + connections
      await ask(load, { kind: 'make', count, people, mix })
      const before = [await processorMs(gateway.pid), await postgresMs(database.db)] as const
      const run = { port: gateway.port, connections, ms, once: true }
      const result = await askToRun(load, run)
      tally.add(result.accepted)
      expectedRate = result.accepted / result.seconds
      const spentUs = (after: number, start: number) => ((after - start) * 1000) / result.accepted
      return {
        ...sampleOf(result),
        ownUs: spentUs(await processorMs(gateway.pid), before[0]),
        postgresUs: spentUs(await postgresMs(database.db), before[1]),
      }
    },
  }
}

function ask(load: Helper, request: LoadRequest): Promise<unknown> {
  return load.ask(request)
}

/** @throws Error when a push was not answered with 200: the figures would be of something else. */
export async function askToRun(
  load: Helper,
  run: Omit<Extract<LoadRequest, { kind: 'run' }>, 'kind'>,
): Promise<LoadResult> {
  const result = await load.ask<LoadResult>({ kind: 'run', ...run })
  if (result.failed > 0) {
    throw new Error(`${result.failed} pushes were not answered with 200, ${result.accepted} were`)
  }
  return result
}

export function sampleOf({ accepted, seconds, p50Ms, p99Ms }: LoadResult): Sample {
  return { rate: accepted / seconds, p50Ms, p99Ms }
}
