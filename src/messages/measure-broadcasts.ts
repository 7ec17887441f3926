import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { BroadcastStore } from './broadcast-store.ts'
import { countRecipients } from './broadcast.ts'

export interface BroadcastMeter {
  start(): void
  stop(): Promise<void>
}

const EVERY_MS = 15_000
/** Counting a million messages takes some tenths of a second: never more than a hundredth of the time. */
const REST_FACTOR = 100

type Parts = {
  readonly store: Pick<BroadcastStore, 'listUnfinished' | 'countMessages'>
  readonly metrics: Pick<Metrics, 'broadcasts' | 'broadcastRecipients'>
}

/** Counts, now and then, how far the broadcasts are that have not ended. */
export function createBroadcastMeter(
  parts: Parts & { readonly clock: Clock; readonly log: Log },
): BroadcastMeter {
  const { clock, log } = parts
  const stopping = new AbortController()
  let loop: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedMs = clock.monotonicMs()
      try {
        await measureBroadcasts(parts)
      } catch (error) {
        log.warn({ error: describeError(error) }, 'broadcast.measure_failed')
      }
      const tookMs = clock.monotonicMs() - startedMs
      await sleep(Math.max(EVERY_MS, tookMs * REST_FACTOR), stopping.signal)
    }
  }

  return {
    start() {
      loop ??= run()
    },
    async stop() {
      stopping.abort()
      await loop
    },
  }
}

/** Sets the gauges of broadcasts, by account; what has ended is in none of them. */
export async function measureBroadcasts({ store, metrics }: Parts): Promise<void> {
  const counted = []
  for (const broadcast of await store.listUnfinished()) {
    const made = await store.countMessages(broadcast.id)
    counted.push({ broadcast, states: countRecipients(broadcast, made, broadcast.erasedBefore) })
  }
  metrics.broadcasts.reset()
  metrics.broadcastRecipients.reset()
  for (const { broadcast, states } of counted) {
    const { account, status } = broadcast
    metrics.broadcasts.inc({ account, status })
    for (const [state, count] of Object.entries(states)) {
      metrics.broadcastRecipients.inc({ account, state }, count)
    }
  }
}
