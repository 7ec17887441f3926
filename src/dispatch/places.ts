/** The messages a process has in hand at once, and the waiting for room. */
export interface Places {
  readonly free: number
  /** Holds a place while the work runs; never throws. */
  hold(work: Promise<void>): void
  /**
   * Waits for room, and for enough of it that a claim brings more than one message; but not longer
   * than a moment once there is any, because the work in the others may hang.
   */
  untilWorthwhile(signal: AbortSignal): Promise<void>
  /** Resolves when nothing is in hand. */
  untilEmpty(): Promise<void>
}

/** A claim is one statement, for one message or for many: it waits for a quarter of the places. */
const WORTHWHILE_SHARE = 4
const WORTHWHILE_WAIT_MS = 10
/** How long to wait at a time while no place is free; the end of any work wakes earlier. */
const FULL_WAIT_MS = 500

/** @param size places in all. */
export function createPlaces(size: number): Places {
  const held = new Set<Promise<void>>()
  const free = () => size - held.size
  let waiting: { readonly count: number; readonly wake: () => void } | undefined

  /** Waits for so many free places, but no longer. */
  async function untilFree(count: number, ms: number, signal: AbortSignal): Promise<void> {
    if (free() >= count || ms <= 0) return
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', resolve)
    waiting = { count, wake: () => resolve(undefined) }
    await promise
    waiting = undefined
    signal.removeEventListener('abort', resolve)
    clearTimeout(timer)
  }

  return {
    get free() {
      return free()
    },
    hold(work) {
      const holding = work.finally(() => {
        held.delete(holding)
        if (waiting && free() >= waiting.count) waiting.wake()
      })
      held.add(holding)
    },
    async untilWorthwhile(signal) {
      while (free() === 0 && !signal.aborted) await untilFree(1, FULL_WAIT_MS, signal)
      if (!signal.aborted) {
        await untilFree(Math.ceil(size / WORTHWHILE_SHARE), WORTHWHILE_WAIT_MS, signal)
      }
    },
    async untilEmpty() {
      await Promise.all(held)
    },
  }
}
