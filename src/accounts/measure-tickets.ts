import type { Clock } from '../foundation/clock.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { ticketAgeMs, type TicketHolder } from './ticket-age.ts'

/** Tickets come every ten minutes: more often would tell nothing new. */
const EVERY_MS = 15_000

/**
 * Sets the gauge of the tickets' ages, in every process: what is returned may be called as often as
 * anybody likes and looks every 15 s. Without components and suites it is an empty answer.
 */
export function createTicketMeter(parts: {
  readonly list: () => Promise<readonly TicketHolder[]>
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'ticketAge'>
}): () => Promise<void> {
  const { clock, metrics } = parts
  let measuredMs = -Infinity
  return async () => {
    if (clock.monotonicMs() - measuredMs < EVERY_MS) return
    measuredMs = clock.monotonicMs()
    const holders = await parts.list()
    metrics.ticketAge.reset()
    for (const holder of holders) {
      const { name: account, kind } = holder
      metrics.ticketAge.set({ account, kind }, ticketAgeMs(holder, clock.now()) / 1000)
    }
  }
}
