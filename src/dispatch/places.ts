import { sleep, type Clock } from '../foundation/clock.ts'

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
export function createPlaces(size: number, clock: Clock): Places {
  const held = new Set<Promise<void>>()
  let oneEnded = () => {}
  const free = () => size - held.size

  return {
    get free() {
      return free()
    },
    hold(work) {
      const holding = work.finally(() => {
        held.delete(holding)
        oneEnded()
      })
      held.add(holding)
    },
    async untilWorthwhile(signal) {
      const enough = Math.ceil(size / WORTHWHILE_SHARE)
      const untilMs = clock.monotonicMs() + WORTHWHILE_WAIT_MS
      while (!signal.aborted && free() < enough) {
        const waitMs = free() > 0 ? untilMs - clock.monotonicMs() : FULL_WAIT_MS
        if (waitMs <= 0) return
        const ended = new AbortController()
        oneEnded = () => ended.abort()
        await sleep(waitMs, AbortSignal.any([ended.signal, signal]))
      }
    },
    async untilEmpty() {
      await Promise.all(held)
    },
  }
}
