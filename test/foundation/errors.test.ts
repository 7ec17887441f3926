import { describe, expect, it } from 'vitest'
import {
  AppError,
  ConfigError,
  describeError,
  InvalidInputError,
  InvariantError,
  UnavailableError,
} from '../../src/foundation/errors.ts'

describe('AppError', () => {
  it('carries name, code, details and cause', () => {
    const cause = new Error('below')
    const error = new UnavailableError('queue_full', 'full', { cause, details: { waiting: 3 } })
    expect(error).toMatchObject({
      name: 'UnavailableError',
      code: 'queue_full',
      message: 'full',
      details: { waiting: 3 },
      cause,
    })
    expect(error).toBeInstanceOf(AppError)
  })

  it('has no cause where there was none', () => {
    expect('cause' in new AppError('a_code', 'text')).toBe(false)
  })
})

describe('ConfigError and InvalidInputError', () => {
  const faults = [
    { field: 'PORT', rule: 'expected a port' },
    { field: 'HOST', rule: 'expected a host' },
  ]

  it('name every fault', () => {
    expect(new ConfigError(faults).message).toBe('PORT: expected a port\nHOST: expected a host')
    expect(new InvalidInputError('bad', faults).message).toBe(
      'PORT: expected a port; HOST: expected a host',
    )
  })
})

describe('describeError', () => {
  const withFields = (fields: object, message = 'the text') =>
    Object.assign(new Error(message), fields)

  it.each([
    ['ours with its code', new InvariantError('cannot be'), 'invariant_broken: cannot be'],
    ['another with its message', new Error('the text'), 'the text'],
    ['a code beside the message', withFields({ code: 'EPIPE' }), 'EPIPE: the text'],
    ['a code once', withFields({ code: 'EPIPE' }, 'write EPIPE'), 'write EPIPE'],
    [
      "the database's without its text, which repeats values",
      withFields({ code: '23505', severity: 'ERROR' }, 'Key (openid)=(oSecret)'),
      'Error 23505',
    ],
    ['a parser’s without its text', new SyntaxError('Unexpected token oSecret'), 'SyntaxError'],
    ['what is no error by its type', 'oSecret', 'string'],
    ['nothing', undefined, 'undefined'],
  ])('says %s', (_case, error, expected) => {
    expect(describeError(error)).toBe(expected)
  })
})
