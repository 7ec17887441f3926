import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { withTransaction } from '../../src/database/unit-of-work.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase({ empty: true })

beforeAll(async () => {
  await database().db.raw('create table counter (name text primary key, value int not null)')
})

beforeEach(async () => {
  await database().db.raw(
    `insert into counter values ('a', 0), ('b', 0)
     on conflict (name) do update set value = 0`,
  )
})

function failingWith(code: string) {
  return `do $$ begin raise exception using errcode = '${code}'; end $$`
}

async function values(): Promise<number[]> {
  return database().db<{ name: string; value: number }>('counter').orderBy('name').pluck('value')
}

describe('withTransaction', () => {
  it('commits what the work wrote and returns its result', async () => {
    const result = await withTransaction(database().db, async (trx) => {
      await trx.raw(`update counter set value = 1`)
      return 'done'
    })
    expect(result).toBe('done')
    expect(await values()).toEqual([1, 1])
  })

  it('undoes everything when the work throws, and runs it once', async () => {
    let runs = 0
    const work = withTransaction(database().db, async (trx) => {
      runs += 1
      await trx.raw(`update counter set value = 1`)
      throw new Error('no')
    })
    await expect(work).rejects.toThrow('no')
    expect(await values()).toEqual([0, 0])
    expect(runs).toBe(1)
  })

  it.each(['40001', '40P01'])('runs the work again after %s', async (code) => {
    let runs = 0
    await withTransaction(database().db, async (trx) => {
      runs += 1
      await trx.raw(`update counter set value = value + 1`)
      if (runs < 3) await trx.raw(failingWith(code))
    })
    expect(runs).toBe(3)
    expect(await values()).toEqual([1, 1])
  })

  it('gives up after the third try', async () => {
    let runs = 0
    const work = withTransaction(database().db, async (trx) => {
      runs += 1
      await trx.raw(failingWith('40001'))
    })
    await expect(work).rejects.toMatchObject({ code: '40001' })
    expect(runs).toBe(3)
  })

  it('finishes both of two transactions that deadlock', async () => {
    const bothHoldOne = barrier(2)
    const add = (first: string, second: string) =>
      withTransaction(database().db, async (trx) => {
        await trx.raw('update counter set value = value + 1 where name = ?', [first])
        await bothHoldOne()
        await trx.raw('update counter set value = value + 1 where name = ?', [second])
      })
    await Promise.all([add('a', 'b'), add('b', 'a')])
    expect(await values()).toEqual([2, 2])
  })
})

/** A function that returns once it was called `count` times, and at once from then on. */
function barrier(count: number): () => Promise<void> {
  const open = Promise.withResolvers<void>()
  let arrived = 0
  return () => {
    arrived += 1
    if (arrived >= count) open.resolve()
    return open.promise
  }
}
