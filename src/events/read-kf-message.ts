import { findKfRow } from './catalogue.ts'
import { textOf, type Fields } from './document.ts'
import type { EventRecord } from './read-event.ts'
import {
  isFields,
  notInFuture,
  readIdentifier,
  readSeconds,
  storable,
  trimmed,
  trimNames,
  wholeSecond,
} from './read-values.ts'

/**
 * The normal form of one item of `msg_list` that `kf/sync_msg` answered: a message of the customer, of
 * an employee, or an event of the session. Its repeat key is that of the item's own text.
 *
 * @param item.fields the item, every leaf a string; numbers as the digits the platform wrote.
 * @see https://developer.work.weixin.qq.com/document/path/94670
 */
export function readKfMessage(item: {
  readonly fields: Fields
  readonly receivedAt: Date
}): EventRecord {
  const fields = trimNames(item.fields)
  const type = trimmed(fields, 'msgtype')
  const told = fields.event !== undefined && isFields(fields.event) ? fields.event : {}
  const isEvent = type.toLowerCase() === 'event'
  const row = isEvent
    ? findKfRow('event_type', trimmed(told, 'event_type'))
    : findKfRow('origin', trimmed(fields, 'origin'))
  const occurredAt = readSeconds(textOf(fields, 'send_time')) ?? wholeSecond(item.receivedAt)
  return {
    source: 'wecom',
    kind: row.kind,
    name: storable(isEvent ? trimmed(told, 'event_type') : type),
    subject:
      row.subject === null
        ? null
        : (readIdentifier(textOf(fields, 'external_userid')) ??
          readIdentifier(textOf(told, 'external_userid'))),
    tenant: null,
    occurredAt,
    effectiveAt: notInFuture(occurredAt, item.receivedAt),
    msgId: readIdentifier(textOf(fields, 'msgid')),
    fields,
  }
}
