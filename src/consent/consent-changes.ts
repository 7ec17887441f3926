import type { AccountSettings } from '../accounts/account.ts'
import { rowOf } from '../events/catalogue.ts'
import { textOf, type Fields } from '../events/document.ts'
import { readItems, readTemplateStatus, type EventRecord } from '../events/read-event.ts'
import { readIdentifier, trimmed } from '../events/read-values.ts'
import { assertNever } from '../foundation/errors.ts'
import {
  CONVERSATION,
  CONVERSATION_ACTION,
  EVERY_TEMPLATE,
  EVERYTHING,
  FOLLOW,
  isTemplateId,
  MEMBER,
  severity,
  TENANT,
  templateScope,
  type ConsentChange,
} from './consent.ts'
import { kfAccountChanges, kfMessageChanges } from './kf-changes.ts'
import { because, granted, revoked, stopAt, suppressed, windowOf } from './make-change.ts'
import {
  archiveAgreed,
  contactAdded,
  contactDeleted,
  contactLeft,
  contactTransferFailed,
  memberAdded,
  memberRenamed,
} from './wecom-changes.ts'

/**
 * How many customer-service messages an act of the person allows, and for how long.
 *
 * @see https://developers.weixin.qq.com/doc/service/en/guide/product/kf/intro.html
 * @see https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html
 */
const MESSAGE_WINDOW = { cap: 5, seconds: 48 * 3600 }
const ACTION_WINDOW = { cap: 3, seconds: 60 }
const SESSION_WINDOW = { cap: 2, seconds: 60 }

/** What a person ends who refuses the account's messages without leaving a template. */
const EVERY_MESSAGE = [FOLLOW, CONVERSATION, CONVERSATION_ACTION]

/**
 * The consent changes that follow from an event; none for an event that names nobody or means nothing
 * for consent. A scope occurs at most once. Where the changes of one event contradict each other, the
 * refusal stays.
 *
 * All are of `event.subject`, on the account that the push came to; but what a notice to a component
 * or suite says of a person is of the account that `event.tenant` names.
 *
 * @param agentId the account's AgentID; null where it has none.
 */
export function consentChanges(
  event: EventRecord,
  settings: AccountSettings,
  agentId: string | null = null,
): ConsentChange[] {
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
    case 'session_interaction':
      return [windowOf(granted(event, CONVERSATION_ACTION), SESSION_WINDOW)]
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
    case 'tenant_granted':
      return [granted(event, TENANT)]
    case 'tenant_registered':
      return tenantRegistered(event)
    case 'tenant_doubted':
      return [suppressed(event, TENANT)]
    case 'tenant_revoked':
      return [revoked(event, TENANT)]
    case 'member_message':
      return textSaid(event, settings)
    case 'member_added':
      return memberAdded(event, agentId)
    case 'member_renamed':
      return memberRenamed(event)
    case 'member_removed':
    case 'member_deleted':
      return [revoked(event, MEMBER)]
    case 'contact_added':
      return contactAdded(event)
    case 'contact_deleted':
      return contactDeleted(event)
    case 'contact_left':
      return contactLeft(event)
    case 'contact_transfer_failed':
      return contactTransferFailed(event)
    case 'archive_agreed':
      return archiveAgreed(event)
    case 'school_follow':
      return [granted(event, FOLLOW)]
    case 'school_unfollow':
      return [revoked(event, FOLLOW)]
    case 'kf_message':
    case 'kf_send_failed':
    case 'kf_reject_switch':
      return kfMessageChanges(event, settings)
    case 'kf_accounts_changed':
      return onePerScope(kfAccountChanges(event))
    case 'subscription_sent':
    case 'mass_receipt':
    case 'tenant_changed':
    case 'signal':
    case 'none':
      return []
    default:
      return assertNever(effect)
  }
}

/**
 * Whether an event obliges us to erase the person's data, beyond what it means for consent. For a
 * whole account or corp that is a job: see `followUp`.
 */
export function erases(event: EventRecord, settings: AccountSettings): boolean {
  const { effect } = rowOf(event.kind)
  if (event.subject === null) return false
  const isGone = effect === 'account_cancelled' || effect === 'member_deleted'
  return isGone
    ? settings.erase_on_cancellation
    : effect === 'unfollow' && settings.erase_on_unfollow
}

function unfollowed(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const ended = [...EVERY_MESSAGE]
  if (!settings.keep_templates_on_unfollow) ended.push(EVERY_TEMPLATE)
  return ended.map((scope) => revoked(event, scope))
}

function messageReceived(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const window = isMenuAnswer(event) ? action(event) : messageWindow(event)
  return [window, ...textSaid(event, settings)]
}

/** What a text message says by its words; a text in another message is not the person's answer. */
function textSaid(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const isText = event.kind === 'message.text' || event.kind === 'wecom.message.text'
  return isText ? stopAt(event, textOf(event.fields, 'Content'), settings) : []
}

/** A Mini Program registered through us: ours to act for only where the registration succeeded. */
function tenantRegistered(event: EventRecord): ConsentChange[] {
  const isDone =
    trimmed(event.fields, 'status') === '0' && trimmed(event.fields, 'auth_code') !== ''
  return isDone ? [granted(event, TENANT)] : []
}

/**
 * A click on an item of a message menu (msgmenu) arrives as a text with the item's number beside it.
 * The platform counts it as a menu click: three answers in a minute, not five in 48 hours.
 */
function isMenuAnswer(event: EventRecord): boolean {
  return readIdentifier(textOf(event.fields, 'bizmsgmenuid')) !== null
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

function messageWindow(event: EventRecord): ConsentChange {
  return windowOf(granted(event, CONVERSATION), MESSAGE_WINDOW)
}

function action(event: EventRecord): ConsentChange {
  return windowOf(granted(event, CONVERSATION_ACTION), ACTION_WINDOW)
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
