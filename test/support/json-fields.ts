import type { Field, Fields } from '../../src/events/document.ts'

/** A JSON document as fields: every leaf the text that was written, numbers with all their digits. */
export function readJsonFields(text: string): Fields {
  const value: unknown = JSON.parse(text, (_key, leaf: unknown, context?: { source?: string }) =>
    typeof leaf === 'number' ? (context?.source ?? String(leaf)) : leaf,
  )
  return toField(value) as Fields
}

function toField(value: unknown): Field {
  if (Array.isArray(value)) return value.map(toField)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toField(inner)]))
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}
