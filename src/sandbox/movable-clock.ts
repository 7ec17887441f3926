import type { Clock } from '../foundation/clock.ts'

/** A wall clock that can be pushed forward, so that two hours or 48 hours pass in one call. */
export interface MovableClock extends Clock {
  /** Moves the wall clock by so many seconds; negative moves it back. */
  advance(seconds: number): void
  /** Back to the clock underneath. */
  reset(): void
}

/**
 * The sandbox's clock above another one. Only the wall clock moves: `monotonicMs` is the one below,
 * because arrivals and acknowledgements are compared by it. Timers (the wait for an answer, a delay)
 * run in real time and are not shortened by `advance`.
 */
export function createMovableClock(base: Clock): MovableClock {
  let offsetMs = 0
  return {
    now: () => new Date(base.now().getTime() + offsetMs),
    monotonicMs: () => base.monotonicMs(),
    advance(seconds) {
      offsetMs += seconds * 1000
    },
    reset() {
      offsetMs = 0
    },
  }
}

/** Whole seconds since 1970, as the platform writes `CreateTime` and `timestamp`. */
export function unixSeconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}

/** China is eight hours ahead of UTC all year; quota days begin at its midnight. */
const CHINA_OFFSET_MS = 8 * 3600 * 1000

/** The natural day in China, e.g. `2026-01-31`. */
export function chinaDay(at: Date): string {
  return new Date(at.getTime() + CHINA_OFFSET_MS).toISOString().slice(0, 10)
}
