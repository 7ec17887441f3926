import type { EventSource } from '../accounts/account.ts'
import type { Route } from './catalogue-row.ts'
import { findEntry, findRow, rowOf, type CatalogueRow, type EventKind } from './catalogue.ts'
import { listOf, textOf, type Fields } from './document.ts'
import { kfFailure } from './kf-failure.ts'
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

/** A push in our words: what happened, to whom, when. `fields` still holds all the platform said. */
export interface EventRecord {
  /** What its names were looked up in. */
  readonly source: EventSource
  readonly kind: EventKind
  /**
   * The platform's own text for `InfoType`, `Event` or, in a message, `MsgType`; '' when it sent
   * none. WeCom's `ChangeType` stands behind it: `change_contact.delete_user`.
   */
  readonly name: string
  /**
   * Whose event it is: an openid, a userid, an external_userid, or the appid or corpid that
   * authorised us; null when there is none or it cannot be one.
   */
  readonly subject: string | null
  /**
   * In a notice to a component or a suite: the appid or corpid it is about. What it says of a person
   * is said of that account's person; what it says of `tenant` is the component's or suite's own.
   */
  readonly tenant: string | null
  /** When it happened, by the platform's clock; whole seconds. */
  readonly occurredAt: Date
  /** When it takes effect for consent; `occurredAt` unless that lies in the future. */
  readonly effectiveAt: Date
  /** `MsgID` of an event, `MsgId` of a message, `msgid` of customer service; all digits kept. */
  readonly msgId: string | null
  /** The document, names without outer spaces, values as sent. */
  readonly fields: Fields
}

/** A read document, with what the edge knows beside it. */
export interface Push {
  readonly source: EventSource
  readonly fields: Fields
  /** `timestamp` of the query, Unix seconds as text; it stands in for a time that is missing. */
  readonly timestamp: string | undefined
  readonly receivedAt: Date
}

/** What the platform reports about a message we sent. `reason` keeps the platform's words. */
export type Receipt =
  | {
      readonly channel: 'template_message'
      readonly msgId: string
      readonly status: 'delivered' | 'not_delivered'
      readonly reason: string
    }
  | {
      readonly channel: 'subscription_message'
      readonly templateId: string
      readonly msgId: string | null
      readonly status: 'delivered' | 'not_delivered'
      readonly reason: string
    }
  /** `msgId` is our own name for the message. */
  | {
      readonly channel: 'wecom_kf_message'
      readonly msgId: string
      readonly status: 'not_delivered'
      readonly reason: string
    }

/** WeCom's own sender of what no member did. */
const WECOM_SYSTEM = 'sys'

/** The data zone's JSON writes `timestamp`; what comes to a suite as an ordinary event `CreateTime`. */
const SUITE_TIMES = ['TimeStamp', 'timestamp', 'CreateTime']
const OTHER_TIMES = ['CreateTime']

/** The normal form of a push. Every document has one: what is not known is kept as unknown. */
export function readEvent({ source, fields: sent, timestamp, receivedAt }: Push): EventRecord {
  const fields = trimNames(sent)
  const route = readRoute(source, fields)
  const name = trimmed(fields, route)
  const changeType = isWecom(source) ? trimmed(fields, 'ChangeType') : ''
  const row = findRow(findEntry(source, route, name), changeType)
  const occurredAt = readTime(source, fields) ?? readSeconds(timestamp) ?? wholeSecond(receivedAt)
  return {
    source,
    kind: row.kind,
    name: storable(changeType === '' ? name : `${name}.${changeType}`),
    subject: readSubject(source, fields, row),
    tenant: readTenant(source, fields, row),
    occurredAt,
    effectiveAt: notInFuture(occurredAt, receivedAt),
    msgId: readIdentifier(textOf(fields, route === 'MsgType' ? 'MsgId' : 'MsgID')),
    fields,
  }
}

/**
 * What an event reports about messages we sent: one receipt for a template message, one or more for
 * subscription messages, one for a message of customer service that did not arrive; none for every
 * other event or where the report names no message.
 */
export function readReceipt(event: EventRecord): readonly Receipt[] {
  if (event.kind === 'event.templatesendjobfinish') {
    const reason = readTemplateStatus(event)
    if (event.msgId === null || reason === '') return []
    const status = reason === 'success' ? 'delivered' : 'not_delivered'
    return [{ channel: 'template_message', msgId: event.msgId, status, reason }]
  }
  if (event.kind === 'event.subscribe_msg_sent_event') return readItems(event).flatMap(sentReceipt)
  if (event.kind === 'kf.msg_send_fail') return kfReceipt(event)
  return []
}

