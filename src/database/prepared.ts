import type { Knex } from 'knex'

/** A statement that a connection reads and plans once, and then knows by its name. */
export interface PreparedStatement {
  readonly name: string
  /** With `?` in place of each value. */
  readonly text: string
  /** Absent: as long as the server lets it run. */
  readonly limitMs?: number
}

/**
 * Runs a prepared statement in a transaction of its own, or in that of the caller.
 *
 * @returns the rows.
 * @throws what the driver throws; when the limit has passed, an error that `isUnavailable` knows.
 *   Whatever becomes of the statement then, its connection is thrown away.
 */
export async function runPrepared<Row>(
  db: Knex,
  { name, text, limitMs }: PreparedStatement,
  values: readonly unknown[],
): Promise<Row[]> {
  const query = db.raw<{ rows: Row[] }>(text, values as Knex.RawBinding[]).options({ name })
  const { rows } = await (limitMs === undefined ? query : query.timeout(limitMs))
  return rows
}
