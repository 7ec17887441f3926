import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { InvalidInputError } from '../../src/foundation/errors.ts'
import { readInput } from '../../src/messages/input-faults.ts'

const schema = z.strictObject({
  content: z.object({ data: z.record(z.string(), z.string()) }),
  scene: z.string(),
  count: z.int().optional(),
  events: z.array(z.string()).optional(),
  reason: z.string('must say why').optional(),
})
const GOOD = { content: { data: {} }, scene: 'x' }

function faultsOf(input: unknown) {
  try {
    readInput(schema, input, 'invalid_request')
    return []
  } catch (error) {
    if (error instanceof InvalidInputError) return error.faults
    throw error
  }
}

describe('readInput', () => {
  it.each([
    [{ ...GOOD, content: {} }, 'content.data', 'is required'],
    [{ ...GOOD, content: { data: 'x' } }, 'content.data', 'must be an object'],
    [{ ...GOOD, content: 'x' }, 'content', 'must be an object'],
    [{ ...GOOD, scene: 7 }, 'scene', 'must be text'],
    [{ ...GOOD, scene: undefined }, 'scene', 'is required'],
    [{ ...GOOD, scene: null }, 'scene', 'must be text'],
    [{ ...GOOD, count: 'x' }, 'count', 'must be a number'],
    [{ ...GOOD, count: 1.5 }, 'count', 'must be a whole number'],
    [{ ...GOOD, events: 'x' }, 'events', 'must be a list'],
    [{ ...GOOD, reason: 7 }, 'reason', 'must say why'],
    ['x', 'body', 'must be an object'],
  ])('says of %j what is expected, in words: %s %s', (input, field, rule) => {
    expect(faultsOf(input)).toEqual([{ field, rule }])
  })

  it('reads what is as it should be', () => {
    expect(readInput(schema, GOOD, 'invalid_request')).toEqual(GOOD)
  })
})
