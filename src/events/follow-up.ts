import type { FollowUp } from './catalogue-row.ts'
import { rowOf } from './catalogue.ts'
import type { Fields } from './document.ts'
import type { EventRecord } from './read-event.ts'
import { isFields, trimmed } from './read-values.ts'

/**
 * The job that an event causes beyond what it means for consent; null for most, and where the event
 * lacks what the job would work with (a contact without a `WelcomeCode` is not welcomed).
 */
export function followUp(event: EventRecord): FollowUp | null {
  const { followUp, needs } = rowOf(event.kind)
  if (followUp === undefined) return null
  return needs === undefined || hasText(event.fields, needs.split('.')) ? followUp : null
}

function hasText(fields: Fields, [name = '', ...rest]: readonly string[]): boolean {
  if (rest.length === 0) return trimmed(fields, name) !== ''
  const inner = fields[name]
  return inner !== undefined && isFields(inner) && hasText(inner, rest)
}
