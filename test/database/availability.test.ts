import { describe, expect, it } from 'vitest'
import { isUnavailable, shutOutBy } from '../../src/database/availability.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createLog } from '../../src/foundation/log.ts'
import { runOnServer, useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()

function errorWith(code: string): Error {
  return Object.assign(new Error('made up'), { code })
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('isUnavailable', () => {
  it.each([
    '08006',
    '08001',
    '53100',
    '53200',
    '53300',
    '57014',
    '57P01',
    '57P02',
    '57P03',
    '58030',
    '55P03',
    '25006',
    '25P03',
    '28000',
    '28P01',
    '3D000',
    '55000',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'ENOTFOUND',
  ])('counts %s as not now', (code) => {
    expect(isUnavailable(errorWith(code))).toBe(true)
  })

  it.each([
    '23505',
    '23503',
    '22P02',
    '42601',
    '42P01',
    '40001',
    '40P01',
    'P0001',
    'ERR_INVALID_ARG_TYPE',
    'EACCES',
    '57',
    '08',
  ])('counts %s as a fault of the query or of us', (code) => {
    expect(isUnavailable(errorWith(code))).toBe(false)
  })

  it('looks at causes', () => {
    expect(isUnavailable(new Error('outer', { cause: errorWith('57P01') }))).toBe(true)
  })

  it.each([undefined, null, 'ECONNREFUSED', { code: '57P01' }, new Error('ECONNREFUSED')])(
    'takes nothing but an error with a code: %s',
    (value) => {
      expect(isUnavailable(value)).toBe(false)
    },
  )

  it('knows a server that is not there', async () => {
    const db = openDatabase({
      url: 'postgres://nobody@127.0.0.1:1/nothing',
      log: createLog('silent'),
    })
    expect(isUnavailable(await errorOf(db.raw('select 1')))).toBe(true)
    await db.destroy()
  })

  it('knows a pool with no connection left', async () => {
    const { url } = database()
    const db = openDatabase({ url, log: createLog('silent'), poolMax: 1 })
    const error = await db.transaction(() => errorOf(db.raw('select 1')))
    expect(isUnavailable(error)).toBe(true)
    await db.destroy()
  })

  it('knows a connection that broke off under a query', async () => {
    const error = new Error('select 1 - Connection terminated unexpectedly')
    expect(isUnavailable(error)).toBe(true)
  })

  it('knows a connection that was ended under a query, and the pool recovers', async () => {
    const { db, url } = database()
    const running = errorOf(db.raw('select pg_sleep(10) /* to be ended */'))
    await expect.poll(() => countSleepers(url)).toBe(1)
    await runOnServer(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where query like '%to be ended%' and pid <> pg_backend_pid()`,
    )
    expect(isUnavailable(await running)).toBe(true)
    await expect.poll(() => errorOf(db.raw('select 1'))).toBeUndefined()
  })

  async function countSleepers(url: string): Promise<number> {
    const db = openDatabase({ url, log: createLog('silent') })
    const answer = await db.raw<{ rows: unknown[] }>(
      `select from pg_stat_activity
       where query like '%to be ended%' and state = 'active' and pid <> pg_backend_pid()`,
    )
    await db.destroy()
    return answer.rows.length
  }
})

describe('shutOutBy', () => {
  it.each([
    ['28P01', 'no_entry'],
    ['28000', 'no_entry'],
    ['3D000', 'no_database'],
    ['57P03', undefined],
    ['ECONNREFUSED', undefined],
    ['28', undefined],
  ])('%s is %s', (code, why) => {
    expect(shutOutBy(errorWith(code))).toBe(why)
    expect(shutOutBy(new Error('outer', { cause: errorWith(code) }))).toBe(why)
  })

  it('knows a database that the server does not have, and a password that is not right', async () => {
    const [missing, refused] = [new URL(database().url), new URL(database().url)]
    missing.pathname = '/nowhere'
    refused.password = 'wrong'
    const whyOf = async (url: URL) => {
      const db = openDatabase({ url: url.href, log: createLog('silent'), poolMax: 1 })
      const error = await errorOf(db.raw('select 1'))
      await db.destroy()
      return shutOutBy(error)
    }
    expect([await whyOf(missing), await whyOf(refused)]).toEqual(['no_database', 'no_entry'])
  })
})
