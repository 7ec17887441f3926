import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/wechat/lossless-json.ts'

describe('parseJson', () => {
  it.each([
    ['{"msgid":3487542469355618313}', { msgid: '3487542469355618313' }],
    [
      '{"a":[-9223372036854775808,{"b":18446744073709551615}]}',
      { a: ['-9223372036854775808', { b: '18446744073709551615' }] },
    ],
    ['9007199254740992', '9007199254740992'],
    ['-9007199254740992', '-9007199254740992'],
  ])('keeps every digit of %s', (text, value) => {
    expect(parseJson(text)).toEqual(value)
  })

  it.each([
    '9007199254740991',
    '-9007199254740991',
    '{"msgid":200228332,"errcode":0}',
    '1.0000000000000000123',
    '12345678901234567890.5',
    '12345678901234567890e2',
    '1e400',
    '{"a":"3487542469355618313"}',
    '{"3487542469355618313":null}',
    '"…\\"3487542469355618313…"',
  ])('leaves %s as JSON.parse has it', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  it('leaves any document of strings and safe numbers unchanged', () => {
    const leaf = fc.oneof(fc.string(), fc.maxSafeInteger(), fc.boolean(), fc.constant(null))
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(leaf, fc.array(tie('tree')), fc.dictionary(fc.string(), tie('tree'))),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        const text = JSON.stringify(value)
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it('keeps the digits of any 64-bit integer', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (id) => {
        expect(String(parseJson(String(id)))).toBe(String(id))
        expect(JSON.stringify(parseJson(`{"id":${id}}`)).replaceAll('"', '')).toBe(`{id:${id}}`)
      }),
    )
  })

  it('makes no prototype of a key that is named like one', () => {
    const value = parseJson('{"__proto__":{"a":3487542469355618313}}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":"3487542469355618313"}}')
  })

  it.each(['', '{', '{"a":01}', '<html>', 'undefined'])('refuses %j', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  })
})
