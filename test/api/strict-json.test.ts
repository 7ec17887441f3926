import { describe, expect, it } from 'vitest'
import { parseStrictJson } from '../../src/api/strict-json.ts'
import { InvalidInputError } from '../../src/foundation/errors.ts'

function faultOf(body: string | Buffer) {
  try {
    parseStrictJson(Buffer.from(body as string))
  } catch (error) {
    if (error instanceof InvalidInputError)
      return { code: error.code, field: error.faults[0]?.field }
    throw error
  }
  return undefined
}

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('parseStrictJson', () => {
  it('reads what JSON has', () => {
    const text = '{"a":[1,-2.5,1e3,true,null,"茶 😀"],"limit":9007199254740991}'
    expect(parseStrictJson(Buffer.from(text))).toEqual(JSON.parse(text))
  })

  it.each([
    ['an empty text', ''],
    ['half an object', '{"a":'],
    ['two values', '{} {}'],
    ['a comment', '{} // no'],
    ['NaN', 'NaN'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('refuses %s', (_what, body) => {
    expect(faultOf(body)).toEqual({ code: 'malformed_json', field: 'body' })
  })

  it.each([
    ['a number beyond 2^53−1', '{"a":{"id":9007199254740992}}', 'a.id'],
    ['a number below −(2^53−1)', '[-9007199254740993]', '0'],
    ['a number that is infinite here', '{"a":1e400}', 'a'],
    ['a long id of the platform', '{"msgid":3487542469355618313}', 'msgid'],
    ['a NUL', '{"a":"x\\u0000y"}', 'a'],
    ['half a surrogate pair', '{"a":["\\ud83d"]}', 'a.0'],
    ['a NUL in a name', '{"a":{"x\\u0000":1}}', 'a'],
  ])('refuses %s by name', (_what, body, field) => {
    expect(faultOf(body)).toEqual({ code: 'invalid_request', field })
  })

  it('takes 32 levels and refuses thousands without failing over them', () => {
    expect(faultOf(nested(32))).toBeUndefined()
    expect(faultOf(nested(34))?.code).toBe('invalid_request')
    expect(faultOf(nested(30_000))?.code).toBe('invalid_request')
  })

  it('does not repeat the text that it cannot read', () => {
    expect(() => parseStrictJson(Buffer.from('{"to":"o_person",'))).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('o_person') as string }),
    )
  })
})
