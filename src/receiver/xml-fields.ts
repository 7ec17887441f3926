import { isList, type Field, type Fields } from '../events/document.ts'

/** Fields while they are being read. */
export type OpenFields = { -readonly [Name in keyof Fields]: Fields[Name] }

/**
 * Fields inherit nothing: an element may be named like a member of `Object.prototype`. Made by a
 * constructor, because V8 keeps what `Object.create(null)` makes in a slower and larger form.
 */
class NoFields {}
Object.setPrototypeOf(NoFields.prototype, null)
Reflect.deleteProperty(NoFields.prototype, 'constructor')
Object.freeze(NoFields.prototype)

/** No fields yet. */
export function emptyFields(): OpenFields {
  return new NoFields() as OpenFields
}

/** Adds what an element holds; a name that repeats becomes a list. */
export function addField(fields: OpenFields, name: string, value: Field): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else fields[name] = isList(before) ? [...before, value] : [before, value]
}
