import type { Knex } from 'knex'
import { countSeals, opens, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfSecret, type SecretName } from './secret-store.ts'

/** Whether the master keys of this process open what is stored: secrets and access tokens. */
export interface SealReport extends SealCount {
  /** Of the accounts of which a secret does not open; a token that does not is fetched afresh. */
  readonly unreadableAccountIds: readonly number[]
}

/** Where tokens rest: those of the accounts, and those of the providers behind suites. */
const TOKEN_TABLES = ['access_token', 'provider_token'] as const
type TokenTable = (typeof TOKEN_TABLES)[number]

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
 * refresh of the same moment is not undone. A token whose key is gone stays: the next refresh
 * replaces it.
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
  let count = 0
  for (const table of TOKEN_TABLES) {
    const tokens = await tokenRows(trx, table).whereIn('key_id', box.keyIds.slice(1)).forUpdate()
    for (const row of tokens) {
      const { account_id } = row
      await trx(table)
        .where({ account_id })
        .update(reseal(box, row, placeOfToken(table, account_id)))
    }
    count += tokens.length
  }
  return { secrets: secrets.length, tokens: count }
}

/** Tries every secret, and counts by key what is sealed. */
export async function checkSeals(db: Knex, box: SecretBox): Promise<SealReport> {
  const secrets = (await secretRows(db)).map(({ name, ...row }) => {
    return { ...row, place: placeOfSecret(row.account_id, name) }
  })
  const tokens: (SealedRow & { readonly place: string })[] = []
  for (const table of TOKEN_TABLES) {
    for (const row of await tokenRows(db, table).whereIn('key_id', box.keyIds)) {
      tokens.push({ ...row, place: placeOfToken(table, row.account_id) })
    }
  }
  const unreadable = secrets.filter((row) => !opens(box, row))
  return {
    ...countSeals(
      box.keyIds,
      [...secrets, ...tokens].map(({ place, key_id }) => ({ place, keyIds: [key_id] })),
    ),
    unreadableAccountIds: [...new Set(unreadable.map((row) => row.account_id))],
  }
}

function secretRows(db: Knex) {
  return db<SecretRow>('account_secret')
    .select('account_id', 'name', 'sealed', 'key_id')
    .orderBy(['account_id', 'name'])
}

function tokenRows(db: Knex, table: TokenTable) {
  return db<SealedRow>(table)
    .select('account_id', 'sealed', 'key_id')
    .whereNotNull('sealed')
    .orderBy('account_id')
}

function placeOfToken(table: TokenTable, accountId: number): string {
  return `${table}/${accountId}`
}

function reseal(box: SecretBox, row: SealedRow, place: string) {
  return { sealed: box.seal(box.open(row.sealed, place), place), key_id: box.keyId }
}
