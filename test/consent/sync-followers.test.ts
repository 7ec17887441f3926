import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { createRecorder } from '../../src/consent/record-push.ts'
import { createFollowerSync, type SyncRequest } from '../../src/consent/sync-followers.ts'
import { findAbandoned } from '../../src/consent/follower-sync-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { createFollowerSource } from '../../src/wechat/followers.ts'
import { createPlatformClient } from '../../src/wechat/platform-client.ts'
import { nextChinaDay } from '../../src/wechat/token-rules.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  startFollowerPlatform,
  type FollowerCall,
  type FollowerPlatform,
} from '../support/follower-platform.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newPerson } from '../support/messages.ts'
import { eventOf } from '../support/proven-pushes.ts'
import { recorderParts } from '../support/recorder-parts.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
const db = () => database().db
const PAGE = 50
const DAY_MS = 86_400_000
const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

let platform: FollowerPlatform
let gateway: Gateway
const lines: string[] = []
/** How far the gateway's clock is ahead. */
let aheadMs = 0
beforeAll(async () => {
  platform = await startFollowerPlatform({ pageSize: PAGE })
  gateway = await compose(readConfig(settings()), {
    log: createLog('debug', { write: (line) => void lines.push(line) }),
    clock: {
      now: () => new Date(Date.now() + aheadMs),
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    },
  })
})
afterAll(async () => {
  await gateway.stop()
  await platform.close()
})
beforeEach(() => {
  aheadMs = 0
  platform.followers.clear()
  platform.blocked.clear()
  platform.before = () => undefined
  ;(platform.calls as unknown[]).length = 0
})

function settings(): Record<string, string> {
  return {
    DATABASE_URL: database().url,
    WCG_MASTER_KEY: TEST_MASTER_KEY,
    WECHAT_API_BASE_URL: platform.url,
  }
}

async function addAccount(changes: Partial<Account['settings']> = {}): Promise<Account> {
  const name = `a${randomBytes(5).toString('hex')}`
  const key = { token: 'plainToken', aesKey: 'k'.repeat(43), secret: 'plainSecret' }
  await gateway.parts.accounts.add({
    ...{ name, kind: 'official_account', appId: `wx${name}`, originalId: `gh_${name}` },
    ...{ mode: 'safe', ...key, settings: changes },
  })
  const account = await gateway.parts.accounts.findByName(name)
  if (!account) throw new Error('the account is not there')
  return account
}

const ago = (seconds: number) => new Date(Math.floor(Date.now() / 1000 - seconds) * 1000)

/** Some people who have followed for a day, by the platform. */
function addFollowers(count: number): string[] {
  const people = Array.from({ length: count }, newPerson)
  for (const person of people) platform.followers.set(person, ago(86_400))
  return people
}

const request = (changes: Partial<SyncRequest> = {}): SyncRequest => ({
  start: true,
  signal: new AbortController().signal,
  ...changes,
})

/** A sync through to its end; what it came to. */
async function sync(account: Account, changes?: Partial<SyncRequest>) {
  const end = await gateway.parts.followers.sync(account, request(changes))
  if (end.kind === 'nothing') throw new Error('there was nothing to sync')
  return end.run
}

/** The states of `follow` that occur among some people. */
async function followsOf(account: Account, subjects: readonly string[]): Promise<string[]> {
  const rows = await db()<{ account_id: number; scope: string; subject: string; state: string }>(
    'consent',
  )
    .where({ account_id: account.id, scope: 'follow' })
    .whereIn('subject', [...subjects])
    .select('state')
  const states = new Set(rows.map(({ state }) => state))
  if (rows.length < subjects.length) states.add('unknown')
  return [...states]
}

async function held(account: Account, subject: string, scope = 'follow') {
  const view = await gateway.parts.consents.show(account.id, subject)
  return view.consents.find((consent) => consent.scope === scope)
}

