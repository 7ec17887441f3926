import { describe, expect, it } from 'vitest'
import { explainError, inBoth, SpokenError } from '../../src/commands/explain-error.ts'
import { explainListen } from '../../src/commands/explain-listen.ts'
import { argumentFault } from '../../src/commands/parse-arguments.ts'
import {
  ConfigError,
  ConflictError,
  InvalidInputError,
  NotFoundError,
} from '../../src/foundation/errors.ts'

describe('explainError', () => {
  it('lists every fault, in the language that was asked for', () => {
    const faults = [
      argumentFault('--token', (say) => say('value_missing')),
      { field: 'content', rule: 'must hold a template_id' },
    ]
    const error = new InvalidInputError('bad_arguments', faults)
    expect(explainError(error, 'en')).toMatchObject({
      exitCode: 2,
      code: 'bad_arguments',
      text: 'The input has faults:\n  --token: needs a value behind it\n  content: must hold a template_id',
    })
    expect(explainError(error, 'zh').text).toContain('--token: 后面需要一个值')
  })

  it('exits with 2 for bad settings', () => {
    const error = new ConfigError([{ field: 'PORT', rule: 'must be a number' }])
    expect(explainError(error, 'en')).toMatchObject({ exitCode: 2, code: 'bad_settings' })
  })

  it('exits with 1 for what is not there or stands against it, and names it in Chinese', () => {
    const missing = new NotFoundError('unknown_account', 'no x', { details: { name: 'x' } })
    expect(explainError(missing, 'en')).toMatchObject({ exitCode: 1, text: 'Failed: no x' })
    expect(explainError(missing, 'zh').text).toContain('没有名为 x 的帐号')
    const taken = new ConflictError('account_name_taken', 'taken', { details: { name: 'x' } })
    expect(explainError(taken, 'zh').text).toContain('帐号 x 已存在')
  })

  it('says a failure of a command in its own words', () => {
    const error = new SpokenError(
      'up_to_date',
      inBoth((say) => say('up_to_date')),
    )
    expect(explainError(error, 'en').text).toContain('up to date')
    expect(explainError(error, 'zh').text).toContain('已是最新')
  })

  it.each([
    ['EADDRINUSE', 'port_in_use', 'PORT'],
    ['EACCES', 'port_forbidden', '1023'],
    ['EADDRNOTAVAIL', 'address_unknown', 'HOST'],
    ['ENOTFOUND', 'address_unknown', 'HOST'],
  ])('says what to do where %s keeps a server from listening, and blames no database', (...row) => {
    const [system, code, advice] = row
    const cause = Object.assign(new Error(`listen ${system}`), { code: system })
    const at = { host: 'x.invalid', port: 80 }
    const { text, ...explained } = explainError(explainListen(cause, at), 'en')
    expect([explained.code, text]).toEqual([code, expect.stringContaining(advice)])
    expect(text).not.toContain('DATABASE_URL')
    const named = explainListen(cause, at, { port: '--port', host: '--host' })
    expect(explainError(named, 'zh').text).not.toMatch(/PORT|HOST/)
    expect(explainListen(new Error('x'), at)).toEqual(new Error('x'))
  })

  it('knows a database that does not answer', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    expect(explainError(error, 'en').message).toContain('DATABASE_URL')
  })

  it.each([
    ['ECONNREFUSED', 'database_unavailable', 'does not answer'],
    ['57P03', 'database_unavailable', 'does not answer'],
    ['3D000', 'database_missing', 'createdb'],
    ['28P01', 'database_refused', 'password'],
    ['28000', 'database_refused', 'pg_hba.conf'],
  ])('gives %s of the database the code %s', (state, code, said) => {
    const error = Object.assign(new Error('x'), { code: state, severity: 'FATAL' })
    expect(explainError(error, 'en')).toMatchObject({ exitCode: 1, code })
    expect(explainError(error, 'en').text).toContain(said)
    expect(explainError(error, 'zh').text).toContain('数据库')
  })

  it('admits what it does not know', () => {
    expect(explainError(new TypeError('x is not a function'), 'en')).toMatchObject({
      exitCode: 1,
      code: 'unexpected',
    })
  })
})
