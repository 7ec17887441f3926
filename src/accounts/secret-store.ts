import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { InvariantError } from '../foundation/errors.ts'
import { opens, type SecretBox } from '../foundation/sealed-secrets.ts'
import type { Account, CallbackKey } from './account.ts'
import { refuseFaults, spokenFault } from './account-rules.ts'

/**
 * The names of an account's secrets, as its table knows them. `app_secret` is whatever the account
 * gets its token with: AppSecret, component_appsecret, corpsecret or suite_secret.
 */
export const SECRET_NAMES = [
  'app_secret',
  'callback_token',
  'callback_aes_key',
  'previous_callback_token',
  'previous_callback_aes_key',
  'provider_secret',
  'refresh_token',
  'permanent_code',
  'ticket',
  'previous_ticket',
] as const
export type SecretName = (typeof SECRET_NAMES)[number]

/** Those that an account which an operator adds has, or has after a rotation. */
export const OPERATOR_SECRETS: readonly SecretName[] = SECRET_NAMES.slice(0, 5)

const CURRENT = ['callback_token', 'callback_aes_key'] as const
const TICKETS = ['ticket', 'previous_ticket'] as const
const PREVIOUS = ['previous_callback_token', 'previous_callback_aes_key'] as const

interface SecretRow {
  readonly account_id: number
  readonly name: SecretName
  readonly sealed: string
}

/** A new pair, or half of one. */
interface NewPair {
  readonly token: string | undefined
  readonly aesKey: string | undefined
}

/**
 * Where a secret rests; its sealed text opens nowhere else. The two newest tickets have one place: the
 * database moves a ticket aside when a newer one comes.
 */
export function placeOfSecret(accountId: number, name: SecretName): string {
  return `account/${accountId}/${name === 'previous_ticket' ? 'ticket' : name}`
}

/**
 * The sealed rows of `account_secret`. Each text is sealed to its own place, so a row copied over
 * another one does not open.
 */
