import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import { readStoredSettings, settingsToStore } from '../../src/accounts/account-settings.ts'

describe('settingsToStore', () => {
  it('keeps only what differs from the defaults', () => {
    expect(settingsToStore(DEFAULT_SETTINGS)).toEqual({})
    expect(settingsToStore({ ...DEFAULT_SETTINGS, opt_out_keywords: [] })).toEqual({
      opt_out_keywords: [],
    })
  })
})

describe('readStoredSettings', () => {
  it('puts the stored keys over the defaults', () => {
    expect(readStoredSettings({ token_kind: 'classic' })).toEqual({
      ...DEFAULT_SETTINGS,
      token_kind: 'classic',
    })
  })

  it('ignores a key of another version', () => {
    expect(readStoredSettings({ from_the_future: 1 })).toEqual(DEFAULT_SETTINGS)
  })

  it.each([[{ freshness_seconds: '600' }], [{ keep_templates_on_unfollow: 1 }], ['text']])(
    'does not guess at %j',
    (stored) => {
      expect(() => readStoredSettings(stored)).toThrow('unknown form')
    },
  )
})
