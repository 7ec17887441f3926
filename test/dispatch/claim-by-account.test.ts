import { beforeEach, describe, expect, it } from 'vitest'
import { closeBreaker, listBreakers, openBreaker } from '../../src/dispatch/breaker-store.ts'
import { claimMessages, pauseChannel } from '../../src/dispatch/dispatch-store.ts'
import type { Offer } from '../../src/dispatch/line.ts'
import {
  forgetOldPaces,
  listPaces,
  setGatewayPace,
  slowSends,
} from '../../src/dispatch/pace-store.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertMessage, newPerson } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'
import { setPolicy } from '../support/send-policy.ts'

const database = useTestDatabase()
const db = () => database().db

beforeEach(async () => {
  await db().raw('truncate message, call_breaker, send_pace, channel_pace cascade')
})

const ago = (ms: number) => new Date(Date.now() - ms)
const channel = 'template_message'

/** So many messages of a new account that are due; those of a broadcast are of lane 1. */
async function anAccount(count: number, more: { lane?: number; dueAgoMs?: number } = {}) {
  const accountId = await insertAccount(db())
  await messagesOf(accountId, count, more)
  return accountId
}

async function messagesOf(
  accountId: number,
  count: number,
  { lane = 0, dueAgoMs = 1_000 }: { lane?: number; dueAgoMs?: number } = {},
): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const dueAt = ago(dueAgoMs - n)
    const id = await insertMessage(db(), { accountId, recipient: newPerson(), channel, dueAt })
    await db()('message').where({ id }).update({ lane })
  }
}

/** So many accounts with so many messages each, all due at one moment. */
async function manyAccounts(count: number, messages: number): Promise<number[]> {
  const { rows } = await db().raw<{ rows: { id: number }[] }>(
    `insert into account (name, kind, app_id, original_id, mode)
     select name, 'official_account', name, name, 'safe'
     from (select gen_random_uuid()::text as name from generate_series(1, ?)) as made
     returning id`,
    [count],
  )
  const accounts = rows.map(({ id }) => id)
  await db().raw(
    `insert into message (
       id, account_id, recipient, channel, content, status, send_at, due_at, expires_at
     )
     select new_message_id(), id, id || '-' || n, ?, '{}', 'queued', now(), now(), now() + interval '1 day'
     from unnest(?::integer[]) as id, generate_series(1, ?) as n`,
    [channel, accounts, messages],
  )
  return accounts.toSorted((a, b) => a - b)
}

const claim = (limit: number, offer?: Partial<Offer>) =>
  claimMessages(db(), {
    process: 'p1',
    leaseSeconds: 60,
    limit,
    offer: { accountIds: [], rooms: [], held: [], otherRoom: limit, ...offer },
  })

/** How many of each account a claim brought, in the order of the accounts given. */
async function countsOf(
  accounts: readonly number[],
  claiming: ReturnType<typeof claim>,
): Promise<number[]> {
  const claimed = await claiming
  return accounts.map((id) => claimed.filter(({ accountId }) => accountId === id).length)
}

