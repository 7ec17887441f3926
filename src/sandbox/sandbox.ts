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
  type ComponentInput,
  type CorpInput,
  type PushFaultInput,
  type SuiteInput,
} from './inputs.ts'
import { readLog, type LogFilter, type LogPage } from './log.ts'
import { createMovableClock } from './movable-clock.ts'
import {
  DEFAULT_PLATFORM_RULES,
  DEFAULT_PUSH_RULES,
  DEFAULT_RECORD_LIMIT,
  type SandboxOptions,
} from './options.ts'
import { createPusher, type Pusher } from './pushes.ts'
import { putComponent } from './components.ts'
import { putCorp } from './corps.ts'
import { createRandomness } from './randomness.ts'
import { createRecord } from './record.ts'
import { makeReport, type SandboxReport } from './report.ts'
import { createSandboxAccount, type SandboxAccount } from './sandbox-account.ts'
import {
  createSandboxComponent,
  createSandboxCorp,
  createSandboxSuite,
  type SandboxComponent,
  type SandboxCorp,
  type SandboxSuite,
} from './sandbox-owners.ts'
import { createSandboxServer } from './sandbox-server.ts'
import { serveApi } from './serve-api.ts'
import { putSuite } from './suites.ts'
import { pushDueTickets } from './tickets.ts'
import { createWorld, getAccount, getOwner, putAccount, type World } from './world.ts'

/** How often, in real time, somebody looks whether a ticket is due. */
const TICKET_TICK_MS = 1000

/** Every platform of WeChat and WeCom on this machine. */
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
  /** The same for a component, a corp with its apps, and a suite. @throws InvalidInputError */
  addComponent(input: ComponentInput): SandboxComponent
  addCorp(input: CorpInput): SandboxCorp
  addSuite(input: SuiteInput): SandboxSuite
  /** @throws NotFoundError */
  component(appId: string): SandboxComponent
  corp(corpId: string): SandboxCorp
  suite(suiteId: string): SandboxSuite
  /** The sandbox's wall clock, now. */
  now(): Date
  /**
   * Moves the wall clock; waits in real time are not shortened. Tickets that are due then leave in
   * the background: `settled` waits for them.
   */
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

  let ticking: NodeJS.Timeout | undefined

  return {
    async listen(port = 0, host = '127.0.0.1') {
      server.listen(port, host)
      await once(server, 'listening')
      ticking = setInterval(() => void pushDueTickets(world, pusher), TICKET_TICK_MS).unref()
      const address = server.address()
      const bound = typeof address === 'object' && address ? address.port : port
      return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}` }
    },
    async close() {
      clearInterval(ticking)
      const closed = server.listening ? once(server, 'close') : undefined
      server.close()
      server.closeAllConnections()
      await pusher.close()
      await closed
    },
    addAccount: (input) =>
      createSandboxAccount(world, pusher, putAccount(world, input).config.app_id),
    account: (appId) => createSandboxAccount(world, pusher, getAccount(world, appId).config.app_id),
    ...ownerApi(world, pusher),
    now: () => world.clock.now(),
    advance(seconds) {
      world.clock.advance(seconds)
      void pushDueTickets(world, pusher)
    },
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

/** The part of the API for owners that have no followers. */
function ownerApi(
  world: World,
  pusher: Pusher,
): Pick<Sandbox, 'addComponent' | 'addCorp' | 'addSuite' | 'component' | 'corp' | 'suite'> {
  return {
    addComponent: (input) =>
      createSandboxComponent(world, pusher, putComponent(world, input).config.app_id),
    addCorp: (input) => createSandboxCorp(world, pusher, putCorp(world, input).config.corp_id),
    addSuite: (input) => createSandboxSuite(world, pusher, putSuite(world, input).config.suite_id),
    component: (id) =>
      createSandboxComponent(
        world,
        pusher,
        getOwner(world.components, 'components', id).config.app_id,
      ),
    corp: (id) =>
      createSandboxCorp(world, pusher, getOwner(world.corps, 'corps', id).config.corp_id),
    suite: (id) =>
      createSandboxSuite(world, pusher, getOwner(world.suites, 'suites', id).config.suite_id),
  }
}

function addOwners(world: World, options: SandboxOptions): void {
  for (const account of options.accounts ?? []) putAccount(world, account)
  for (const component of options.components ?? []) putComponent(world, component)
  for (const corp of options.corps ?? []) putCorp(world, corp)
  for (const suite of options.suites ?? []) putSuite(world, suite)
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
  addOwners(world, options)
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
  for (const owners of [world.components, world.corps, world.suites]) owners.clear()
  addOwners(world, options)
}
