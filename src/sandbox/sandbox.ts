import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { systemClock } from '../foundation/clock.ts'
import { answerControl } from './control.ts'
import {
  apiFaultSchema,
  pushFaultSchema,
  readInput,
  type AccountInput,
  type ApiFaultInput,
  type PushFaultInput,
} from './inputs.ts'
import { readLog, type LogFilter, type LogPage } from './log.ts'
import { createMovableClock } from './movable-clock.ts'
import {
  DEFAULT_PLATFORM_RULES,
  DEFAULT_PUSH_RULES,
  DEFAULT_RECORD_LIMIT,
  type SandboxOptions,
} from './options.ts'
import { createPusher } from './pushes.ts'
import { createRandomness } from './randomness.ts'
import { createRecord } from './record.ts'
import { makeReport, type SandboxReport } from './report.ts'
import { createSandboxAccount, type SandboxAccount } from './sandbox-account.ts'
import { createSandboxServer } from './sandbox-server.ts'
import { serveApi } from './serve-api.ts'
import { createWorld, getAccount, putAccount, type World } from './world.ts'

/** A WeChat platform on this machine. */
export interface Sandbox {
  /**
   * Opens the server.
   *
   * @param port 0 or absent means any free one.
   * @returns the address to use as the API's base URL.
   */
  listen(port?: number, host?: string): Promise<{ readonly url: string }>
  /** Ends everything: open requests, pushes on their way, the server. Safe to call twice. */
  close(): Promise<void>
  /** Adds an account, or gives a known one another configuration. @throws InvalidInputError */
  addAccount(input: AccountInput): SandboxAccount
  /** @throws NotFoundError */
  account(appId: string): SandboxAccount
  /** The sandbox's wall clock, now. */
  now(): Date
  /** Moves the wall clock; waits in real time are not shortened. */
  advance(seconds: number): void
  /** Lets API calls fail. @throws InvalidInputError */
  addFault(fault: ApiFaultInput): void
  clearFaults(): void
  /** Lets the next pushes go wrong. @throws InvalidInputError */
  addPushFault(fault: PushFaultInput): void
  clearPushFaults(): void
  log(filter?: LogFilter): LogPage
  /** @param toleranceMs see `makeReport`. */
  report(toleranceMs?: number): SandboxReport
  /** Resolves when no push and no receipt is on its way. */
  settled(): Promise<void>
  /** Back to the beginning: accounts of the options, no people, no faults, no record, real time. */
  reset(): void
}

/**
 * Builds a sandbox; nothing listens until `listen`.
 *
 * @throws InvalidInputError when an account of the options is not as expected.
 */
export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const world = buildWorld(options)
  const pusher = createPusher(world)
  const reset = (recordOnly = false) => resetWorld(world, options, recordOnly)
  const server = createSandboxServer(
    {
      api: (incoming) => serveApi(world, pusher, incoming),
      control: (request) => answerControl({ world, pusher, reset }, request),
    },
    world.clock,
    options.log,
  )

  return {
    async listen(port = 0, host = '127.0.0.1') {
      server.listen(port, host)
      await once(server, 'listening')
      const address = server.address()
      const bound = typeof address === 'object' && address ? address.port : port
      return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}` }
    },
    async close() {
      const closed = server.listening ? once(server, 'close') : undefined
      server.close()
      server.closeAllConnections()
      await pusher.close()
      await closed
    },
    addAccount: (input) =>
      createSandboxAccount(world, pusher, putAccount(world, input).config.app_id),
    account: (appId) => createSandboxAccount(world, pusher, getAccount(world, appId).config.app_id),
    now: () => world.clock.now(),
    advance: (seconds) => world.clock.advance(seconds),
    addFault: (fault) => void world.apiFaults.add(readInput(apiFaultSchema, fault)),
    clearFaults: () => world.apiFaults.clear(),
    addPushFault: (fault) => void world.pushFaults.add(readInput(pushFaultSchema, fault)),
    clearPushFaults: () => world.pushFaults.clear(),
    log: (filter) => readLog(world.record, filter),
    report: (toleranceMs) => makeReport(world.record, toleranceMs),
    settled: () => pusher.settled(),
    reset,
  }
}

function buildWorld(options: SandboxOptions): World {
  const limits = { ...DEFAULT_PLATFORM_RULES.limits, ...options.platform?.limits }
  const world = createWorld({
    clock: createMovableClock(options.clock ?? systemClock),
    random: createRandomness(options.seed ?? randomUUID()),
    platform: { ...DEFAULT_PLATFORM_RULES, ...options.platform, limits },
    push: { ...DEFAULT_PUSH_RULES, ...options.push },
    record: createRecord(options.recordLimit ?? DEFAULT_RECORD_LIMIT),
  })
  for (const account of options.accounts ?? []) putAccount(world, account)
  return world
}

/** The randomness goes on: ids given before a reset never come again. */
function resetWorld(world: World, options: SandboxOptions, recordOnly: boolean): void {
  world.record.clear()
  if (recordOnly) return
  world.accounts.clear()
  world.apiFaults.clear()
  world.pushFaults.clear()
  world.clock.reset()
  for (const account of options.accounts ?? []) putAccount(world, account)
}
