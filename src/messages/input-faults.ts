import type { z } from 'zod'
import { InvalidInputError, type Fault } from '../foundation/errors.ts'

/** Enough to mend any request by; more would only help somebody who sends rubbish. */
const MAX_FAULTS = 50
const MAX_FIELD_LENGTH = 200

/**
 * What a zod schema found wrong, one fault per field, fields named as the sender wrote them
 * (`content.data.thing1.value`). Values are not repeated: they may be personal.
 */
function faultsOf(error: z.ZodError): Fault[] {
  return error.issues.flatMap(faultsOfIssue).slice(0, MAX_FAULTS)
}

function faultsOfIssue(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: fieldName([...issue.path, key]),
      rule: issue.message,
    }))
  }
  return [{ field: fieldName(issue.path), rule: issue.message }]
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'body' : path.map(String).join('.').slice(0, MAX_FIELD_LENGTH)
}

/** What a value must be, in words; a schema's own sentence goes before. */
const TYPE_RULES: Readonly<Record<string, string>> = {
  string: 'must be text',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  object: 'must be an object',
  record: 'must be an object',
  array: 'must be a list',
}

const IN_OUR_WORDS = {
  error: (issue: z.core.$ZodRawIssue): string | undefined => {
    if (issue.code !== 'invalid_type') return undefined
    return issue.input === undefined ? 'is required' : TYPE_RULES[issue.expected]
  },
}

/**
 * The input as the schema reads it.
 *
 * @throws InvalidInputError `code`, with one fault for each field that breaks a rule.
 */
export function readInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  code: string,
): z.output<Schema> {
  const result = schema.safeParse(input, IN_OUR_WORDS)
  if (!result.success) throw new InvalidInputError(code, faultsOf(result.error))
  return result.data
}
