import type { Knex } from 'knex'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfSecret, type SecretName } from './secret-store.ts'

/** Whether the master keys of this process open what is stored. */
export interface SealReport {
  /** Sealed texts: secrets and access tokens. */
  readonly total: number
  readonly underOldKeys: number
  readonly unreadableAccountIds: readonly number[]
}

interface SealedRow {
  readonly account_id: number
  readonly sealed: string
  readonly key_id: string
}

interface SecretRow extends SealedRow {
  readonly name: SecretName
}

/**
 * Seals again what an older master key sealed, with the rows locked, so that a rotation or a token
 * refresh of the same moment is not undone.
 *
 * @returns how many secrets and access tokens.
 */
export async function resealAll(
  trx: Knex.Transaction,
  box: SecretBox,
): Promise<{ secrets: number; tokens: number }> {
  const secrets = await secretRows(trx).whereNot({ key_id: box.keyId }).forUpdate()
  for (const row of secrets) {
    const { account_id, name } = row
    await trx('account_secret')
      .where({ account_id, name })
      .update(reseal(box, row, placeOfSecret(account_id, name)))
  }
  const tokens = await tokenRows(trx).whereNot({ key_id: box.keyId }).forUpdate()
  for (const row of tokens) {
    const { account_id } = row
    await trx('access_token')
      .where({ account_id })
      .update(reseal(box, row, placeOfToken(account_id)))
  }
  return { secrets: secrets.length, tokens: tokens.length }
}

/** Tries every sealed text, and counts those under an older master key. */
export async function checkSeals(db: Knex, box: SecretBox): Promise<SealReport> {
  const secrets = await secretRows(db)
  const tokens = await tokenRows(db)
  const rows = [
    ...secrets.map((row) => ({ ...row, place: placeOfSecret(row.account_id, row.name) })),
    ...tokens.map((row) => ({ ...row, place: placeOfToken(row.account_id) })),
  ]
  const unreadable = rows.filter((row) => !opens(box, row))
  return {
    total: rows.length,
    underOldKeys: rows.filter((row) => row.key_id !== box.keyId).length,
    unreadableAccountIds: [...new Set(unreadable.map((row) => row.account_id))],
  }
}

function secretRows(db: Knex) {
  return db<SecretRow>('account_secret')
    .select('account_id', 'name', 'sealed', 'key_id')
    .orderBy(['account_id', 'name'])
}

function tokenRows(db: Knex) {
  return db<SealedRow>('access_token')
    .select('account_id', 'sealed', 'key_id')
    .whereNotNull('sealed')
    .orderBy('account_id')
}

function placeOfToken(accountId: number): string {
  return `access_token/${accountId}`
}

function reseal(box: SecretBox, row: SealedRow, place: string) {
  return { sealed: box.seal(box.open(row.sealed, place), place), key_id: box.keyId }
}

/** The report says whose does not open; the reason is the same for all that a key does not fit. */
function opens(box: SecretBox, row: { readonly sealed: string; readonly place: string }): boolean {
  try {
    box.open(row.sealed, row.place)
    return true
  } catch {
    return false
  }
}
