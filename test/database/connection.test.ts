import { describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()

describe('openDatabase', () => {
  it('returns 64-bit numbers as text, times as dates and documents parsed', async () => {
    const answer = await database().db.raw<{ rows: unknown[] }>(
      `select 9007199254740993::bigint as big, '{"a":[1]}'::jsonb as document,
              '2026-01-02T03:04:05Z'::timestamptz as at`,
    )
    expect(answer.rows[0]).toEqual({
      big: '9007199254740993',
      document: { a: [1] },
      at: new Date('2026-01-02T03:04:05Z'),
    })
  })

  it('limits statements, locks and idle transactions on every connection', async () => {
    const answer = await database().db.raw<{ rows: { name: string; setting: string }[] }>(
      `select name, setting from pg_settings
       where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')
       order by name`,
    )
    expect(answer.rows.map((row) => Number(row.setting))).toEqual([20_000, 5_000, 15_000])
  })

  it('has no statement compiled, whatever PostgreSQL takes it for', async () => {
    const answer = await database().db.raw<{ rows: unknown[] }>('show jit')
    expect(answer.rows).toEqual([{ jit: 'off' }])
  })

  it('keeps the values of a failed statement out of the message', async () => {
    const statement = 'select ?::text, 1 / 0'
    const failed = database().db.raw<unknown>(statement, ['oSecretPerson'])
    const error: unknown = await failed.catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: '22012' })
    expect(String(error)).toContain('select $1::text, 1 / 0')
    expect(String(error)).not.toContain('oSecretPerson')
  })
})
