import type { Knex } from 'knex'
import type { ImportedConsent } from './import-line.ts'

/**
 * Writes consents that were given elsewhere, under the locks of their people, in one transaction.
 * Those that stand in the ledger already are left out, so a file can be imported again.
 *
 * @returns how many were new.
 */
export async function importConsents(
  db: Knex,
  accountId: number,
  batch: { readonly consents: readonly ImportedConsent[]; readonly actor: string },
): Promise<number> {
  const { consents, actor } = batch
  const { rows } = await db.raw<{ rows: { written: number }[] }>(
    `select import_consents(
       ?, ?::text[], ?::text[], ?::text[], ?::timestamptz[], ?::text[], ?::integer[], ?
     ) as written`,
    [
      accountId,
      consents.map((one) => one.subject),
      consents.map((one) => one.scope),
      consents.map((one) => one.state),
      consents.map((one) => one.effectiveAt.toISOString()),
      consents.map((one) => one.reason),
      // knex knows no null inside of an array
      `{${consents.map((one) => one.credits ?? 'NULL').join(',')}}`,
      actor,
    ],
  )
  return rows[0]?.written ?? 0
}
