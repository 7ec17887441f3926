import { portOf, type Children, type Helper } from './children.ts'
import { inTurn, type Contender } from './contenders.ts'
import type { BenchDatabase } from './database.ts'
import type { FloorName } from './floor-server.ts'
import type { InsertResult, InsertRun } from './insert-loop.ts'
import type { PeerName } from './peer-server.ts'
import type { Plan } from './plan.ts'
import { peakMemory, postgresMs, processorMs } from './processor-time.ts'
import {
  askToRun,
  createTally,
  gatewayUnderLoad,
  NO_PLATFORM,
  sampleOf,
  type PushedGateway,
} from './pushed-gateway.ts'
import type { Check } from './report.ts'
import type { Series } from './sample.ts'

/** Everybody who writes to the account. */
export const PEOPLE = 10_000
/** The pool of the gateway when nothing is said, and that of the single-row inserts. */
const POOL_SIZE = 20
const OURS = 'this gateway, durable'

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
    gatewayUnderLoad(pushes, {
      key: 'gateway64',
      name: `${OURS}, 64 connections`,
      connections: 64,
    }),
    gatewayUnderLoad(pushes, {
      key: 'messages64',
      name: `${OURS}, text messages alone, 64 connections`,
      connections: 64,
      mix: 'messages',
    }),
    gatewayUnderLoad(pushes, {
      key: 'gateway256',
      name: `${OURS}, 256 connections`,
      connections: 256,
    }),
    gatewayUnderLoad(
      { ...pushes, gateway: logging },
      { key: 'gateway64info', name: `${OURS}, 64 connections, LOG_LEVEL=info`, connections: 64 },
    ),
    ...(await startPeers(children, load)),
    ...(await startFloors(children, pushes)),
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

interface Peer<Name> {
  readonly peer: Name
  readonly name: string
  readonly connections: number
}

const PEER_ROWS: readonly Peer<PeerName>[] = [
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
  { peer, name, connections }: Peer<string>,
): Contender {
  const port = portOf(helper)
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

/** What is left when the gateway keeps nothing, or nothing but one row of each push. */
async function startFloors(children: Children, pushes: PushedGateway): Promise<Contender[]> {
  const { load, database } = pushes
  const start = (floor: FloorName) => children.startHelper('floor-server.ts', floor, database.url)
  const [opened, oneRow] = [await start('opened'), await start('one-row')]
  return [
    peerUnderLoad(load, opened, {
      peer: 'opened',
      name: 'floor: Express, the checks and the reading, nothing kept',
      connections: 64,
    }),
    gatewayUnderLoad(
      { ...pushes, gateway: { pid: oneRow.pid, port: portOf(oneRow) }, tally: { add: () => 0 } },
      {
        key: 'one-row64',
        name: 'floor: the same and one row each, in batches, 64 connections',
        connections: 64,
      },
    ),
  ]
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
