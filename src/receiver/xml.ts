import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { isList, type Field, type Fields } from '../events/document.ts'
import { readQuickly } from './quick-xml.ts'
import { addField, emptyFields } from './xml-fields.ts'
import { findMarkupFault, type XmlFault } from './xml-markup.ts'

/** The fields under the root, or why the text is refused; `detail` quotes nothing of the text. */
export type XmlResult =
  { readonly ok: true; readonly fields: Fields } | ({ readonly ok: false } & XmlFault)

const TEXT = '#text'
const CDATA = '#cdata'

/** The platform's documents nest four deep (`SendPicsInfo`); this also bounds our recursion. */
const MAX_DEPTH = 16

/** One piece of a level as the library gives it: an object with one name, that of the piece. */
type Node = Readonly<Record<string, unknown>>

/** References that every XML document knows without declaring them. */
const NAMED_REFERENCES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
])

/**
 * The reader of record: fast-xml-parser behind our own checks, for whatever `readXml` is given. It
 * alone decides what is refused and what a document means.
 */
export const readXmlOfRecord: (text: string) => XmlResult = createXmlReader()

/**
 * Reads one XML document of the platform. Every leaf is the text as written, never a number; an
 * empty element is `''`; a name that repeats becomes a list; attributes, comments and text between
 * elements are dropped. A byte order mark in front is ignored. Never throws.
 *
 * The plain form that the platform uses is read quickly, everything else by the reader of record;
 * that the two never disagree is tested (test/receiver/fuzz-xml.ts).
 */
export function readXml(text: string): XmlResult {
  const fields = readQuickly(text)
  return fields ? { ok: true, fields } : readXmlOfRecord(text)
}

/** Wraps a text so that it reads back exactly; a `]]>` in it is split over two sections. */
export function cdata(text: string): string {
  return `<![CDATA[${text.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`
}

function createXmlReader(): (text: string) => XmlResult {
  const parser = new XMLParser({
    preserveOrder: true, // the only form in which the library tells CDATA and text apart
    cdataPropName: CDATA,
    textNodeName: TEXT,
    processEntities: false, // decoded below: only what XML itself defines, and never in CDATA
    parseTagValue: false, // `0123`, `1e5` and 19-digit ids are text
    trimValues: false,
    ignoreAttributes: true,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: MAX_DEPTH,
    onDangerousProperty: (name) => name, // our objects have no prototype that a name could reach
  })
  return (text) => {
    const document = text.startsWith('\uFEFF') ? text.slice(1) : text
    const fault = findMarkupFault(document) ?? findFormFault(document)
    if (fault) return { ok: false, ...fault }
    try {
      const nodes: unknown = parser.parse(document)
      return readRoot(nodes)
    } catch {
      // The library's message may quote the document, so it goes nowhere.
      return malformed('too deep, a reserved name, or an unknown reference')
    }
  }
}

function findFormFault(document: string): XmlFault | undefined {
  const verdict = XMLValidator.validate(document)
  if (verdict === true) return undefined
  const { code, line, col } = verdict.err
  return { fault: 'malformed', detail: `${code} at line ${line}, column ${col}` }
}

function readRoot(nodes: unknown): XmlResult {
  const [root, ...others] = childrenOf(nodes)
  const name = root && nameOf(root)
  if (!root || !name || name === CDATA || others.length > 0) {
    return malformed('not exactly one root element')
  }
  const value = readElement(root[name])
  if (typeof value === 'object' && !isList(value)) return { ok: true, fields: value }
  return value.length === 0 ? { ok: true, fields: emptyFields() } : malformed('no fields')
}

function malformed(detail: string): XmlResult {
  return { ok: false, fault: 'malformed', detail }
}

/** An element's text when it holds no elements, else its fields. */
function readElement(content: unknown): Field {
  const fields = emptyFields()
  let text = ''
  let hasFields = false
  for (const node of childrenOf(content)) {
    const name = nameOf(node)
    if (name === TEXT) text += decodeReferences(String(node[TEXT]))
    else if (name === CDATA)
      text += childrenOf(node[CDATA])
        .map((part) => part[TEXT])
        .join('')
    else if (name !== undefined) {
      hasFields = true
      addField(fields, name, readElement(node[name]))
    }
  }
  return hasFields ? fields : text
}

function childrenOf(content: unknown): readonly Node[] {
  return Array.isArray(content) ? (content as readonly Node[]) : []
}

function nameOf(node: Node): string | undefined {
  return Object.keys(node)[0]
}

function decodeReferences(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&([^;&]*);?/g, (_, name: string) => {
    const decoded = name.startsWith('#') ? decodeNumber(name.slice(1)) : NAMED_REFERENCES.get(name)
    if (decoded === undefined) throw new SyntaxError('unknown reference')
    return decoded
  })
}

/** The character of `#…` or `#x…`; undefined where XML 1.0 (section 2.2) has none. */
function decodeNumber(digits: string): string | undefined {
  const hex = /^x([0-9a-fA-F]{1,6})$/.exec(digits)?.[1]
  const decimal = /^[0-9]{1,7}$/.exec(digits)?.[0]
  const code = hex ? Number.parseInt(hex, 16) : decimal ? Number.parseInt(decimal, 10) : 0
  if (code > 0x10ffff) return undefined
  const character = String.fromCodePoint(code)
  return /^[\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]$/u.test(character)
    ? character
    : undefined
}
