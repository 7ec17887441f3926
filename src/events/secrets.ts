import { rowOf } from './catalogue.ts'
import { isList, type Field } from './document.ts'
import type { EventRecord } from './read-event.ts'

/** A credential in a push: what must be sealed before anything else is kept. */
export interface Secret {
  /** The platform's name of its element: `AuthCode`. */
  readonly name: string
  /** As sent, outer spaces too. */
  readonly value: string
}

/**
 * The credentials an event carries, in the order sent; empty ones are none. Where they stood in the
 * document nothing may be logged: see `redact`.
 */
export function secretsOf(event: EventRecord): readonly Secret[] {
  const { secrets } = rowOf(event.kind)
  return secrets === undefined ? [] : secretsIn(event.fields, new Set(secrets))
}

/**
 * The document without the credentials that its event carries: the form in which it may be kept. Every
 * other character stays; an element that held one stays too, but empty. The repeat key is that of the
 * document as it came.
 *
 * @param document XML, or JSON where it begins with a brace or a bracket; well-formed. Of what is cut
 *   off inside a credential, nothing behind its beginning is kept.
 */
export function redact(document: string, event: EventRecord): string {
  const { secrets } = rowOf(event.kind)
  if (secrets === undefined) return document
  const names = new Set(secrets)
  return /^[\s\uFEFF]*[{[]/.test(document)
    ? redactJson(document, names)
    : redactXml(document, names)
}

function secretsIn(field: Field | undefined, names: ReadonlySet<string>): Secret[] {
  if (field === undefined || typeof field === 'string') return []
  if (isList(field)) return field.flatMap((item) => secretsIn(item, names))
  return Object.entries(field).flatMap(([name, inner]) =>
    names.has(name) ? textsIn(inner).map((value) => ({ name, value })) : secretsIn(inner, names),
  )
}

function textsIn(field: Field | undefined): string[] {
  if (field === undefined) return []
  if (typeof field === 'string') return field.trim() === '' ? [] : [field]
  return (isList(field) ? field : Object.values(field)).flatMap(textsIn)
}

/** CDATA, comment, instruction, end tag (1), start tag (2) with what follows its name (3). */
const XML_PIECE =
  /<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<\/([^\s>]+)\s*>|<([^\s/>!?]+)((?:[^"'>]|"[^"]*"|'[^']*')*)>/g

function redactXml(document: string, names: ReadonlySet<string>): string {
  let kept = ''
  let from = 0
  let inside: { readonly name: string; depth: number } | undefined
  for (const piece of document.matchAll(XML_PIECE)) {
    const [text, closed, opened, rest] = piece
    const isOpening = opened !== undefined && !rest?.endsWith('/')
    if (inside === undefined) {
      if (!isOpening || !names.has(opened)) continue
      kept += document.slice(from, piece.index + text.length)
      inside = { name: opened, depth: 1 }
      continue
    }
    if (isOpening && opened === inside.name) inside.depth += 1
    if (closed === inside.name) inside.depth -= 1
    if (inside.depth > 0) continue
    from = piece.index
    inside = undefined
  }
  return inside === undefined ? kept + document.slice(from) : kept
}

/** A string, a mark, or anything else up to one of them. */
const JSON_PIECE = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g

function redactJson(document: string, names: ReadonlySet<string>): string {
  const pieces = [...document.matchAll(JSON_PIECE)]
  let kept = ''
  let from = 0
  for (let at = 0; at + 2 < pieces.length; at += 1) {
    const value = pieces[at + 2]
    const isSecret = pieces[at + 1]?.[0] === ':' && names.has(keyIn(pieces[at]?.[0] ?? ''))
    if (!isSecret || value === undefined) continue
    kept += `${document.slice(from, value.index)}""`
    at = lastOfValue(pieces, at + 2)
    const last = pieces[at]
    from = last === undefined ? document.length : last.index + last[0].length
  }
  return kept + document.slice(from)
}

/** The text of a key, without outer spaces, as names are read; '' for what is no string. */
function keyIn(piece: string): string {
  if (!piece.startsWith('"')) return ''
  try {
    return String(JSON.parse(piece)).trim()
  } catch {
    return '' // not JSON, so no reader took a name from it
  }
}

/** Where the value that begins here ends: the closing bracket of its own, or itself. */
function lastOfValue(pieces: readonly RegExpExecArray[], first: number): number {
  let depth = 0
  for (let at = first; at < pieces.length; at += 1) {
    const text = pieces[at]?.[0] ?? ''
    if (text === '{' || text === '[') depth += 1
    if (text === '}' || text === ']') depth -= 1
    if (depth <= 0) return at
  }
  return pieces.length
}
