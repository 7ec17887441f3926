import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'

/** Makes the months of the event log between two times that do not exist; answers their names. */
export async function makeMonths(db: Knex, from: Date, until: Date): Promise<string[]> {
  return namesOf(db, 'create_event_partitions(?, ?)', [from, until])
}

/** Drops the months that end before a time, and what else is older; answers their names. */
export async function dropMonths(db: Knex, before: Date): Promise<string[]> {
  return namesOf(db, 'drop_event_partitions(?)', [before])
}

/** In a transaction of its own, as short as can be: it needs the whole table for a moment. */
async function namesOf(db: Knex, call: string, times: Date[]): Promise<string[]> {
  return withTransaction(db, async (trx) => {
    const { rows } = await trx.raw<{ rows: { name: string }[] }>(
      `select name from ${call} as name`,
      times,
    )
    return rows.map((row) => row.name)
  })
}
