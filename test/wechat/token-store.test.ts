import { beforeEach, describe, expect, it } from 'vitest'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import {
  createTokenStore,
  type StoredToken,
  type TokenStore,
} from '../../src/wechat/token-store.ts'
import { TOKEN_SOURCE_NAMES } from '../../src/wechat/token-sources.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import { BOX } from '../support/token-desk.ts'

const database = useTestDatabase()
const NOW = new Date('2026-01-31T04:00:00Z')
let store: TokenStore
let accountId: number

beforeEach(async () => {
  store = createTokenStore(database().db, BOX)
  accountId = await insertAccount(database().db)
})

function tokenNamed(value: string): StoredToken {
  return { kind: 'stable', value, fetchedAt: NOW, expiresAt: new Date(NOW.getTime() + 7_200_000) }
}

function take(owner: string, changes: { version?: string; leaseMs?: number; now?: Date } = {}) {
  const wish = {
    accountId,
    owner,
    kind: 'stable',
    version: '0',
    leaseMs: 15_000,
    now: NOW,
  } as const
  return store.takeLease({ ...wish, ...changes })
}

/** Stores a token under a lease of its own and returns its version. */
async function put(value: string, isNew = true): Promise<string> {
  const { version } = await store.read(accountId)
  const lease = { accountId, owner: `put-${value}` }
  await take(lease.owner, { version })
  const kept = await store.keep(lease, tokenNamed(value), isNew)
  if (!kept) throw new Error('the lease was not given')
  return kept.version
}

describe('read', () => {
  it('finds nothing before the first refresh', async () => {
    expect(await store.read(accountId)).toEqual({
      version: '0',
      token: null,
      rejected: false,
      breaker: null,
      failures: 0,
      forced: { at: null, count: 0, day: null },
    })
  })

  it('opens what was sealed, and the row holds it sealed', async () => {
    await put('invented-token')
    expect((await store.read(accountId)).token).toEqual(tokenNamed('invented-token'))
    const row: unknown = await database()
      .db('access_token')
      .where({ account_id: accountId })
      .first()
    expect(row).toMatchObject({ key_id: BOX.keyId })
    expect(JSON.stringify(row)).not.toContain('invented-token')
  })

  it('takes a token that does not open for none, so that the next refresh replaces it', async () => {
    await put('invented-token')
    const key = parseMasterKey('cd'.repeat(32))
    const other = createTokenStore(database().db, createSecretBox([key!]))
    expect(await other.read(accountId)).toMatchObject({ version: '1', token: null })
  })
})

describe('takeLease', () => {
  it('is given to one of many who ask at once', async () => {
    const asked = Array.from({ length: 20 }, (_, index) => take(`owner-${index}`))
    expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1)
  })

  it('is given again when it has run out', async () => {
    expect(await take('first', { leaseMs: 50 })).not.toBeNull()
    expect(await take('second')).toBeNull()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(await take('second')).not.toBeNull()
  })

  it('is not given for a version that has been replaced', async () => {
    await put('one')
    expect(await take('late', { version: '0' })).toBeNull()
    expect(await take('late', { version: '1' })).not.toBeNull()
  })

  it('is not given while the breaker is open', async () => {
    const until = new Date(NOW.getTime() + 60_000)
    await take('first')
    await store.refuse({ accountId, owner: 'first' }, { until, reason: 'config' }, 40013)
    expect(await take('second')).toBeNull()
    expect(await take('second', { now: until })).not.toBeNull()
  })
})

describe('keep', () => {
  it('numbers new tokens one after the other, and ends breaker, failures and lease', async () => {
    await take('first')
    await store.refuse({ accountId, owner: 'first' }, { until: NOW, reason: 'transient' }, null)
    expect(await store.read(accountId)).toMatchObject({ failures: 1, breaker: { until: NOW } })
    expect(await put('one')).toBe('1')
    expect(await put('two')).toBe('2')
    expect(await store.read(accountId)).toMatchObject({ failures: 0, breaker: null, version: '2' })
  })

  it('leaves the number when the platform gave the same token again', async () => {
    await put('one')
    expect(await put('one', false)).toBe('1')
  })

  it('keeps nothing for one whose lease was taken over', async () => {
    await take('slow', { leaseMs: 1 })
    await new Promise((resolve) => setTimeout(resolve, 10))
    await take('quick')
    expect(await store.keep({ accountId, owner: 'slow' }, tokenNamed('late'), true)).toBeNull()
    expect(await store.keep({ accountId, owner: 'quick' }, tokenNamed('good'), true)).not.toBeNull()
    expect((await store.read(accountId)).token?.value).toBe('good')
  })
})

