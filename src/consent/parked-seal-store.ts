import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import { countSeals, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfParked } from './place-push.ts'

interface SealedPush {
  readonly id: string
  readonly parent_id: number
  readonly tenant: string
  readonly repeat_key: Buffer
  readonly sealed: string
}

/** Rows of one transaction. */
const BATCH = 500

/**
 * Seals again, under the current master key, the pushes that wait for an account. A batch is a
 * transaction, and what is done is not found again: it may be stopped anywhere and run once more.
 *
 * @returns how many.
 * @throws AppError `unknown_master_key`, `broken_seal`
 */
export async function resealParked(db: Knex, box: SecretBox): Promise<number> {
  let resealed = 0
  for (;;) {
    const count = await withTransaction(db, (trx) => resealBatch(trx, box))
    resealed += count
    if (count < BATCH) return resealed
  }
}

/** How many pushes wait sealed, and how many of them under older master keys. */
export async function countParkedSeals(db: Knex, keyIds: SecretBox['keyIds']): Promise<SealCount> {
  const { rows } = await db.raw<{ rows: { key_id: string; count: string; first: string }[] }>(
    `select split_part(sealed, '.', 2) as key_id, count(*) as count, min(id) as first
     from parked_push where dropped_at is null
     group by key_id order by key_id`,
  )
  return countSeals(
    keyIds,
    rows.map(({ key_id: keyId, count, first }) => {
      return { place: `parked_push/${first}`, keyIds: [keyId], count: Number(count) }
    }),
  )
}

async function resealBatch(trx: Knex.Transaction, box: SecretBox): Promise<number> {
  const { rows } = await trx.raw<{ rows: SealedPush[] }>(
    `select id, parent_id, tenant, repeat_key, sealed from parked_push
     where dropped_at is null and split_part(sealed, '.', 2) <> ?
     order by id limit ? for update`,
    [box.keyId, BATCH],
  )
  const sealed = rows.map((row) => {
    const { id, tenant } = row
    const place = placeOfParked({ parentId: row.parent_id, tenant, repeatKey: row.repeat_key })
    return { id, sealed: box.seal(box.open(row.sealed, place), place) }
  })
  await trx.raw(
    `update parked_push set sealed = told.sealed
     from json_to_recordset(?::json) as told (id bigint, sealed text)
     where parked_push.id = told.id`,
    [JSON.stringify(sealed)],
  )
  return rows.length
}
