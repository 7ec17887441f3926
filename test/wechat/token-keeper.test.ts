import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startTokenEndpoint, type TokenEndpoint } from '../support/token-endpoint.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import type { TokenAccount } from '../../src/wechat/refresh-token.ts'
import {
  accountOf,
  createHandClock,
  openDesk,
  tokenOf,
  type Desk,
  type HandClock,
} from '../support/token-desk.ts'

const database = useTestDatabase()
const undo: (() => Promise<void>)[] = []
let clock: HandClock
let endpoint: TokenEndpoint
let account: TokenAccount
let desk: Desk

/** Starts the platform anew, with one process and one account that nobody has asked for yet. */
async function start(
  options: { kind?: 'stable' | 'classic'; keepsRevoked?: boolean; overlapSeconds?: number } = {},
): Promise<void> {
  clock = createHandClock()
  endpoint = await startTokenEndpoint(() => clock.now(), options)
  undo.push(() => endpoint.close())
  account = accountOf(await insertAccount(database().db), options.kind)
  desk = open('one')
}

function open(name: string, changes: Partial<Parameters<typeof openDesk>[0]> = {}): Desk {
  const opened = openDesk({ db: database().db, endpoint, clock, name, ...changes })
  undo.push(() => opened.close())
  return opened
}

beforeEach(() => start())
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const get = (from = desk) => tokenOf(from.keeper.getToken(account))

async function metric(from: Desk, name: string): Promise<unknown[]> {
  const found = await from.metrics.registry.getSingleMetric(name)?.get()
  return found?.values.map(({ value, labels }) => ({ value, ...labels })) ?? []
}

