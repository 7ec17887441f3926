import type { Worker } from 'node:cluster'
import { AggregatorRegistry } from 'prom-client'
import { tellProcess, type ProcessMessage } from './process-messages.ts'

/** The numbers of all processes behind one port, summed in the process that started them. */
export interface MetricsPool {
  join(worker: Worker): void
  /** What a process counted stays in the sums, or they would fall and look like a restart. */
  leave(worker: Worker): void
  hear(worker: Worker, message: ProcessMessage): void
}

/** A process that is busier than this counts with what it last said. */
const PATIENCE_MS = 1_000

interface Question {
  readonly missing: Set<Worker>
  readonly answered: PromiseWithResolvers<void>
}

export function createMetricsPool(): MetricsPool {
  const members = new Map<Worker, readonly object[]>()
  const questions = new Map<number, Question>()
  let departed: Promise<readonly object[]> = Promise.resolve([])
  let lastId = 0

  function answered(id: number, worker: Worker): void {
    const question = questions.get(id)
    question?.missing.delete(worker)
    if (question?.missing.size === 0) question.answered.resolve()
  }

  async function askAll(): Promise<void> {
    const id = (lastId += 1)
    const question = { missing: new Set(members.keys()), answered: Promise.withResolvers<void>() }
    questions.set(id, question)
    const impatient = setTimeout(() => question.answered.resolve(), PATIENCE_MS)
    for (const worker of members.keys()) tellProcess(worker, { kind: 'metrics_wanted', id })
    await question.answered.promise
    clearTimeout(impatient)
    questions.delete(id)
  }

  async function sum(): Promise<string> {
    await askAll()
    const living = [...members.values()]
    return AggregatorRegistry.aggregate([await departed, ...living]).metrics()
  }

  return {
    join(worker) {
      members.set(worker, [])
    },
    leave(worker) {
      const lasting = (members.get(worker) ?? []).filter(isLasting)
      members.delete(worker)
      departed = departed.then((before) =>
        AggregatorRegistry.aggregate([before, lasting]).getMetricsAsJSON(),
      )
      for (const id of questions.keys()) answered(id, worker)
    },
    hear(worker, message) {
      if (message.kind === 'metrics' && members.has(worker)) {
        members.set(worker, message.metrics)
        answered(message.id, worker)
      }
      if (message.kind === 'sum_wanted') {
        void sum().then((text) => tellProcess(worker, { kind: 'sum', id: message.id, text }))
      }
    },
  }
}

/** Whether a metric goes on being true after its process has ended. */
function isLasting(metric: object): boolean {
  return 'type' in metric && (metric.type === 'counter' || metric.type === 'histogram')
}
