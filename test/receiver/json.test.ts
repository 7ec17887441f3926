import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readJson } from '../../src/receiver/json.ts'

function fieldsOf(text: string): unknown {
  const read = readJson(text)
  // Through JSON, so that objects without a prototype compare as plain ones.
  return read.ok ? JSON.parse(JSON.stringify(read.fields)) : read.detail
}

/** What `readJson` promises of a value that JSON.parse has read: every leaf is text. */
function asText(value: unknown): unknown {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== 'object') return JSON.stringify(value)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, asText(one)]))
}

describe('readJson', () => {
  it.each([
    ['text', '{"a":"b"}', { a: 'b' }],
    [
      'escapes',
      String.raw`{"a":"\"\\\/\b\f\n\r\t\u9000\ud83d\ude00"}`,
      { a: '"\\/\b\f\n\r\t退😀' },
    ],
    ['an integer', '{"a":1767312000}', { a: '1767312000' }],
    ['a long integer', '{"a":1864323726461255681}', { a: '1864323726461255681' }],
    [
      'numbers as they are written',
      '{"a":-0,"b":1.50,"c":1E+5}',
      { a: '-0', b: '1.50', c: '1E+5' },
    ],
    ['words', '{"a":true,"b":false,"c":null}', { a: 'true', b: 'false', c: '' }],
    ['a list', '{"List":[{"a":"1"},{"a":"2"}]}', { List: [{ a: '1' }, { a: '2' }] }],
    ['one item as an object', '{"List":{"a":"1"}}', { List: { a: '1' } }],
    ['nothing', ' { } ', {}],
    ['empty things', '{"a":[],"b":{},"c":""}', { a: [], b: {}, c: '' }],
    ['space anywhere', '\uFEFF\n{ "a" :\t[ 1 , 2 ]\r\n}\n', { a: ['1', '2'] }],
    ['a name twice as a list', '{"a":"1","b":"2","a":"3"}', { a: ['1', '3'], b: '2' }],
    ['a name hidden by an escape', String.raw`{"a":"1","\u0061":"2"}`, { a: ['1', '2'] }],
    ['a key with a leading space', '{" OpenID":"o"}', { ' OpenID': 'o' }],
    ['16 levels', `${'{"a":'.repeat(15)}{"a":1}${'}'.repeat(15)}`, expect.anything()],
  ])('reads %s', (_, text, expected) => {
    expect(fieldsOf(text)).toEqual(expected)
  })

  it('keeps names that mean something on an object as names', () => {
    const read = readJson('{"__proto__":"x","constructor":"y","toString":"z"}')
    expect(read.ok && [...Object.keys(read.fields)]).toEqual([
      '__proto__',
      'constructor',
      'toString',
    ])
  })

  it.each([
    ['nothing', ''],
    ['XML', '<xml/>'],
    ['a text', '"a"'],
    ['a list', '[]'],
    ['a number', '1'],
    ['an open object', '{"a":1'],
    ['a trailing comma', '{"a":1,}'],
    ['a trailing comma in a list', '{"a":[1,]}'],
    ['two objects', '{}{}'],
    ['a bare name', '{a:1}'],
    ['single quotes', "{'a':1}"],
    ['a comment', '{"a":1/**/}'],
    ['a leading zero', '{"a":01}'],
    ['a bare point', '{"a":.5}'],
    ['a plus', '{"a":+1}'],
    ['NaN', '{"a":NaN}'],
    ['a line break in a text', '{"a":"\n"}'],
    ['a broken escape', String.raw`{"a":"\x"}`],
    ['a short escape', String.raw`{"a":"\u12"}`],
    ['a word and more', '{"a":truex}'],
    ['17 levels', `${'{"a":'.repeat(16)}{"a":1}${'}'.repeat(16)}`],
    ['a hundred thousand levels', '{"a":'.repeat(100_000)],
    ['very many values', `{"a":[${'1,'.repeat(5_000)}1]}`],
  ])('refuses %s, and quotes nothing of it', (_, text) => {
    const read = readJson(text)
    expect(read).toMatchObject({ ok: false, fault: 'malformed' })
    expect(JSON.stringify(read)).toMatch(/^\{"ok":false,"fault":"malformed","detail":"[\w #]+"\}$/)
  })

  it('reads what JSON.parse reads, as text', () => {
    const leaf = fc.oneof(fc.integer(), fc.boolean(), fc.constant(null), fc.string())
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 4 }, leaf, tie('list'), tie('object')),
      list: fc.array(tie('any'), { maxLength: 4 }),
      object: fc.dictionary(fc.string(), tie('any'), { maxKeys: 4, noNullPrototype: true }),
    })).object
    const space = fc.constantFrom(undefined, 1, '\t')
    fc.assert(
      fc.property(value, space, (given, indent) => {
        const text = JSON.stringify(given, null, indent)
        expect(fieldsOf(text)).toEqual(asText(JSON.parse(text)))
      }),
      { numRuns: 500 },
    )
  })

  it('agrees with JSON.parse on what is an object of JSON, whatever is broken in one', () => {
    const whole = '{"a":[1,-2.5e3,"x\\n\\u0041",true,null,{"b":""}],"c":{"d":"退"}}'
    fc.assert(
      fc.property(
        fc.nat(whole.length - 1),
        fc.nat(3),
        fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '0', 'e', ' ', '\n', '\u0001'),
        (at, dropped, put) => {
          const text = whole.slice(0, at) + put + whole.slice(at + dropped)
          expect(readJson(text).ok).toBe(isObject(text))
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
