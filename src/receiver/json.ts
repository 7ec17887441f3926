import type { Field, Fields } from '../events/document.ts'
import { addField, emptyFields } from './xml-fields.ts'

/** The fields of the object, or why the text is refused; `detail` quotes nothing of the text. */
export type JsonResult =
  | { readonly ok: true; readonly fields: Fields }
  | { readonly ok: false; readonly fault: 'malformed'; readonly detail: string }

/** As in XML: the platform's documents nest four deep, and this bounds our recursion. */
const MAX_DEPTH = 16
/** As in XML: far more than any document of the platform has. */
const MAX_VALUES = 4096

const SPACE = /[\t\n\r ]*/y
/** From one quotation mark to the next that is not escaped; JSON.parse says whether it is a string. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/sy
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WORD = /true|false|null/y

/** How far a text has been read. */
interface Cursor {
  readonly text: string
  at: number
  values: number
}

/** Thrown while reading and never let out; its message names no part of the text. */
class Malformed extends Error {}

/**
 * Reads one JSON object of the platform, strictly by RFC 8259, into the same form as `readXml`: every
 * leaf is text (a number the digits as written, so that a long id loses none; `null` is `''`), and a
 * name that occurs twice becomes a list, so that whoever needs it once can see that it was not.
 * A byte order mark in front is ignored. Never throws.
 *
 * What no text can hold that the database takes (U+0000, half of a surrogate pair) becomes U+FFFD: a
 * person may have typed it, and a refused push is a lost one.
 */
export function readJson(text: string): JsonResult {
  const cursor = { text: text.startsWith('\uFEFF') ? text.slice(1) : text, at: 0, values: 0 }
  try {
    skipSpace(cursor)
    if (cursor.text.startsWith('<', cursor.at)) throw new Malformed('XML where JSON is expected')
    if (!take(cursor, '{')) throw new Malformed('not an object')
    const fields = readObject(cursor, 1)
    if (cursor.at < cursor.text.length) throw new Malformed('text behind the object')
    return { ok: true, fields }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return { ok: false, fault: 'malformed', detail: error.message }
  }
}

/** A value and the space behind it. */
function readValue(cursor: Cursor, depth: number): Field {
  if (++cursor.values > MAX_VALUES) throw new Malformed(`more than ${MAX_VALUES} values`)
  if (depth > MAX_DEPTH) throw new Malformed(`deeper than ${MAX_DEPTH} levels`)
  if (take(cursor, '{')) return readObject(cursor, depth)
  if (take(cursor, '[')) return readList(cursor, depth)
  if (cursor.text.startsWith('"', cursor.at)) return readString(cursor)
  const word = match(cursor, WORD) ?? match(cursor, NUMBER)
  if (word === undefined) throw new Malformed('a value that is no JSON')
  return word === 'null' ? '' : word
}

function readObject(cursor: Cursor, depth: number): Fields {
  const fields = emptyFields()
  if (take(cursor, '}')) return fields
  do {
    const name = readString(cursor)
    if (!take(cursor, ':')) throw new Malformed('a name without a value')
    addField(fields, name, readValue(cursor, depth + 1))
  } while (take(cursor, ','))
  if (!take(cursor, '}')) throw new Malformed('an object that does not end')
  return fields
}

function readList(cursor: Cursor, depth: number): readonly Field[] {
  const list: Field[] = []
  if (take(cursor, ']')) return list
  do list.push(readValue(cursor, depth + 1))
  while (take(cursor, ','))
  if (!take(cursor, ']')) throw new Malformed('a list that does not end')
  return list
}

function readString(cursor: Cursor): string {
  const quoted = match(cursor, STRING)
  if (quoted === undefined) throw new Malformed('no string where one must be')
  return parseString(quoted).toWellFormed().replaceAll('\0', '\uFFFD')
}

function parseString(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    // The parser's own message quotes the text.
    throw new Malformed('a string that is no JSON')
  }
}

/** Steps over this character and the space behind it, if it comes now. */
function take(cursor: Cursor, character: string): boolean {
  if (!cursor.text.startsWith(character, cursor.at)) return false
  cursor.at += 1
  skipSpace(cursor)
  return true
}

/** What the pattern finds right here, stepped over with the space behind it. */
function match(cursor: Cursor, pattern: RegExp): string | undefined {
  pattern.lastIndex = cursor.at
  const found = pattern.exec(cursor.text)?.[0]
  if (found === undefined) return undefined
  cursor.at += found.length
  skipSpace(cursor)
  return found
}

function skipSpace(cursor: Cursor): void {
  SPACE.lastIndex = cursor.at
  cursor.at += SPACE.exec(cursor.text)?.[0].length ?? 0
}
