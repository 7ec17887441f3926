import type { Knex } from 'knex'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { dropMonths, makeMonths } from './partition-store.ts'

const DAY_MS = 24 * 3600_000
/** So far ahead that a gateway whose upkeep fails for a month still finds its partition. */
const AHEAD_MS = 62 * DAY_MS

/**
 * Makes the coming months of the event log, and drops those that have been kept long enough. A month
 * goes as a whole, so the oldest events are kept up to a month longer. The ledger, which is the proof
 * of consent, stays whole.
 *
 * @param parts.retentionDays 0 keeps everything.
 */
export async function keepEventLog(parts: {
  readonly db: Knex
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  readonly retentionDays: number
}): Promise<void> {
  const { db, log, retentionDays } = parts
  const now = parts.clock.now()
  const made = await makeMonths(db, now, new Date(now.getTime() + AHEAD_MS))
  for (const partition of made) log.info({ partition }, 'event_log.month_made')
  if (retentionDays === 0) return
  const dropped = await dropMonths(db, new Date(now.getTime() - retentionDays * DAY_MS))
  for (const partition of dropped) log.info({ partition }, 'event_log.month_dropped')
}
