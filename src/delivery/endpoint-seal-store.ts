import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import { countSeals, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfSecret } from './endpoint-store.ts'

interface SealedEndpoint {
  readonly id: string
  readonly sealed_secret: string
  readonly previous_secret: string | null
}

/**
 * Seals again what signs deliveries, under the current master key: the secret of now and, while one is
 * being changed, the one before. The rows are locked, so that a rotation of that moment is not undone.
 *
 * @returns of how many endpoints.
 * @throws AppError `unknown_master_key`, `broken_seal`
 */
export async function resealEndpoints(db: Knex, box: SecretBox): Promise<number> {
  return withTransaction(db, async (trx) => {
    const rows = await findSealed(trx)
      .whereRaw(
        `(split_part(sealed_secret, '.', 2) <> :key or split_part(previous_secret, '.', 2) <> :key)`,
        { key: box.keyId },
      )
      .orderBy('id')
      .forUpdate()
    for (const row of rows) {
      const place = placeOfSecret(row.id)
      const again = (sealed: string) => box.seal(box.open(sealed, place), place)
      const { sealed_secret, previous_secret } = row
      await trx('endpoint')
        .where({ id: row.id })
        .update({
          sealed_secret: again(sealed_secret),
          previous_secret: previous_secret === null ? null : again(previous_secret),
        })
    }
    return rows.length
  })
}

/** How many endpoints have a secret, and which of them rest under older master keys, or unknown ones. */
export async function countEndpointSeals(db: Knex, box: SecretBox): Promise<SealCount> {
  const rows = await findSealed(db)
  return countSeals(
    box.keyIds,
    rows.map(({ id, sealed_secret, previous_secret }) => {
      const sealed = previous_secret === null ? [sealed_secret] : [sealed_secret, previous_secret]
      return { place: placeOfSecret(id), keyIds: sealed.map((one) => box.keyIdOf(one)) }
    }),
  )
}

/** A removed endpoint signs nothing. */
function findSealed(db: Knex) {
  return db<SealedEndpoint>('endpoint')
    .select('id', 'sealed_secret', 'previous_secret')
    .whereNull('removed_at')
}
