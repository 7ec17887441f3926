import { InvariantError } from '../foundation/errors.ts'
import { ERROR_CODES } from './error-code-table.ts'

/** The platforms whose codes the table holds; `any` is what is the same in all of them. */
export const CODE_PLATFORMS = ['oa', 'mini', 'open', 'wecom', 'any'] as const
export type CodePlatform = (typeof CODE_PLATFORMS)[number]

/** What kind of answer a code is. What is done about each kind is decided by the caller alone. */
export const ERROR_CLASSES = [
  'ok',
  'token',
  'opt_out',
  'window_closed',
  'invalid_recipient',
  'template',
  'content',
  'quota_daily',
  'rate_minute',
  'ip_whitelist',
  'permission',
  'config',
  'transient',
  'duplicate',
  'blocked_account',
  'other',
] as const
export type ErrorClass = (typeof ERROR_CLASSES)[number]

/**
 * What an opt-out takes back: everything that rests on following the account, or the one template
 * that the message used. Codes whose reach the platform does not state count as `follow`, the wider
 * of the two.
 */
export type OptOutScope = 'follow' | 'template'

interface CodeFacts {
  /** The `errcode`, as in the JSON body; never an HTTP status. */
  readonly code: number
  readonly platform: CodePlatform
  readonly nameZh: string
  readonly nameEn: string
  /** What somebody has to do about it, in a few words. */
  readonly action: string
  /** Where this was read; says so where no page of the platform has it. */
  readonly source: string
}

/** One row of the table; an opt-out always says how far it reaches. */
export type ErrorCode =
  | (CodeFacts & { readonly class: 'opt_out'; readonly optOutScope: OptOutScope })
  | (CodeFacts & { readonly class: Exclude<ErrorClass, 'opt_out'> })

/** A row, or the stated default for a code that no row has. */
export type CodeMeaning =
  | { readonly known: true; readonly row: ErrorCode; readonly class: ErrorClass }
  | { readonly known: false; readonly row: null; readonly class: 'other' }

const keyOf = (platform: CodePlatform, code: number) => `${platform}:${code}`

const BY_KEY: ReadonlyMap<string, ErrorCode> = indexByKey(ERROR_CODES)

/** Where to look, in this order: `wecom` numbers its errors alone, the other three share numbers. */
const SEARCH_ORDER = {
  oa: ['oa', 'mini', 'open', 'any'],
  mini: ['mini', 'oa', 'open', 'any'],
  open: ['open', 'oa', 'mini', 'any'],
  wecom: ['wecom', 'any'],
} as const satisfies Record<Exclude<CodePlatform, 'any'>, readonly CodePlatform[]>

/** The platforms whose rows a platform's codes are looked up in, in this order. */
export function relatedPlatforms(platform: Exclude<CodePlatform, 'any'>): readonly CodePlatform[] {
  return SEARCH_ORDER[platform]
}

/**
 * What a platform means by a code.
 *
 * @param code the `errcode` of an answer.
 * @returns the row of that platform, else of its relatives, else of all; a code that no row has is
 *   class `other` with `known: false`, and `dispatch/unknown-codes.ts` warns of it.
 */
export function lookUpErrorCode(platform: Exclude<CodePlatform, 'any'>, code: number): CodeMeaning {
  for (const place of SEARCH_ORDER[platform]) {
    const row = BY_KEY.get(keyOf(place, code))
    if (row) return { known: true, row, class: row.class }
  }
  return { known: false, row: null, class: 'other' }
}

function indexByKey(rows: readonly ErrorCode[]): ReadonlyMap<string, ErrorCode> {
  const byKey = new Map(rows.map((row) => [keyOf(row.platform, row.code), row]))
  if (byKey.size !== rows.length) throw new InvariantError('two rows of the code table share a key')
  return byKey
}
