import { isList, type Field, type Fields } from '../events/document.ts'

/** Fields while they are being read. */
export type OpenFields = { -readonly [Name in keyof Fields]: Fields[Name] }

/** No fields yet. Without a prototype: an element may be named like one of its members. */
export function emptyFields(): OpenFields {
  return Object.create(null) as OpenFields
}

/** Adds what an element holds; a name that repeats becomes a list. */
export function addField(fields: OpenFields, name: string, value: Field): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else fields[name] = isList(before) ? [...before, value] : [before, value]
}
