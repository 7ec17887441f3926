import cluster from 'node:cluster'
import { UnavailableError } from '../foundation/errors.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { readProcessMessage, type ProcessMessage } from './process-messages.ts'
import type { Siblings } from './run-gateway.ts'

/** The first process answers after a second at the latest, unless it is busy with connections. */
const SUM_MS = 3_000

/** What one of several serving processes has of the one that started it. */
export interface ServingProcess {
  /** Ends when the first process says so, or is gone. */
  readonly stop: AbortSignal
  readonly siblings: Siblings
  /** Lets go of the first process; this one could not end before. */
  readonly leave: () => void
}

/** Joins the processes of this `serve`; for a process that `runProcesses` has started. */
export function joinProcesses(): ServingProcess {
  const stop = new AbortController()
  const sums = new Map<number, PromiseWithResolvers<string>>()
  let metrics: Metrics | undefined
  let lastId = 0

  cluster.worker?.once('disconnect', () => {
    // Otherwise Node ends this process at once, in the middle of its requests.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    stop.abort()
  })
  process.on('message', (raw) => {
    const message = readProcessMessage(raw)
    if (message?.kind === 'stop') stop.abort()
    if (message?.kind === 'sum') sums.get(message.id)?.resolve(message.text)
    if (message?.kind === 'metrics_wanted') void answer(message.id)
  })

  async function answer(id: number): Promise<void> {
    tellFirst({ kind: 'metrics', id, metrics: (await metrics?.registry.getMetricsAsJSON()) ?? [] })
  }

  async function sumMetrics(): Promise<string> {
    const id = (lastId += 1)
    const asked = Promise.withResolvers<string>()
    const late = setTimeout(() => {
      asked.reject(new UnavailableError('metrics_unavailable', 'the first process does not answer'))
    }, SUM_MS)
    sums.set(id, asked)
    tellFirst({ kind: 'sum_wanted', id })
    return asked.promise.finally(() => {
      clearTimeout(late)
      sums.delete(id)
    })
  }

  return {
    stop: stop.signal,
    siblings: { sumMetrics, share: (own) => (metrics = own) },
    leave() {
      if (process.connected) process.disconnect()
    },
  }
}

/** A first process that is gone hears nothing; its end is noticed elsewhere. */
function tellFirst(message: ProcessMessage): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined)
}