describe('claim_messages by account', () => {
  it('gives each account its turn, however many older messages of another one wait', async () => {
    const crowd = await anAccount(30, { dueAgoMs: 60_000 })
    const few = await anAccount(3, { dueAgoMs: 100 })
    expect(await countsOf([crowd, few], claim(10))).toEqual([7, 3])
  })

  it('takes no more of an account than this process has room for', async () => {
    const slow = await anAccount(20)
    const other = await anAccount(20)
    const offer = { accountIds: [slow], rooms: [2], held: [5], otherRoom: 6 }
    expect(await countsOf([slow, other], claim(40, offer))).toEqual([2, 6])
  })

  it('lets an account go first that has less in hand', async () => {
    const [busy, idle] = [await anAccount(10), await anAccount(10)]
    const offer = { accountIds: [busy], rooms: [10], held: [6], otherRoom: 10 }
    expect(await countsOf([busy, idle], claim(8, offer))).toEqual([1, 7])
  })

  it('leaves out what is not due, leased, or of a channel that rests', async () => {
    const later = await anAccount(2, { dueAgoMs: -60_000 })
    const resting = await anAccount(2)
    await pauseChannel(db(), {
      accountId: resting,
      channel,
      until: new Date(Date.now() + 60_000),
      errcode: null,
      reason: 'test',
    })
    const open = await anAccount(2)
    expect(await countsOf([later, resting, open], claim(10))).toEqual([0, 0, 2])
    expect(await claim(10)).toEqual([])
  })

  it('says that more wait where many accounts share the limit', async () => {
    const crowd = await anAccount(9)
    for (let n = 0; n < 3; n += 1) await anAccount(1)
    const claimed = await claim(4)
    expect(claimed).toHaveLength(4)
    const all = [...claimed, ...(await claim(8, { otherRoom: 8 }))]
    expect(all.filter(({ accountId }) => accountId === crowd).length).toBeGreaterThan(1)
  })

  it('tells the last of a share, so that the next claim comes at once', async () => {
    await anAccount(9)
    // leased ones look due to the walk over the lanes, but bring nothing
    for (let n = 0; n < 3; n += 1) await anAccount(1)
    await db().raw(`update message set leased_until = now() + interval '1 minute'
      where account_id <> (select min(account_id) from message)`)
    const claimed = await claim(8)
    expect(claimed).toHaveLength(4)
    expect(claimed.filter(({ hasMore }) => hasMore)).toHaveLength(1)
  })

  it('serves accounts by chance that have equally much in hand, where they are many', async () => {
    const accounts = await manyAccounts(400, 3)
    const served = new Set<number>()
    for (let round = 0; round < 3; round += 1) {
      const claimed = await claim(100, { otherRoom: 50 })
      expect(claimed).toHaveLength(100)
      // it has looked at a part of them, and says that there is more
      expect(claimed.every(({ hasMore }) => hasMore)).toBe(true)
      for (const { accountId } of claimed) served.add(accountId)
      await db()('message')
        .whereIn(
          'id',
          claimed.map(({ id }) => id),
        )
        .update({ status: 'sent' })
    }
    // the first hundred again and again are 100; by chance it is some 230
    expect(served.size).toBeGreaterThan(180)
    const last = accounts.slice(-100)
    expect(last.filter((id) => served.has(id)).length).toBeGreaterThan(20)
  })

  it('comes to every account in the end, wherever it begins', async () => {
    const accounts = await manyAccounts(400, 1)
    const served = new Set<number>()
    for (let round = 0; round < 30 && served.size < accounts.length; round += 1) {
      for (const { accountId } of await claim(60)) served.add(accountId)
    }
    expect(served.size).toBe(accounts.length)
  })

  it('takes seven of eight from what people wait for, and all from broadcasts alone', async () => {
    const account = await anAccount(40, { lane: 1, dueAgoMs: 60_000 })
    await messagesOf(account, 40)
    const claimed = await claim(16)
    const rows: { id: string; lane: number }[] = await db()('message')
      .whereIn(
        'id',
        claimed.map(({ id }) => id),
      )
      .select('id', 'lane')
    expect(rows.filter(({ lane }) => lane === 1)).toHaveLength(2)
    await db().raw(`update message set due_at = now() + interval '1 minute' where lane = 0`)
    expect(await claim(16)).toHaveLength(16)
  })
})

