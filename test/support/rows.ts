import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'

/** An account of its own for a test that needs no secrets. Returns its id. */
export async function insertAccount(db: Knex): Promise<number> {
  const name = `account-${randomBytes(5).toString('hex')}`
  const rows: { id: number }[] = await db('account')
    .insert({
      name,
      kind: 'official_account',
      app_id: `wx${name}`,
      original_id: `gh_${name}`,
      mode: 'safe',
    })
    .returning('id')
  return rows[0]!.id
}
