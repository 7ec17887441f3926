import { describe, expect, it } from 'vitest'
import { explainError, inBoth, SpokenError } from '../../src/commands/explain-error.ts'
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
    const at = { host: '127.0.0.1', port: 80 }
    const error = new SpokenError(
      'port_in_use',
      inBoth((say) => say('port_in_use', at)),
    )
    expect(explainError(error, 'en').text).toContain('PORT')
    expect(explainError(error, 'zh').text).toContain('占用')
  })

  it('knows a database that does not answer', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    expect(explainError(error, 'en').message).toContain('DATABASE_URL')
  })

  it('admits what it does not know', () => {
    expect(explainError(new TypeError('x is not a function'), 'en')).toMatchObject({
      exitCode: 1,
      code: 'unexpected',
    })
  })
})