describe('call_breaker', () => {
  const expire = () => db().raw(`update call_breaker set until = now() - interval '1 second'`)

  it('leaves an account out, lets one message try, and then all again', async () => {
    const [broken, well] = [await anAccount(5), await anAccount(2)]
    const owner = { kind: 'account', accountId: broken } as const
    expect(await openBreaker(db(), owner, 'timeout')).toBeInstanceOf(Date)
    expect(await countsOf([broken, well], claim(20))).toEqual([0, 2])
    await expire()
    const trial = await claim(20)
    expect(trial).toMatchObject([{ accountId: broken, onTrial: true }])
    const offer = { accountIds: [broken], rooms: [10], held: [1], otherRoom: 10 }
    expect(await claim(20, offer)).toEqual([])
    expect(await closeBreaker(db(), owner)).toBe(true)
    expect(await closeBreaker(db(), owner)).toBe(false)
    expect(await countsOf([broken], claim(20, offer))).toEqual([4])
  })

  it('rests longer each time, and is opened once by all who fail together', async () => {
    const owner = { kind: 'account', accountId: await insertAccount(db()) } as const
    const rests: number[] = []
    for (let opening = 0; opening < 8; opening += 1) {
      const until = await openBreaker(db(), owner, 'timeout')
      expect(await openBreaker(db(), owner, 'timeout')).toBeNull()
      rests.push(Math.round(((until?.getTime() ?? 0) - Date.now()) / 1_000))
      await expire()
    }
    expect(rests).toEqual([1, 2, 5, 10, 30, 60, 60, 60])
  })

  it('of a host leaves out all its accounts, and one of them tries', async () => {
    const [one, other] = [await anAccount(3), await anAccount(3)]
    const wecom = await anAccount(3)
    await db()('account').where({ id: wecom }).update({ kind: 'wecom_kf', original_id: null })
    await openBreaker(db(), { kind: 'host', host: 'wechat' }, 'timeout')
    expect(await countsOf([one, other, wecom], claim(20))).toEqual([0, 0, 3])
    await expire()
    const trial = await claim(20)
    expect(trial).toMatchObject([{ accountId: one, onTrial: true }])
    expect(await listBreakers(db())).toMatchObject([{ owner: { kind: 'host', host: 'wechat' } }])
  })

  it('keeps none of many accounts from those of another host, and lets one of all try', async () => {
    const [first] = await manyAccounts(400, 1)
    const wecom = await anAccount(3)
    await db()('account').where({ id: wecom }).update({ kind: 'wecom_kf', original_id: null })
    await openBreaker(db(), { kind: 'host', host: 'wechat' }, 'timeout')
    expect(await countsOf([wecom], claim(20))).toEqual([3])
    await expire()
    expect(await claim(20)).toMatchObject([{ accountId: first, onTrial: true }])
    const offer = { accountIds: [first ?? 0], rooms: [10], held: [1], otherRoom: 10 }
    expect(await claim(20, offer)).toEqual([])
  })
})

describe('send_pace', () => {
  const setPace = (accountId: number, perSecond: number) =>
    db()('account')
      .where({ id: accountId })
      .update({ settings: JSON.stringify({ sends_per_second: perSecond }) })
  /** As if the last claim had been so long ago. */
  const pass = (seconds: number) =>
    db().raw(`update send_pace set counted_at = counted_at - make_interval(secs => ?)`, [seconds])

  it('gives an account what its bucket holds, at most a second of it', async () => {
    const [paced, free] = [await anAccount(40), await anAccount(5)]
    await setPace(paced, 10)
    await pass(0.5)
    const first = await claim(40)
    expect(first.filter(({ accountId }) => accountId === paced)).toHaveLength(5)
    expect(first.filter(({ accountId }) => accountId === free)).toHaveLength(5)
    expect(first.filter(({ isPaced }) => isPaced)).toHaveLength(5)
    await pass(60)
    expect(await claim(40)).toHaveLength(10)
    expect(await claim(40)).toEqual([])
    await setPace(paced, 0)
    expect(await claim(40)).toHaveLength(25)
  })

  it('holds for all processes at once: who takes from it is not waited for', async () => {
    const paced = await anAccount(30)
    await setPace(paced, 10)
    await pass(1)
    const other = database().openAnother()
    const [mine, theirs] = await Promise.all([
      claim(40),
      claimMessages(other, { process: 'p2', leaseSeconds: 60, limit: 40 }),
    ])
    expect(mine.length + theirs.length).toBe(10)
  })

  it('of the whole gateway holds for all accounts together', async () => {
    const accounts = [await anAccount(10), await anAccount(10)]
    await setGatewayPace(db(), 6)
    await pass(1)
    expect(await countsOf(accounts, claim(40))).toEqual([3, 3])
    expect(await claim(40)).toEqual([])
    await setGatewayPace(db(), 0)
    expect(await claim(40)).toHaveLength(14)
  })

  it('is halved where the platform says that it is too much, and comes back within five minutes', async () => {
    const account = await anAccount(1)
    await setPace(account, 40)
    expect(await slowSends(db(), { accountId: account, channel: null })).toBe(20)
    expect(await slowSends(db(), { accountId: account, channel: null })).toBeNull()
    const paceAfter = async (seconds: number) => {
      const { rows } = await db().raw<{ rows: { pace: number | null }[] }>(
        `select pace_now(per_second, slowed_from, slowed_to,
           now() - make_interval(secs => ?)) as pace from send_pace where account_id = ?`,
        [seconds, account],
      )
      return rows[0]?.pace
    }
    expect(await paceAfter(0)).toBe(20)
    expect(await paceAfter(150)).toBe(30)
    expect(await paceAfter(301)).toBe(40)
  })

  it('without a setting is half of what was sent lately, and is forgotten afterwards', async () => {
    const account = await anAccount(30)
    const ids = (await claim(30)).map(({ id }) => id)
    await db()('attempt').insert(
      ids.map((id) => ({
        message_id: id,
        account_id: account,
        number: 1,
        started_at: ago(2_000),
        evidence: [],
        process: 'p1',
      })),
    )
    const perSecond = await slowSends(db(), { accountId: account, channel: null })
    expect(perSecond).toBeGreaterThan(5)
    expect(perSecond).toBeLessThan(7.6)
    await db()('send_pace').update({ slowed_at: ago(3_700_000) })
    await forgetOldPaces(db())
    expect(await db()('send_pace')).toEqual([])
  })
})

