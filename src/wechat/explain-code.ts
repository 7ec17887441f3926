import { ADVICE_ZH } from './code-advice-zh.ts'
import { CLASS_RETRIES, CLASS_WORDS, type Bilingual, type Retry } from './code-advice.ts'
import { overrideFault, type CodeOverride } from './code-override.ts'
import { ERROR_CODES } from './error-code-table.ts'
import {
  lookUpErrorCode,
  relatedPlatforms,
  type CodePlatform,
  type ErrorClass,
} from './error-codes.ts'
import type { CodeSpace } from './served-account.ts'

/** Everything that is known about a code, for the person who found it in a log. */
export interface CodeExplanation {
  readonly code: number
  /** The platform that was asked about. */
  readonly platform: CodeSpace
  /** Whose row it is; relatives share numbers. null: no table has the code. */
  readonly foundIn: CodePlatform | null
  /** What holds: the table's class, or the one that an operator gave the account. */
  readonly class: ErrorClass
  /** The platform's own words. */
  readonly name: Bilingual | null
  /** What the gateway does. */
  readonly effect: Bilingual
  /** When the gateway calls again. */
  readonly retry: Retry
  /** What a person can do. */
  readonly advice: Bilingual
  /** Where it was read; null for a code that is in no table. */
  readonly source: string | null
  /** Of the account that was asked about; null: the table holds. */
  readonly override: (CodeOverride & { readonly replaces: ErrorClass }) | null
}

/**
 * What a platform means by a code, what the gateway does about it and what a person can do.
 *
 * @param code the `errcode` of an answer; a code that no table has is class `other`.
 * @param override what an operator decided about it for the account in question.
 */
export function explainCode(
  platform: CodeSpace,
  code: number,
  override?: CodeOverride,
): CodeExplanation {
  const { row, class: listed } = lookUpErrorCode(platform, code)
  const isHeld = override && overrideFault(platform, code, override.class) === null
  const errorClass = isHeld ? override.class : listed
  const effect = CLASS_WORDS[errorClass]
  const asked = {
    code,
    platform,
    class: errorClass,
    effect,
    retry: CLASS_RETRIES[errorClass],
    override: isHeld ? { ...override, replaces: listed } : null,
  }
  if (!row) return { ...asked, foundIn: null, name: null, advice: UNKNOWN, source: null }
  return {
    ...asked,
    foundIn: row.platform,
    name: { en: row.nameEn, zh: row.nameZh },
    advice: {
      en: row.action,
      zh: ADVICE_ZH[`${row.platform}:${row.code}`] ?? CLASS_WORDS[listed].zh,
    },
    source: row.source,
  }
}

/** Every code that an answer of this platform can have, its relatives' too, in numeric order. */
export function codesOf(platform: CodeSpace): readonly number[] {
  const places: readonly CodePlatform[] = relatedPlatforms(platform)
  const codes = ERROR_CODES.filter((row) => places.includes(row.platform)).map(({ code }) => code)
  return [...new Set(codes)].toSorted((one, other) => one - other)
}

const UNKNOWN: Bilingual = {
  en: "the code is in no table we know; the platform's words (errmsg) say more",
  zh: '我们的表中没有此错误码；请看平台返回的 errmsg',
}
