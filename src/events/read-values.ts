import { isList, textOf, type Field, type Fields } from './document.ts'

/** The platform's longest ids have 64 characters; more than 128 is not an id. Our own limit. */
const LONGEST_IDENTIFIER = 128
/** How far the platform's clock may run before ours. Both are kept by NTP; our own limit. */
const CLOCK_LEEWAY_MS = 60_000
/** 10 digits reach the year 2286; milliseconds have 13 and are not read as seconds. */
const UNIX_SECONDS = /^\d{1,10}$/

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

/**
 * A time far in the future would win every later comparison for ever: one wrong clock, and no later
 * opt-out of that person could take effect. Such an event counts from the second it reached us.
 */
export function notInFuture(occurredAt: Date, receivedAt: Date): Date {
  const late = occurredAt.getTime() > receivedAt.getTime() + CLOCK_LEEWAY_MS
  return late ? wholeSecond(receivedAt) : occurredAt
}

/**
 * A time in Unix seconds, 1 to 10 digits. Zero is no time either: an opt-out of 1970 would lose every
 * comparison.
 */
export function readSeconds(text: string | undefined): Date | undefined {
  const digits = text?.trim() ?? ''
  if (!UNIX_SECONDS.test(digits) || Number(digits) === 0) return undefined
  return new Date(Number(digits) * 1000)
}

/** The second a time lies in: the platform knows nothing finer. */
export function wholeSecond(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000)
}

/** Names without outer spaces: a published JSON sample writes `" OpenID"`. An exact name wins. */
export function trimNames(fields: Fields): Fields {
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
  return Object.keys(value).some((name) => name !== name.trim() || hasOuterSpace(value[name]))
}

function trimNamesIn(value: Field): Field {
  if (typeof value === 'string') return value
  return isList(value) ? value.map(trimNamesIn) : trimNames(value)
}

/** Whether a field holds fields itself. */
export function isFields(value: Field): value is Fields {
  return typeof value !== 'string' && !isList(value)
}

/** The text of a name without outer spaces; '' when there is none. */
export function trimmed(fields: Fields, name: string): string {
  return textOf(fields, name)?.trim() ?? ''
}

/** A text of the platform's that the database takes: short, no control characters, whole letters. */
export function storable(text: string): string {
  return text
    .replace(/\p{Cc}/gu, '\uFFFD')
    .slice(0, LONGEST_IDENTIFIER)
    .toWellFormed()
}
