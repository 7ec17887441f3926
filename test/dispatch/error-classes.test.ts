import { describe, expect, it } from 'vitest'
import { CLASS_RETRIES } from '../../src/wechat/code-advice.ts'
import { ERROR_CLASSES, lookUpErrorCode, type ErrorClass } from '../../src/wechat/error-codes.ts'
import { linesNamed } from '../support/log-lines.ts'
import { useRoad, type RoadAccount } from '../support/road.ts'
import { agree, createSender, PATHS, until } from '../support/send-road.ts'

/** What a message has become when the platform has answered each call once. */
interface Expected {
  readonly code: number
  readonly status: string
  readonly reason: string | null
  /** Calls for this message by then. */
  readonly calls: number
  /** Whether another message of the account, to somebody else, still goes out. */
  readonly channel: 'open' | 'rests'
}

/** One code of each class, all the way: queued, called, answered, recorded. */
const ROAD: Readonly<Record<ErrorClass, Expected>> = {
  ok: { code: 0, status: 'delivered', reason: null, calls: 1, channel: 'open' },
  token: { code: 40001, status: 'delivered', reason: null, calls: 2, channel: 'open' },
  opt_out: { code: 43004, status: 'refused', reason: 'opted_out', calls: 1, channel: 'open' },
  window_closed: {
    code: 45015,
    status: 'failed',
    reason: 'window_closed',
    calls: 1,
    channel: 'open',
  },
  invalid_recipient: {
    code: 40003,
    status: 'failed',
    reason: 'invalid_recipient',
    calls: 1,
    channel: 'open',
  },
  template: { code: 40037, status: 'failed', reason: 'template', calls: 1, channel: 'open' },
  content: { code: 47003, status: 'failed', reason: 'content', calls: 1, channel: 'open' },
  quota_daily: { code: 45009, status: 'queued', reason: 'quota_daily', calls: 1, channel: 'rests' },
  rate_minute: { code: 43117, status: 'queued', reason: 'rate_minute', calls: 1, channel: 'open' },
  ip_whitelist: {
    code: 40164,
    status: 'failed',
    reason: 'ip_whitelist',
    calls: 1,
    channel: 'open',
  },
  permission: { code: 48001, status: 'failed', reason: 'permission', calls: 1, channel: 'open' },
  config: { code: 40013, status: 'failed', reason: 'config', calls: 1, channel: 'open' },
  transient: { code: -1, status: 'delivered', reason: null, calls: 2, channel: 'open' },
  duplicate: { code: 45065, status: 'sent', reason: 'duplicate', calls: 1, channel: 'open' },
  blocked_account: {
    code: 50007,
    status: 'failed',
    reason: 'blocked_account',
    calls: 1,
    channel: 'rests',
  },
  other: { code: 987654, status: 'failed', reason: 'other', calls: 1, channel: 'open' },
}

describe('an answer of each class, all the way', () => {
  const road = useRoad({ accounts: ERROR_CLASSES.map(() => ({})) })

  it.each(ERROR_CLASSES)('%s: nothing is called again that must not be', async (errorClass) => {
    const expected = ROAD[errorClass]
    expect(lookUpErrorCode('oa', expected.code).class).toBe(errorClass)
    const account = accountFor(errorClass)
    const sender = senderFor(account)
    const person = account.platform.newOpenid()
    await agree(account.platform, person, 'template_message')
    if (expected.code !== 0) {
      const answer = { errcode: expected.code, times: 1 }
      road().sandbox.addFault({ path: PATHS.template_message, openid: person, ...answer })
    }

    const id = await sender.ask({ to: person, channel: 'template_message' })
    const message = await until(
      () => sender.message(id),
      ({ status, reason, attempt_count: attempts }) =>
        status === expected.status && reason === expected.reason && attempts > 0,
    )
    expect(message.attempt_count).toBe(expected.calls)
    // Whoever comes behind it shows that nothing of it is left in the queue, or that it all rests.
    const next = account.platform.newOpenid()
    await agree(account.platform, next, 'template_message')
    const after = await sender.ask({ to: next, channel: 'template_message' })
    if (expected.channel === 'open') await sender.ended(after, ['delivered'])
    else expect(await pausesOf(account)).toContain('template_message')
    expect(callsTo(account, person)).toHaveLength(expected.calls)
    expect(callsTo(account, next)).toHaveLength(expected.channel === 'open' ? 1 : 0)
    // One answer to one person slows nobody else down.
    expect(await pacesOf(account)).toEqual([])
    // A code that no table has is said so, and nothing else is.
    expect(warningsOf(account)).toEqual(errorClass === 'other' ? [expected.code] : [])
    // What is promised to readers of the table is what happened.
    const isOver = expected.status !== 'queued' && expected.calls === 1
    expect(CLASS_RETRIES[errorClass] === 'never').toBe(isOver)
  })

  function accountFor(errorClass: ErrorClass): RoadAccount {
    const account = road().accounts[ERROR_CLASSES.indexOf(errorClass)]
    if (!account) throw new Error(`no account for ${errorClass}`)
    return account
  }

  function warningsOf({ name }: RoadAccount): number[] {
    return road()
      .gateways.flatMap((gateway) => linesNamed(gateway, 'codes.unknown'))
      .filter((line) => line['account'] === name)
      .map((line) => Number(line['errcode']))
  }

  it('counts the codes that no table has under one label', async () => {
    const [gateway] = road().gateways
    const text = await (await fetch(`${gateway?.url}/metrics`)).text()
    const codes = [...text.matchAll(/wcg_errcodes_total\{[^}]*errcode="([^"]+)"/g)].map(
      ([, c]) => c,
    )
    expect(codes).toEqual(expect.arrayContaining(['43004', 'unlisted']))
    expect(codes).not.toContain('987654')
  })

  function senderFor({ name: account }: RoadAccount) {
    const urls = () => road().gateways.map(({ url }) => url)
    return createSender({ urls, key: road().key, account })
  }

  function callsTo(account: RoadAccount, openid: string) {
    const page = road().sandbox.log({ appId: account.appId, openid, kind: 'call' })
    return page.entries.filter((entry) => entry.kind === 'call')
  }

  async function pacesOf({ id }: RoadAccount): Promise<unknown[]> {
    const { db } = road().database
    const paces: unknown[] = await db('send_pace').where({ account_id: id })
    const ofChannels: unknown[] = await db('channel_pace').where({ account_id: id })
    return [...paces, ...ofChannels]
  }

  async function pausesOf({ id }: RoadAccount): Promise<string[]> {
    const rows: { channel: string }[] = await road()
      .database.db('sending_pause')
      .where({ account_id: id })
      .select('channel')
    return rows.map(({ channel }) => channel)
  }
})
