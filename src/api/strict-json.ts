import { InvalidInputError, type Fault } from '../foundation/errors.ts'

/** Deeper than any body of ours; a limit, because what walks a value calls itself. */
const MAX_DEPTH = 32

/**
 * JSON from an application, or a statement of what is wrong with it. Refused besides bad syntax:
 * what PostgreSQL cannot store (NUL, half surrogate pairs), numbers that JavaScript would round, and
 * nesting beyond 32 levels.
 *
 * @param bytes the body as it came; UTF-8.
 * @throws InvalidInputError `malformed_json` or `invalid_request`. Neither repeats the text.
 */
export function parseStrictJson(bytes: Buffer): unknown {
  const value = parse(bytes)
  const faults = faultsIn(value, [])
  if (faults.length > 0) throw new InvalidInputError('invalid_request', faults)
  return value
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    // The parser's own message quotes the body, which may be personal.
    throw new InvalidInputError('malformed_json', [
      { field: 'body', rule: 'must be one JSON value in UTF-8' },
    ])
  }
}

function faultsIn(value: unknown, path: readonly string[]): Fault[] {
  if (path.length > MAX_DEPTH) return [fault(path, `must not nest deeper than ${MAX_DEPTH} levels`)]
  if (typeof value === 'number') return numberFaults(value, path)
  if (typeof value === 'string') return isStorable(value) ? [] : [fault(path, UNSTORABLE)]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => [
    ...(isStorable(key) ? [] : [fault(path, UNSTORABLE)]),
    ...faultsIn(member, [...path, key]),
  ])
}

const UNSTORABLE = 'must not hold a NUL character or half of a surrogate pair'

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** A rounded number stays beyond the limit, so it is seen after parsing too. */
function numberFaults(value: number, path: readonly string[]): Fault[] {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return []
  return [fault(path, 'is beyond ±(2^53−1) and would lose digits; send ids as strings')]
}

function fault(path: readonly string[], rule: string): Fault {
  return { field: path.length === 0 ? 'body' : path.join('.').slice(0, 200), rule }
}
