import { COMPONENT_ACTS } from './component-acts.ts'
import { performPlatformAct } from './platform-act.ts'
import type { Pusher } from './pushes.ts'
import { SUITE_ACTS } from './suite-acts.ts'
import type { World } from './world.ts'

/** Both platforms push a new ticket every ten minutes (callbacks.md §5.2, §5.3). */
const EVERY_MS = 600_000

/**
 * Pushes a ticket to every component and suite whose last one is ten minutes old, by the sandbox's
 * clock: one, however long the clock was moved. Resolves when they are acknowledged or given up.
 */
export async function pushDueTickets(world: World, pusher: Pusher): Promise<void> {
  const nowMs = world.clock.now().getTime()
  const isDue = (owner: { config: { tickets: string }; lastTicketMs: number }) =>
    owner.config.tickets === 'every_ten_minutes' && nowMs - owner.lastTicketMs >= EVERY_MS
  const act = { details: {}, silent: false }
  const components = [...world.components.values()].filter((one) => one.ticketsOn && isDue(one))
  const suites = [...world.suites.values()].filter(isDue)
  await Promise.all([
    ...components.map((owner) =>
      performPlatformAct({ world, pusher, owner }, COMPONENT_ACTS.push_ticket, act),
    ),
    ...suites.map((owner) =>
      performPlatformAct({ world, pusher, owner }, SUITE_ACTS.push_ticket, act),
    ),
  ])
}
