import { UnavailableError } from './errors.ts'
import { createUnderWay } from './under-way.ts'

/** Work that is cheaper done together: many callers, few runs at a time. */
export interface Gatherer<Item, Result> {
  /**
   * Hands over one item and waits for its own result.
   *
   * @throws UnavailableError `queue_full` at once when too much is waiting already; whatever the run
   *   that carried the item throws.
   */
  add(item: Item): Promise<Result>
  /** Items waiting, not counting those in the runs under way. */
  readonly waiting: number
  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void>
}

export interface GatherOptions<Item, Result> {
  /** Does the work for a batch; answers one result per item, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
  /** Items of one run at the most. */
  readonly maxBatch: number
  /**
   * How many runs may be under way at once; 1 when absent. The second and further ones begin only
   * when `worthwhile` items wait; what comes in one wave is then worked on while the rest of the wave
   * is still arriving.
   */
  readonly maxRuns?: number
  /** Items that are worth another run beside those under way. */
  readonly worthwhile?: number
  /** Items that may wait; one more is turned away. */
  readonly maxWaiting: number
  /**
   * Whether a failed run says nothing about its items (the database is down): then all of them
   * fail at once. Otherwise one of them is to blame, and halving the batch finds it.
   */
  readonly isCommonFailure: (error: unknown) => boolean
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers what arrives while runs are under way and does it in the next one. Nothing waits for a
 * timer: an item that finds no run under way starts one.
 */
export function createGatherer<Item, Result>(
  options: GatherOptions<Item, Result>,
): Gatherer<Item, Result> {
  const { maxRuns = 1, worthwhile = 1 } = options
  const queue: Waiting<Item, Result>[] = []
  const running = createUnderWay()

  function startWorthwhile(): void {
    while (queue.length > 0 && running.count < maxRuns) {
      if (running.count > 0 && queue.length < worthwhile) return
      running.begin()
      void runBatch(queue.splice(0, options.maxBatch)).then(startNext)
    }
  }

  function startNext(): void {
    running.end()
    startWorthwhile()
  }

  /** Never fails: what becomes of the items is told to those who wait for them. */
  async function runBatch(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await options.run(batch.map((one) => one.item))
      batch.forEach((one, index) => one.resolve(results[index] as Result))
    } catch (error) {
      if (batch.length === 1 || options.isCommonFailure(error)) {
        for (const one of batch) one.reject(error)
        return
      }
      const middle = Math.ceil(batch.length / 2)
      await runBatch(batch.slice(0, middle))
      await runBatch(batch.slice(middle))
    }
  }

  return {
    add(item) {
      if (queue.length >= options.maxWaiting) {
        return Promise.reject(
          new UnavailableError('queue_full', `${queue.length} items wait already; try again later`),
        )
      }
      return new Promise<Result>((resolve, reject) => {
        queue.push({ item, resolve, reject })
        startWorthwhile()
      })
    },
    get waiting() {
      return queue.length
    },
    idle: () => running.none(),
  }
}
