import type { Knex } from 'knex'

/** Messages of one account that one statement moves. */
const SLICE = 5_000

/**
 * Lets what is due in its account's quiet hours rest until their end, and what rests by quiet hours
 * that have changed be due again; see `rest_in_quiet_hours` in docs/schema.sql. Served by
 * message_channel_idx.
 *
 * @returns whether there may be more to move.
 */
export async function restInQuietHours(db: Knex): Promise<boolean> {
  const { rows } = await db.raw<{ rows: { moved: string }[] }>(
    `select rest_in_quiet_hours(?) as moved`,
    [SLICE],
  )
  return Number(rows[0]?.moved ?? 0) >= SLICE
}

/** Until when an account's marketing rests at this moment; null outside its quiet hours. */
export async function readQuietEnd(db: Knex, accountId: number): Promise<Date | null> {
  const { rows } = await db.raw<{ rows: { until: Date | null }[] }>(
    `select quiet_until(quiet_begins, quiet_ends, clock_timestamp()) as until
     from send_policy where account_id = ?`,
    [accountId],
  )
  return rows[0]?.until ?? null
}
