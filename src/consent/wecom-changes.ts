import { textOf } from '../events/document.ts'
import type { EventRecord } from '../events/read-event.ts'
import { readIdentifier } from '../events/read-values.ts'
import {
  archiveScope,
  externalContactScope,
  isScopeName,
  MEMBER,
  type ConsentChange,
} from './consent.ts'
import { because, granted, revoked, suppressed } from './make-change.ts'

/**
 * A member can see the app. Where the event names another app of the corp than the account's, it says
 * nothing about ours.
 *
 * @param agentId the account's; null where it is not known.
 */
export function memberAdded(event: EventRecord, agentId: string | null): ConsentChange[] {
  const told = readIdentifier(textOf(event.fields, 'AgentID'))
  const isOther = told !== null && agentId !== null && told !== agentId
  return isOther ? [] : [granted(event, MEMBER)]
}

/** A new userid: the old one reaches nobody, and what holds for the new one is not on record. */
export function memberRenamed(event: EventRecord): ConsentChange[] {
  const renamed = readIdentifier(textOf(event.fields, 'NewUserID'))
  const isSame = renamed === null || renamed.toLowerCase() === event.subject?.toLowerCase()
  return isSame ? [] : [because(suppressed(event, MEMBER), 'renamed')]
}

/** A customer and one employee of the corp: what one of them ends, no other relation feels. */
export function contactAdded(event: EventRecord): ConsentChange[] {
  return contactScopes(event).map((scope) => granted(event, scope))
}

/** The employee's act. The customer did not object, and the reason says so. */
export function contactDeleted(event: EventRecord): ConsentChange[] {
  const source = textOf(event.fields, 'Source')?.trim().toLowerCase()
  const who = source === 'delete_by_transfer' ? 'transfer' : 'staff'
  return contactScopes(event).map((scope) => because(revoked(event, scope), who))
}

/** The customer's own act. */
export function contactLeft(event: EventRecord): ConsentChange[] {
  return contactScopes(event).map((scope) => because(revoked(event, scope), 'customer'))
}

/** Only the customer's refusal of the new employee says anything; a full list is no answer of theirs. */
export function contactTransferFailed(event: EventRecord): ConsentChange[] {
  const reason = textOf(event.fields, 'FailReason')?.trim().toLowerCase()
  return reason === 'customer_refused' ? contactLeft(event) : []
}

/**
 * The customer agreed to the archive of what they say in a group (`ChatId`) or to an employee. No
 * event says that they disagree; see `archiveChange`.
 */
export function archiveAgreed(event: EventRecord): ConsentChange[] {
  const names = ['ChatId', 'UserID', 'OpenUserID'].map((name) => textOf(event.fields, name))
  const where = names.map(readIdentifier).find((id) => id !== null) ?? null
  return [granted(event, archiveScope(where !== null && isScopeName(where) ? where : null))]
}

function contactScopes(event: EventRecord): string[] {
  const user = readIdentifier(textOf(event.fields, 'UserID'))
  return user !== null && isScopeName(user) ? [externalContactScope(user)] : []
}
