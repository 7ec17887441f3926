/**
 * JSON with the keys of every object in code-unit order and nothing between the parts: two values
 * that differ only in the order of their keys have one text. `undefined` members are left out.
 *
 * @param value what a JSON parser or a schema returned, dates included; nothing circular.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    isPlainObject(member) ? sortKeys(member) : member,
  )
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sortKeys(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(object)
      .sort()
      .map((key) => [key, object[key]]),
  )
}
