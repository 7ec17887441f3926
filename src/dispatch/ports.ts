import type { Account } from '../accounts/account.ts'
import type { CodeMeaning } from '../wechat/error-codes.ts'

/** A token to call with, or why there is none and until when nobody should ask again. */
export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: string; readonly version: string }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly until: Date }

/** What the dispatcher needs of the token keeper. */
export interface Tokens {
  getToken(account: Account, options?: { readonly reread?: boolean }): Promise<TokenAnswer>
  reportRejected(account: Account, version: string): Promise<void>
}

/** Opens what was sealed for one place. */
export type OpenSealed = (sealed: string, place: string) => string

/** Finds the account of a claimed message; undefined when it has been disabled or removed. */
export type FindAccountById = (id: number) => Promise<Account | undefined>

/** Told of every send that was refused for its template; it answers at once and never fails. */
export type TemplateRefused = (refused: {
  readonly accountId: number
  readonly channel: string
  readonly templateId: string
  readonly errcode: number | null
}) => void

/** What a code of the platform means for an account, with what its operator decided about it. */
export type LookUpCode = (account: Account, code: number) => CodeMeaning

/**
 * Sees to it that the day's limit of a path is known before its first call; null: there is nothing
 * to wait for. The promise never fails.
 */
export type QuotaReady = (accountId: number, path: string) => Promise<void> | null
