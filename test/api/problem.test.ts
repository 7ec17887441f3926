import { describe, expect, it } from 'vitest'
import { RequestError, toProblem } from '../../src/api/problem.ts'
import {
  AccessError,
  ConfigError,
  ConflictError,
  InvalidInputError,
  InvariantError,
  NotFoundError,
  UnavailableError,
} from '../../src/foundation/errors.ts'

const faults = [{ field: 'to', rule: 'must be text' }]
const withCode = (code: string) => Object.assign(new Error('secret'), { code })
const lost = withCode('57P01')

describe('toProblem', () => {
  it.each<[string, unknown, number, string]>([
    ['bad input', new InvalidInputError('invalid_request', faults), 400, 'invalid_request'],
    ['a bad path', new URIError('secret'), 400, 'malformed_path'],
    ['no key', new AccessError(401, 'key_missing', 'send one'), 401, 'key_missing'],
    ['no right', new AccessError(403, 'forbidden', 'no'), 403, 'forbidden'],
    ['nothing there', new NotFoundError('message_not_found', 'none'), 404, 'message_not_found'],
    ['a conflict', new ConflictError('not_cancellable', 'late'), 409, 'not_cancellable'],
    ['too much', new RequestError(413, 'body_too_large', 'less'), 413, 'body_too_large'],
    [
      'another type',
      new RequestError(415, 'unsupported_media_type', 'json'),
      415,
      'unsupported_media_type',
    ],
    [
      'a dependency away',
      new UnavailableError('token_unavailable', 'later'),
      503,
      'token_unavailable',
    ],
    ['the database away', lost, 503, 'database_unavailable'],
    ['a database that is not there', withCode('3D000'), 503, 'database_unavailable'],
    ['a database that lets nobody in', withCode('28P01'), 503, 'database_unavailable'],
    ['our own mistake', new InvariantError('secret'), 500, 'internal_error'],
    ['settings', new ConfigError([{ field: 'SECRET', rule: 'secret' }]), 500, 'internal_error'],
    ['an unknown error', new Error('secret'), 500, 'internal_error'],
    ['a thrown text', 'secret', 500, 'internal_error'],
  ])('answers %s', (...[, error, status, code]) => {
    const { problem } = toProblem(error, 'r1')
    expect(problem).toMatchObject({ type: 'about:blank', status, code, request_id: 'r1' })
    expect(problem.title).not.toBe('')
    expect(JSON.stringify(problem).toLowerCase()).not.toContain('secret')
  })

  it('names the faults', () => {
    expect(
      toProblem(new InvalidInputError('invalid_request', faults), 'r1').problem.faults,
    ).toEqual(faults)
  })

  it('says how to prove oneself, on 401 alone', () => {
    const headers = (status: 401 | 403) =>
      toProblem(new AccessError(status, 'x', 'y'), 'r1').headers
    expect(headers(401)).toEqual({ 'www-authenticate': 'Bearer' })
    expect(headers(403)).toEqual({})
  })

  it('says when to try again', () => {
    const known = new UnavailableError('x', 'y', { details: { retry_after_seconds: 60 } })
    expect(toProblem(known, 'r1').headers).toEqual({ 'retry-after': '60' })
    expect(toProblem(lost, 'r1').headers).toEqual({ 'retry-after': '5' })
  })

  it('says where a message is that cannot be cancelled, and no other detail', () => {
    const details = { message_status: 'sent', other: 1 }
    const { problem } = toProblem(new ConflictError('not_cancellable', 'x', { details }), 'r1')
    expect(problem).toMatchObject({ message_status: 'sent' })
    expect(problem).not.toHaveProperty('other')
  })
})
