import { chinaDay } from './movable-clock.ts'

/** How often one API may be called by one account. Absent means no limit. */
export interface QuotaLimit {
  readonly perDay?: number
  readonly perMinute?: number
}

/** What happened to one more call: counted, or refused because a limit is reached. */
export type QuotaDecision = 'counted' | 'day_full' | 'minute_full'

/** The counters of one account, one pair for each API path. */
export interface QuotaCounters {
  take(path: string, limit: QuotaLimit, now: Date): QuotaDecision
  /** Calls counted on this natural day in China. */
  usedToday(path: string, now: Date): number
  /** All daily counters back to zero, as `clear_quota` does. */
  clearDay(): void
}

interface Counter {
  day: string
  dayCount: number
  minute: number
  minuteCount: number
}

/**
 * Daily counters begin again at 00:00 China time, minute counters on the clock's minute: they are
 * natural days and clock minutes, not sliding windows (sending.md, conventions). A refused call is
 * not counted.
 */
export function createQuotaCounters(): QuotaCounters {
  const counters = new Map<string, Counter>()

  const current = (path: string, now: Date): Counter => {
    const counter = counters.get(path) ?? { day: '', dayCount: 0, minute: 0, minuteCount: 0 }
    counters.set(path, counter)
    const day = chinaDay(now)
    const minute = Math.floor(now.getTime() / 60_000)
    if (counter.day !== day) Object.assign(counter, { day, dayCount: 0 })
    if (counter.minute !== minute) Object.assign(counter, { minute, minuteCount: 0 })
    return counter
  }

  return {
    take(path, limit, now) {
      const counter = current(path, now)
      if (counter.dayCount >= (limit.perDay ?? Infinity)) return 'day_full'
      if (counter.minuteCount >= (limit.perMinute ?? Infinity)) return 'minute_full'
      counter.dayCount += 1
      counter.minuteCount += 1
      return 'counted'
    },
    usedToday: (path, now) => current(path, now).dayCount,
    clearDay() {
      for (const counter of counters.values()) counter.dayCount = 0
    },
  }
}
