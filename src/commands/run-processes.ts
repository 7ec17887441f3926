import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { startEmbeddedServer } from '../database/embedded-server.ts'
import { createLog, type Log } from '../foundation/log.ts'
import { createMetricsPool } from './metrics-pool.ts'
import { createServingChildren, type ServingChild, type ServingChildren } from './serving-child.ts'

/** A process stops itself after 9 s; one that is left then hangs. Container platforms wait 10 s. */
const STOP_MS = 9_500
/** A process that lived as long as this did not die of its start. */
const YOUNG_MS = 60_000
const LONGEST_PAUSE_MS = 30_000

/**
 * Runs several serving processes behind one port until it is told to stop. This process accepts
 * connections and hands them round; it opens no secret, and no database but the embedded one.
 *
 * @returns the exit code: that of the first process when it cannot start (it has said why); else 0
 *   when all ended in order, 1 when one did not.
 * @throws AppError when the embedded database cannot be started.
 */
export async function runProcesses(
  config: Config,
  count: number,
  signal: AbortSignal,
): Promise<number> {
  const log = createLog(config.logLevel)
  if (config.database.url !== null) return supervise({ log, count, signal, env: {} })
  const embedded = await startEmbeddedServer({
    directory: join(config.dataDirectory, 'postgres'),
    log,
    mode: 'own',
    settings: { max_connections: String(connectionsFor(config, count)) },
  })
  try {
    return await supervise({ log, count, signal, env: { DATABASE_URL: embedded.url } })
  } finally {
    await embedded.stop()
  }
}

/** A pool and a listener for each process, and as many as usual for whoever comes besides. */
function connectionsFor(config: Config, count: number): number {
  return 100 + count * (config.database.poolSize + 1)
}

/**
 * Milliseconds before a process is replaced: 0 when it had been well, else 1 s, 2 s, 4 s … 30 s.
 *
 * @param youngDeaths how many in a row died soon after their start, this one included.
 */
export function pauseBeforeReplacing(youngDeaths: number): number {
  return youngDeaths === 0 ? 0 : Math.min(1_000 * 2 ** (youngDeaths - 1), LONGEST_PAUSE_MS)
}

interface Supervision {
  readonly log: Log
  readonly count: number
  readonly signal: AbortSignal
  /** What the processes get on top of this one's environment. */
  readonly env: Readonly<Record<string, string>>
}

async function supervise({ log, count, signal, env }: Supervision): Promise<number> {
  const children = createServingChildren(createMetricsPool(), env)
  const release = endWith(children, { log, signal })
  try {
    // One alone first: it migrates, and when the settings are wrong it alone says so.
    const first = start(children, log)
    const failed = await Promise.race([first.ready, first.gone])
    if (failed) return failed.code ?? 1
    const codes = await Promise.all(
      Array.from({ length: count }, (_, place) =>
        keepPlace(place === 0 ? first : start(children, log), { children, log, signal }),
      ),
    )
    return codes.every((code) => code === 0) ? 0 : 1
  } finally {
    release()
  }
}

function start(children: ServingChildren, log: Log): ServingChild {
  const child = children.start()
  void child.ready.then(() => log.info({ worker_pid: child.pid }, 'worker.started'))
  return child
}

/** Stops the children with this process, whatever ends it. @returns ends that. */
function endWith(
  children: ServingChildren,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): () => void {
  let late: NodeJS.Timeout | undefined
  const stop = () => {
    children.stop()
    late = setTimeout(() => {
      log.warn({ limit_ms: STOP_MS, killed: children.kill() }, 'service.stop_overdue')
    }, STOP_MS)
  }
  const kill = () => void children.kill()
  process.once('exit', kill)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return () => {
    clearTimeout(late)
    process.off('exit', kill)
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Replaces whoever dies in one of the places, until the signal.
 *
 * @returns the exit code of the last one; null when a signal ended it.
 */
async function keepPlace(
  first: ServingChild,
  { children, log, signal }: Pick<Supervision, 'log' | 'signal'> & { children: ServingChildren },
): Promise<number | null> {
  let child = first
  for (let youngDeaths = 0; ;) {
    const { pid, code, signal: killedBy, livedMs } = await child.gone
    if (signal.aborted) return code
    youngDeaths = livedMs < YOUNG_MS ? youngDeaths + 1 : 0
    const pauseMs = pauseBeforeReplacing(youngDeaths)
    const end = { worker_pid: pid, exit_code: code, signal: killedBy, replaced_in_ms: pauseMs }
    log.warn({ ...end, lived_ms: Math.round(livedMs) }, 'worker.ended')
    await pause(pauseMs, undefined, { signal }).catch(() => undefined) // the signal ends the pause
    if (signal.aborted) return 0
    child = children.start()
    const replaced = { worker_pid: child.pid, replaces_pid: pid }
    void child.ready.then(() => log.info(replaced, 'worker.replaced'))
  }
}
