import { expect } from 'vitest'

/** The matchers of vitest have the type any; these have none that could hide a mistake. */
export const containing = (text: string): unknown => expect.stringContaining(text)
export const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)
export const number: unknown = expect.any(Number)
