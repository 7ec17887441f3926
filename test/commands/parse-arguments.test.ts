import { describe, expect, it } from 'vitest'
import type { Command } from '../../src/commands/command.ts'
import { parseArguments, readWholeNumber } from '../../src/commands/parse-arguments.ts'
import { InvalidInputError } from '../../src/foundation/errors.ts'

const help = { en: 'x', zh: '字' }
const COMMAND: Command = {
  name: 'try',
  summary: help,
  words: ['NAME'],
  options: {
    secret: { type: 'text', help },
    account: { type: 'text', required: true, help },
    word: { type: 'text', multiple: true, help },
    follow: { type: 'flag', help },
  },
  run: () => Promise.resolve(),
}

function faultsOf(typed: string[]) {
  try {
    parseArguments(COMMAND, typed)
  } catch (error) {
    if (error instanceof InvalidInputError) return error.faults
    throw error
  }
  return []
}

describe('parseArguments', () => {
  it('reads words, texts and flags in any order', () => {
    const args = parseArguments(COMMAND, [
      '--follow',
      '--account=acme',
      'first',
      '--word',
      'a',
      '--word',
      'b',
    ])
    expect(args.word(0)).toBe('first')
    expect(args.text('account')).toBe('acme')
    expect(args.texts('word')).toEqual(['a', 'b'])
    expect(args.flag('follow')).toBe(true)
    expect(args.flag('json')).toBe(false)
    expect(args.text('secret')).toBeUndefined()
  })

  it('takes a value that begins with one dash, or is one', () => {
    const args = parseArguments(COMMAND, ['n', '--account', '-', '--secret', '-x'])
    expect([args.text('account'), args.text('secret')]).toEqual(['-', '-x'])
  })

  it.each([
    [[], ['NAME', '--account'], 'required'],
    [['n', '--account', 'a', 'more'], ['more'], 'too many'],
    [['n', '--account', 'a', '--secret'], ['--secret'], 'needs a value'],
    [['n', '--account', 'a', '--secret', '--follow'], ['--secret'], 'needs a value'],
    [['n', '--account', 'a', '--follow=yes'], ['--follow'], 'takes no value'],
    [['n', '--account', 'a', '--account', 'b'], ['--account'], 'only once'],
    [['n', '--account', 'a', '--acount', 'b'], ['--acount'], 'did you mean --account?'],
  ])('refuses %j', (typed, fields, words) => {
    const faults = faultsOf(typed)
    expect(faults.map((fault) => fault.field)).toEqual(fields)
    expect(faults[0]?.rule).toContain(words)
    expect(faults[0]).toHaveProperty('ruleZh')
  })

  it('does not repeat a secret behind a mistyped option', () => {
    const faults = faultsOf(['n', '--account', 'a', '--seret', 'hunter2'])
    expect(faults).toHaveLength(1)
    expect(JSON.stringify(faults)).not.toContain('hunter2')
  })
})

describe('readWholeNumber', () => {
  it('takes the ends of its range and nothing beyond', () => {
    const range = { least: 0, most: 10 }
    expect(readWholeNumber('--limit', '0', range)).toBe(0)
    expect(readWholeNumber('--limit', '10', range)).toBe(10)
    for (const text of ['11', '-1', '1.5', '', 'ten', '1e1']) {
      expect(() => readWholeNumber('--limit', text, range)).toThrow('--limit')
    }
  })
})
