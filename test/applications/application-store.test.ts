import { beforeEach, describe, expect, it } from 'vitest'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { readNewApplication } from '../../src/applications/application.ts'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { ConflictError, InvalidInputError, NotFoundError } from '../../src/foundation/errors.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()

const storeWith = (clock: Clock = systemClock) =>
  createApplicationStore({ db: database().db, clock })

beforeEach(async () => {
  for (const table of ['application_account', 'application', 'account_secret', 'account']) {
    await database().db(table).delete()
  }
  const key = parseMasterKey(newMasterKey())
  if (!key) throw new Error('a new master key does not parse')
  const accounts = createAccountStore({ db: database().db, box: createSecretBox([key]) })
  for (const name of ['acme', 'beta']) {
    await accounts.add({
      name,
      kind: 'official_account',
      appId: `wx${name}`,
      originalId: `gh_${name}`,
      mode: 'plain',
      token: 'token1',
      aesKey: null,
      secret: 'secret1',
      settings: {},
    })
  }
})

describe('add', () => {
  it('answers the key once and stores only its hash', async () => {
    const store = storeWith()
    const added = await store.add({ name: 'shop', accountNames: ['beta', 'acme'] })
    expect(added.key).toMatch(/^wcg_[\w-]{43}$/)
    expect(added.accountNames).toEqual(['acme', 'beta'])

    const rows: unknown[] = await database().db('application').select('*')
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ key_hash: sha256(added.key), key_hint: added.key.slice(-4) })
    expect(JSON.stringify(rows)).not.toContain(added.key.slice(0, 12))
    expect(JSON.stringify(await store.list())).not.toContain(added.key)
  })

  it('refuses an account that does not exist, and stores nothing', async () => {
    const store = storeWith()
    const adding = store.add({ name: 'shop', accountNames: ['acme', 'nobody'] })
    await expect(adding).rejects.toThrow(NotFoundError)
    await expect(adding).rejects.toThrow('nobody')
    expect(await store.list()).toEqual([])
  })

  it('refuses a second application of the same name, even of a revoked one', async () => {
    const store = storeWith()
    await store.add({ name: 'shop', accountNames: ['acme'] })
    await store.revoke('shop')
    await expect(store.add({ name: 'shop', accountNames: ['acme'] })).rejects.toThrow(ConflictError)
  })
})

describe('authenticate', () => {
  it('knows whose key it is, and which accounts that one may use', async () => {
    const store = storeWith()
    const { key, id, accountIds } = await store.add({ name: 'shop', accountNames: ['acme'] })
    await store.add({ name: 'other', accountNames: ['acme', 'beta'] })
    expect(await store.authenticate(key)).toEqual({
      id,
      name: 'shop',
      accountIds,
      accountNames: ['acme'],
      signatures: 'off',
    })
  })

  it.each(['', 'wcg_', 'wcg_unknown'])('knows nobody by %j', async (key) => {
    const store = storeWith()
    await store.add({ name: 'shop', accountNames: ['acme'] })
    expect(await store.authenticate(key)).toBeUndefined()
  })

  it('refuses a revoked key at once here, and within five seconds elsewhere', async () => {
    let now = 0
    const elsewhere = storeWith({ now: () => new Date(), monotonicMs: () => now })
    const store = storeWith()
    const { key } = await store.add({ name: 'shop', accountNames: ['acme'] })
    expect(await elsewhere.authenticate(key)).toBeDefined()
    await store.revoke('shop')
    expect(await store.authenticate(key)).toBeUndefined()
    now = 5_000
    expect(await elsewhere.authenticate(key)).toBeUndefined()
  })
})

describe('revoke', () => {
  it('keeps the time of the first revocation', async () => {
    const store = storeWith()
    await store.add({ name: 'shop', accountNames: ['acme'] })
    await store.revoke('shop')
    const [first] = await store.list()
    await store.revoke('shop')
    expect(first?.revokedAt).toBeInstanceOf(Date)
    expect(await store.list()).toEqual([first])
  })

  it('refuses an application that does not exist', async () => {
    await expect(storeWith().revoke('nobody')).rejects.toThrow(NotFoundError)
  })
})

describe('readNewApplication', () => {
  it('reads the accounts between commas, each once', () => {
    expect(readNewApplication({ name: 'shop', accounts: 'acme, beta,acme' })).toEqual({
      name: 'shop',
      accountNames: ['acme', 'beta'],
    })
  })

  it.each([
    [{ name: 'Shop', accounts: 'acme' }, ['NAME']],
    [{ name: 'shop' }, ['--accounts']],
    [{ accounts: 'acme,' }, ['NAME', '--accounts']],
  ])('refuses %j and names the fields', (input, fields) => {
    try {
      readNewApplication(input)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidInputError)
      expect(
        error instanceof InvalidInputError && error.faults.map((fault) => fault.field),
      ).toEqual(fields)
    }
  })
})
