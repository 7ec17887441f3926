import type { AccountSettings } from '../accounts/account.ts'
import { rowOf } from '../events/catalogue.ts'
import { textOf, type Fields } from '../events/document.ts'
import type { EventRecord } from '../events/read-event.ts'
import { isFields, readIdentifier } from '../events/read-values.ts'
import { isScopeName, kfScope, type ConsentChange } from './consent.ts'
import { because, granted, revoked, stopAt, suppressed, windowOf } from './make-change.ts'

/**
 * How many messages the customer's own allows, and for how long.
 *
 * @see https://developer.work.weixin.qq.com/document/path/94677
 */
const KF_WINDOW = { cap: 5, seconds: 48 * 3600 }

/** `fail_type` of what says that the window is shut, not that somebody refused. */
const SHUT: ReadonlyMap<string, string> = new Map([
  ['4', 'over_48_hours'],
  ['5', 'session_closed'],
  ['6', 'over_five_messages'],
])
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

function sendFailed(event: EventRecord, scope: string, type: string): ConsentChange[] {
  if (type === REFUSED) return [because(revoked(event, scope), 'customer')]
  const shut = SHUT.get(type)
  return shut === undefined ? [] : [because(suppressed(event, scope), shut)]
}

function innerOf(fields: Fields, name: string): Fields {
  const inner = fields[name]
  return inner !== undefined && isFields(inner) ? inner : {}
}
