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
  /** Any class: a row may be older than the rules below. */
  readonly class: ErrorClass
  readonly actor: string
  readonly reason: string
  readonly createdAt: Date
}

/** An override that was not taken back, with the account it is for. */
export interface LiveOverride extends CodeOverride {
  /** The account's name. */
  readonly account: string
  readonly space: CodeSpace
}

/**
 * What only the platform says, so that no operator gives or takes it: that a call succeeded, and that
 * a token is dead. A message that counted as sent without it would be lost, and a working token would
 * be thrown away.
 */
const SETTLED = ['ok', 'duplicate', 'token'] as const

/** The classes that an operator can give. */
export type OverrideClass = Exclude<ErrorClass, (typeof SETTLED)[number]>
const isSettled = (name: ErrorClass) => SETTLED.some((settled) => settled === name)
export const OVERRIDE_CLASSES = ERROR_CLASSES.filter(
  (name): name is OverrideClass => !isSettled(name),
)

/**
 * The codes that always mark the person as opted out: 43004 and 40132 by the product's rule, 48002
 * and 50005 because the platform's own words leave nothing to judge. WeCom uses the same numbers for
 * something else, so there the rule does not hold.
 */
const ALWAYS_OPT_OUT: ReadonlySet<number> = new Set([43004, 40132, 48002, 50005])

/** About the person of the message, and nobody else. */
const OF_A_PERSON: ReadonlySet<ErrorClass> = new Set([
  'opt_out',
  'window_closed',
  'invalid_recipient',
])
/** About the account and its calls: the same answer to whomever the message is for. */
const OF_THE_CALLS: ReadonlySet<ErrorClass> = new Set([
  'quota_daily',
  'rate_minute',
  'ip_whitelist',
  'config',
  'transient',
  'blocked_account',
])
/** Classes whose effect reaches the messages to others, or brings another message to this one. */
const REACHES_FURTHER: ReadonlySet<ErrorClass> = new Set([
  'template',
  'quota_daily',
  'blocked_account',
])
const CALLS_AGAIN: ReadonlySet<ErrorClass> = new Set(['quota_daily', 'rate_minute', 'transient'])

/** Why a code cannot have a class; a word of `commands/words.ts`. */
export type OverrideFault =
  | 'code_of_success'
  | 'code_of_token'
  | 'class_is_settled'
  | 'always_opt_out'
  | 'refusal_is_repeated'
  | 'code_of_one_person'
  | 'code_of_no_refusal'
  | 'code_of_no_person'

/** Whether an operator may give a code this class; null: yes. docs/errors.md has the reasons. */
export function overrideFault(
  space: CodeSpace,
  code: number,
  errorClass: ErrorClass,
): OverrideFault | null {
  const { class: listed } = lookUpErrorCode(space, code)
  if (listed === 'token') return 'code_of_token'
  if (isSettled(listed)) return 'code_of_success'
  if (isSettled(errorClass)) return 'class_is_settled'
  if (errorClass === listed) return null
  if (space !== 'wecom' && ALWAYS_OPT_OUT.has(code)) return 'always_opt_out'
  return faultOfReach(listed, errorClass)
}

/** What is about one person stays so; what is about the account does not become one's refusal. */
function faultOfReach(listed: ErrorClass, errorClass: ErrorClass): OverrideFault | null {
  if (listed === 'opt_out' && CALLS_AGAIN.has(errorClass)) return 'refusal_is_repeated'
  if (OF_A_PERSON.has(listed)) return REACHES_FURTHER.has(errorClass) ? 'code_of_one_person' : null
  if (listed === 'other') return null
  if (errorClass === 'opt_out') return 'code_of_no_refusal'
  return OF_THE_CALLS.has(listed) && OF_A_PERSON.has(errorClass) ? 'code_of_no_person' : null
}

/**
 * What a code means for an account: the table's meaning, in the class that an operator gave it. An
 * override that may not be (a row older than the rules) changes nothing.
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
function withClass(row: ErrorCode, errorClass: ErrorClass): ErrorCode {
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
