import type { Clock } from './clock.ts'

/** More than anything that is said here has of keys; what lies beyond is said again. */
const MOST_REMEMBERED = 1_000

/**
 * Says whether something is news: the first time, and again when `ms` milliseconds have passed since it
 * was. Each key has a silence of its own; only this process keeps it.
 */
export function createSilence(clock: Pick<Clock, 'monotonicMs'>, ms: number) {
  const saidAtMs = new Map<string, number>()
  return (key: string): boolean => {
    const nowMs = clock.monotonicMs()
    if (nowMs - (saidAtMs.get(key) ?? -Infinity) < ms) return false
    if (saidAtMs.size >= MOST_REMEMBERED) saidAtMs.clear()
    saidAtMs.set(key, nowMs)
    return true
  }
}
