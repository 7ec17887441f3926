import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import { countSeals, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfMessageSecret } from './message-secret.ts'

interface SealedMessage {
  readonly id: string
  readonly sealed_secret: string
}

/** Rows of one transaction; so many are done in some tens of milliseconds. */
const BATCH = 500

/**
 * Seals again, under the current master key, the credentials of messages that are under way. A batch is
 * a transaction, and what is done is not found again: it may be stopped anywhere and run once more.
 *
 * @returns how many.
 * @throws AppError `unknown_master_key`, `broken_seal`
 */
export async function resealMessages(db: Knex, box: SecretBox): Promise<number> {
  const ids = await findSealed(db).whereRaw(`split_part(sealed_secret, '.', 2) <> ?`, [box.keyId])
  for (let from = 0; from < ids.length; from += BATCH) {
    const batch = ids.slice(from, from + BATCH).map(({ id }) => id)
    await withTransaction(db, (trx) => resealBatch(trx, box, batch))
  }
  return ids.length
}

/** How many credentials of messages rest sealed, and under which master keys. */
export async function countMessageSeals(db: Knex, keyIds: SecretBox['keyIds']): Promise<SealCount> {
  const rows = await findSealed(db)
    .clearSelect()
    .select<{ key_id: string; count: string; first: string }[]>(
      db.raw(`split_part(sealed_secret, '.', 2) as key_id`),
      db.raw(`count(*) as count`),
      db.raw(`min(id::text) as first`),
    )
    .groupBy('key_id')
    .orderBy('key_id')
  return countSeals(
    keyIds,
    rows.map(({ key_id, count, first }) => {
      return { place: placeOfMessageSecret(first), keyIds: [key_id], count: Number(count) }
    }),
  )
}

/** Served by message_channel_idx and message_sending_idx: who ends a message takes its credential away. */
function findSealed(db: Knex) {
  return db('message')
    .select<{ id: string }[]>('id')
    .where((underWay) => {
      void underWay.whereIn('status', ['scheduled', 'queued']).orWhere('status', 'sending')
    })
    .whereNotNull('sealed_secret')
}

/** The rows are locked in the order in which everybody locks messages. */
async function resealBatch(
  trx: Knex.Transaction,
  box: SecretBox,
  ids: readonly string[],
): Promise<void> {
  const rows = await trx('message')
    .select<SealedMessage[]>('id', 'sealed_secret')
    .whereIn('id', ids)
    .whereNotNull('sealed_secret')
    .orderBy('id')
    .forNoKeyUpdate()
  const sealed = rows.map(({ id, sealed_secret }) => {
    const place = placeOfMessageSecret(id)
    return { id, sealed: box.seal(box.open(sealed_secret, place), place) }
  })
  await trx.raw(
    `update message set sealed_secret = told.sealed
     from json_to_recordset(?::json) as told (id uuid, sealed text)
     where message.id = told.id`,
    [JSON.stringify(sealed)],
  )
}
