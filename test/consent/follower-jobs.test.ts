import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { compose, type Gateway } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { createFollowerJobs } from '../../src/consent/follower-jobs.ts'
import { createJobEngine, type JobEngine } from '../../src/database/job-engine.ts'
import { addJob } from '../../src/database/job-queue.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { useTestDatabase } from '../support/database.ts'
import { startFollowerPlatform, type FollowerPlatform } from '../support/follower-platform.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newPerson } from '../support/messages.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
const log = createLog('silent')
let platform: FollowerPlatform
let gateway: Gateway
let engine: JobEngine
let account: Account
/** How far the gateway's clock is ahead. */
let aheadMs = 0

beforeAll(async () => {
  platform = await startFollowerPlatform()
  const { url } = database()
  const env = { DATABASE_URL: url, WCG_MASTER_KEY: TEST_MASTER_KEY }
  const clock = { ...systemClock, now: () => new Date(Date.now() + aheadMs) }
  gateway = await compose(readConfig({ ...env, WECHAT_API_BASE_URL: platform.url }), { log, clock })
  const { accounts, followers, db } = gateway.parts
  await accounts.add({
    ...{ name: 'acme', kind: 'official_account', appId: 'wxacme', originalId: 'gh_acme' },
    ...{ mode: 'safe', token: 'abc', aesKey: 'k'.repeat(43), secret: 's', settings: {} },
  })
  const added = await accounts.findByName('acme')
  if (!added) throw new Error('the account is not there')
  account = added
  const jobs = createFollowerJobs({
    ...{ db, clock: systemClock, random: () => 0, followers, nightlyAt: '3:40' },
    findAccount: (id) => accounts.findById(id),
    listAccountIds: async () => [account.id],
  })
  const parts = { db, clock: systemClock, log, metrics: createMetrics(), process: 'test' }
  engine = createJobEngine({ ...parts, ...jobs, url })
  await engine.start()
})
afterAll(async () => {
  await engine.stop()
  await gateway.stop()
  await platform.close()
})

const latest = () => gateway.parts.followers.latest(account.id)

describe('the jobs of the follower sync', () => {
  it('sync every account at night', async () => {
    platform.followers.set(newPerson(), new Date(1_700_000_000_000))
    await addJob(gateway.parts.db, { task: 'sync-all-followers', payload: {} })
    expect(await until(latest, (run) => run?.status === 'done')).toMatchObject({ granted: 1 })
  })

  it('go on with a run that rested or lost its process, once its time has come', async () => {
    const { db, followers } = gateway.parts
    platform.followers.set(newPerson(), new Date(1_700_000_000_000))
    platform.before = () => ({ errcode: 45009, errmsg: 'reach max api daily quota limit' })
    const signal = new AbortController().signal
    await followers.sync(account, { start: true, signal })
    const paused = await latest()
    expect(paused).toMatchObject({ status: 'paused' })
    platform.before = () => undefined
    aheadMs = 86_400_000
    await db.raw(`update follower_sync set resume_at = now() where finished_at is null`)
    await addJob(db, { task: 'resume-follower-syncs', payload: {} })
    expect(await until(latest, (run) => run?.status === 'done')).toMatchObject({
      ...{ id: paused?.id, granted: 1 },
    })
  })
})
