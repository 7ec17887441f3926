import type { Server } from 'node:http'
import { createAppServer } from '../app.ts'
import { compose, type Gateway } from '../compose.ts'
import { describeConfig, type Config } from '../config.ts'
import { collectEarly } from '../foundation/heap.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { requireSchema } from './context.ts'
import { unreadableAccounts } from './doctor.ts'
import { drain } from './drain.ts'
import { inBoth, SpokenError } from './explain-error.ts'
import { explainListen } from './explain-listen.ts'

/**
 * How long requests under way may take to end, and the workers after them. Together below the ten
 * seconds that container platforms grant between SIGTERM and SIGKILL.
 */
const DRAIN_MS = 4_000
const STOP_MS = 9_000

/** What of the gateway runs in this process. */
export interface Duties {
  readonly http: boolean
  readonly workers: boolean
}

/** The other processes behind the same port, where there are any. */
export interface Siblings {
  /** Shows them this process's numbers. */
  share(own: Metrics): void
  /** Prometheus text of all of them together. */
  sumMetrics(): Promise<string>
}

/** What the process around the gateway gives to it. */
export interface GatewaySurroundings {
  /** Ends when the gateway is to stop. */
  readonly signal: AbortSignal
  readonly siblings?: Siblings
}

/**
 * Runs the gateway until it is told to stop: schema and secrets checked, workers started, requests
 * taken. On stop no new request is taken, those under way end, then everything is taken down.
 *
 * @returns the exit code: 0 after an orderly stop, 1 when it took too long.
 * @throws SpokenError when it must not or cannot start.
 */
export async function runGateway(
  config: Config,
  duties: Duties,
  { signal, siblings }: GatewaySurroundings,
): Promise<number> {
  collectEarly()
  const gateway = await compose(config, siblings && { sumMetrics: () => siblings.sumMetrics() })
  siblings?.share(gateway.parts.metrics)
  let server: Server | undefined
  try {
    await requireSchema(gateway, config)
    await requireSecrets(gateway)
    if (duties.workers) await gateway.workers.start()
    if (duties.http) server = await listen(gateway, config)
    logStarted(gateway, config, { duties, server })
    await untilAborted(signal)
    gateway.parts.log.info('service.stopping')
  } catch (error) {
    await gateway.stop()
    throw error
  }
  return stopInTime(gateway, server)
}

/**
 * A gateway that cannot open its secrets would answer every push with an error: better not start. Those
 * of an account out of service stop nobody.
 */
async function requireSecrets({ parts }: Gateway): Promise<void> {
  const { inService, disabled } = await unreadableAccounts(parts.accounts)
  for (const account of disabled) {
    parts.log.warn({ account, error: 'unknown_master_key' }, 'account.unreadable')
  }
  if (inService.length === 0) return
  const names = inService.join(', ')
  throw new SpokenError(
    'secrets_unreadable',
    inBoth((say) => say('secrets_unreadable', { names })),
  )
}

async function listen(gateway: Gateway, config: Config): Promise<Server> {
  const { host, port } = config.http
  const server = createAppServer(gateway.app)
  const listening = Promise.withResolvers<void>()
  server.once('error', (error) => listening.reject(error))
  server.listen(port, host, () => listening.resolve())
  try {
    await listening.promise
  } catch (cause) {
    throw explainListen(cause, { host, port })
  }
  return server
}

function logStarted(
  { parts }: Gateway,
  config: Config,
  running: { readonly duties: Duties; readonly server: Server | undefined },
): void {
  const address = running.server?.address()
  parts.log.info(
    {
      ...describeConfig(config),
      http: running.duties.http,
      workers: running.duties.workers,
      // The one that was taken, where the settings said any.
      ...(typeof address === 'object' && address ? { port: address.port } : {}),
    },
    'service.started',
  )
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function stopInTime(gateway: Gateway, server: Server | undefined): Promise<number> {
  const { log } = gateway.parts
  const late = setTimeout(() => {
    log.warn({ limit_ms: STOP_MS }, 'service.stop_overdue')
    process.exit(1)
  }, STOP_MS)
  if (server) await drain(server, DRAIN_MS)
  await gateway.stop()
  clearTimeout(late)
  log.info('service.stopped')
  return 0
}
