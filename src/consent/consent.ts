import { InvariantError } from '../foundation/errors.ts'
import { readIdentifier } from '../events/read-values.ts'

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
 * - `member`: a WeCom member can see the app. An administrator's act: evidence, not an opt-in.
 * - `tenant`: an account or corp lets us act for it. Its row is on the component or suite, and its
 *   subject is the appid or corpid. A part of that right, `tenant:<channel>` or `tenant:<open_kfid>`,
 *   is on the account itself, under its own appid or corpid; without a row it has not been taken back.
 * - `msgaudit`: agreement to the chat archive, where it names neither employee nor group. It never
 *   allows a message.
 * - `everything`: a stop. `revoked` forbids every message; `granted` means the stop is lifted and
 *   allows nothing by itself. A later follow or accepted template lifts it without a row of its own:
 *   most people never had a stop, and a row that says “not stopped” for each would say nothing.
 */
export const FOLLOW = 'follow'
export const CONVERSATION = 'conversation'
export const CONVERSATION_ACTION = 'conversation:action'
export const EVERY_TEMPLATE = 'template:*'
export const MEMBER = 'member'
export const TENANT = 'tenant'
const ARCHIVE = 'msgaudit'
export const EVERYTHING = 'everything'

const TEMPLATE_PREFIX = 'template:'
/** A customer and one employee are contacts (客户联系): one scope for each employee's userid. */
const EXTERNAL_CONTACT_PREFIX = 'external_contact:'
/** The window that a customer's message to one customer-service account (微信客服) opens. */
const KF_PREFIX = 'kf:'
/** One send for one scene of an Official Account (一次性订阅消息). */
const ONE_TIME_PREFIX = 'one_time:'
/** Agreement to the archive of what is said to one employee or in one group. */
const ARCHIVE_PREFIX = `${ARCHIVE}:`
/** One channel of an account, or one customer-service account, that we may act for. */
const TENANT_PREFIX = `${TENANT}:`

/** A scope, taken apart. */
export type Scope =
  | { readonly family: 'follow' }
  /** `templateId` is null for every template. */
  | { readonly family: 'template'; readonly templateId: string | null }
  | { readonly family: 'conversation'; readonly window: 'message' | 'action' }
  | { readonly family: 'one_time'; readonly scene: string }
  | { readonly family: 'member' }
  | { readonly family: 'external_contact'; readonly user: string }
  | { readonly family: 'kf'; readonly openKfId: string }
  /** `part` is null for the whole right; else a channel, or an `open_kfid`. */
  | { readonly family: 'tenant'; readonly part: string | null }
  /** `where` is null where the agreement names neither employee nor group. */
  | { readonly family: 'msgaudit'; readonly where: string | null }
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
   * refusal and adds none. On a granted conversation, `kf` or `one_time`: how many messages the new
   * window allows; it replaces the rest of the old window. Null everywhere else.
   */
  readonly credits: number | null
  /** When a conversation or `kf` window closes; null on every other scope. */
  readonly expiresAt: Date | null
  /** On `one_time`: the only template that was agreed to, or declined. Absent on every other scope. */
  readonly templateId?: string
}

/** What decides between two changes of one consent. */
export interface Standing {
  readonly state: ConsentState
  readonly effectiveAt: Date
}

/**
 * Whether a text can stand behind the colon of a scope: not empty, at most 128 characters, none of
 * them a control character, no outer spaces, and not `*`, which would name all there are.
 */
export function isScopeName(text: string): boolean {
  return text !== '*' && readIdentifier(text) === text
}

/** Whether a text can be a template's id in a scope. */
export function isTemplateId(text: string): boolean {
  return isScopeName(text)
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

/**
 * The scope of a customer and one employee; of a customer-service account; of a scene; of the archive
 * of an employee's or a group's chats, or of chats that are not named; of a part of a tenant's right.
 *
 * @throws InvariantError when the name is none; ask `isScopeName` about names from outside first.
 */
export function externalContactScope(user: string): string {
  return named(EXTERNAL_CONTACT_PREFIX, user)
}

export function kfScope(openKfId: string): string {
  return named(KF_PREFIX, openKfId)
}

export function oneTimeScope(scene: string): string {
  return named(ONE_TIME_PREFIX, scene)
}

export function tenantPartScope(part: string): string {
  return named(TENANT_PREFIX, part)
}

export function archiveScope(where: string | null): string {
  return where === null ? ARCHIVE : named(ARCHIVE_PREFIX, where)
}

function named(prefix: string, name: string): string {
  if (!isScopeName(name)) throw new InvariantError(`expected a name for a scope ${prefix}…`)
  return prefix + name
}

/** A scope as a person or an application wrote it, taken apart; undefined when there is none such. */
export function parseScope(text: string): Scope | undefined {
  const single = SINGLE_SCOPES.get(text)
  if (single) return single
  const colon = text.indexOf(':') + 1
  const name = text.slice(colon)
  if (colon === 0 || !isScopeName(name)) return undefined
  switch (text.slice(0, colon)) {
    case TEMPLATE_PREFIX:
      return { family: 'template', templateId: name }
    case ONE_TIME_PREFIX:
      return { family: 'one_time', scene: name }
    case EXTERNAL_CONTACT_PREFIX:
      return { family: 'external_contact', user: name }
    case KF_PREFIX:
      return { family: 'kf', openKfId: name }
    case TENANT_PREFIX:
      return { family: 'tenant', part: name }
    case ARCHIVE_PREFIX:
      return { family: 'msgaudit', where: name }
    default:
      return undefined
  }
}

/** The scopes that are one text, taken apart. */
const SINGLE_SCOPES: ReadonlyMap<string, Scope> = new Map<string, Scope>([
  [FOLLOW, { family: 'follow' }],
  [CONVERSATION, { family: 'conversation', window: 'message' }],
  [CONVERSATION_ACTION, { family: 'conversation', window: 'action' }],
  [EVERY_TEMPLATE, { family: 'template', templateId: null }],
  [MEMBER, { family: 'member' }],
  [TENANT, { family: 'tenant', part: null }],
  [ARCHIVE, { family: 'msgaudit', where: null }],
  [EVERYTHING, { family: 'everything' }],
])

/**
 * Whether an operator's or an application's word may grant a scope. What the person alone opens, the
 * platform alone reports or another signature proves is granted by that evidence only.
 */
export function isGrantable(scope: Scope): boolean {
  switch (scope.family) {
    case 'follow':
    case 'member':
    case 'external_contact':
    case 'everything':
      return true
    case 'template':
      return scope.templateId !== null
    case 'conversation':
    case 'one_time':
    case 'kf':
    case 'tenant':
    case 'msgaudit':
      return false
  }
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
