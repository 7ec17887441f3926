import { afterEach, describe, expect, it, vi } from 'vitest'
import { createRecorder } from '../../src/consent/record-push.ts'
import { DECISION_VALID_MS, settleCalls } from '../../src/consent/settle-calls.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createDispatcher, type DispatcherOptions } from '../../src/dispatch/dispatcher.ts'
import { sleep, systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { createPlatformClient } from '../../src/wechat/platform-client.ts'
import { lookUpErrorCode } from '../../src/wechat/error-codes.ts'
import { codeSpaceOf } from '../../src/wechat/served-account.ts'
import { countLockWaits, useTestDatabase } from '../support/database.ts'
import {
  giveConsent,
  insertMessage,
  newPerson,
  readAttempts,
  readLedger,
  readMessage,
} from '../support/messages.ts'
import { accountOf, eventOf } from '../support/proven-pushes.ts'
import { insertAccount } from '../support/rows.ts'
import { recorderParts } from '../support/recorder-parts.ts'
import { setPolicy } from '../support/send-policy.ts'
import { startStubPlatform, type StubCall, type StubPlatform } from '../support/stub-platform.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const database = useTestDatabase()
const db = () => database().db
const log = createLog('silent')

const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function startPlatform(answer?: Parameters<typeof startStubPlatform>[0]) {
  const platform = await startStubPlatform(answer)
  undo.push(() => platform.close())
  return platform
}

let processes = 0

function startDispatcher(platform: StubPlatform, options: Partial<DispatcherOptions> = {}) {
  processes += 1
  const client = createPlatformClient({ baseUrl: platform.url, clock: systemClock, log })
  const rejected: string[] = []
  const dispatcher = createDispatcher({
    db: db(),
    client,
    tokens: {
      getToken: () => Promise.resolve({ kind: 'token', token: 'a-token', version: '1' }),
      reportRejected: async (_account, version) => void rejected.push(version),
    },
    findAccount: (id) => Promise.resolve(accountOf(id)),
    openSealed: (sealed) => sealed,
    lookUpCode: (account, code) => lookUpErrorCode(codeSpaceOf(account), code),
    clock: systemClock,
    random: Math.random,
    log,
    metrics: createMetrics(),
    process: `process-${processes}`,
    concurrency: 8,
    leaseSeconds: 30,
    ...options,
  })
  undo.push(() => client.close())
  undo.push(() => dispatcher.stop())
  dispatcher.start()
  return Object.assign(dispatcher, { rejected })
}

/** Followers of one account, each with messages that wait. */
async function someFollowers(count: number, options: { messages?: number; expiresAt?: Date } = {}) {
  const { messages = 1, ...more } = options
  const accountId = await insertAccount(db())
  const people = Array.from({ length: count }, newPerson)
  const ids: string[] = []
  for (const subject of people) {
    await giveConsent(db(), { accountId, subject, scope: 'follow' })
    for (let n = 0; n < messages; n += 1) {
      const message = { accountId, recipient: subject, channel: 'template_message' } as const
      ids.push(await insertMessage(db(), { ...message, ...more, templateId: 'T' }))
    }
  }
  return { accountId, people, ids }
}

async function statusesOf(ids: readonly string[]): Promise<string[]> {
  const rows: { status: string }[] = await db()('message')
    .whereIn('id', [...ids])
    .select('status')
  return [...new Set(rows.map(({ status }) => status))].sort()
}

const untilStatus = (ids: readonly string[], ...statuses: string[]) =>
  vi.waitFor(async () => expect(await statusesOf(ids)).toEqual(statuses), {
    timeout: 10_000,
    interval: 20,
  })

/** A door that the platform's answers wait behind. */
function aDoor() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('createDispatcher', () => {
  it('sends what is queued, with token, recipient and its own name for the message', async () => {
    const platform = await startPlatform()
    const { ids, people } = await someFollowers(1)
    startDispatcher(platform)
    await untilStatus(ids, 'sent')
    expect(platform.calls).toEqual([
      {
        path: '/cgi-bin/message/template/send',
        to: people[0]!,
        clientMsgId: ids[0],
        accessToken: 'a-token',
      },
    ])
    expect(await readMessage(db(), ids[0]!)).toMatchObject({ msgid: '1', lease_owner: null })
  })

  it('has no more calls under way than it may', async () => {
    const platform = await startPlatform(async () => (await sleep(5), {}))
    const { ids } = await someFollowers(40)
    startDispatcher(platform, { concurrency: 4 })
    await untilStatus(ids, 'sent')
    expect(platform.mostAtOnce).toBeLessThanOrEqual(4)
    expect(platform.mostAtOnce).toBeGreaterThan(1)
  })

  it('never calls for a person without consent', async () => {
    const platform = await startPlatform()
    const { accountId, ids } = await someFollowers(3)
    const channel = 'template_message'
    const blocked = await insertMessage(db(), { accountId, recipient: newPerson(), channel })
    startDispatcher(platform)
    await untilStatus(ids, 'sent')
    await untilStatus([blocked], 'blocked')
    expect(platform.calls.map(({ clientMsgId }) => clientMsgId).sort()).toEqual([...ids].sort())
  })

  it('puts off what one recipient may not have yet, and says so', async () => {
    const lines: string[] = []
    const platform = await startPlatform()
    const { accountId, people, ids } = await someFollowers(1, { messages: 2 })
    await setPolicy(db(), accountId, { recipient_per_minute: { template_message: 1 } })
    startDispatcher(platform, {
      log: createLog('info', { write: (line: string) => void lines.push(line) }),
    })
    await untilStatus(ids, 'queued', 'sent')
    await vi.waitFor(() => {
      const told = lines.filter((line) => line.includes('dispatch.put_off'))
      expect(told).toHaveLength(1)
      expect(told[0]).toContain('"reason":"recipient_pace"')
      expect(told[0]).not.toContain(people[0])
    })
    expect(platform.calls).toHaveLength(1)
  })

  it('writes to one person at a time, and learns of a refusal before the next message', async () => {
    const platform = await startPlatform(async () => {
      await sleep(20)
      return { errcode: 43004, errmsg: 'require subscribe' }
    })
    const { accountId, people, ids } = await someFollowers(1, { messages: 3 })
    startDispatcher(platform)
    await untilStatus(ids, 'blocked', 'refused')
    expect(platform.calls).toHaveLength(1)
    expect(await readLedger(db(), accountId, people[0]!)).toContain('follow revoked')
  })

  it('tries again with a new token, once', async () => {
    const platform = await startPlatform((_call, number) =>
      number === 1 ? { errcode: 42001 } : {},
    )
    const { ids } = await someFollowers(1)
    const dispatcher = startDispatcher(platform)
    await untilStatus(ids, 'sent')
    expect(dispatcher.rejected).toEqual(['1'])
    expect(await readAttempts(db(), ids[0]!)).toMatchObject([
      { outcome: 'retry', cause: 'token' },
      { outcome: 'sent' },
    ])
  })

  it('does not act on a decision that has grown old; it asks again', async () => {
    const platform = await startPlatform()
    const { ids, accountId, people } = await someFollowers(1)
    // somebody else holds the person while the gate is asked, longer than a decision keeps
    await db().transaction(async (trx) => {
      await trx.raw('select lock_subjects(array[?::integer], array[?::text])', [
        accountId,
        people[0]!,
      ])
      startDispatcher(platform)
      await vi.waitFor(async () => expect(await countLockWaits(db())).toBe(1))
      await sleep(DECISION_VALID_MS + 50)
    })
    await untilStatus(ids, 'sent')
    const attempts = await readAttempts(db(), ids[0]!)
    expect(attempts[0]).toMatchObject({ outcome: 'retry', cause: 'late_decision' })
    expect(platform.calls).toHaveLength(1)
  })

  it('waits for a token and sends then', async () => {
    const platform = await startPlatform()
    const { ids } = await someFollowers(1)
    const until = new Date(Date.now() + 300)
    startDispatcher(platform, {
      tokens: {
        getToken: () =>
          Promise.resolve(
            new Date() < until
              ? { kind: 'unavailable', reason: 'breaker_open', until }
              : { kind: 'token', token: 'a-token', version: '1' },
          ),
        reportRejected: () => Promise.resolve(),
      },
    })
    await untilStatus(ids, 'sent')
    expect(await readAttempts(db(), ids[0]!)).toHaveLength(1)
    expect(Date.now()).toBeGreaterThanOrEqual(until.getTime())
  })

  it('leaves the messages of an account that is gone, until they expire', async () => {
    const platform = await startPlatform()
    const { accountId, ids } = await someFollowers(1)
    const expired = await insertMessage(db(), {
      accountId,
      recipient: newPerson(),
      channel: 'template_message',
      expiresAt: new Date(Date.now() - 1),
    })
    startDispatcher(platform, { findAccount: () => Promise.resolve(undefined) })
    await untilStatus([expired], 'expired')
    expect(await statusesOf(ids)).toEqual(['queued'])
    expect(platform.calls).toEqual([])
  })

  it('rests a channel whose day is used up', async () => {
    const platform = await startPlatform(() => ({ errcode: 45009, errmsg: 'reach max api limit' }))
    const { accountId, ids } = await someFollowers(30, {
      expiresAt: new Date(Date.now() + 3 * 86_400_000),
    })
    startDispatcher(platform, { concurrency: 2 })
    const pauses = () => db()('sending_pause').where({ account_id: accountId })
    await vi.waitFor(async () => expect(await pauses()).toHaveLength(1), { timeout: 5_000 })
    await sleep(700)
    expect(platform.calls.length).toBeLessThan(10)
    expect(await statusesOf(ids)).toEqual(['queued'])
    // what waited in line here is free for whoever looks first when the rest is over
    expect(await db()('message').whereIn('id', ids).whereNotNull('lease_owner')).toEqual([])
  })

  it('sends each message once however many dispatchers there are', async () => {
    const platform = await startPlatform()
    const { ids } = await someFollowers(120)
    const other = database().openAnother()
    startDispatcher(platform)
    startDispatcher(platform, { db: other })
    startDispatcher(platform, { db: other })
    await untilStatus(ids, 'sent')
    expect(platform.calls.map(({ clientMsgId }) => clientMsgId).sort()).toEqual([...ids].sort())
  })

  it('keeps an answer while the database is away', async () => {
    const way = await startTcpProxy(database().url)
    const far = openDatabase({ url: way.url, log })
    undo.push(
      () => way.close(),
      () => far.destroy(),
    )
    const door = aDoor()
    const platform = await startPlatform(async () => (await door.opened, {}))
    const { ids } = await someFollowers(1)
    startDispatcher(platform, { db: far })
    await vi.waitFor(() => expect(platform.calls).toHaveLength(1), { timeout: 5_000 })
    await way.cut()
    door.open()
    await sleep(400)
    expect(await readMessage(db(), ids[0]!)).toMatchObject({ status: 'sending' })
    await way.restore()
    await untilStatus(ids, 'sent')
    expect(platform.calls).toHaveLength(1)
  })

  it('keeps an answer also when the token keeper cannot be told about it', async () => {
    const platform = await startPlatform(() => ({ errcode: 42001 }))
    const { ids } = await someFollowers(1)
    startDispatcher(platform, {
      tokens: {
        getToken: () => Promise.resolve({ kind: 'token', token: 'a-token', version: '1' }),
        reportRejected: () => Promise.reject(new Error('out of order')),
      },
    })
    await untilStatus(ids, 'failed')
    expect(await readAttempts(db(), ids[0]!)).toMatchObject([
      { outcome: 'retry', errcode: '42001' },
      { outcome: 'failed', errcode: '42001' },
    ])
  })

  it('ends its calls and gives back the rest when it is stopped', async () => {
    const door = aDoor()
    const platform = await startPlatform(async () => (await door.opened, {}))
    const { ids } = await someFollowers(20)
    const dispatcher = startDispatcher(platform, { concurrency: 4 })
    await vi.waitFor(() => expect(platform.calls).toHaveLength(4), { timeout: 5_000 })
    const stopped = dispatcher.stop()
    door.open()
    await stopped
    expect(platform.calls).toHaveLength(4)
    const rows: { status: string; lease_owner: string | null }[] = await db()('message')
      .whereIn('id', ids)
      .select('status', 'lease_owner')
    expect(rows.filter(({ status }) => status === 'sent')).toHaveLength(4)
    expect(rows.filter(({ status }) => status === 'queued')).toHaveLength(16)
    expect(rows.filter(({ lease_owner: owner }) => owner !== null)).toEqual([])
  })

  it('stops also before it was started, and twice', async () => {
    const platform = await startPlatform()
    const dispatcher = startDispatcher(platform)
    await dispatcher.stop()
    await dispatcher.stop()
  })

  it('looks at once when it is woken', async () => {
    const platform = await startPlatform()
    const dispatcher = startDispatcher(platform)
    await vi.waitFor(() => expect(dispatcher.lastRoundAt).not.toBeNull())
    const { ids } = await someFollowers(1)
    dispatcher.wake()
    await untilStatus(ids, 'sent')
  })
})

describe('P4 no-send-after-opt-out', () => {
  it('begins no call once an opt-out is acknowledged, from any process', async () => {
    const acknowledged = new Set<string>()
    const broken: StubCall[] = []
    const platform = await startPlatform(async (call) => {
      if (acknowledged.has(call.to)) broken.push(call)
      await sleep(Math.random() * 10)
      return {}
    })
    const other = database().openAnother()
    const dispatchers = [startDispatcher(platform), startDispatcher(platform, { db: other })]
    const settle = (accountId: number, subject: string) => settleCalls(other, accountId, subject)
    const recorder = createRecorder({
      ...recorderParts,
      db: other,
      clock: systemClock,
      metrics: createMetrics(),
      settle,
    })

    const all: string[] = []
    for (let round = 0; round < 15; round += 1) {
      const { accountId, people, ids } = await someFollowers(20, { messages: 2 })
      all.push(...ids)
      for (const dispatcher of dispatchers) dispatcher.wake()
      await Promise.all(
        people.map(async (from) => {
          await sleep(Math.random() * 60)
          await recorder.record(eventOf(accountOf(accountId), { from, name: 'unsubscribe' }))
          acknowledged.add(from)
        }),
      )
    }
    await untilStatus(all, 'blocked', 'sent')
    expect(broken).toEqual([])
    expect(acknowledged.size).toBe(300)
  }, 60_000)
})
