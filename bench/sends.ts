import { sleep } from '../src/foundation/clock.ts'
import type { CallResult, CallRun } from './call-loop.ts'
import { portOf, type Children, type GatewayProcess, type Helper } from './children.ts'
import { inTurn, type Contender } from './contenders.ts'
import type { BenchDatabase } from './database.ts'
import type { Plan } from './plan.ts'
import { peakMemory, postgresMs, processorMs } from './processor-time.ts'
import { countMessages, emptyQueue, fillQueue } from './queue.ts'
import type { Check } from './report.ts'
import type { Series } from './sample.ts'
import { seed } from './seed.ts'
import type { StubReport, StubRequest } from './stub-platform.ts'

/** How long the platform takes, and how many calls may be in flight meanwhile. */
const PLATFORMS = [
  { delayMs: 5, inFlight: 256 },
  { delayMs: 50, inFlight: 512 },
] as const

const POLL_MS = 20
/** Calls under way when a round ends have their answers long before. */
const SETTLE_LIMIT_MS = 10_000

export interface SendFigures {
  readonly series: Readonly<Record<string, Series>>
  readonly checks: readonly Check[]
  readonly peakBytes: number
}

/** Sends out of a full queue beside calls of undici alone, against the same stub. */
export async function measureSends(
  children: Children,
  database: BenchDatabase,
  plan: Plan,
): Promise<SendFigures> {
  await seed(database, { people: plan.queued })
  const stub = await children.startHelper('stub-platform.ts')
  const platformUrl = `http://127.0.0.1:${portOf(stub)}`
  const loop = await children.startHelper('call-loop.ts', platformUrl)
  let series: Record<string, Series> = {}
  const checks: Check[] = []
  let peakBytes = 0
  for (const platform of PLATFORMS) {
    const gateway = await children.startGateway({
      databaseUrl: database.url,
      platformUrl,
      env: { WCG_DISPATCH_CONCURRENCY: String(platform.inFlight) },
    })
    const sending = { stub, gateway, database, plan, ...platform }
    const ours = gatewaySending(sending)
    const measured = await inTurn([ours, undiciCalling(loop, sending)], {
      rounds: plan.sendRounds,
      roundMs: plan.sendLimitMs,
    })
    series = { ...series, ...measured }
    checks.push(ours.check())
    peakBytes = Math.max(peakBytes, await peakMemory(gateway.pid))
    await gateway.end()
  }
  return { series, checks, peakBytes }
}

interface Sending {
  readonly stub: Helper
  readonly gateway: GatewayProcess
  readonly database: BenchDatabase
  readonly plan: Plan
  readonly delayMs: number
  readonly inFlight: number
}

/** From the first call that reaches the stub to the last. */
function gatewaySending(sending: Sending): Contender & { check(): Check } {
  const { stub, gateway, database, plan, delayMs, inFlight } = sending
  const { db } = database
  let arrived = 0
  let sent = 0
  return {
    key: `sends${delayMs}`,
    name: `this gateway, sends, ${delayMs} ms, ${inFlight} in flight`,
    check() {
      const name = `calls at a stub of ${delayMs} ms whose messages are marked as sent, once each`
      return { name, expected: arrived, found: sent }
    },
    async run(ms) {
      const sentBefore = (await countMessages(db)).sent
      await askStub(stub, { delayMs })
      const before = [await processorMs(gateway.pid), await postgresMs(db)] as const
      await fillQueue(db, plan.queued)
      const report = await untilThrough({ stub, db, count: plan.queued, ms })
      const ownMs = (await processorMs(gateway.pid)) - before[0]
      const databaseMs = (await postgresMs(db)) - before[1]
      await emptyQueue(db)
      const after = await untilSettled(db)
      const last = await askStub(stub, {})
      arrived += last.arrived
      sent += after.sent - sentBefore
      return {
        rate: (report.arrived - 1) / report.seconds,
        ownUs: (ownMs * 1000) / report.arrived,
        postgresUs: (databaseMs * 1000) / report.arrived,
      }
    },
  }
}

function undiciCalling(loop: Helper, { stub, plan, delayMs, inFlight }: Sending): Contender {
  return {
    key: `calls${delayMs}`,
    name: `undici alone, ${delayMs} ms, ${inFlight} in flight`,
    async run(ms) {
      await askStub(stub, { delayMs })
      const before = await processorMs(loop.pid)
      const run: CallRun = { inFlight, calls: plan.queued, ms }
      const { calls, seconds } = await loop.ask<CallResult>(run)
      const report = await askStub(stub, {})
      if (report.arrived !== calls) throw new Error(`${report.arrived} of ${calls} calls arrived`)
      const ownUs = (((await processorMs(loop.pid)) - before) * 1000) / calls
      return { rate: calls / seconds, ownUs }
    },
  }
}

async function untilThrough(wait: {
  readonly stub: Helper
  readonly db: BenchDatabase['db']
  readonly count: number
  readonly ms: number
}): Promise<StubReport> {
  const giveUpAt = performance.now() + wait.ms
  for (;;) {
    await sleep(POLL_MS)
    const report = await askStub(wait.stub, {})
    if (report.arrived >= wait.count || performance.now() > giveUpAt) return report
  }
}

async function untilSettled(db: BenchDatabase['db']): ReturnType<typeof countMessages> {
  const giveUpAt = performance.now() + SETTLE_LIMIT_MS
  for (;;) {
    const counts = await countMessages(db)
    if (counts.open === 0) return counts
    if (performance.now() > giveUpAt) throw new Error(`${counts.open} messages are still open`)
    await emptyQueue(db)
    await sleep(POLL_MS)
  }
}

function askStub(stub: Helper, request: StubRequest): Promise<StubReport> {
  return stub.ask<StubReport>(request)
}
