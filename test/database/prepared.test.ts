import { describe, expect, it } from 'vitest'
import { isUnavailable } from '../../src/database/availability.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { runPrepared } from '../../src/database/prepared.ts'
import { createLog } from '../../src/foundation/log.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase({ empty: true })

/** A pool of one connection: what it does to that one is seen. */
async function withOneConnection(
  work: (db: ReturnType<typeof openDatabase>) => Promise<void>,
): Promise<void> {
  const db = openDatabase({ url: database().url, log: createLog('silent'), poolMax: 1 })
  try {
    await work(db)
  } finally {
    await db.destroy()
  }
}

const WHO = { name: 'who', text: 'select pg_backend_pid() as pid, ?::int[] as numbers' }

describe('runPrepared', () => {
  it('answers the rows, and a connection knows the statement by its name the next time', () =>
    withOneConnection(async (db) => {
      const [first] = await runPrepared<{ pid: number }>(db, WHO, [[1, 2]])
      const [second] = await runPrepared(db, WHO, [[3]])
      expect(second).toEqual({ pid: first?.pid, numbers: [3] })
      const known = await runPrepared(
        db,
        { name: 'known', text: `select name from pg_prepared_statements where name = 'who'` },
        [],
      )
      expect(known).toEqual([{ name: 'who' }])
    }))

  it('leaves the connection to others when the statement fails', () =>
    withOneConnection(async (db) => {
      const failing = { name: 'failing', text: 'select 1 / ?::int' }
      await expect(runPrepared(db, failing, [0])).rejects.toMatchObject({ code: '22012' })
      expect(await runPrepared(db, failing, [1])).toEqual([{ '?column?': 1 }])
    }))

  it('says in time that the database is too slow, and throws that connection away', () =>
    withOneConnection(async (db) => {
      const [before] = await runPrepared<{ pid: number }>(db, WHO, [[]])
      const slow = { name: 'slow', text: 'select pg_sleep(5)', limitMs: 100 }
      const startedMs = performance.now()
      const error: unknown = await runPrepared(db, slow, []).catch((caught: unknown) => caught)
      expect(isUnavailable(error)).toBe(true)
      const [after] = await runPrepared<{ pid: number }>(db, WHO, [[]])
      expect(performance.now() - startedMs).toBeLessThan(4_000)
      expect(after?.pid).not.toBe(before?.pid)
    }))
})
