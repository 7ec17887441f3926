import { NotFoundError } from '../foundation/errors.ts'
import type { AccountRef } from './message.ts'

/** Who asks: a business application, or an operator at the command line (then `id` is null). */
export interface Caller {
  readonly id: string | null
  readonly name: string
  /** The accounts it may use, and no others exist for it. */
  readonly accounts: readonly AccountRef[]
}

/**
 * The account of this name, if the caller may use it.
 *
 * @throws NotFoundError `account_not_found`, the same for an account that does not exist and for
 *   one that belongs to others: the answer must not tell which.
 */
export function accountOf(caller: Caller, name: string): AccountRef {
  const account = caller.accounts.find((candidate) => candidate.name === name)
  if (!account) {
    throw new NotFoundError(
      'account_not_found',
      'there is no such account for this application; an operator names the accounts of a new application with `wcg app add --accounts`',
    )
  }
  return account
}

/** The ids of all accounts that the caller may use. */
export function accountIdsOf(caller: Caller): readonly number[] {
  return caller.accounts.map((account) => account.id)
}
