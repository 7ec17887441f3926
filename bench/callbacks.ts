import type { BenchDatabase } from './database.ts'
import type { Children, GatewayProcess, Helper } from './children.ts'
import type { InsertResult, InsertRun } from './insert-loop.ts'
import type { LoadRequest, LoadResult } from './load-generator.ts'
import type { PeerName } from './peer-server.ts'
import type { Plan } from './plan.ts'
import { peakMemory, postgresMs, processorMs } from './processor-time.ts'
import type { Check } from './report.ts'
import type { Sample, Series } from './sample.ts'

/** Everybody who writes to the account. */
export const PEOPLE = 10_000
/** The pool of the gateway when nothing is said, and that of the single-row inserts. */
const POOL_SIZE = 20
const WARM_UP_MS = 1_000
const OURS = 'this gateway, durable'
/** Nobody listens there, and nothing is sent. */
export const NO_PLATFORM = 'http://127.0.0.1:9'

/** One kind of work: does it for some time and says how it went. */
export interface Contender {
  readonly key: string
  readonly name: string
  run(ms: number): Promise<Sample>
}

export interface CallbackFigures {
  readonly series: Readonly<Record<string, Series>>
  readonly check: Check
  readonly peakBytes: number
}

/** Callbacks recorded by the gateway beside what others do with the same pushes in memory. */
export async function measureCallbacks(
  children: Children,
  database: BenchDatabase,
  plan: Plan,
): Promise<CallbackFigures> {
  await database.db.raw(`create table bench_event (like event including all)`)
  const surroundings = { databaseUrl: database.url, platformUrl: NO_PLATFORM }
  const gateway = await children.startGateway(surroundings)
  const logging = await children.startGateway({ ...surroundings, logLevel: 'info' })
  const load = await children.startHelper('load-generator.ts')
  const recorded = createTally(database)
  const pushes = { load, gateway, database, tally: recorded, people: PEOPLE }
  const contenders = [
    gatewayUnderLoad(pushes, { key: 'gateway64', connections: 64 }),
    gatewayUnderLoad(pushes, { key: 'gateway256', connections: 256 }),
    gatewayUnderLoad(
      { ...pushes, gateway: logging },
      { key: 'gateway64info', name: `${OURS}, 64 connections, LOG_LEVEL=info`, connections: 64 },
    ),
    ...(await startPeers(children, load)),
    await startInserts(children, database),
  ]
  const series = await inTurn(contenders, plan)
  const figures = {
    series,
    check: await recorded.check('pushes answered with 200 that stand in the event log'),
    peakBytes: await peakMemory(gateway.pid),
  }
  await Promise.all([gateway.end(), logging.end()])
  return figures
}

/**
 * Runs the contenders one after the other, round by round, each round beginning with another one.
 * The round before the first only warms up, for a second where the plan does not say otherwise.
 */
export async function inTurn(
  contenders: readonly Contender[],
  plan: Pick<Plan, 'rounds' | 'roundMs'> & { readonly warmUpMs?: number },
): Promise<Record<string, Series>> {
  const { warmUpMs = Math.min(WARM_UP_MS, plan.roundMs) } = plan
  for (const contender of contenders) await contender.run(warmUpMs)
  const samples = new Map<string, Sample[]>(contenders.map(({ key }) => [key, []]))
  for (let round = 0; round < plan.rounds; round++) {
    const first = round % contenders.length
    const order = [...contenders.slice(first), ...contenders.slice(0, first)]
    for (const contender of order) {
      samples.get(contender.key)?.push(await contender.run(plan.roundMs))
    }
  }
  return Object.fromEntries(
    contenders.map(({ key, name }) => [key, { name, samples: samples.get(key) ?? [] }]),
  )
}

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
  readonly gateway: GatewayProcess
  readonly database: BenchDatabase
  readonly tally: ReturnType<typeof createTally>
  readonly people: number
}