/**
 * `Status` of a TEMPLATESENDJOBFINISH with the platform's varying spaces and case taken out:
 * `success`, `failed:user block`, `failed:system failed`, `failed:freq limit`, or whatever it says
 * next; '' when absent.
 */
export function readTemplateStatus(event: EventRecord): string {
  return normalReason(textOf(event.fields, 'Status') ?? '')
}

/**
 * The items of an event that carries one or many, in the order sent. One item comes as an object in
 * JSON and as a single element in XML; JSON also drops the wrapper element.
 */
export function readItems(event: EventRecord): readonly Fields[] {
  for (const path of rowOf(event.kind).lists ?? []) {
    const items = itemsAt(event.fields, path.split('.')).filter((item) => 'TemplateId' in item)
    if (items.length > 0) return items
  }
  return []
}

/**
 * Which element says what this is. A component's and a suite's notices have an `InfoType`; a few that
 * belong to them come as ordinary events all the same.
 */
function readRoute(source: EventSource, fields: Fields): Route {
  if (source === 'component' || source === 'wecom_suite') {
    if (trimmed(fields, 'InfoType') !== '') return 'InfoType'
    if (source === 'wecom_suite' && trimmed(fields, 'event_type') !== '') return 'event_type'
  }
  return trimmed(fields, 'MsgType').toLowerCase() === 'event' ? 'Event' : 'MsgType'
}

function isWecom(source: EventSource): boolean {
  return source === 'wecom' || source === 'wecom_suite'
}

function readTime(source: EventSource, fields: Fields): Date | undefined {
  for (const name of source === 'wecom_suite' ? SUITE_TIMES : OTHER_TIMES) {
    const time = readSeconds(textOf(fields, name))
    if (time !== undefined) return time
  }
  return undefined
}

function readSubject(source: EventSource, fields: Fields, row: CatalogueRow): string | null {
  if (row.subject === null) return null
  const id = readIdentifier(textOf(fields, row.subject))
  // Mobile apps were sent `openid`; never FromUserName, which is the platform's pusher here.
  if (row.subject === 'OpenID') return id ?? readIdentifier(textOf(fields, 'openid'))
  return id === WECOM_SYSTEM && isWecom(source) && row.subject === 'FromUserName' ? null : id
}

function readTenant(source: EventSource, fields: Fields, row: CatalogueRow): string | null {
  if (source === 'wecom_suite') return readIdentifier(textOf(fields, 'AuthCorpId'))
  return source === 'component' ? readSubject(source, fields, row) : null
}

function sentReceipt(item: Fields): Receipt[] {
  const templateId = readIdentifier(textOf(item, 'TemplateId'))
  const words = normalReason(textOf(item, 'ErrorStatus') ?? '')
  const code = trimmed(item, 'ErrorCode')
  if (templateId === null || (words === '' && code === '')) return []
  return [
    {
      channel: 'subscription_message',
      templateId,
      msgId: readIdentifier(textOf(item, 'MsgID')),
      status: (code === '' ? words === 'success' : code === '0') ? 'delivered' : 'not_delivered',
      reason: code === '' ? words : storable(`${words} (${code})`.trim()),
    },
  ]
}

function kfReceipt({ fields }: EventRecord): Receipt[] {
  const told = fields.event !== undefined && isFields(fields.event) ? fields.event : {}
  const msgId = readIdentifier(textOf(told, 'fail_msgid'))
  if (msgId === null) return []
  const type = trimmed(told, 'fail_type')
  const reason = storable(`${kfFailure(type)} (${type})`)
  return [{ channel: 'wecom_kf_message', msgId, status: 'not_delivered', reason }]
}

function itemsAt(fields: Fields, [name, ...rest]: readonly string[]): readonly Fields[] {
  if (name === undefined) return [fields]
  return listOf(fields, name)
    .filter(isFields)
    .flatMap((item) => itemsAt(item, rest))
}

function normalReason(text: string): string {
  return storable(text.trim().toLowerCase().replace(/\s+/g, ' ').replace(/ ?: ?/g, ':'))
}
