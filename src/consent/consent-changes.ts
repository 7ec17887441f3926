import type { AccountSettings } from '../accounts/account.ts'
import { rowOf } from '../events/catalogue.ts'
import { textOf, type Fields } from '../events/document.ts'
import {
  readIdentifier,
  readItems,
  readTemplateStatus,
  type EventRecord,
} from '../events/read-event.ts'
import { assertNever } from '../foundation/errors.ts'
import {
  CONVERSATION,
  CONVERSATION_ACTION,
  EVERY_TEMPLATE,
  EVERYTHING,
  FOLLOW,
  isTemplateId,
  severity,
  templateScope,
  type ConsentChange,
} from './consent.ts'

/**
 * How many customer-service messages an act of the person allows, and for how long.
 *
 * @see https://developers.weixin.qq.com/doc/service/en/guide/product/kf/intro.html
 */
const MESSAGE_WINDOW = { cap: 5, seconds: 48 * 3600 }
const ACTION_WINDOW = { cap: 3, seconds: 60 }

/** What a person ends who refuses the account's messages without leaving a template. */
const EVERY_MESSAGE = [FOLLOW, CONVERSATION, CONVERSATION_ACTION]

/**
 * The consent changes that follow from an event; none for an event that names no person or means
 * nothing for consent. A scope occurs at most once. Where the changes of one event contradict each
 * other, the refusal stays.
 */
export function consentChanges(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  if (event.subject === null) return []
  const { effect } = rowOf(event.kind)
  switch (effect) {
    case 'follow':
      return [granted(event, FOLLOW), action(event)]
    case 'unfollow':
      return unfollowed(event, settings)
    case 'scan_interaction':
    case 'menu_interaction':
      return [action(event)]
    case 'message_interaction':
      return messageReceived(event, settings)
    case 'subscription_popup':
      return onePerScope(readItems(event).flatMap((item) => popupAnswered(event, item, settings)))
    case 'subscription_change':
      return onePerScope(readItems(event).flatMap((item) => switchChanged(event, item)))
    case 'template_receipt':
      return templateFinished(event)
    case 'authorization_revoked':
    case 'account_cancelled':
      return [revoked(event, EVERYTHING)]
    case 'subscription_sent':
    case 'mass_receipt':
    case 'signal':
    case 'none':
      return []
    default:
      return assertNever(effect)
  }
}

/** Whether an event obliges us to erase the person's data, beyond what it means for consent. */
export function erases(event: EventRecord, settings: AccountSettings): boolean {
  const cancelled = rowOf(event.kind).effect === 'account_cancelled'
  return cancelled && settings.erase_on_cancellation && event.subject !== null
}

function unfollowed(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const ended = [...EVERY_MESSAGE]
  if (!settings.keep_templates_on_unfollow) ended.push(EVERY_TEMPLATE)
  return ended.map((scope) => revoked(event, scope))
}

function messageReceived(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const window = isMenuAnswer(event) ? action(event) : messageWindow(event)
  if (!isOptOut(event, settings)) return [window]
  return [window, { ...revoked(event, EVERYTHING), reason: 'keyword' }]
}

/**
 * A click on an item of a message menu (msgmenu) arrives as a text with the item's number beside it.
 * The platform counts it as a menu click: three answers in a minute, not five in 48 hours.
 */
function isMenuAnswer(event: EventRecord): boolean {
  return readIdentifier(textOf(event.fields, 'bizmsgmenuid')) !== null
}

function isOptOut(event: EventRecord, settings: AccountSettings): boolean {
  if (event.kind !== 'message.text') return false
  const said = asKeyword(textOf(event.fields, 'Content') ?? '')
  return said !== '' && settings.opt_out_keywords.some((keyword) => asKeyword(keyword) === said)
}

/** NFKC makes the full-width letters of Chinese keyboards (ＴＤ) equal to the plain ones. */
function asKeyword(text: string): string {
  return text.normalize('NFKC').trim().toLowerCase()
}

function popupAnswered(
  event: EventRecord,
  item: Fields,
  settings: AccountSettings,
): ConsentChange[] {
  const { templateId, answer } = readItem(item)
  if (templateId === null) return []
  const scope = templateScope(templateId)
  switch (answer) {
    case 'accept':
    case 'acceptwithaudio': {
      // The event does not say whether the template is long-term; only its own type does.
      const credits = settings.long_term_templates.includes(templateId) ? null : 1
      return [because({ ...granted(event, scope), credits }, 'accept')]
    }
    case 'reject':
      return [because(revoked(event, scope), 'reject')]
    default:
      // `ban`, `filter` and whatever comes next: the person decided nothing.
      return []
  }
}

/** The switch in the person's settings. Only `reject` is pushed today. */
function switchChanged(event: EventRecord, item: Fields): ConsentChange[] {
  const { templateId, answer } = readItem(item)
  if (templateId === null) return []
  const scope = templateScope(templateId)
  if (answer === 'reject') return [because(revoked(event, scope), 'reject')]
  // Switching on takes the refusal back, but is no answer to a request: it gives no right to send.
  if (answer === 'accept') return [because({ ...granted(event, scope), credits: 0 }, 'accept')]
  return []
}

function readItem(item: Fields): { templateId: string | null; answer: string } {
  const id = readIdentifier(textOf(item, 'TemplateId'))
  return {
    templateId: id !== null && isTemplateId(id) ? id : null,
    answer: (textOf(item, 'SubscribeStatusString') ?? '').trim().toLowerCase(),
  }
}

/**
 * `failed:user block`: the person set this account's messages to be refused, all of them, whatever
 * window was open; other failures refuse nothing.
 */
function templateFinished(event: EventRecord): ConsentChange[] {
  if (readTemplateStatus(event) !== 'failed:user block') return []
  return EVERY_MESSAGE.map((scope) => because(revoked(event, scope), 'user_block'))
}

function granted(event: EventRecord, scope: string): ConsentChange {
  return {
    scope,
    change: 'granted',
    effectiveAt: event.effectiveAt,
    reason: event.kind,
    credits: null,
    expiresAt: null,
  }
}

function revoked(event: EventRecord, scope: string): ConsentChange {
  return { ...granted(event, scope), change: 'revoked' }
}

function messageWindow(event: EventRecord): ConsentChange {
  return windowOf(granted(event, CONVERSATION), MESSAGE_WINDOW)
}

function action(event: EventRecord): ConsentChange {
  return windowOf(granted(event, CONVERSATION_ACTION), ACTION_WINDOW)
}

function windowOf(change: ConsentChange, window: typeof MESSAGE_WINDOW): ConsentChange {
  const expiresAt = new Date(change.effectiveAt.getTime() + window.seconds * 1000)
  return { ...change, credits: window.cap, expiresAt }
}

function because(change: ConsentChange, detail: string): ConsentChange {
  return { ...change, reason: `${change.reason}:${detail}` }
}

/**
 * One popup asks about a template once. Where a document names it twice, one answer counts, and the
 * refusal before the acceptance: two credits for one answer would be one more than was given.
 */
function onePerScope(changes: readonly ConsentChange[]): ConsentChange[] {
  const kept = new Map<string, ConsentChange>()
  for (const change of changes) {
    const other = kept.get(change.scope)
    if (!other || severity(change.change) > severity(other.change)) kept.set(change.scope, change)
  }
  return [...kept.values()]
}