describe('getToken', () => {
  it('asks once and then answers from memory', async () => {
    const first = await get()
    for (let call = 0; call < 100; call += 1) expect(await get()).toEqual(first)
    expect(endpoint.accepts(first.token)).toBe(true)
    expect(endpoint.requests).toEqual([
      { kind: 'stable', force: false, appId: 'wx1', secret: 'invented-secret' },
    ])
  })

  it('asks the classic endpoint for an account that is set so', async () => {
    await start({ kind: 'classic' })
    await get()
    expect(endpoint.requests).toEqual([
      { kind: 'classic', force: false, appId: 'wx1', secret: 'invented-secret' },
    ])
  })

  it('uses what another process has fetched', async () => {
    const other = open('two', { db: database().openAnother() })
    expect(await get(other)).toEqual(await get())
    expect(endpoint.requests).toHaveLength(1)
  })

  it('goes on with the old token while one refreshes it in the overlap', async () => {
    const first = await get()
    clock.forward(7200 - 280)
    endpoint.delayMs = 300
    const startedMs = performance.now()
    const answers = await Promise.all(Array.from({ length: 50 }, () => get()))
    expect(performance.now() - startedMs).toBeLessThan(250)
    expect(new Set(answers.map((answer) => answer.token))).toEqual(new Set([first.token]))
    await desk.keeper.settle()
    clock.forward(1)
    expect(await get()).toMatchObject({ version: '2' })
    expect(endpoint.requests).toHaveLength(2)
  })

  it('does not ask again and again when the platform gives the old token once more', async () => {
    // The platform begins its overlap later than it says.
    await start({ overlapSeconds: 240 })
    const first = await get()
    clock.forward(7200 - 280)
    for (let call = 0; call < 20; call += 1) {
      expect((await get()).token).toBe(first.token)
      await desk.keeper.settle()
      clock.forward(1)
    }
    expect(endpoint.requests).toHaveLength(2)
    clock.forward(50)
    await get()
    await desk.keeper.settle()
    clock.forward(1)
    expect(await get()).toMatchObject({ version: '2' })
    expect(endpoint.requests).toHaveLength(3)
  })

  it('waits for a new token when the old one is over', async () => {
    const first = await get()
    clock.forward(7300)
    const second = await get()
    expect(second.token).not.toBe(first.token)
    expect(endpoint.accepts(second.token)).toBe(true)
  })

  it('replaces a holder of the lease that died', async () => {
    const lease = { accountId: account.id, owner: 'dead:1', kind: 'stable', version: '0' } as const
    await desk.store.takeLease({ ...lease, leaseMs: 400, now: clock.now() })
    const startedMs = performance.now()
    const answers = await Promise.all(Array.from({ length: 20 }, () => get()))
    expect(performance.now() - startedMs).toBeGreaterThan(350)
    expect(new Set(answers.map((answer) => answer.token)).size).toBe(1)
    expect(endpoint.requests).toHaveLength(1)
  })

  it('says so when a refresh elsewhere takes too long', async () => {
    const quick = open('quick', { leaseMs: 100 })
    const lease = { accountId: account.id, owner: 'slow:1', kind: 'stable', version: '0' } as const
    await desk.store.takeLease({ ...lease, leaseMs: 60_000, now: clock.now() })
    expect(await quick.keeper.getToken(account)).toMatchObject({
      kind: 'unavailable',
      reason: 'refresh_in_progress',
    })
    expect(endpoint.requests).toHaveLength(0)
  })

  it('opens the breaker for a wrong appid, and hundreds of further calls ask nobody', async () => {
    endpoint.refuseWith({ errcode: 40013, errmsg: 'invalid appid rid: 697d7b87-00000000-00000001' })
    const other = open('two', { db: database().openAnother() })
    const answers = []
    for (let round = 0; round < 3; round += 1) {
      const asked = [desk, other].flatMap((one) =>
        Array.from({ length: 100 }, () => one.keeper.getToken(account)),
      )
      answers.push(...(await Promise.all(asked)))
      clock.forward(60)
    }
    expect(endpoint.requests).toHaveLength(1)
    expect(new Set(answers.map((answer) => answer.kind))).toEqual(new Set(['unavailable']))
    expect(answers[0]).toMatchObject({ reason: 'config' })
    expect(await metric(desk, 'wcg_token_breaker_open')).toEqual([
      { value: 1, account: account.name },
    ])

    clock.forward(130)
    endpoint.recover()
    expect(endpoint.accepts((await get()).token)).toBe(true)
    expect(await metric(desk, 'wcg_token_breaker_open')).toEqual([
      { value: 0, account: account.name },
    ])
    expect(endpoint.requests).toHaveLength(2)
  })

  it('logs a refusal with code, words, rid and advice', async () => {
    endpoint.refuseWith({
      errcode: 40164,
      errmsg:
        'invalid ip 192.0.2.7 ipv6 ::ffff:192.0.2.7, not in whitelist rid: 697d7b87-00000000-00000001',
    })
    await desk.keeper.getToken(account)
    const line: unknown = JSON.parse(
      desk.lines.find((one) => one.includes('token.refused')) ?? '{}',
    )
    expect(line).toMatchObject({
      level: 'error',
      account: account.name,
      errcode: 40164,
      rid: '697d7b87-00000000-00000001',
      reason: 'ip_whitelist',
    })
    expect(JSON.stringify(line)).toContain('192.0.2.7')
    expect(JSON.stringify(line)).toContain('whitelist; alert')
  })

  it.each([
    ['a broken connection', null],
    ['an answer without a token', { expires_in: 7200 }],
    ['a token that is over at once', { access_token: 'x', expires_in: 1 }],
  ])('pauses for a second, then longer, after %s', async (_name, answer) => {
    endpoint.refuseWith(answer)
    for (const [round, seconds] of [1, 2, 4].entries()) {
      const { kind, ...rest } = await desk.keeper.getToken(account)
      expect({ kind, ...rest }).toMatchObject({ kind: 'unavailable', reason: 'transient' })
      expect(endpoint.requests).toHaveLength(round + 1)
      clock.forward(seconds)
    }
  })

  it('uses a good token while the breaker is open', async () => {
    const first = await get()
    clock.forward(7200 - 250)
    endpoint.refuseWith({ errcode: 45009, errmsg: 'reach max api daily quota limit' })
    for (let call = 0; call < 10; call += 1) {
      expect(await get()).toEqual(first)
      await desk.keeper.settle()
      clock.forward(6)
    }
    expect(endpoint.requests).toHaveLength(2)
  })

  it('asks nobody when the AppSecret cannot be read', async () => {
    const blind = open('blind', { secrets: () => Promise.reject(new Error('broken_seal')) })
    expect(await blind.keeper.getToken(account)).toMatchObject({ kind: 'unavailable' })
    expect(endpoint.requests).toHaveLength(0)
    expect(blind.lines.join('')).toContain('token.secret_unreadable')
  })

  it('uses the token in memory while the database is away, until it is over', async () => {
    const pool = database().openAnother()
    const cut = open('cut', { db: pool })
    const first = await get(cut)
    await pool.destroy()
    for (const seconds of [10, 3600, 3500]) {
      clock.forward(seconds)
      expect(await get(cut)).toEqual(first)
    }
    clock.forward(100)
    expect(await cut.keeper.getToken(account)).toMatchObject({
      kind: 'unavailable',
      reason: 'database_unavailable',
    })
    expect(endpoint.requests).toHaveLength(1)
  })

  it('tells the age of the token and counts the refreshes', async () => {
    await get()
    clock.forward(600)
    await get()
    const [age] = await metric(desk, 'wcg_token_age_seconds')
    expect(age).toMatchObject({ account: account.name })
    expect(Math.round((age as { value: number }).value)).toBe(600)
    expect(await metric(desk, 'wcg_token_refreshes_total')).toEqual([
      { value: 1, account: account.name, outcome: 'refreshed' },
    ])
  })

  it('writes neither token nor secret to the log', async () => {
    const { token } = await get()
    clock.forward(7300)
    endpoint.refuseWith({ errcode: 40125, errmsg: 'invalid appsecret' })
    await desk.keeper.getToken(account)
    const written = desk.lines.join('')
    expect(written).toContain('token.refreshed')
    expect(written).toContain('token.refused')
    expect(written).not.toContain(token)
    expect(written).not.toContain('invented-secret')
  })
})

