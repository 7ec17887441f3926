import { describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { withLongTermTemplates } from '../../src/templates/long-term.ts'
import { accountOf } from '../support/proven-pushes.ts'

const longTermOf = (accounts: readonly Account[]) =>
  accounts.map(({ settings }) => settings.long_term_templates)

describe('withLongTermTemplates', () => {
  it('adds what the platform lists to what the operator named, each once', () => {
    const one = accountOf(1)
    const named = { ...one, settings: { ...one.settings, long_term_templates: ['A', 'B'] } }
    const accounts = [named, accountOf(2), accountOf(3)]
    const listed = new Map([
      [1, ['B', 'C']],
      [3, ['D']],
    ])
    expect(longTermOf(withLongTermTemplates(accounts, listed))).toEqual([
      ['A', 'B', 'C'],
      [],
      ['D'],
    ])
    expect(longTermOf(accounts)).toEqual([['A', 'B'], [], []])
  })
})
