import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '../../src/foundation/clock.ts'
import { expectedOf, heldBy } from '../support/consent-history.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { linesNamed, pidsBehind } from '../support/log-lines.ts'
import { changesOf, documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { recordedAbout } from '../support/recorded.ts'
import { useRoad } from '../support/road.ts'
import { bodyOf, crowd, PATHS, seeded, senderOf, until } from '../support/send-road.ts'
import { postPush, signPush } from '../support/sign-push.ts'

/** The histories follow from it; a failure names it. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
/** The platform gives up after 5 s. */
const PLATFORM_WAITS_MS = 5_000
/** Within this time sends and opt-outs meet. */
const RACE_MS = 3_000
/** The platform tries again soon; its own pause of 5 s would only make the test long. */
const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250, repeatAfterWrongAnswerMs: 100 }

describe(`every promise, with three processes behind one port (seed ${SEED})`, () => {
  const road = useRoad({
    behindOnePort: 3,
    env: { LOG_LEVEL: 'trace' },
    sandbox: { push: PATIENT },
  })
  const gateway = () => road().gateways[0]!
  const sender = () => senderOf(road())
  const random = seeded(SEED)
  /** Whoever was heard of; none of them may show in the log. */
  const people: string[] = []

  beforeAll(() => {
    expect(pidsBehind(gateway())).toHaveLength(3)
  })

  function newPerson(): string {
    const openid = newOpenid()
    people.push(openid)
    return openid
  }

  function documentFrom(openid: string, act: Act, second = 0): string {
    const at = Math.floor(Date.now() / 1000) + second
    return documentOf({ originalId: road().account.originalId, openid, at }, act)
  }
  const follow = (openid: string) => documentFrom(openid, { kind: 'subscribe', key: '' })
  const recorded = (openid: string) => recordedAbout(road().database.db, road().account.id, openid)

  function callsFor(openid: string) {
    const { entries } = road().sandbox.log({ kind: 'call', openid })
    return entries.filter((entry) => entry.kind === 'call')
  }

  /** People whose first push has arrived, known to the platform too. */
  async function followers(count: number): Promise<string[]> {
    const all = Array.from({ length: count }, () => road().people.newOpenid())
    people.push(...all)
    await crowd(all, (person) => road().people.follow(person), 32)
    return all
  }

  it('P7 asks for one token when everybody needs the first one at once', async () => {
    const path = `/v1/accounts/${road().account.name}/access-token`
    const answers = await Promise.all(Array.from({ length: 90 }, () => road().api(path)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(road().sandbox.report().accounts[road().account.appId]?.['token:stable']).toBe(1)
    await untilAllServed('access_token.read')
  })

  it('P1 shows event, ledger and consent as soon as success arrives', async () => {
    const seen = await Promise.all(
      Array.from({ length: 120 }, async () => {
        const openid = newPerson()
        const document = follow(openid)
        const { text } = await road().push(document)
        return { document, text, now: await recorded(openid) }
      }),
    )
    for (const { document, text, now } of seen) {
      expect(text).toBe('success')
      expect(now.documents).toEqual([document])
      expect(now.scopes).toEqual(['conversation:action', 'follow'])
    }
    await untilAllServed('push.recorded')
  })

  it('P2 makes one event of the same push ninety times', async () => {
    const openid = newPerson()
    const document = documentFrom(openid, { kind: 'accept', templateId: 'T1' })
    const answers = await Promise.all(Array.from({ length: 90 }, () => road().push(document)))
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['success']))
    expect((await recorded(openid)).documents).toEqual([document])
    const ledger = changesOf(document).map(({ scope, change }) => `${scope} ${change}`)
    expect((await recorded(openid)).ledger).toEqual(ledger)
  })

  it('P3 ends with the same consents whatever order a history arrives in', async () => {
    const second = Math.floor(Date.now() / 1000) - 300
    const { account } = road()
    await crowd(Array.from({ length: 24 }, newPerson), async (openid) => {
      const told = historyOf(random).map(({ act, at }) =>
        documentOf({ originalId: account.originalId, openid, at: second + at }, act),
      )
      // each comes twice, anywhere
      const arriving = [...told, ...told].toSorted(() => random() - 0.5)
      const answers = await Promise.all(arriving.map((document) => road().push(document)))
      expect(answers.filter(({ text }) => text !== 'success')).toEqual([])
      const held = await heldBy(road().database.db, { accountId: account.id, openid }, second)
      expect(held).toEqual(expectedOf([...new Set(told)], { second }))
    })
  })

  it('P4 begins no send after an opt-out, however the two race', async () => {
    const racing = await followers(60)
    for (const path of Object.values(PATHS)) {
      road().sandbox.addFault({ path, delay_ms: 40, probability: 0.5 })
    }
    // however busy the machine is: some are written to before the race, all are asked for after it
    const before = racing.slice(0, racing.length / 2)
    await crowd(before, async (to) => {
      for (const id of await askSurely(to)) await sender().ended(id)
    })
    const asks = racing.flatMap((to) => Array.from({ length: 4 }, () => to))
    await Promise.all([
      ...asks.map(async (to) => {
        await sleep(RACE_MS * random())
        await askSurely(to)
      }),
      ...racing.map(async (person) => {
        await sleep(RACE_MS * (0.2 + 0.6 * random()))
        await road().people.unfollow(person)
      }),
    ])
    await crowd(racing, askSurely)
    const messages = await sender().allEnded()
    await road().sandbox.settled()
    road().sandbox.clearFaults()
    const report = road().sandbox.report()
    expect(report.sends_after_opt_out).toEqual([])
    expect(report.sends_after_refusal_answer).toEqual([])
    expect(report.duplicates).toEqual([])
    // the run must have met both sides of the moment, or it has shown nothing
    const count = (status: string) => messages.filter((one) => one.status === status).length
    expect(count('blocked')).toBeGreaterThan(20)
    expect(count('sent') + count('delivered')).toBeGreaterThan(20)
  }, 60_000)

  it('P5 sends nothing to whom nothing is known about', async () => {
    const strangers = Array.from({ length: 12 }, newPerson)
    await crowd(strangers, async (to) => {
      const ended = await sender().ended(await sender().ask({ to, channel: 'template_message' }))
      expect(ended).toMatchObject({ status: 'blocked', reason: 'follow_unknown', attempts: [] })
      expect(callsFor(to)).toEqual([])
    })
  })

  it('P9 answers every push in time while sends hang and applications ask', async () => {
    const hanging = await followers(12)
    const path = PATHS.template_message
    for (const openid of hanging) road().sandbox.addFault({ path, openid, delay_ms: 2_500 })
    const asked = hanging.map((to) => askSurely(to))
    const took: number[] = []
    await crowd(
      Array.from({ length: 400 }, newPerson),
      async (openid) => {
        const answer = await road().push(follow(openid))
        expect(answer).toMatchObject({ status: 200, text: 'success' })
        took.push(answer.tookMs)
      },
      64,
    )
    expect(took).toHaveLength(400)
    expect(Math.max(...took)).toBeLessThan(PLATFORM_WAITS_MS)
    await Promise.all(asked)
    await sender().allEnded()
    await road().sandbox.settled()
    road().sandbox.clearFaults()
  })

  it('P10 refuses what is downgraded, stale or sealed for another account', async () => {
    const { account } = road()
    const longAgo = String(Math.floor(Date.now() / 1000) - 3_600)
    const other = { ...account, aesKey: 'k'.repeat(43) }
    const document = () => follow(newPerson())
    const pushes = Array.from({ length: 12 }, () => [
      signPush(account, document(), { mode: 'plain' }),
      signPush(account, document(), { timestamp: longAgo }),
      signPush(other, document()),
      signPush({ ...account, token: 'another' }, document()),
    ]).flat()
    const before = await countEvents()
    const answers = await Promise.all(pushes.map((push) => postPush(road().callbackUrl(), push)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]))
    expect(await countEvents()).toBe(before)
  })

  it('P6 makes one message of one request, with a process killed in the middle', async () => {
    const waiting = await followers(24)
    road().sandbox.addFault({ path: PATHS.template_message, delay_ms: 600 })
    const asking = crowd(
      waiting,
      async (to) => {
        const ids = await askSurely(to, 4)
        expect(new Set(ids).size).toBe(1)
      },
      waiting.length,
    )
    const [victim = 0] = await until(callingPids, (pids) => pids.length > 0)
    process.kill(victim, 'SIGKILL')
    // its calls were under way, and somebody else has to find out what became of them
    expect(await callingPids()).toContain(victim)
    await asking
    const messages = await sender().allEnded()
    await road().sandbox.settled()
    road().sandbox.clearFaults()

    const mine = messages.filter(({ to }) => to !== null && waiting.includes(to))
    expect(mine.map(({ to }) => to).toSorted()).toEqual(waiting.toSorted())
    for (const { to, status } of mine) {
      const received = road().people.messages(to ?? '').length
      expect(received, status).toBeLessThanOrEqual(1)
      if (status !== 'unknown') expect(received, status).toBe(1)
    }
    expect(road().sandbox.report().duplicates).toEqual([])
    await until(
      () => linesNamed(gateway(), 'worker.replaced'),
      (lines) => lines.length === 1,
    )
    expect((await road().push(follow(newPerson()))).text).toBe('success')
  })

  it('P8 has said no openid, secret or token in any line of any process', async () => {
    const path = `/v1/accounts/${road().account.name}/access-token`
    const { body } = await road().api(path)
    const token = (body as { access_token: string }).access_token
    expect(await gateway().end()).toBe(0)
    const { secret, token: callbackToken, aesKey } = road().account
    const secrets = [secret, callbackToken, aesKey, token, road().key, TEST_MASTER_KEY]
    expect(secrets.every((one) => one.length > 15)).toBe(true)
    expect(people.length).toBeGreaterThan(500)
    expect(gateway().lines.length).toBeGreaterThan(1_000)
    const log = gateway().lines.join('\n')
    expect([...secrets, ...people].filter((one) => log.includes(one))).toEqual([])
  })

  /** Waits for a line of this name from each process; a run that only one has served shows little. */
  async function untilAllServed(name: string): Promise<void> {
    await until(
      () => new Set(linesNamed(gateway(), name).map(({ pid }) => pid)).size,
      (processes) => processes === 3,
    )
  }

  /** The processes that have platform calls in hand now, or had when they were killed. */
  async function callingPids(): Promise<number[]> {
    const rows = await road()
      .database.db('attempt')
      .whereNull('finished_at')
      .distinct<{ process: string }[]>('process')
    return rows.map(({ process: name }) => Number(name.split('-')[0]))
  }

  async function countEvents(): Promise<number> {
    const [row] = await road().database.db('event').count()
    return Number(row?.['count'])
  }

  /** Asks for one message, several times at once, each until there is an answer. */
  async function askSurely(to: string, times = 1): Promise<string[]> {
    const ask = bodyOf(road().account.name, { to, channel: 'template_message' })
    const request = {
      method: 'POST',
      body: JSON.stringify(ask),
      headers: {
        authorization: `Bearer ${road().key}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
    }
    return Promise.all(Array.from({ length: times }, () => postUntilAnswered(request)))
  }

  /** As applications do: the same again when the connection breaks, says nothing, or says 503. */
  async function postUntilAnswered(request: RequestInit): Promise<string> {
    for (;;) {
      const signal = AbortSignal.timeout(3_000)
      const answer = await fetch(`${gateway().url}/v1/messages`, { ...request, signal }).then(
        async (got) => ({ status: got.status, text: await got.text() }),
        () => ({ status: 503, text: '' }),
      )
      if (answer.status === 202) return (JSON.parse(answer.text) as { id: string }).id
      expect(answer.status).toBe(503)
      await sleep(50)
    }
  }
})

/** A few acts within a few seconds, so that some share one. */
function historyOf(random: () => number): { readonly act: Act; readonly at: number }[] {
  const acts: readonly Act[] = [
    { kind: 'subscribe', key: '' },
    { kind: 'unsubscribe', key: '' },
    { kind: 'accept', templateId: 'T1' },
    { kind: 'reject', templateId: 'T1' },
    { kind: 'switch_off', templateId: 'T1' },
    { kind: 'menu', key: '1' },
    { kind: 'say', text: '退订', msgId: '3400000000000000001' },
  ]
  return Array.from({ length: 8 }, () => ({
    act: acts[Math.floor(random() * acts.length)] ?? { kind: 'subscribe', key: '' },
    at: Math.floor(4 * random()),
  }))
}