/** The gateway; each round gets pushes that nobody has seen. */
export function gatewayUnderLoad(
  { load, gateway, database, tally, people }: PushedGateway,
  { key, name, connections }: { key: string; name?: string; connections: number },
): Contender {
  let expectedRate = 10_000
  return {
    key,
    name: name ?? `${OURS}, ${connections} connections`,
    async run(ms) {
      // Half as many again as the last time; should they run out, the round ends a little earlier.
      const count = Math.ceil((expectedRate * 1.5 * ms) / 1000) + connections
      await ask(load, { kind: 'make', count, people })
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

const PEER_ROWS: readonly { peer: PeerName; name: string; connections: number }[] = [
  { peer: 'wechat', name: 'wechat 2.1.0 on Express 5, in memory', connections: 64 },
  { peer: 'wechat', name: 'wechat 2.1.0 on Express 5, in memory', connections: 256 },
  { peer: 'co-wechat', name: 'co-wechat 2.4.0 on Koa 3, in memory', connections: 64 },
  { peer: 'express', name: 'Express 5 hello, body read as text', connections: 64 },
  { peer: 'http', name: 'node:http hello, body read as text', connections: 64 },
]

/** The servers we are measured against; they get the pushes of the gateway's last round again. */
async function startPeers(children: Children, load: Helper): Promise<Contender[]> {
  const started = new Map<PeerName, Helper>()
  for (const { peer } of PEER_ROWS) {
    if (!started.has(peer)) started.set(peer, await children.startHelper('peer-server.ts', peer))
  }
  return PEER_ROWS.flatMap(({ peer, name, connections }) => {
    const helper = started.get(peer)
    return helper ? [peerUnderLoad(load, helper, { peer, name, connections })] : []
  })
}

function peerUnderLoad(
  load: Helper,
  helper: Helper,
  { peer, name, connections }: (typeof PEER_ROWS)[number],
): Contender {
  const { port } = helper.ready as { port: number }
  return {
    key: `${peer}${connections}`,
    name: `${name}, ${connections} connections`,
    async run(ms) {
      const before = await processorMs(helper.pid)
      const result = await askToRun(load, { port, connections, ms, once: false })
      const ownUs = (((await processorMs(helper.pid)) - before) * 1000) / result.accepted
      return { ...sampleOf(result), ownUs }
    },
  }
}

async function startInserts(children: Children, { url, db }: BenchDatabase): Promise<Contender> {
  const helper = await children.startHelper('insert-loop.ts', url, String(POOL_SIZE))
  return {
    key: 'inserts64',
    name: `single-row inserts, pool of ${POOL_SIZE}, 64 in flight`,
    async run(ms) {
      const before = [await processorMs(helper.pid), await postgresMs(db)] as const
      const run: InsertRun = { ms, inFlight: 64 }
      const { rows, seconds, p50Ms, p99Ms } = await helper.ask<InsertResult>(run)
      return {
        rate: rows / seconds,
        p50Ms,
        p99Ms,
        ownUs: (((await processorMs(helper.pid)) - before[0]) * 1000) / rows,
        postgresUs: (((await postgresMs(db)) - before[1]) * 1000) / rows,
      }
    },
  }
}

function ask(load: Helper, request: LoadRequest): Promise<unknown> {
  return load.ask(request)
}

/** @throws Error when a push was not answered with 200: the figures would be of something else. */
async function askToRun(
  load: Helper,
  run: Omit<Extract<LoadRequest, { kind: 'run' }>, 'kind'>,
): Promise<LoadResult> {
  const result = await load.ask<LoadResult>({ kind: 'run', ...run })
  if (result.failed > 0) {
    throw new Error(`${result.failed} pushes were not answered with 200, ${result.accepted} were`)
  }
  return result
}

function sampleOf({ accepted, seconds, p50Ms, p99Ms }: LoadResult): Sample {
  return { rate: accepted / seconds, p50Ms, p99Ms }
}
