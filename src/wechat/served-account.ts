import type { CodePlatform } from './error-codes.ts'
import type { ApiHost } from './platform-client.ts'

/**
 * The kinds of account that the platforms tell apart, by the names of `accounts/account.ts`. The
 * rooms above pass an account as they have it; this room looks at nothing else of it.
 */
export type ServedKind =
  | 'official_account'
  | 'mini_program'
  | 'component'
  | 'authorizer'
  | 'wecom_app'
  | 'wecom_suite'
  | 'wecom_authorizer'
  | 'wecom_kf'

/** What a merchant's account behind a third-party platform is. */
export type ServedProduct = 'official_account' | 'mini_program'

/** What of an account decides how the platform is spoken to for it. */
export interface ServedAccount {
  readonly kind: ServedKind
  /** Of an authorizer: what it is; null or absent: we have not been told yet. */
  readonly serves?: ServedProduct | null
}

/** A number space of error codes. */
export type CodeSpace = Exclude<CodePlatform, 'any'>
export const CODE_SPACES = ['oa', 'mini', 'open', 'wecom'] as const satisfies readonly CodeSpace[]

/** The kind whose interfaces an account has: an authorizer has those of what it is. */
export function productOf({ kind, serves }: ServedAccount): ServedKind | null {
  return kind === 'authorizer' ? (serves ?? null) : kind
}

/** Whose error codes the answers of an account's calls have. */
export function codeSpaceOf(account: ServedAccount): CodeSpace {
  switch (account.kind) {
    case 'official_account':
      return 'oa'
    case 'mini_program':
      return 'mini'
    case 'component':
      return 'open'
    case 'authorizer':
      return account.serves === 'mini_program' ? 'mini' : 'oa'
    case 'wecom_app':
    case 'wecom_suite':
    case 'wecom_authorizer':
    case 'wecom_kf':
      return 'wecom'
  }
}

/** The API host that speaks a number space. */
export function hostOf(space: CodeSpace): ApiHost {
  return space === 'wecom' ? 'wecom' : 'wechat'
}