async function countLedger(account: Account): Promise<number> {
  const rows = await db()('consent_ledger').where({ account_id: account.id })
  return rows.length
}

/** The platform's pushes about an account, as the receiver would record them. */
function pushesOf(account: Account) {
  const settle = async () => undefined
  const parts = { db: db(), clock: systemClock, metrics: createMetrics(), settle }
  const recorder = createRecorder({ ...recorderParts, ...parts })
  return (from: string, name: string, at: Date) =>
    recorder.record(eventOf(account, { from, name, at }))
}

const pathOf = (call: FollowerCall) => call.path.split('/').at(-1)
const listCalls = () => platform.calls.filter((call) => pathOf(call) === 'get')

describe('sync', () => {
  it('imports the followers of a new account, and has nothing to do the second time', async () => {
    const account = await addAccount()
    const people = addFollowers(3 * PAGE + 7)
    expect(await sync(account)).toMatchObject({
      ...{ status: 'done', listed: people.length, granted: people.length, revoked: 0 },
    })
    expect(await followsOf(account, people)).toEqual(['granted'])
    expect(await held(account, people[0] ?? '')).toMatchObject({
      live: true,
      evidence: { kind: 'sync', reason: 'sync_following' },
    })
    const before = await countLedger(account)
    expect(await sync(account)).toMatchObject({ status: 'done', granted: 0, revoked: 0 })
    expect(await countLedger(account)).toBe(before)
    expect(await db()('follower_sync_page')).toEqual([])
  })

  it('asks since when few unknown people follow, and takes the beginning of the run for many', async () => {
    const [few, many] = [await addAccount(), await addAccount()]
    const [one = ''] = addFollowers(1)
    await sync(few)
    expect((await held(few, one))?.effective_at).toBe(platform.followers.get(one)?.toISOString())

    addFollowers(300)
    platform.before = (call) => (pathOf(call) === 'get' ? { ...wholeList() } : undefined)
    const run = await sync(many)
    expect((await held(many, one))?.effective_at).toBe(run.beganAt?.toISOString())
    expect(run.beganAt?.getTime()).toBeLessThan(Date.now())
  })

  it('grants a missed subscribe from the time of following, where that is after the refusal', async () => {
    const account = await addAccount()
    const push = pushesOf(account)
    const [back = '', refused = ''] = addFollowers(2)
    for (const person of [back, refused]) await push(person, 'unsubscribe', ago(500))
    platform.followers.set(back, ago(100))
    platform.followers.set(refused, ago(900))
    expect(await sync(account)).toMatchObject({ granted: 1 })
    expect(await held(account, back)).toMatchObject({
      ...{ state: 'granted', effective_at: platform.followers.get(back)?.toISOString() },
    })
    expect(await held(account, refused)).toMatchObject({ state: 'revoked' })
  })

  it('revokes a missed unsubscribe, with all that ends with it, just before the run began', async () => {
    const [ends, keeps] = [
      await addAccount(),
      await addAccount({ keep_templates_on_unfollow: true }),
    ]
    for (const account of [ends, keeps]) {
      const [stays = ''] = addFollowers(1)
      const gone = newPerson()
      const push = pushesOf(account)
      for (const person of [stays, gone]) await push(person, 'subscribe', ago(500))
      await gateway.parts.consents.optIn({
        ...{ accountId: account.id, subject: gone, scope: 'template:aTemplate', reason: 'test' },
        by: { kind: 'operator', actor: 'test' },
      })
      const run = await sync(account)
      expect(run).toMatchObject({ revoked: 1 })
      expect(await held(account, gone)).toMatchObject({
        ...{ state: 'revoked', effective_at: run.beganAt?.toISOString() },
        evidence: { kind: 'sync', reason: 'sync_not_following' },
      })
      expect(await held(account, stays)).toMatchObject({ state: 'granted' })
      expect((await held(account, gone, 'template:*'))?.state).toBe(
        account === ends ? 'revoked' : undefined,
      )
      platform.followers.delete(stays)
    }
  })

  it('never outweighs what people do while it runs', async () => {
    const account = await addAccount()
    const push = pushesOf(account)
    const [leaves = ''] = addFollowers(2 * PAGE)
    const comes = newPerson()
    const returns = newPerson()
    await push(returns, 'subscribe', ago(500))
    // all of it after the first page was read, and before anything is written
    platform.before = async (call) => {
      if (pathOf(call) !== 'get' || call.cursor === '') return
      platform.before = () => undefined
      const now = new Date()
      await push(leaves, 'unsubscribe', now)
      await push(comes, 'subscribe', now)
      await push(returns, 'unsubscribe', new Date(now.getTime() - 1_000))
      await push(returns, 'subscribe', now)
    }
    expect(await sync(account)).toMatchObject({ status: 'done', revoked: 0 })
    expect(await held(account, leaves)).toMatchObject({ state: 'revoked' })
    expect(await held(account, comes)).toMatchObject({ state: 'granted' })
    expect(await held(account, returns)).toMatchObject({ state: 'granted' })
  })

  it('grants to a follower whose time the platform does not say, but not to one who was erased', async () => {
    const account = await addAccount()
    const [plain = '', erased = ''] = addFollowers(2)
    await gateway.parts.consents.erase({
      ...{ accountId: account.id, subject: erased, actor: 'test', reason: 'asked' },
    })
    platform.before = ({ openids }) =>
      openids.length > 0
        ? { user_info_list: openids.map((openid) => ({ openid, subscribe: 1 })) }
        : undefined
    expect(await sync(account)).toMatchObject({ granted: 1 })
    expect(await held(account, plain)).toMatchObject({ state: 'granted' })
    expect(await held(account, erased)).toBeUndefined()
  })

  it('takes nothing from anybody whom the list misses but the platform calls a follower', async () => {
    const account = await addAccount()
    const [first = '', ...rest] = addFollowers(5)
    await sync(account)
    platform.before = (call) =>
      pathOf(call) === 'get' && call.cursor === ''
        ? { total: 4, count: 4, data: { openid: rest }, next_openid: '' }
        : undefined
    expect(await sync(account)).toMatchObject({ status: 'done', revoked: 0, reason: null })
    expect(await held(account, first)).toMatchObject({ state: 'granted' })
  })

  it('takes nothing from anybody when the list is shorter than the platform says', async () => {
    const account = await addAccount()
    const people = addFollowers(40)
    await sync(account)
    platform.followers.clear()
    platform.before = (call) =>
      pathOf(call) === 'get' ? { total: 40, count: 0, next_openid: '' } : undefined
    expect(await sync(account)).toMatchObject({
      status: 'done',
      revoked: 0,
      reason: 'list_incomplete',
    })
    expect(await followsOf(account, people)).toEqual(['granted'])
  })

  it('suppresses an openid that is not of this account', async () => {
    const account = await addAccount()
    const push = pushesOf(account)
    const [stranger, gone] = [newPerson(), newPerson()]
    for (const person of [stranger, gone]) await push(person, 'subscribe', ago(500))
    platform.before = (call) =>
      call.openids.includes(stranger) ? { errcode: 40003, errmsg: 'invalid openid' } : undefined
    expect(await sync(account)).toMatchObject({ revoked: 1, suppressed: 1 })
    expect(await held(account, stranger)).toMatchObject({ state: 'suppressed' })
    expect(await held(account, gone)).toMatchObject({ state: 'revoked' })
  })

  it('does not bring back who was erased, unless they followed again since', async () => {
    const account = await addAccount()
    const [erased = '', again = ''] = addFollowers(2)
    await sync(account)
    for (const subject of [erased, again]) {
      await gateway.parts.consents.erase({
        ...{ accountId: account.id, subject, actor: 'test', reason: 'asked' },
      })
    }
    platform.followers.set(again, new Date(Date.now() + 2_000))
    await sync(account)
    expect(await held(account, erased)).toBeUndefined()
    expect(await held(account, again)).toMatchObject({ state: 'granted' })
  })

  it('goes on without whom an erasure takes out of its lists', async () => {
    const account = await addAccount()
    const push = pushesOf(account)
    const [gone, erasedGone] = [newPerson(), newPerson()]
    for (const person of [gone, erasedGone]) await push(person, 'subscribe', ago(500))
    const people = addFollowers(3)
    const [first = '', erased = '', last = ''] = people
    for (const person of [erasedGone, first]) platform.blocked.add(person)
    const erase = (subject: string) =>
      gateway.parts.consents.erase({
        ...{ accountId: account.id, subject, actor: 'test', reason: 'asked' },
      })
    platform.before = async (call) => {
      // when these are asked, the list with the erased person has been kept
      if (call.openids.includes(last)) await erase(erased)
      if (pathOf(call) === 'getblacklist' && call.cursor !== '') await erase(erasedGone)
    }
    expect(await sync(account)).toMatchObject({ status: 'done', granted: 2 })
    expect(await held(account, erased)).toBeUndefined()
    expect(await held(account, gone)).toMatchObject({ state: 'revoked' })
    expect(await held(account, erasedGone, 'everything')).toBeUndefined()
    expect(await held(account, first, 'everything')).toMatchObject({ state: 'suppressed' })
    expect(await held(account, last)).toMatchObject({ state: 'granted' })
  })

  it('reads its list again when the person whom it would go on behind is erased', async () => {
    const account = await addAccount()
    const people = addFollowers(PAGE + 5)
    const cursor = people[PAGE - 1] ?? ''
    platform.before = async (call) => {
      if (call.cursor !== cursor) return
      platform.before = () => undefined
      await gateway.parts.consents.erase({
        ...{ accountId: account.id, subject: cursor, actor: 'test', reason: 'asked' },
      })
      platform.followers.delete(cursor)
    }
    expect(await gateway.parts.followers.sync(account, request())).toMatchObject({ kind: 'busy' })
    expect(await sync(account, { start: false })).toMatchObject({
      status: 'done',
      listed: PAGE + 4,
      granted: PAGE + 4,
    })
    expect(await held(account, cursor)).toBeUndefined()
  })

  it('stops who is blacklisted, and lifts that again, but not a stop of their own', async () => {
    const account = await addAccount()
    const [blocked = '', own = ''] = addFollowers(2)
    const person = { accountId: account.id, subject: own }
    await gateway.parts.consents.optOut({
      ...{ ...person, scope: 'everything', reason: 'asked' },
      by: { kind: 'operator', actor: 'test' },
    })
    for (const openid of [blocked, own]) platform.blocked.add(openid)
    expect(await sync(account)).toMatchObject({ suppressed: 1, lifted: 0 })
    const decide = (subject: string) =>
      gateway.parts.consents.decide({
        ...{ accountId: account.id, subject, channel: 'template_message', templateId: null },
      })
    expect(await decide(blocked)).toMatchObject({ allowed: false, reason: 'stopped' })
    expect(await held(account, blocked, 'everything')).toMatchObject({ state: 'suppressed' })

    platform.blocked.clear()
    await untilNextSecond()
    expect(await sync(account)).toMatchObject({ suppressed: 0, lifted: 1 })
    expect(await decide(blocked)).toMatchObject({ allowed: true })
    expect(await held(account, own, 'everything')).toMatchObject({ state: 'revoked' })
  })

  it('does without the blacklist where the account may not read it', async () => {
    const account = await addAccount()
    addFollowers(2)
    platform.before = (call) =>
      pathOf(call) === 'getblacklist' ? { errcode: 48001, errmsg: 'api unauthorized' } : undefined
    expect(await sync(account)).toMatchObject({
      ...{ status: 'done', granted: 2, reason: 'no_blacklist: errcode 48001' },
    })
  })

  it('fails for good where the account may not read its followers, and can be begun again', async () => {
    const account = await addAccount()
    addFollowers(2)
    platform.before = () => ({ errcode: 48001, errmsg: 'api unauthorized' })
    expect(await sync(account)).toMatchObject({
      ...{ status: 'failed', reason: 'errcode 48001: api unauthorized' },
    })
    platform.before = () => undefined
    expect(await sync(account)).toMatchObject({ status: 'done', granted: 2 })
  })

  it('rests until the next China day when the quota is used up, and goes on where it was', async () => {
    const account = await addAccount()
    const people = addFollowers(3 * PAGE)
    platform.before = (call) =>
      pathOf(call) === 'get' && call.cursor !== ''
        ? { errcode: 45009, errmsg: 'reach max api daily quota limit' }
        : undefined
    const paused = await sync(account)
    expect(paused).toMatchObject({ status: 'paused', listed: PAGE, reason: 'quota_daily' })
    const midnight = nextChinaDay(new Date()).getTime()
    expect(paused.resumeAt?.getTime()).toBeGreaterThanOrEqual(midnight)
    expect(paused.resumeAt?.getTime()).toBeLessThan(midnight + 60_000)

    const asked = platform.calls.length
    expect(await sync(account, { start: false })).toMatchObject({ status: 'paused' })
    expect(await findAbandoned(db())).not.toContain(account.id)
    expect(platform.calls).toHaveLength(asked)

    // midnight has come
    aheadMs = DAY_MS
    await db().raw(`update follower_sync set resume_at = now() where id = ?`, [paused.id])
    expect(await findAbandoned(db())).toContain(account.id)
    platform.before = () => undefined
    expect(await sync(account, { start: false })).toMatchObject({ id: paused.id, status: 'done' })
    expect(listCalls().filter(({ cursor }) => cursor === '')).toHaveLength(1)
    expect(await followsOf(account, people)).toEqual(['granted'])
  })

  it('counts its calls, and rests before 45009 where the platform has named the limit', async () => {
    const account = await addAccount()
    addFollowers(3 * PAGE)
    platform.quotas.set('/cgi-bin/user/get', { daily_limit: 500, used: 489 })
    // a day that no other test has been in: the ledger's copy of the accounts is made anew
    aheadMs = 2 * DAY_MS
    const paused = await sync(account)
    platform.quotas.clear()
    expect(paused).toMatchObject({ status: 'paused', reason: 'quota_margin', listed: PAGE })
    expect(listCalls()).toHaveLength(1)
    const counted = () =>
      db()<{ account_id: number; path: string; calls: string }>('api_call_count')
        .where({ account_id: account.id, path: '/cgi-bin/user/get' })
        .select('calls')
    await until(counted, (rows) => rows[0]?.calls === '1')
    aheadMs = 3 * DAY_MS
    await db().raw(`update follower_sync set resume_at = now() where id = ?`, [paused.id])
    expect(await sync(account, { start: false })).toMatchObject({ id: paused.id, status: 'done' })
  })

  it('waits for the next minute when told that it is too fast, and goes slower from then on', async () => {
    const account = await addAccount()
    addFollowers(3 * PAGE)
    const waits: number[] = []
    const client = createPlatformClient({
      ...{ baseUrl: platform.url, clock: systemClock, log: createLog('silent') },
    })
    const source = createFollowerSource({
      ...{ call: (call) => client.call(call), tokens: gateway.parts.tokens },
      ...{ clock: systemClock, random: Math.random, quotaReady: () => null },
    })
    const slow = createFollowerSync({
      ...{ db: db(), clock: systemClock, log: createLog('silent'), source },
      wait: async (ms) => void waits.push(ms),
    })
    let refusals = 2
    platform.before = () =>
      (refusals -= 1) >= 0 ? { errcode: 45011, errmsg: 'api minute-quota reach limit' } : undefined
    expect(await slow.sync(account, request())).toMatchObject({ run: { status: 'done' } })
    await client.close()
    const [minute = 0, first, again = 0, ...later] = waits
    expect(minute).toBeLessThanOrEqual(60_000)
    expect(first).toBe(100)
    expect(again).toBeLessThanOrEqual(60_000)
    expect(new Set(later)).toEqual(new Set([200]))
  })

  it('lets one process at a time work on an account, and one that was taken for dead write nothing', async () => {
    const account = await addAccount()
    const people = addFollowers(2 * PAGE)
    const arrived = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    platform.before = async (call) => {
      if (pathOf(call) !== 'get' || call.cursor === '') return
      platform.before = () => undefined
      arrived.resolve()
      await goOn.promise
    }
    const first = gateway.parts.followers.sync(account, request())
    await arrived.promise
    expect(await gateway.parts.followers.sync(account, request())).toMatchObject({ kind: 'busy' })
    // its lease ends although it lives
    await db().raw(`update follower_sync set leased_until = now() where account_id = ?`, [
      account.id,
    ])
    expect(await sync(account)).toMatchObject({ status: 'done', granted: people.length })
    goOn.resolve()
    expect(await first).toMatchObject({ kind: 'busy' })
    expect(await countLedger(account)).toBe(people.length)
  })

  it('goes on where a killed process was, with every person once', async () => {
    const account = await addAccount()
    const people = addFollowers(6 * PAGE)
    const held = Promise.withResolvers<void>()
    platform.before = async (call) => {
      if (listCalls().length < 4 || pathOf(call) !== 'get') return
      held.resolve()
      await new Promise(() => undefined) // it dies with this question unanswered
    }
    const child = spawn(process.execPath, [MAIN, 'followers', 'sync', account.name, '--json'], {
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        ...settings(),
      },
      stdio: 'ignore',
    })
    await held.promise
    child.kill('SIGKILL')
    await once(child, 'exit')
    platform.before = () => undefined

    // nobody may take it before the dead process's lease has ended
    await until(
      () => findAbandoned(db()),
      (accounts) => accounts.includes(account.id),
    )
    expect(await sync(account, { start: false })).toMatchObject({
      ...{ status: 'done', listed: people.length, granted: people.length },
    })
    expect(listCalls().filter(({ cursor }) => cursor === '')).toHaveLength(1)
    expect(await followsOf(account, people)).toEqual(['granted'])
    expect(await countLedger(account)).toBe(people.length)
  }, 40_000)

  it('stops between two steps when told to, for others to go on at once', async () => {
    const account = await addAccount()
    const people = addFollowers(3 * PAGE)
    const stop = new AbortController()
    platform.before = (call) => {
      if (call.cursor !== '') stop.abort()
    }
    const end = await gateway.parts.followers.sync(account, request({ signal: stop.signal }))
    expect(end).toMatchObject({ kind: 'stopped', run: { status: 'running' } })
    expect(await findAbandoned(db())).toContain(account.id)
    expect(await sync(account, { start: false })).toMatchObject({ granted: people.length })
  })

  it('names nobody in the log', () => {
    const all = lines.join('')
    expect(all).toContain('follower_sync.done')
    expect(all).not.toMatch(/\bo[\w-]{27}\b/)
  })
})

/** All followers on one page, as a platform with larger pages would give them. */
function wholeList(): object {
  const openid = [...platform.followers.keys()]
  return { total: openid.length, count: openid.length, data: { openid }, next_openid: '' }
}

/** The next run begins in a later second of the platform's clock: in one second a stop would win. */
async function untilNextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await until(
    () => Math.floor(Date.now() / 1000),
    (now) => now > second + 1,
  )
}
