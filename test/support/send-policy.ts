import type { Knex } from 'knex'

const HOUR_MS = 3_600_000

/** Sets settings of an account, straight into its row; the schema keeps the rest. */
export async function setPolicy(
  db: Knex,
  accountId: number,
  settings: Readonly<Record<string, unknown>>,
): Promise<void> {
  await db('account')
    .where({ id: accountId })
    .update({ settings: JSON.stringify(settings) })
}

/** Quiet hours in China from one moment to another, as they are typed. */
export function quietHours(from: Date, until: Date): string {
  return `${chinaTime(from)}-${chinaTime(until)}`
}

/** Quiet hours that began two hours ago and end in two, and when that is. */
export function quietNow(): { readonly hours: string; readonly until: Date } {
  const minute = Math.floor(Date.now() / 60_000) * 60_000
  const until = new Date(minute + 2 * HOUR_MS)
  return { hours: quietHours(new Date(minute - 2 * HOUR_MS), until), until }
}

function chinaTime(moment: Date): string {
  return new Date(moment.getTime() + 8 * HOUR_MS).toISOString().slice(11, 16)
}
