import { isTicketOverdue, ticketAgeMs, type TicketHolder } from '../accounts/ticket-age.ts'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

const WATCH = 'watch-tickets'

export interface TicketWatchParts {
  /** Every component and suite in service. */
  readonly list: () => Promise<readonly TicketHolder[]>
  /** Switches a component's pushes on; it writes its own log line. */
  readonly start: (component: TicketHolder) => Promise<unknown>
  readonly clock: Clock
  readonly log: Log
}

/** The job that looks every ten minutes, as often as a ticket should come, for those that do not. */
export function createTicketJobs(parts: TicketWatchParts): {
  readonly tasks: JobTasks
  readonly schedule: readonly ScheduledJob[]
} {
  return {
    tasks: { [WATCH]: () => watchTickets(parts) },
    schedule: [{ task: WATCH, at: 'every ten minutes' }],
  }
}

/**
 * Warns of every ticket that is overdue, once for all processes and again every ten minutes while it
 * lasts, and has the platform push those of a component again. Nobody can ask for a suite's.
 */
export async function watchTickets({ list, start, clock, log }: TicketWatchParts): Promise<void> {
  const now = clock.now()
  for (const holder of await list()) {
    if (!isTicketOverdue(holder, now)) continue
    log.warn(
      {
        account: holder.name,
        kind: holder.kind,
        ticket_at: holder.ticketAt?.toISOString() ?? null,
        age_minutes: Math.floor(ticketAgeMs(holder, now) / 60_000),
      },
      'ticket.overdue',
    )
    if (holder.kind !== 'component') continue
    try {
      await start(holder)
    } catch (error) {
      // the others are looked after all the same
      log.warn({ account: holder.name, error: describeError(error) }, 'ticket.pushes_not_started')
    }
  }
}
