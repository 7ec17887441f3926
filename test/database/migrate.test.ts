import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate, pending, rollback } from '../../src/database/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const MIGRATIONS = resolve(import.meta.dirname, '../../migrations')

let database: TestDatabase
let directory: string

beforeEach(async () => {
  database = await createTestDatabase({ empty: true })
  directory = await mkdtemp(join(tmpdir(), `wcg-test-${process.ppid}-`))
})

afterEach(async () => {
  await database.drop()
  await rm(directory, { recursive: true })
})

interface Draft {
  readonly up: string
  readonly down?: string
  readonly transaction?: boolean
}

/** Writes a migration file with a type in it, so that it runs only where TypeScript does. */
async function write(name: string, draft: Draft): Promise<void> {
  await writeFile(
    join(directory, `${name}.ts`),
    `interface Db { raw(sql: string): Promise<unknown> }
     export const config = { transaction: ${draft.transaction ?? true} }
     export async function up(db: Db): Promise<void> { ${draft.up} }
     export async function down(db: Db): Promise<void> { ${draft.down ?? ''} }`,
  )
}

async function allNames(): Promise<string[]> {
  return (await readdir(MIGRATIONS)).map((file) => basename(file, '.ts')).sort()
}

const CREATE_A = '20260101000000_create_a'
const CREATE_B = '20260102000000_create_b'

async function writeTwo(): Promise<void> {
  await write(CREATE_A, {
    up: `await db.raw('create table a ()')`,
    down: `await db.raw('drop table a')`,
  })
  await write(CREATE_B, {
    up: `await db.raw('create table b ()')`,
    down: `await db.raw('drop table b')`,
  })
}

describe('migrate', () => {
  it('lets one of five processes work while the others find nothing to do', async () => {
    const pools = Array.from({ length: 5 }, () => database.openAnother())
    const ran = await Promise.all(pools.map((db) => migrate(db)))
    expect(ran.filter((names) => names.length > 0)).toEqual([await allNames()])
  })

  it('runs what is new, oldest first, under names without ending', async () => {
    await writeTwo()
    expect(await migrate(database.db, { directory })).toEqual([CREATE_A, CREATE_B])
    expect(await migrate(database.db, { directory })).toEqual([])
    const rows = await database.db<{ name: string }>('schema_migration').pluck('name')
    expect(rows).toEqual([CREATE_A, CREATE_B])
  })

  it('leaves nothing of a migration that fails', async () => {
    await write(CREATE_A, { up: `await db.raw('create table a ()'); await db.raw('select 1/0')` })
    await expect(migrate(database.db, { directory })).rejects.toMatchObject({ code: '22012' })
    expect(await database.db.schema.hasTable('a')).toBe(false)
    expect(await pending(database.db, { directory })).toEqual([CREATE_A])
  })

  it('runs though a killed process left the flag of its lock standing', async () => {
    await writeTwo()
    await migrate(database.db, { directory })
    await rollback(database.db, { directory })
    await database.db.raw('update schema_migration_lock set is_locked = 1')
    expect(await migrate(database.db, { directory })).toEqual([CREATE_A, CREATE_B])
  })

  it('builds an index concurrently while others wait for their turn', async () => {
    await write(CREATE_A, {
      transaction: false,
      up: `await db.raw('create table a (id int)')
           await new Promise((resolve) => setTimeout(resolve, 300))
           await db.raw('create index concurrently a_id_idx on a (id)')`,
    })
    const pools = [database.openAnother(), database.openAnother()]
    const ran = await Promise.all(pools.map((db) => migrate(db, { directory })))
    expect(ran.flat()).toEqual([CREATE_A])
  })

  it('refuses a database that a newer version has migrated', async () => {
    await writeTwo()
    await migrate(database.db, { directory })
    await rm(join(directory, `${CREATE_B}.ts`))
    const refusal = { code: 'database_newer', details: { unknown: [CREATE_B] } }
    await expect(migrate(database.db, { directory })).rejects.toMatchObject(refusal)
    await expect(pending(database.db, { directory })).rejects.toMatchObject(refusal)
  })

  it('refuses a file that exports no up or no down', async () => {
    await writeFile(join(directory, `${CREATE_A}.ts`), 'export const up = () => undefined')
    await expect(migrate(database.db, { directory })).rejects.toMatchObject({
      code: 'bad_migration',
    })
  })
})

describe('pending', () => {
  it('names what is missing and writes nothing', async () => {
    await writeTwo()
    expect(await pending(database.db, { directory })).toEqual([CREATE_A, CREATE_B])
    expect(await database.db.schema.hasTable('schema_migration')).toBe(false)
  })
})

describe('rollback', () => {
  it('undoes the last batch only, newest first', async () => {
    await writeTwo()
    await migrate(database.db, { directory })
    await write('20260103000000_create_c', {
      up: `await db.raw('create table c ()')`,
      down: `await db.raw('drop table c')`,
    })
    await migrate(database.db, { directory })
    expect(await rollback(database.db, { directory })).toEqual(['20260103000000_create_c'])
    expect(await rollback(database.db, { directory })).toEqual([CREATE_B, CREATE_A])
    expect(await rollback(database.db, { directory })).toEqual([])
  })
})
