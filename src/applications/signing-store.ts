import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import { ConflictError } from '../foundation/errors.ts'
import { countSeals, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'
import { unknownApplication } from './application.ts'
import type { SignatureDemand } from './request-signature.ts'

/** What an application signs with, as it rests. */
export interface SealedSigning {
  readonly applicationId: string
  readonly sealed: string
  readonly previous: string | null
  readonly previousUntil: Date | null
}

/** Where a signing secret rests; the one before keeps its place. */
export function placeOfSigningSecret(applicationId: string): string {
  return `application/${applicationId}/signing_secret`
}

interface SigningRow {
  readonly id: string
  readonly sealed_signing_secret: string
  readonly previous_signing_secret: string | null
  readonly previous_until: Date | null
}

/** Of every application whose requests may be signed; a table of tens of rows, read whole. */
export async function loadSigning(db: Knex): Promise<SealedSigning[]> {
  const rows = await findSealed(db).timeout(QUICK_QUERY_MS)
  return rows.map((row) => ({
    applicationId: row.id,
    sealed: row.sealed_signing_secret,
    previous: row.previous_signing_secret,
    previousUntil: row.previous_until,
  }))
}

/** @throws NotFoundError `unknown_application` when there is none of this name, or it was revoked. */
export async function findSigner(
  db: Knex,
  name: string,
): Promise<{ readonly id: string; readonly signatures: SignatureDemand }> {
  const found = await db('application')
    .where({ name })
    .whereNull('revoked_at')
    .first<{ id: string; signatures: SignatureDemand } | undefined>('id', 'signatures')
  if (!found) throw unknownApplication(name)
  return found
}

/**
 * Puts a new secret in place of the one before, which stays accepted until the time given; null ends
 * it now, and so does a master key that this process does not hold. An application that had none may
 * sign from now on, and need not.
 */
export async function replaceSigningSecret(
  db: Knex,
  id: string,
  secret: {
    readonly sealed: string
    readonly previousUntil: Date | null
    readonly keyIds: SecretBox['keyIds']
  },
): Promise<{ readonly signatures: SignatureDemand; readonly previousUntil: Date | null }> {
  const { sealed, previousUntil, keyIds } = secret
  const opens = `split_part(sealed_signing_secret, '.', 2) = any(?)`
  const { rows } = await db.raw<{
    rows: { signatures: SignatureDemand; previous_until: Date | null }[]
  }>(
    `update application set
       previous_signing_secret =
         case when ?::timestamptz is not null and ${opens} then sealed_signing_secret end,
       previous_until = case when ${opens} then ?::timestamptz end,
       sealed_signing_secret = ?,
       signatures = case signatures when 'off' then 'optional' else signatures end
     where id = ?
     returning signatures, previous_until`,
    [previousUntil, [...keyIds], [...keyIds], previousUntil, sealed, id],
  )
  const [row] = rows
  return {
    signatures: row?.signatures ?? 'off',
    previousUntil: row?.previous_until ?? null,
  }
}

/** @throws ConflictError `signing_secret_missing` when there is nothing to sign with. */
export async function demandSignatures(
  db: Knex,
  application: { readonly id: string; readonly name: string },
  demand: Exclude<SignatureDemand, 'off'>,
): Promise<void> {
  const { id, name } = application
  const changed = await db('application')
    .where({ id })
    .whereNotNull('sealed_signing_secret')
    .update({ signatures: demand })
  if (changed > 0) return
  throw new ConflictError(
    'signing_secret_missing',
    `${name} has no signing secret yet; wcg app rotate ${name} makes one and shows it`,
    { details: { name } },
  )
}

/** No signature is checked or needed any more, and what signed is forgotten. */
export async function forgetSigning(db: Knex, id: string): Promise<void> {
  await db('application').where({ id }).update(NO_SIGNING)
}

/** The columns of an application that does not sign. */
export const NO_SIGNING = {
  signatures: 'off',
  sealed_signing_secret: null,
  previous_signing_secret: null,
  previous_until: null,
}

/**
 * Uses up a nonce: of several requests with the same one, in whatever processes, one gets true.
 * Served by the primary key.
 *
 * @param used.expiresAt when no process can accept the request any more, whatever its clock says.
 */
export async function spendNonce(
  db: Knex,
  used: { readonly applicationId: string; readonly nonce: string; readonly expiresAt: Date },
): Promise<boolean> {
  const { applicationId, nonce, expiresAt } = used
  const { rows } = await db
    .raw<{ rows: unknown[] }>(
      `insert into request_nonce (application_id, nonce, expires_at) values (?, ?, ?)
       on conflict (application_id, nonce) do nothing returning 1`,
      [applicationId, nonce, expiresAt],
    )
    .timeout(QUICK_QUERY_MS)
  return rows.length > 0
}

/** Of what is forgotten at once, so that no statement runs long. */
const SLICE = 5_000

/** Forgets nonces whose requests are too old to be accepted. Served by request_nonce_expires_at_idx. */
export async function forgetOldNonces(db: Knex): Promise<void> {
  let forgotten = SLICE
  while (forgotten === SLICE) {
    const { rowCount } = await db.raw<{ rowCount: number }>(
      // a nonce never changes, so its place is its own
      `delete from request_nonce where ctid = any (array(
         select old.ctid from request_nonce as old
         where old.expires_at < now() order by old.expires_at limit ?
       ))`,
      [SLICE],
    )
    forgotten = rowCount
  }
}

/**
 * Seals again what applications sign with, under the current master key. The rows are locked, so that
 * a rotation of that moment is not undone.
 *
 * @returns of how many applications.
 * @throws AppError `unknown_master_key`, `broken_seal`
 */
export async function resealSigning(db: Knex, box: SecretBox): Promise<number> {
  return withTransaction(db, async (trx) => {
    const rows = await findSealed(trx).orderBy('id').forUpdate()
    const old = rows.filter((row) => isOld(row, box))
    for (const row of old) {
      const place = placeOfSigningSecret(row.id)
      const again = (sealed: string) => box.seal(box.open(sealed, place), place)
      const { sealed_signing_secret: sealed, previous_signing_secret: previous } = row
      await trx('application')
        .where({ id: row.id })
        .update({
          sealed_signing_secret: again(sealed),
          previous_signing_secret: previous === null ? null : again(previous),
        })
    }
    return old.length
  })
}

/** How many applications have a signing secret, and how many of them rest under older master keys. */
export async function countSigningSeals(db: Knex, box: SecretBox): Promise<SealCount> {
  const rows = await findSealed(db)
  return countSeals(
    box.keyIds,
    rows.map((row) => {
      return {
        place: placeOfSigningSecret(row.id),
        keyIds: textsOf(row).map((one) => box.keyIdOf(one)),
      }
    }),
  )
}

function isOld(row: SigningRow, box: SecretBox): boolean {
  return textsOf(row).some((sealed) => box.keyIdOf(sealed) !== box.keyId)
}

function textsOf({ sealed_signing_secret: sealed, previous_signing_secret: previous }: SigningRow) {
  return previous === null ? [sealed] : [sealed, previous]
}

function findSealed(db: Knex) {
  return db<SigningRow>('application')
    .select('id', 'sealed_signing_secret', 'previous_signing_secret', 'previous_until')
    .whereNotNull('sealed_signing_secret')
}
