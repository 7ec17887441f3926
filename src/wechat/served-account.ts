import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { Account, AccountKind } from '../accounts/account.ts'
import type { CodePlatform } from './error-codes.ts'
import type { ApiHost } from './platform-client.ts'

/** What of an account decides how the platform is spoken to for it. */
export interface ServedAccount {
  readonly kind: AccountKind
  /** Of an authorizer: what it is; null or absent: we have not been told yet. */
  readonly serves?: Account['serves']
}

/** A number space of error codes. */
export type CodeSpace = Exclude<CodePlatform, 'any'>
export const CODE_SPACES = ['oa', 'mini', 'open', 'wecom'] as const satisfies readonly CodeSpace[]

/** The kind whose interfaces an account has: an authorizer has those of what it is. */
export function productOf({ kind, serves }: ServedAccount): AccountKind | null {
  return kind === 'authorizer' ? (serves ?? null) : kind
}

/** Whose error codes the answers of an account's calls have: a merchant's account is what it is. */
export function codeSpaceOf({ kind, serves }: ServedAccount): CodeSpace {
  return KIND_RULES[serves ?? kind].platform
}

/** The API host that speaks a number space. */
export function hostOf(space: CodeSpace): ApiHost {
  return space === 'wecom' ? 'wecom' : 'wechat'
}
