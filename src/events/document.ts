/**
 * A push as the platform wrote it, read but not yet understood: element or key names as sent, every
 * leaf a string (ids keep all their digits), a list where a name occurs more than once.
 */
export type Field = string | Fields | readonly Field[]

export interface Fields {
  readonly [name: string]: Field | undefined
}

/** The value of a name that must occur at most once and hold text; undefined when absent. */
export function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : undefined
}

/** What a name holds as a list: nothing, the one, or the many. */
export function listOf(fields: Fields, name: string): readonly Field[] {
  const value = fields[name]
  if (value === undefined || value === '') return []
  return isList(value) ? value : [value]
}

/** `Array.isArray` for readonly lists, which it does not tell apart. */
export function isList(value: Field): value is readonly Field[] {
  return Array.isArray(value)
}