export function createSecretStore(box: SecretBox) {
  async function list(db: Knex, accountIds: readonly number[]): Promise<Map<number, SecretRow[]>> {
    const rows = await db<SecretRow>('account_secret')
      .select('account_id', 'name', 'sealed')
      .whereIn('account_id', accountIds)
      .orderBy('name')
      .timeout(QUICK_QUERY_MS)
    return Map.groupBy(rows, (row) => row.account_id)
  }

  function openFrom(accountId: number, rows: readonly SecretRow[], name: SecretName) {
    const row = rows.find((candidate) => candidate.name === name)
    return row && box.open(row.sealed, placeOfSecret(accountId, name))
  }

  function openKey(
    accountId: number,
    rows: readonly SecretRow[],
    prefix: '' | 'previous_',
  ): CallbackKey | null {
    const token = openFrom(accountId, rows, `${prefix}callback_token`)
    const aesKey = openFrom(accountId, rows, `${prefix}callback_aes_key`) ?? null
    return token === undefined ? null : { token, aesKey }
  }

  /** The current and the previous pair of an account, from its rows; null where it has none. */
  function openCallbackKeys(
    accountId: number,
    rows: readonly SecretRow[],
  ): Pick<Account, 'callbackKey' | 'previousCallbackKey'> {
    return {
      callbackKey: openKey(accountId, rows, ''),
      previousCallbackKey: openKey(accountId, rows, 'previous_'),
    }
  }

  async function put(
    trx: Knex.Transaction,
    accountId: number,
    plain: Partial<Record<SecretName, string>>,
  ): Promise<void> {
    const rows = SECRET_NAMES.flatMap((name) => {
      const text = plain[name]
      if (text === undefined) return []
      const sealed = box.seal(text, placeOfSecret(accountId, name))
      return [{ account_id: accountId, name, sealed, key_id: box.keyId, updated_at: trx.fn.now() }]
    })
    if (rows.length === 0) return
    await trx('account_secret').insert(rows).onConflict(['account_id', 'name']).merge()
  }

  /** Returns whether there was a previous pair to forget. */
  async function dropPrevious(trx: Knex.Transaction, accountId: number): Promise<boolean> {
    const dropped = await trx<SecretRow>('account_secret')
      .where({ account_id: accountId })
      .whereIn('name', PREVIOUS)
      .delete()
    return dropped > 0
  }

  /**
   * Puts a new token or AES key in place and keeps the pair before it. Typing the current pair
   * again changes nothing, so a command that is repeated does not lose the previous one.
   *
   * A pair that does not open (its master key is gone) is no use to keep: a whole new pair takes its
   * place, and with it go the tickets that do not open, which the platform sends again.
   *
   * @throws InvalidInputError when the current pair does not open and only half of a new one is given.
   */
  async function rotateCallbackKey(
    trx: Knex.Transaction,
    accountId: number,
    next: NewPair,
  ): Promise<'unchanged' | 'rotated' | 'replaced'> {
    const rows = (await list(trx, [accountId])).get(accountId) ?? []
    if (!CURRENT.every((name) => doesOpen(accountId, rows, name))) {
      await replaceLostPair(trx, accountId, { rows, next })
      return 'replaced'
    }
    const current = openKey(accountId, rows, '')
    if (!current) throw new InvariantError(`account ${accountId} has no callback pair to rotate`)
    const token = next.token ?? current.token
    const aesKey = next.aesKey ?? current.aesKey
    if (token === current.token && aesKey === current.aesKey) return 'unchanged'
    await dropPrevious(trx, accountId)
    await put(trx, accountId, {
      callback_token: token,
      ...(aesKey === null ? {} : { callback_aes_key: aesKey }),
      previous_callback_token: current.token,
      ...(current.aesKey === null ? {} : { previous_callback_aes_key: current.aesKey }),
    })
    return 'rotated'
  }

  async function replaceLostPair(
    trx: Knex.Transaction,
    accountId: number,
    { rows, next }: { readonly rows: readonly SecretRow[]; readonly next: NewPair },
  ): Promise<void> {
    const { token, aesKey } = next
    refuseHalfPair(
      next,
      rows.some(({ name }) => name === 'callback_aes_key'),
    )
    const lost = TICKETS.filter((name) => !doesOpen(accountId, rows, name))
    await trx<SecretRow>('account_secret')
      .where({ account_id: accountId })
      .whereIn('name', [...PREVIOUS, ...lost])
      .delete()
    await put(trx, accountId, {
      ...(token !== undefined && { callback_token: token }),
      ...(aesKey !== undefined && { callback_aes_key: aesKey }),
    })
  }

  /** What is not stored is no obstacle. */
  function doesOpen(accountId: number, rows: readonly SecretRow[], name: SecretName): boolean {
    const row = rows.find((candidate) => candidate.name === name)
    return !row || opens(box, { sealed: row.sealed, place: placeOfSecret(accountId, name) })
  }

  async function open(db: Knex, accountId: number, name: SecretName): Promise<string | undefined> {
    return openFrom(accountId, (await list(db, [accountId])).get(accountId) ?? [], name)
  }

  /** Whether it is stored, even where its master key is gone. */
  async function has(db: Knex, accountId: number, name: SecretName): Promise<boolean> {
    const rows = (await list(db, [accountId])).get(accountId) ?? []
    return rows.some((row) => row.name === name)
  }

  return {
    list,
    has,
    open,
    openFrom,
    openCallbackKeys,
    put,
    rotateCallbackKey,
    dropPrevious,
  }
}

function refuseHalfPair({ token, aesKey }: NewPair, isKeyNeeded: boolean): void {
  refuseFaults([
    ...(token === undefined ? [spokenFault('--token', 'pair_lost')] : []),
    ...(aesKey === undefined && isKeyNeeded ? [spokenFault('--aes-key', 'pair_lost')] : []),
  ])
}
