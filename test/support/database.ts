import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { Client } from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
import { openDatabase } from '../../src/database/connection.ts'
import { createLog } from '../../src/foundation/log.ts'

/** What the global set-up hands to every test file. */
export interface TestServer {
  /** A superuser's, or that of a user who may create databases. */
  readonly url: string
  /** The database that holds the migrated schema and nothing else. */
  readonly template: string
  /** `strategy file_copy`, which takes 20 ms instead of 160; nothing on 14, which has no other. */
  readonly strategy: string
}

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: TestServer
  }
}

/** A database of one test file, with the whole schema and no rows. */
export interface TestDatabase {
  readonly url: string
  /** A pool on it; `drop` closes it. */
  readonly db: Knex
  /** Another pool on the same database, as a second process would have; `drop` closes it too. */
  openAnother(): Knex
  drop(): Promise<void>
}

/**
 * A copy of the migrated template database.
 *
 * @param options `empty` starts from a database without any schema instead.
 */
export async function createTestDatabase(
  options: { readonly empty?: boolean } = {},
): Promise<TestDatabase> {
  const server = inject('testServer')
  const name = `wcg_test_${randomBytes(6).toString('hex')}`
  const template = options.empty ? 'template0' : server.template
  await runOnServer(server.url, `create database ${name} template ${template} ${server.strategy}`)

  const url = urlOfDatabase(server.url, name)
  const pools: Knex[] = []
  const openAnother = () => {
    const pool = openDatabase({ url, log: createLog('silent'), applicationName: 'wcg-test' })
    pools.push(pool)
    return pool
  }
  const drop = async () => {
    await Promise.all(pools.map((pool) => pool.destroy()))
    await runOnServer(server.url, `drop database if exists ${name} with (force)`)
  }
  return { url, db: openAnother(), openAnother, drop }
}

/**
 * Gives a test file its own database for as long as it runs.
 *
 * @returns a function to call inside tests: `const database = useTestDatabase()` at the top of the
 *   file, `database().db` in a test.
 */
export function useTestDatabase(options: { readonly empty?: boolean } = {}): () => TestDatabase {
  let database: TestDatabase | undefined
  beforeAll(async () => {
    database = await createTestDatabase(options)
  })
  afterAll(async () => {
    await database?.drop()
  })
  return () => {
    if (!database) throw new Error('the test database exists only inside tests and hooks')
    return database
  }
}

/** Runs one statement on a connection of its own. */
export async function runOnServer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/**
 * Statements of this database that wait for somebody's lock; in other databases of the server others
 * wait, too. Not to be asked within a transaction: it would see the same again and again.
 *
 * @param words what the statements contain.
 */
export async function countLockWaits(db: Knex, words = ''): Promise<number> {
  const { rows } = await db.raw<{ rows: { waiting: number }[] }>(
    `select count(*)::integer as waiting from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and strpos(query, ?) > 0`,
    [words],
  )
  return rows[0]?.waiting ?? 0
}

/** The same server and user, another database. */
export function urlOfDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}
