import type { ConsentChange } from '../../src/consent/consent.ts'
import type { EventRecord } from '../../src/events/read-event.ts'

/**
 * Changes as the fixtures write them: scope, state, what the reason adds to the event's kind (or, with
 * `=`, has instead), credits, and minutes until a window closes.
 */
export function tell(changes: readonly ConsentChange[], event: EventRecord): string[] {
  return changes.map((change) => {
    const { scope, reason, credits, expiresAt } = change
    const why = reason.startsWith(event.kind) ? reason.slice(event.kind.length) : `=${reason}`
    const minutes =
      expiresAt === null ? '' : `/${(expiresAt.getTime() - change.effectiveAt.getTime()) / 60_000}`
    const count = credits === null ? '' : `${credits}${minutes}`
    return [scope, change.change, why, count].filter((word) => word !== '').join(' ')
  })
}
