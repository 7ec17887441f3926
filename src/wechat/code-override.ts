import {
  ERROR_CLASSES,
  lookUpErrorCode,
  type CodeMeaning,
  type ErrorClass,
  type ErrorCode,
} from './error-codes.ts'
import { codeSpaceOf, type CodeSpace, type ServedAccount } from './served-account.ts'

/** What an operator decided about a code of one account. */
export interface CodeOverride {
  readonly accountId: number
  readonly code: number
  readonly class: OverrideClass
  readonly actor: string
  readonly reason: string
  readonly createdAt: Date
}

/** Only the platform says that a call succeeded. */
export type OverrideClass = Exclude<ErrorClass, 'ok'>
export const OVERRIDE_CLASSES: readonly OverrideClass[] = ERROR_CLASSES.filter(
  (name) => name !== 'ok',
)

/**
 * The codes that always mark the person as opted out (the product's rule). WeCom uses the same
 * numbers for something else, so there the rule does not hold.
 */
const ALWAYS_OPT_OUT: ReadonlySet<number> = new Set([43004, 40132])

/** Why a code cannot have this class; null when it can. */
export type OverrideFault = 'always_opt_out' | 'code_of_success' | null

/** Whether an operator may give a code this class. */
export function overrideFault(
  space: CodeSpace,
  code: number,
  errorClass: OverrideClass,
): OverrideFault {
  if (code === 0) return 'code_of_success'
  const isFixed = space !== 'wecom' && ALWAYS_OPT_OUT.has(code)
  return isFixed && errorClass !== 'opt_out' ? 'always_opt_out' : null
}

/**
 * What a code means for an account: the table's meaning, in the class that an operator gave it. An
 * override that may not be (a row from elsewhere) changes nothing.
 */
export function meaningOf(
  account: ServedAccount,
  code: number,
  override: Pick<CodeOverride, 'class' | 'reason'> | undefined,
): CodeMeaning {
  const space = codeSpaceOf(account)
  const listed = lookUpErrorCode(space, code)
  if (!override || overrideFault(space, code, override.class) !== null) return listed
  const row = withClass(listed.row ?? unlistedRow(space, code, override.reason), override.class)
  return { known: true, row, class: override.class }
}

/** An opt-out that the table has no reach for takes back the wider: all that rests on following. */
function withClass(row: ErrorCode, errorClass: OverrideClass): ErrorCode {
  if (errorClass !== 'opt_out') return { ...row, class: errorClass }
  const optOutScope = row.class === 'opt_out' ? row.optOutScope : 'follow'
  return { ...row, class: errorClass, optOutScope }
}

function unlistedRow(platform: CodeSpace, code: number, reason: string): ErrorCode {
  return {
    code,
    platform,
    class: 'other',
    nameZh: '未收录',
    nameEn: 'unlisted',
    action: reason,
    source: 'an operator of this gateway',
  }
}