describe('channel_pace', () => {
  const other = 'customer_service_message'
  const setPaces = (accountId: number, paces: Record<string, number>) =>
    setPolicy(db(), accountId, { sends_per_second_by_channel: paces })
  /** As if the last claim had been a second ago. */
  const passSecond = () =>
    db().raw(`update channel_pace set counted_at = counted_at - interval '1 second'`)

  /** An account with so many messages through one channel, the newest of them older than those of another. */
  async function twoChannels(first: number, second: number): Promise<number> {
    const accountId = await anAccount(first, { dueAgoMs: 60_000 })
    const before = await db()('message').pluck<string[]>('id')
    await messagesOf(accountId, second)
    await db()('message').whereNotIn('id', before).update({ channel: other })
    return accountId
  }

  const channelsOf = (claimed: Awaited<ReturnType<typeof claim>>) => [
    claimed.filter((message) => message.channel === channel).length,
    claimed.filter((message) => message.channel === other).length,
  ]

  it('gives each channel what its bucket holds, and lets the others pass', async () => {
    const account = await twoChannels(30, 5)
    await setPaces(account, { [channel]: 4 })
    expect(channelsOf(await claim(40))).toEqual([0, 5])
    await passSecond()
    const claimed = await claim(40)
    expect(channelsOf(claimed)).toEqual([4, 0])
    expect(claimed.every(({ isPaced }) => isPaced)).toBe(true)
    expect(await claim(40)).toEqual([])
    await setPaces(account, {})
    expect(await claim(40)).toHaveLength(26)
  })

  it('holds for both lanes together, beside the pace of the account', async () => {
    const account = await twoChannels(12, 6)
    await db().raw(
      `update message set lane = 1 where channel = ? and due_at < (
      select percentile_disc(0.5) within group (order by due_at) from message where channel = ?
    )`,
      [channel, channel],
    )
    await setPolicy(db(), account, {
      sends_per_second: 6,
      sends_per_second_by_channel: { [channel]: 4 },
    })
    await passSecond()
    await db().raw(`update send_pace set counted_at = counted_at - interval '1 second'`)
    const [ofChannel = 0, ofOther = 0] = channelsOf(await claim(40))
    expect(ofChannel).toBeLessThanOrEqual(4)
    expect(ofChannel + ofOther).toBe(6)
  })

  it('is halved alone where the platform says that an API is called too fast', async () => {
    const account = await anAccount(1)
    await setPaces(account, { [channel]: 40 })
    expect(await slowSends(db(), { accountId: account, channel })).toBe(20)
    expect(await slowSends(db(), { accountId: account, channel })).toBeNull()
    const paces = await listPaces(db())
    expect(paces).toMatchObject([{ accountId: account, channel, isSlowed: true }])
    expect(paces[0]?.perSecond).toBeCloseTo(20, 0)
    await passSecond()
    expect(await claim(5)).toMatchObject([{ isPaced: true }])
  })

  it('goes by due time over all channels of an account', async () => {
    await twoChannels(3, 3)
    expect(channelsOf(await claim(4))).toEqual([3, 1])
  })
})
