import type { Knex } from 'knex'
import type { Client, QueryResultRow } from 'pg'
import { within } from '../foundation/coarse-timer.ts'

/** A statement that a connection reads and plans once, and then knows by its name. */
export interface PreparedStatement {
  readonly name: string
  /** With `$1`, `$2` … in place of the values. */
  readonly text: string
  /** Absent: as long as the server lets it run. */
  readonly limitMs?: number
}

/** What of a pool of knex's is used here; its types leave it out. */
interface Pool {
  acquireConnection(): Promise<PooledClient>
  releaseConnection(connection: PooledClient): Promise<void>
}

/** knex throws a connection with a mark away instead of lending it again. */
type PooledClient = Client & { __knex__disposed?: unknown }

/**
 * Runs a prepared statement on a connection of the pool, in a transaction of its own. For the few
 * statements of the hot paths: knex would build each anew, and copy its values several times.
 *
 * @returns the rows.
 * @throws what the driver throws, with the server's own message: it may show a value, so log its code
 *   only. When the limit has passed, an error that `isUnavailable` knows; whatever becomes of the
 *   statement, its connection is thrown away.
 */
export async function runPrepared<Row extends QueryResultRow>(
  db: Knex,
  { name, text, limitMs }: PreparedStatement,
  values: readonly unknown[],
): Promise<Row[]> {
  const pool = db.client as Pool
  const connection = await pool.acquireConnection()
  try {
    const running = connection.query<Row>({ name, text, values: [...values] })
    const { rows } = await (limitMs === undefined
      ? running
      : within({ ms: limitMs, tooLate: () => overdue(connection, limitMs) }, running))
    return rows
  } finally {
    void pool.releaseConnection(connection)
  }
}

function overdue(connection: PooledClient, limitMs: number): Error {
  const error = new Error(`no answer of the database within ${limitMs} ms: timeout expired`)
  connection.__knex__disposed = error
  return error
}
