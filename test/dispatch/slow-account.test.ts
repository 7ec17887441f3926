import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import { createDispatcher } from '../../src/dispatch/dispatcher.ts'
import { listPaces } from '../../src/dispatch/pace-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { lookUpErrorCode } from '../../src/wechat/error-codes.ts'
import { createPlatformClient } from '../../src/wechat/platform-client.ts'
import { codeSpaceOf } from '../../src/wechat/served-account.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, insertMessage, newPerson } from '../support/messages.ts'
import { accountOf } from '../support/proven-pushes.ts'
import { insertAccount } from '../support/rows.ts'
import { until } from '../support/send-road.ts'
import { startStubPlatform, type StubCall } from '../support/stub-platform.ts'

const database = useTestDatabase()
const db = () => database().db
const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** An account whose followers each have a message that waits. */
async function anAccount(count: number) {
  const accountId = await insertAccount(db())
  const people = Array.from({ length: count }, newPerson)
  for (const recipient of people) {
    await giveConsent(db(), { accountId, subject: recipient, scope: 'follow' })
    await insertMessage(db(), {
      accountId,
      recipient,
      channel: 'template_message',
      templateId: 'T',
    })
  }
  return { accountId, people: new Set(people) }
}

const countOf = async (accountId: number, status: string): Promise<number> =>
  (await db()('message').where({ account_id: accountId, status })).length

async function start(
  answer: (call: StubCall) => Promise<{ errcode?: number }>,
  platformUrl?: string,
) {
  const platform = await startStubPlatform(answer)
  undo.push(() => platform.close())
  const lines: Record<string, unknown>[] = []
  const log = createLog('info', {
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  })
  const baseUrl = platformUrl ?? platform.url
  const client = createPlatformClient({ baseUrl, clock: systemClock, log, totalTimeoutMs: 5_000 })
  const metrics = createMetrics()
  const dispatcher = createDispatcher({
    db: db(),
    client,
    tokens: {
      getToken: () => Promise.resolve({ kind: 'token', token: 'a-token', version: '1' }),
      reportRejected: () => Promise.resolve(),
    },
    findAccount: (id) => Promise.resolve({ ...accountOf(id), settings: DEFAULT_SETTINGS }),
    openSealed: (sealed) => sealed,
    lookUpCode: (account, code) => lookUpErrorCode(codeSpaceOf(account), code),
    clock: systemClock,
    random: Math.random,
    log,
    metrics,
    process: 'a-process',
    concurrency: 16,
    leaseSeconds: 30,
  })
  undo.push(() => client.close())
  undo.push(() => dispatcher.stop())
  dispatcher.start()
  const logged = (msg: string) => lines.filter((line) => line.msg === msg)
  return { platform, dispatcher, metrics, logged }
}

describe('an account whose calls hang', () => {
  it('holds no place that another account needs', async () => {
    const hanging = await anAccount(60)
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const { platform } = await start(async ({ to }) => {
      if (hanging.people.has(to)) await opened
      return {}
    })
    await until(
      () => platform.calls.length,
      (calls) => calls >= 4,
    )
    const quick = await anAccount(40)
    await until(
      () => countOf(quick.accountId, 'sent'),
      (sent) => sent === 40,
    )
    expect(await countOf(hanging.accountId, 'sent')).toBe(0)
    open()
    await until(
      () => countOf(hanging.accountId, 'sent'),
      (sent) => sent === 60,
    )
  })
})

describe('a platform that is not reached', () => {
  it('rests the account, one call tries, and an answer ends the rest', async () => {
    const { accountId } = await anAccount(14)
    const gone = await startStubPlatform()
    const { url } = gone
    await gone.close()
    const away = await start(() => Promise.resolve({}), url)
    await until(
      () => away.logged('dispatch.breaker_opened').length,
      (opened) => opened > 0,
    )
    expect(away.logged('dispatch.breaker_opened')[0]).toMatchObject({
      account: accountOf(accountId).name,
      reason: 'ECONNREFUSED',
    })
    await away.dispatcher.measure()
    expect(await away.metrics.registry.metrics()).toMatch(
      /wcg_send_breaker_open\{account="[^"]+"\} 1/,
    )
    await away.dispatcher.stop()

    const back = await start(() => Promise.resolve({}))
    await db().raw(`update call_breaker set until = now()`)
    await db().raw(`update message set due_at = now() where status = 'queued'`)
    await until(
      () => countOf(accountId, 'sent'),
      (sent) => sent === 14,
    )
    expect(back.logged('dispatch.breaker_closed')).toHaveLength(1)
    await back.dispatcher.measure()
    const text = await back.metrics.registry.metrics()
    expect(text).not.toMatch(/wcg_send_breaker_open\{/)
    expect(text).toMatch(/wcg_send_limit_messages\{account="[^"]+"\} \d+/)
  })
})

describe('a platform that says too much', () => {
  it('slows that API of the account in all processes', async () => {
    const { accountId } = await anAccount(1)
    const { logged } = await start(() => Promise.resolve({ errcode: 45011 }))
    await until(
      () => logged('dispatch.slowed').length,
      (slowed) => slowed === 1,
    )
    const paces = await listPaces(db())
    expect(paces).toMatchObject([{ accountId, channel: 'template_message', isSlowed: true }])
  })
})
