/**
 * The time, as a part that can be replaced. Rules take times as arguments; only edges hold a clock.
 */
export interface Clock {
  /** Now, as the wall clock of this machine has it. */
  now(): Date
  /** Milliseconds that only ever grow, for measuring spans; unrelated to the wall clock. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
}

/** Waits; ends early, without an error, when the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    signal?.addEventListener('abort', finish, { once: true })
  })
}
