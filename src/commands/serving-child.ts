import cluster, { type Worker } from 'node:cluster'
import type { MetricsPool } from './metrics-pool.ts'
import { readProcessMessage, tellProcess } from './process-messages.ts'

/** How a serving process ended; both null when it could not be made. */
export interface ChildEnd {
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: string | null
  readonly livedMs: number
}

/** A serving process, seen from the one that started it. */
export interface ServingChild {
  readonly pid: number | undefined
  /** It takes requests. */
  readonly ready: Promise<void>
  readonly gone: Promise<ChildEnd>
}

/** All serving processes of one `serve`. */
export interface ServingChildren {
  start(): ServingChild
  /** Asks all of them, and those that are still to come, to end in order. */
  stop(): void
  /** Ends all of them at once; returns how many there were. */
  kill(): number
}

/** @param env what the processes get on top of this one's environment. */
export function createServingChildren(
  pool: MetricsPool,
  env: Readonly<Record<string, string>>,
): ServingChildren {
  // JSON has no NaN, and metrics do.
  cluster.setupPrimary({ serialization: 'advanced' })
  const living = new Set<Worker>()
  let stopping = false

  return {
    start() {
      const worker = cluster.fork(env)
      living.add(worker)
      if (stopping) tellProcess(worker, { kind: 'stop' })
      worker.on('message', (raw) => {
        const message = readProcessMessage(raw)
        if (message) pool.hear(worker, message)
      })
      const ready = new Promise<void>((resolve) => worker.once('listening', () => resolve()))
      void ready.then(() => pool.join(worker))
      const gone = endOf(worker).finally(() => {
        living.delete(worker)
        pool.leave(worker)
      })
      return { pid: worker.process.pid, ready, gone }
    },
    stop() {
      stopping = true
      for (const worker of living) tellProcess(worker, { kind: 'stop' })
    },
    kill() {
      for (const worker of living) worker.process.kill('SIGKILL')
      return living.size
    },
  }
}

function endOf(worker: Worker): Promise<ChildEnd> {
  const startedMs = performance.now()
  const { pid } = worker.process
  return new Promise((resolve) => {
    const end = (code: number | null, signal: string | null) =>
      resolve({ pid, code, signal, livedMs: performance.now() - startedMs })
    worker.once('exit', end)
    // A process that could not be made has no exit; any other fault is followed by one.
    worker.on('error', () => {
      if (pid === undefined) end(null, null)
    })
  })
}
