import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, type Account } from '../../src/accounts/account.ts'
import { createAccountCache } from '../../src/accounts/account-cache.ts'
import { systemClock } from '../../src/foundation/clock.ts'

const ACME: Account = {
  id: 7,
  name: 'acme',
  kind: 'official_account',
  appId: 'wx1234567890abcdef',
  originalId: 'gh_0123456789ab',
  agentId: null,
  providerCorpId: null,
  parentId: null,
  serves: null,
  mode: 'plain',
  bodyFormat: 'xml',
  callbackKey: { token: 'callbackToken1', aesKey: null },
  previousCallbackKey: null,
  settings: DEFAULT_SETTINGS,
}

describe('createAccountCache', () => {
  it('finds an account by name and by id', async () => {
    const cache = createAccountCache({ load: () => Promise.resolve([ACME]), clock: systemClock })
    expect(await cache.find('acme')).toBe(ACME)
    expect(await cache.findById(7)).toBe(ACME)
    expect(await cache.find('other')).toBeUndefined()
    expect(await cache.findById(8)).toBeUndefined()
  })

  it('finds an authorizer by its parent and its app id, and under no other parent', async () => {
    const merchant: Account = { ...ACME, id: 8, name: 'merchant', kind: 'authorizer', parentId: 7 }
    const accounts = [ACME, { ...merchant, serves: 'official_account' as const }]
    const cache = createAccountCache({ load: async () => accounts, clock: systemClock })
    expect(await cache.findTenant(7, ACME.appId)).toMatchObject({ name: 'merchant' })
    expect(await cache.findTenant(7, 'wxother')).toBeUndefined()
    expect(await cache.findTenant(8, ACME.appId)).toBeUndefined()
  })

  it('says that the accounts are unavailable, not unknown, when nothing was ever loaded', async () => {
    const load = () => Promise.reject(new Error('no database'))
    const cache = createAccountCache({ load, clock: systemClock })
    await expect(cache.find('acme')).rejects.toMatchObject({ code: 'accounts_unavailable' })
  })
})
