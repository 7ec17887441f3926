import type { AccountSettings } from '../accounts/account.ts'
import { rowOf } from '../events/catalogue.ts'
import { listOf, textOf, type Fields } from '../events/document.ts'
import { kfFailure } from '../events/kf-failure.ts'
import type { EventRecord } from '../events/read-event.ts'
import { isFields, readIdentifier } from '../events/read-values.ts'
import { isScopeName, kfScope, tenantPartScope, type ConsentChange } from './consent.ts'
import { because, granted, revoked, stopAt, suppressed, windowOf } from './make-change.ts'

/**
 * How many messages the customer's own allows, and for how long.
 *
 * @see https://developer.work.weixin.qq.com/document/path/94677
 */
const KF_WINDOW = { cap: 5, seconds: 48 * 3600 }

/** `fail_type` of what says that the window is shut, not that somebody refused. */
const SHUT: ReadonlySet<string> = new Set(['4', '5', '6'])
const REFUSED = '10'

/**
 * What an item of `kf/sync_msg` means for the customer's consent to one customer-service account. Only
 * their own message opens the window; entering the session does not.
 *
 * @param event from `readKfMessage`; every other event means nothing here.
 */
export function kfMessageChanges(event: EventRecord, settings: AccountSettings): ConsentChange[] {
  const told = innerOf(event.fields, 'event')
  const openKfId =
    readIdentifier(textOf(event.fields, 'open_kfid')) ?? readIdentifier(textOf(told, 'open_kfid'))
  if (event.subject === null || openKfId === null || !isScopeName(openKfId)) return []
  const scope = kfScope(openKfId)
  switch (rowOf(event.kind).effect) {
    case 'kf_message': {
      const text = textOf(innerOf(event.fields, 'text'), 'content')
      return [windowOf(granted(event, scope), KF_WINDOW), ...stopAt(event, text, settings)]
    }
    case 'kf_send_failed':
      return sendFailed(event, scope, textOf(told, 'fail_type')?.trim() ?? '')
    case 'kf_reject_switch':
      return textOf(told, 'reject_switch')?.trim() === '1'
        ? [because(suppressed(event, scope), 'staff')]
        : []
    default:
      return []
  }
}

/**
 * Which customer-service accounts a corp lets us act for, no longer or again. What it never named has
 * not been taken back.
 *
 * @see https://developer.work.weixin.qq.com/document/path/97712
 */
export function kfAccountChanges(event: EventRecord): ConsentChange[] {
  const added = namesOf(event, 'AuthAddOpenKfId')
  const removed = namesOf(event, 'AuthDelOpenKfId')
  return [
    ...removed.map((id) => because(revoked(event, tenantPartScope(id)), 'removed')),
    ...added.map((id) => because(granted(event, tenantPartScope(id)), 'added')),
  ]
}

function namesOf({ fields }: EventRecord, name: string): string[] {
  return listOf(fields, name).flatMap((value) => {
    const id = typeof value === 'string' ? readIdentifier(value) : null
    return id !== null && isScopeName(id) ? [id] : []
  })
}

function sendFailed(event: EventRecord, scope: string, type: string): ConsentChange[] {
  if (type === REFUSED) return [because(revoked(event, scope), kfFailure(type))]
  return SHUT.has(type) ? [because(suppressed(event, scope), kfFailure(type))] : []
}

function innerOf(fields: Fields, name: string): Fields {
  const inner = fields[name]
  return inner !== undefined && isFields(inner) ? inner : {}
}
