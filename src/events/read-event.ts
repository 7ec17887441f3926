import { findRow, rowOf, type CatalogueRow, type EventKind } from './catalogue.ts'
import { isList, listOf, textOf, type Field, type Fields } from './document.ts'

/** A push in our words: what happened, to whom, when. `fields` still holds all the platform said. */
export interface EventRecord {
  readonly kind: EventKind
  /** The platform's own text for `Event` or, in a message, `MsgType`; '' when it sent none. */
  readonly name: string
  /** The person's openid; null when there is none or it cannot be one. */
  readonly subject: string | null
  /** When it happened, by the platform's clock; whole seconds. */
  readonly occurredAt: Date
  /** When it takes effect for consent; `occurredAt` unless that lies in the future. */
  readonly effectiveAt: Date
  /** `MsgID` of an event or `MsgId` of a message, all digits kept. */
  readonly msgId: string | null
  /** The document, names without outer spaces, values as sent. */
  readonly fields: Fields
}

/** A read document, with what the edge knows beside it. */
export interface Push {
  readonly fields: Fields
  /** `timestamp` of the query, Unix seconds as text; it stands in for a missing `CreateTime`. */
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

/** The platform's longest ids have 64 characters; more than 128 is not an id. Our own limit. */
const LONGEST_IDENTIFIER = 128
/** How far the platform's clock may run before ours. Both are kept by NTP; our own limit. */
const CLOCK_LEEWAY_MS = 60_000
/** 10 digits reach the year 2286; milliseconds have 13 and are not read as seconds. */
const UNIX_SECONDS = /^\d{1,10}$/

/** The normal form of a push. Every document has one: what is not known is kept as unknown. */
export function readEvent({ fields: sent, timestamp, receivedAt }: Push): EventRecord {
  const fields = trimNames(sent)
  const msgType = trimmed(fields, 'MsgType')
  const event = trimmed(fields, 'Event')
  const row = findRow(msgType, event)
  const isEvent = row.kind.startsWith('event.')
  const occurredAt =
    readSeconds(textOf(fields, 'CreateTime')) ?? readSeconds(timestamp) ?? wholeSecond(receivedAt)
  return {
    kind: row.kind,
    name: storable(isEvent ? event : msgType),
    subject: readSubject(fields, row),
    occurredAt,
    effectiveAt: notInFuture(occurredAt, receivedAt),
    msgId: readIdentifier(textOf(fields, isEvent ? 'MsgID' : 'MsgId')),
    fields,
  }
}

/**
 * What an event reports about messages we sent: one receipt for a template message, one or more for
 * subscription messages, none for every other event or where the report names no message.
 */
export function readReceipt(event: EventRecord): readonly Receipt[] {
  if (event.kind === 'event.templatesendjobfinish') {
    const reason = readTemplateStatus(event)
    if (event.msgId === null || reason === '') return []
    const status = reason === 'success' ? 'delivered' : 'not_delivered'
    return [{ channel: 'template_message', msgId: event.msgId, status, reason }]
  }
  if (event.kind === 'event.subscribe_msg_sent_event') return readItems(event).flatMap(sentReceipt)
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
 * A text that can serve as an id, without outer spaces; null when it is absent, empty, longer than
 * 128 characters, or holds a character no id has (control characters, half of a surrogate pair),
 * which PostgreSQL would refuse or change.
 */
export function readIdentifier(text: string | undefined): string | null {
  const id = text?.trim() ?? ''
  const usable = id !== '' && id.length <= LONGEST_IDENTIFIER && !/\p{Cc}/u.test(id)
  return usable && id.isWellFormed() ? id : null
}

function readSubject(fields: Fields, row: CatalogueRow): string | null {
  switch (row.subject) {
    case 'from_user':
      return readIdentifier(textOf(fields, 'FromUserName'))
    case 'open_id':
      // Mobile apps were sent `openid`; never FromUserName, which is the platform's pusher here.
      return readIdentifier(textOf(fields, 'OpenID')) ?? readIdentifier(textOf(fields, 'openid'))
    case 'none':
      return null
  }
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

/**
 * A time far in the future would win every later comparison for ever: one wrong clock, and no later
 * opt-out of that person could take effect. Such an event counts from the second it reached us.
 */
function notInFuture(occurredAt: Date, receivedAt: Date): Date {
  const late = occurredAt.getTime() > receivedAt.getTime() + CLOCK_LEEWAY_MS
  return late ? wholeSecond(receivedAt) : occurredAt
}

/** Zero is no time either: an opt-out of 1970 would lose every comparison. */
function readSeconds(text: string | undefined): Date | undefined {
  const digits = text?.trim() ?? ''
  if (!UNIX_SECONDS.test(digits) || Number(digits) === 0) return undefined
  return new Date(Number(digits) * 1000)
}

function wholeSecond(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000)
}

/** Names without outer spaces: a published JSON sample writes `" OpenID"`. An exact name wins. */
function trimNames(fields: Fields): Fields {
  if (!hasOuterSpace(fields)) return fields
  const entries = Object.entries(fields).flatMap(([name, value]) => {
    const clean = name.trim()
    if (value === undefined || (clean !== name && Object.hasOwn(fields, clean))) return []
    return [[clean, trimNamesIn(value)] as const]
  })
  return Object.fromEntries(entries)
}

/** Almost never true: then the document serves as it is. */
function hasOuterSpace(value: Field | undefined): boolean {
  if (value === undefined || typeof value === 'string') return false
  if (isList(value)) return value.some(hasOuterSpace)
  return Object.entries(value).some(([name, one]) => name !== name.trim() || hasOuterSpace(one))
}

function trimNamesIn(value: Field): Field {
  if (typeof value === 'string') return value
  return isList(value) ? value.map(trimNamesIn) : trimNames(value)
}

function itemsAt(fields: Fields, [name, ...rest]: readonly string[]): readonly Fields[] {
  if (name === undefined) return [fields]
  return listOf(fields, name)
    .filter(isFields)
    .flatMap((item) => itemsAt(item, rest))
}

function isFields(value: Field): value is Fields {
  return typeof value !== 'string' && !isList(value)
}

function trimmed(fields: Fields, name: string): string {
  return textOf(fields, name)?.trim() ?? ''
}

function normalReason(text: string): string {
  return storable(text.trim().toLowerCase().replace(/\s+/g, ' ').replace(/ ?: ?/g, ':'))
}

/** A text of the platform's that the database takes: short, no control characters, whole letters. */
function storable(text: string): string {
  return text
    .replace(/\p{Cc}/gu, '\uFFFD')
    .slice(0, LONGEST_IDENTIFIER)
    .toWellFormed()
}
