import { ADVICE_ZH, CLASS_WORDS, type Bilingual } from './code-advice.ts'
import { lookUpErrorCode, type CodePlatform, type ErrorClass } from './error-codes.ts'
import type { CodeSpace } from './served-account.ts'

/** Everything that is known about a code, for the person who found it in a log. */
export interface CodeExplanation {
  readonly code: number
  /** The platform that was asked about. */
  readonly platform: CodeSpace
  /** Whose row it is; relatives share numbers. null: no table has the code. */
  readonly foundIn: CodePlatform | null
  readonly class: ErrorClass
  /** The platform's own words. */
  readonly name: Bilingual | null
  /** What the gateway does. */
  readonly effect: Bilingual
  /** What a person can do. */
  readonly advice: Bilingual
  /** Where it was read; null for a code that is in no table. */
  readonly source: string | null
}

/**
 * What a platform means by a code, what the gateway does about it and what a person can do.
 *
 * @param code the `errcode` of an answer; a code that no table has is class `other`.
 */
export function explainCode(platform: CodeSpace, code: number): CodeExplanation {
  const { row, class: errorClass } = lookUpErrorCode(platform, code)
  const effect = CLASS_WORDS[errorClass]
  const asked = { code, platform, class: errorClass, effect }
  if (!row) return { ...asked, foundIn: null, name: null, advice: UNKNOWN, source: null }
  return {
    ...asked,
    foundIn: row.platform,
    name: { en: row.nameEn, zh: row.nameZh },
    advice: { en: row.action, zh: ADVICE_ZH[`${row.platform}:${row.code}`] ?? effect.zh },
    source: row.source,
  }
}

const UNKNOWN: Bilingual = {
  en: "the code is in no table we know; the platform's words (errmsg) say more",
  zh: '我们的表中没有此错误码；请看平台返回的 errmsg',
}