describe('reportRejected', () => {
  it('brings another token, once for many reports', async () => {
    const first = await get()
    endpoint.revoke()
    await Promise.all(
      Array.from({ length: 50 }, () => desk.keeper.reportRejected(account, first.version)),
    )
    const answers = await Promise.all(Array.from({ length: 50 }, () => get()))
    expect(new Set(answers.map((answer) => answer.version))).toEqual(new Set(['2']))
    expect(endpoint.accepts(answers[0]!.token)).toBe(true)
    expect(endpoint.requests).toHaveLength(2)
  })

  it('changes nothing for an older version: a token that works is not thrown away', async () => {
    const first = await get()
    endpoint.revoke()
    await desk.keeper.reportRejected(account, first.version)
    const second = await get()
    const other = open('two', { db: database().openAnother() })
    await desk.keeper.reportRejected(account, first.version)
    await other.keeper.reportRejected(account, first.version)
    expect(await get()).toEqual(second)
    expect(await get(other)).toEqual(second)
    expect(endpoint.requests).toHaveLength(2)
  })

  it('keeps later callers off a look at the row that began before it', async () => {
    const first = await get()
    endpoint.revoke()
    clock.forward(6)
    const before = get()
    const reported = desk.keeper.reportRejected(account, first.version)
    const after = get()
    await reported
    expect(endpoint.accepts((await after).token)).toBe(true)
    await before
    expect(endpoint.accepts((await get()).token)).toBe(true)
    expect(endpoint.requests).toHaveLength(2)
  })

  it('reaches the other processes within seconds', async () => {
    const other = open('two', { db: database().openAnother() })
    const first = await get()
    await get(other)
    endpoint.revoke()
    await desk.keeper.reportRejected(account, first.version)
    const second = await get()
    clock.forward(5)
    expect(await get(other)).toEqual(second)
    expect(endpoint.requests).toHaveLength(2)
  })

  it('forces a new stable token when the platform hands the refused one out again', async () => {
    await start({ keepsRevoked: true })
    const first = await get()
    endpoint.revoke()
    await desk.keeper.reportRejected(account, first.version)
    const second = await get()
    expect(second.token).not.toBe(first.token)
    expect(endpoint.accepts(second.token)).toBe(true)
    expect(endpoint.requests.map((request) => request.force)).toEqual([false, false, true])
  })

  it('forces twice in 30 s never, and 20 times a China day at most', async () => {
    await start({ keepsRevoked: true })
    const refuse = async () => {
      endpoint.revoke()
      await desk.keeper.reportRejected(account, (await get()).version)
    }
    const forced = () => endpoint.requests.filter((request) => request.force).length

    await refuse()
    await get()
    await refuse()
    const early = await desk.keeper.getToken(account)
    expect(early).toMatchObject({ kind: 'unavailable', reason: 'forced_refresh_budget' })
    expect(forced()).toBe(1)

    for (let round = 2; round <= 20; round += 1) {
      clock.forward(31)
      await get()
      expect(forced()).toBe(round)
      await refuse()
    }
    clock.forward(31)
    const over = await desk.keeper.getToken(account)
    expect(over).toEqual({
      kind: 'unavailable',
      reason: 'forced_refresh_budget',
      until: new Date('2026-01-31T16:00:00Z'),
    })
    const requests = endpoint.requests.length
    clock.forward(3600)
    await desk.keeper.getToken(account)
    expect(endpoint.requests).toHaveLength(requests)

    clock.forward(12 * 3600)
    expect(endpoint.accepts((await get()).token)).toBe(true)
  })

  it('does not turn a platform that refuses every classic token into a loop', async () => {
    await start({ kind: 'classic' })
    for (let second = 0; second < 60; second += 1) {
      const answer = await desk.keeper.getToken(account)
      if (answer.kind === 'token') await desk.keeper.reportRejected(account, answer.version)
      clock.forward(1)
    }
    expect(endpoint.requests.length).toBeLessThanOrEqual(4)
  })

  it('is made up for when the database was away at the time', async () => {
    const first = await get()
    await database().db.raw('alter table access_token rename to away')
    endpoint.revoke()
    await desk.keeper.reportRejected(account, first.version)
    expect(await desk.keeper.getToken(account)).toMatchObject({ reason: 'database_unavailable' })
    await database().db.raw('alter table away rename to access_token')
    const second = await get()
    expect(endpoint.accepts(second.token)).toBe(true)
    expect(second.version).toBe('2')
  })
})
