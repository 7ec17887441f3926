import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { createWaker } from '../foundation/waker.ts'
import type { BroadcastStore } from './broadcast-store.ts'

export interface BroadcastFeeder {
  start(): void
  /** Looks at once; for whoever knows that a broadcast began or changed. */
  wake(): void
  /** Ends after the step under way; another process, or this one later, goes on behind it. */
  stop(): Promise<void>
}

/** Less than half of what the queue is filled for, so that it never runs dry in between. */
const FEED_EVERY_MS = 100
const LOOK_EVERY_MS = 1_000
const PAUSE_AFTER_FAILURE_MS = 1_000
const TIDY_EVERY_MS = 600_000
/** People added to a list by one statement. */
const EXPAND_BATCH = 5_000
/** Broadcasts of one round; the statement itself takes each only once in 50 ms. */
const MAX_STEPS = 50

/**
 * Makes the lists of audiences, and messages from the lists, a bounded number ahead of the workers.
 * Every step is one statement that says where the next begins, so any number of processes may do it,
 * and one that dies leaves nothing half done.
 */
export function createBroadcastFeeder(deps: {
  readonly store: Pick<BroadcastStore, 'feed' | 'expand' | 'cancelInterrupted'>
  readonly clock: Clock
  readonly log: Log
}): BroadcastFeeder {
  const { store, clock, log } = deps
  const stopping = new AbortController()
  const waker = createWaker(stopping.signal)
  let loop: Promise<void> | undefined
  let tidyAtMs = 0

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await tidy()
        const expanded = await expand()
        const fed = await feed()
        if (!expanded) await waker.rest(fed ? FEED_EVERY_MS : LOOK_EVERY_MS)
      } catch (error) {
        log.error({ error: describeError(error) }, 'broadcast.feed_failed')
        await sleep(PAUSE_AFTER_FAILURE_MS, stopping.signal)
      }
    }
  }

  /** @returns whether there is more to add. */
  async function expand(): Promise<boolean> {
    const step = await store.expand(EXPAND_BATCH)
    if (!step) return false
    if (step.done) {
      log.info({ broadcast_id: step.id, accepted: step.accepted }, 'broadcast.expanded')
    }
    return true
  }

  /** @returns whether a broadcast is running. */
  async function feed(): Promise<boolean> {
    let running = false
    for (let steps = 0; steps < MAX_STEPS && !stopping.signal.aborted; steps += 1) {
      const step = await store.feed()
      if (!step) break
      if (step.state === 'running') running = true
      if (step.state === 'ended') {
        const { id, accepted, reason } = step
        log.info({ broadcast_id: id, accepted, reason }, 'broadcast.ended')
      }
    }
    return running
  }

  async function tidy(): Promise<void> {
    if (clock.monotonicMs() < tidyAtMs) return
    tidyAtMs = clock.monotonicMs() + TIDY_EVERY_MS
    for (const id of await store.cancelInterrupted()) {
      log.warn({ broadcast_id: id }, 'broadcast.interrupted')
    }
  }

  return {
    start() {
      loop ??= run()
    },
    wake: () => waker.wake(),
    async stop() {
      stopping.abort()
      await loop
    },
  }
}
