import { InvariantError } from '../foundation/errors.ts'
import { readIdentifier } from '../events/read-event.ts'

/**
 * The words of the consent ledger. A consent is (account, subject, scope); what it is now follows
 * from the changes recorded for it, in the order of the platform's time.
 */

/**
 * What a consent can be.
 *
 * - `granted`: the person agreed, or did what the platform counts as agreement. Only this sends.
 * - `revoked`: the person, or the platform for them, said no.
 * - `suppressed`: it cannot be delivered, but nobody refused; any newer evidence lifts it.
 */
export const CONSENT_STATES = ['granted', 'revoked', 'suppressed'] as const
export type ConsentState = (typeof CONSENT_STATES)[number]

/**
 * The scopes that are one text.
 *
 * - `follow`: the person follows the account.
 * - `conversation`: the window that a message opens: 5 answers in 48 hours.
 * - `conversation:action`: the window that a follow, a scan or a menu click opens: 3 answers in one
 *   minute. Two windows of different length are kept apart, so that a menu click never shortens what
 *   a message gave; an answer is allowed while either is open.
 * - `template:*`: every template right of the person that is not newer. It is only ever revoked (at
 *   an unfollow); a template granted at a later second lives, one granted in the same second does
 *   not.
 * - `everything`: a stop. `revoked` forbids every message; `granted` means the stop is lifted and
 *   allows nothing by itself. A later follow or accepted template lifts it without a row of its own:
 *   most people never had a stop, and a row that says “not stopped” for each would say nothing.
 */
export const FOLLOW = 'follow'
export const CONVERSATION = 'conversation'
export const CONVERSATION_ACTION = 'conversation:action'
export const EVERY_TEMPLATE = 'template:*'
export const EVERYTHING = 'everything'

const TEMPLATE_PREFIX = 'template:'

/** A scope, taken apart. */
export type Scope =
  | { readonly family: 'follow' }
  /** `templateId` is null for every template. */
  | { readonly family: 'template'; readonly templateId: string | null }
  | { readonly family: 'conversation'; readonly window: 'message' | 'action' }
  | { readonly family: 'everything' }

export type ScopeFamily = Scope['family']

/** One change of one consent, as an event, an error code or a person at the console causes it. */
export interface ConsentChange {
  readonly scope: string
  readonly change: ConsentState
  /** The platform's time of the cause; it decides between changes, not the order of arrival. */
  readonly effectiveAt: Date
  /** Why, in a stable word: `event.subscribe`, `event.subscribe_msg_popup_event:accept`. */
  readonly reason: string
  /**
   * On a granted template: how many sends this acceptance adds; null is a standing right; 0 lifts a
   * refusal and adds none. On a granted conversation: how many answers the new window allows; it
   * replaces the rest of the old window. Null everywhere else.
   */
  readonly credits: number | null
  /** When a conversation window closes; null on every other scope. */
  readonly expiresAt: Date | null
}

/** What decides between two changes of one consent. */
export interface Standing {
  readonly state: ConsentState
  readonly effectiveAt: Date
}

/**
 * Whether a text can be a template's id in a scope: not empty, at most 128 characters, none of them
 * a control character, no outer spaces, and not `*`, which would name every template.
 */
export function isTemplateId(text: string): boolean {
  return text !== '*' && readIdentifier(text) === text
}

/**
 * The scope of one template.
 *
 * @throws InvariantError when the id is none; ask `isTemplateId` about ids from outside first.
 */
export function templateScope(templateId: string): string {
  if (!isTemplateId(templateId)) throw new InvariantError('expected a template id for a scope')
  return TEMPLATE_PREFIX + templateId
}

/** A scope as a person or an application wrote it, taken apart; undefined when there is none such. */
export function parseScope(text: string): Scope | undefined {
  if (text === FOLLOW || text === EVERYTHING) return { family: text }
  if (text === CONVERSATION) return { family: 'conversation', window: 'message' }
  if (text === CONVERSATION_ACTION) return { family: 'conversation', window: 'action' }
  if (text === EVERY_TEMPLATE) return { family: 'template', templateId: null }
  if (!text.startsWith(TEMPLATE_PREFIX)) return undefined
  const templateId = text.slice(TEMPLATE_PREFIX.length)
  return isTemplateId(templateId) ? { family: 'template', templateId } : undefined
}

/** The family of a scope, few enough to label a metric; `other` for a text that is no scope. */
export function scopeFamily(scope: string): ScopeFamily | 'other' {
  return parseScope(scope)?.family ?? 'other'
}

/**
 * Whether the state of a scope follows from its latest change alone. A template's credits add up over
 * several changes, and a stop is lifted by changes of other scopes.
 */
export function followsLatestChange(scope: string): boolean {
  return scope !== EVERYTHING && (!scope.startsWith(TEMPLATE_PREFIX) || scope === EVERY_TEMPLATE)
}

/** Which of two changes of one second holds: the higher. A refusal is never lost to a tie. */
export function severity(state: ConsentState): number {
  return { granted: 0, suppressed: 1, revoked: 2 }[state]
}

/**
 * Whether a change takes the place of what holds now: it is later by the platform's clock, or of the
 * same second and more severe. Applied one by one, the changes of a consent end in the same state
 * whatever their order, so pushes may arrive late, twice or out of order. This is the rule that the
 * ledger's SQL follows; credits of several acceptances add up and are the store's concern.
 */
export function supersedes(newer: Standing, current: Standing): boolean {
  const later = newer.effectiveAt.getTime() - current.effectiveAt.getTime()
  return later === 0 ? severity(newer.state) > severity(current.state) : later > 0
}