describe('refuse', () => {
  it('changes nothing for one whose lease was taken over', async () => {
    await take('slow', { leaseMs: 1 })
    await new Promise((resolve) => setTimeout(resolve, 10))
    await take('quick')
    await store.refuse({ accountId, owner: 'slow' }, { until: NOW, reason: 'config' }, 40013)
    expect(await store.read(accountId)).toMatchObject({ breaker: null, failures: 0 })
  })
})

describe('markRejected', () => {
  it('marks the current version, once', async () => {
    const version = await put('one')
    expect(await store.markRejected(accountId, version)).toBe(true)
    expect(await store.markRejected(accountId, version)).toBe(false)
    expect((await store.read(accountId)).rejected).toBe(true)
  })

  it.each([
    ['an older', '1'],
    ['an unknown', '9'],
  ])('changes nothing for %s version', async (_name, version) => {
    await put('one')
    await put('two')
    expect(await store.markRejected(accountId, version)).toBe(false)
    expect((await store.read(accountId)).rejected).toBe(false)
  })

  it('is over with the next token', async () => {
    await store.markRejected(accountId, await put('one'))
    await put('two')
    expect(await store.read(accountId)).toMatchObject({ version: '2', rejected: false })
  })
})

describe('countForced', () => {
  it('counts per China day, and only for the holder of the lease', async () => {
    const lease = { accountId, owner: 'first' }
    await take('first')
    const lateOnThatDay = new Date('2026-01-31T15:59:59Z')
    const nextDay = new Date('2026-01-31T16:00:00Z')
    expect(await store.countForced(lease, 15_000, NOW)).toBe(true)
    expect(await store.countForced(lease, 15_000, lateOnThatDay)).toBe(true)
    const forced = async () => (await store.read(accountId)).forced
    expect(await forced()).toEqual({ at: lateOnThatDay, count: 2, day: '2026-01-31' })
    expect(await store.countForced({ accountId, owner: 'other' }, 15_000, nextDay)).toBe(false)
    await store.countForced(lease, 15_000, nextDay)
    expect(await forced()).toEqual({ at: nextDay, count: 1, day: '2026-02-01' })
  })
})

describe('renewLease', () => {
  it('starts the lease anew for its holder, and for nobody else', async () => {
    const lease = { accountId, owner: 'first' }
    await take('first', { leaseMs: 50 })
    expect(await store.renewLease(lease, 15_000)).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(await take('second')).toBeNull()
    expect(await store.renewLease({ accountId, owner: 'second' }, 15_000)).toBe(false)
  })
})

describe('endPause', () => {
  it('closes the breaker of this reason alone', async () => {
    const until = new Date(NOW.getTime() + 60_000)
    await take('first')
    await store.refuse({ accountId, owner: 'first' }, { until, reason: 'no_ticket' }, 61006)
    expect(await store.endPause(accountId, 'config')).toBe(false)
    expect(await store.read(accountId)).toMatchObject({ breaker: { reason: 'no_ticket' } })
    expect(await store.endPause(accountId, 'no_ticket')).toBe(true)
    expect(await store.read(accountId)).toMatchObject({ breaker: null, failures: 0 })
    expect(await store.endPause(accountId, 'no_ticket')).toBe(false)
  })
})

describe('the kinds', () => {
  it.each(TOKEN_SOURCE_NAMES)('keep a token of %s', async (kind) => {
    const table = kind === 'provider' ? 'provider_token' : 'access_token'
    const kinds = createTokenStore(database().db, BOX, table)
    const lease = { accountId, owner: `owner-${kind}` }
    await kinds.takeLease({ ...lease, kind, version: '0', leaseMs: 15_000, now: NOW })
    const kept = await kinds.keep(lease, { ...tokenNamed('one'), kind }, true)
    expect(kept?.token?.kind).toBe(kind)
  })
})
