import { describe, expect, it } from 'vitest'
import { corpTokenFrom } from '../../src/accounts/corp-tokens.ts'

describe('corpTokenFrom', () => {
  it.each([
    ['ww8a4c2e6b0d1f3957', 'auto', 'get_corp_token'],
    ['tj8a4c2e6b0d1f3957', 'auto', 'get_corp_token'],
    ['dk8a4c2e6b0d1f3957', 'auto', 'gettoken'],
    ['dk8a4c2e6b0d1f3957', 'get_corp_token', 'get_corp_token'],
    ['ww8a4c2e6b0d1f3957', 'gettoken', 'gettoken'],
  ] as const)('of %s (%s) is %s', (appId, corp_token_from, source) => {
    expect(corpTokenFrom({ appId, settings: { corp_token_from } })).toBe(source)
  })
})
