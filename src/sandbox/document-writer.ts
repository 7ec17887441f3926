import { cdata } from '../receiver/xml.ts'

/** How a document is written: WeCom and Official Accounts know XML alone. */
export type DocumentFormat = 'xml' | 'json'

/** One field with its text: in CDATA or quotes, unless `bare`. */
export interface Element {
  readonly name: string
  readonly text: string
  readonly bare?: boolean
}

/** A field that holds others. */
export interface Group {
  readonly name: string
  readonly fields: readonly Node[]
}

export type Node = Element | Group

/** `<xml>…</xml>` with one field a line. */
export function writeXml(fields: readonly Node[]): string {
  return `<xml>${fields.map(writeNode).join('\n')}\n</xml>`
}

function writeNode(node: Node): string {
  if ('fields' in node) return `<${node.name}>${node.fields.map(writeNode).join('')}</${node.name}>`
  return `<${node.name}>${node.bare ? node.text : cdata(node.text)}</${node.name}>`
}

/**
 * The same as one JSON object. Bare fields stand as they are: a 64-bit id is a number that no
 * JavaScript number can hold.
 */
export function writeJson(fields: readonly Node[]): string {
  return `{${fields.map((node) => `${JSON.stringify(node.name)}:${writeValue(node)}`).join(',')}}`
}

function writeValue(node: Node): string {
  if ('fields' in node) return writeJson(node.fields)
  return node.bare ? node.text : JSON.stringify(node.text)
}

/** Fields from names and texts, in that order; those without a text are left out. */
export function elements(texts: Readonly<Record<string, string | undefined>>): Element[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    text === undefined ? [] : [{ name, text }],
  )
}
