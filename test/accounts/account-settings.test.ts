import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import {
  changeSettings,
  readStoredSettings,
  settingsToStore,
} from '../../src/accounts/account-settings.ts'

describe('settingsToStore', () => {
  it('keeps only what differs from the defaults', () => {
    expect(settingsToStore(DEFAULT_SETTINGS)).toEqual({})
    expect(settingsToStore({ ...DEFAULT_SETTINGS, opt_out_keywords: [] })).toEqual({
      opt_out_keywords: [],
    })
  })
})

describe('changeSettings', () => {
  it('changes what it names, by channel too, and takes away what is 0', () => {
    const before = {
      ...DEFAULT_SETTINGS,
      quiet_hours: '22:00-08:00',
      recipient_per_minute: { template_message: 1, wecom_app_message: 20 },
    }
    const changes = { recipient_per_minute: { template_message: 0, wecom_robot_message: 10 } }
    expect(changeSettings(before, changes)).toEqual({
      ...before,
      recipient_per_minute: { wecom_app_message: 20, wecom_robot_message: 10 },
    })
    expect(changeSettings(before, { quiet_hours: null }).quiet_hours).toBeNull()
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
