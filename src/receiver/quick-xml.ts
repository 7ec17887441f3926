import type { Fields } from '../events/document.ts'
import { addField, emptyFields } from './xml-fields.ts'

// All limits lie well inside those of the reader of record, so that what reaches one is handed over
// and refused, or read, there.

/** The platform's documents nest four deep (`SendPicsInfo`), the root not counted. */
const MAX_DEPTH = 8
/** Far more than any document of the platform has; half of what the reader of record takes. */
const MAX_ELEMENTS = 1000
/** The platform's names have some twenty characters (`SubscribeMsgChangeEvent`). */
const MAX_NAME_LENGTH = 64

/** Names that mean something on a JavaScript object; the reader of record refuses some of them. */
const RESERVED: ReadonlySet<string> = new Set([
  'prototype',
  ...Object.getOwnPropertyNames(Object.prototype),
])

const CDATA_OPEN = '<![CDATA['
const CDATA_CLOSE = ']]>'

const TAB = 0x09
const LINE_FEED = 0x0a
const SPACE = 0x20
const EXCLAMATION_MARK = 0x21
const SLASH = 0x2f
const LESS_THAN = 0x3c
const GREATER_THAN = 0x3e

/** How far a text has been read. */
interface Cursor {
  readonly text: string
  at: number
  elements: number
}

/**
 * Reads the XML that the platform really sends, several times faster than the reader of record
 * (`readXmlOfRecord`): one root of elements, each holding elements, bare text or CDATA, without
 * attributes, references, comments or instructions, and in bare ASCII names.
 *
 * @returns the same fields as the reader of record, down to order and prototype; undefined hands the
 * text over to it. That says nothing of the text: it may be fine, only not of this plain form.
 */
export function readQuickly(text: string): Fields | undefined {
  // A carriage return would have to become a line feed, U+0000 is refused.
  if (text.includes('\r') || text.includes('\0')) return undefined
  const cursor = { text, at: skipSpace(text, 0), elements: 0 }
  const name = readStart(cursor)
  if (name === undefined) return undefined
  const root = readContent(cursor, name, 0)
  if (typeof root !== 'object') return undefined
  return skipSpace(text, cursor.at) === text.length ? root : undefined
}

/** The name in the start tag that must come now; undefined when anything else does. */
function readStart(cursor: Cursor): string | undefined {
  const { text, at } = cursor
  if (text.charCodeAt(at) !== LESS_THAN || ++cursor.elements > MAX_ELEMENTS) return undefined
  let end = at + 1
  while (isNameCode(text.charCodeAt(end), end === at + 1)) end++
  const isEnded = text.charCodeAt(end) === GREATER_THAN
  if (!isEnded || end === at + 1 || end - at > MAX_NAME_LENGTH) return undefined
  const name = text.slice(at + 1, end)
  if (RESERVED.has(name)) return undefined
  cursor.at = end + 1
  return name
}

/** What stands between a start tag and its end tag, the end tag read too. */
function readContent(cursor: Cursor, name: string, depth: number): string | Fields | undefined {
  const { text, at } = cursor
  const next = text.indexOf('<', at)
  if (next === -1) return undefined
  switch (text.charCodeAt(next + 1)) {
    case SLASH:
      return readText(cursor, name, next)
    case EXCLAMATION_MARK:
      return readSections(cursor, name)
    default:
      return depth < MAX_DEPTH ? readFields(cursor, name, depth) : undefined
  }
}

function readText(cursor: Cursor, name: string, end: number): string | undefined {
  const value = cursor.text.slice(cursor.at, end)
  cursor.at = end
  return skipEnd(cursor, name) && !value.includes('&') ? value : undefined
}

/** CDATA sections; white space around them is part of the value. */
function readSections(cursor: Cursor, name: string): string | undefined {
  const { text } = cursor
  let value = ''
  for (;;) {
    const open = skipSpace(text, cursor.at)
    value += text.slice(cursor.at, open)
    cursor.at = open
    if (skipEnd(cursor, name)) return value
    if (!text.startsWith(CDATA_OPEN, open)) return undefined
    const close = text.indexOf(CDATA_CLOSE, open + CDATA_OPEN.length)
    if (close === -1) return undefined
    value += text.slice(open + CDATA_OPEN.length, close)
    cursor.at = close + CDATA_CLOSE.length
  }
}

/** Elements; white space around them is dropped. */
function readFields(cursor: Cursor, name: string, depth: number): Fields | undefined {
  const fields = emptyFields()
  for (;;) {
    cursor.at = skipSpace(cursor.text, cursor.at)
    if (skipEnd(cursor, name)) return fields
    const child = readStart(cursor)
    if (child === undefined) return undefined
    const value = readContent(cursor, child, depth + 1)
    if (value === undefined) return undefined
    addField(fields, child, value)
  }
}

/** Steps over the end tag of this name, if it comes now. */
function skipEnd(cursor: Cursor, name: string): boolean {
  const { text, at } = cursor
  const end = at + 2 + name.length
  if (text.charCodeAt(at) !== LESS_THAN || text.charCodeAt(at + 1) !== SLASH) return false
  if (!text.startsWith(name, at + 2) || text.charCodeAt(end) !== GREATER_THAN) return false
  cursor.at = end + 1
  return true
}

/** Where the white space ends that starts here; the same position when there is none. */
function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== SPACE && code !== LINE_FEED && code !== TAB) return at
    at++
  }
}

/** ASCII letters, and behind the first of them digits and the underscore. */
function isNameCode(code: number, isFirst: boolean): boolean {
  const isLetter = (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a)
  return isLetter || (!isFirst && ((code >= 0x30 && code <= 0x39) || code === 0x5f))
}
