import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/foundation/clock.ts'
import { useRoad, type Road } from '../support/road.ts'
import {
  crowd,
  delays,
  nextSecond,
  NOTICE,
  PATHS,
  seeded,
  senderOf,
  SUBSCRIPTION,
  until,
  type Ask,
  ROAD_CHANNELS,
  type RoadChannel,
} from '../support/send-road.ts'

/** The plan of a run follows from it; a failure names it. `P4_SEED=… vitest run …` repeats a plan. */
const SEED = Number(process.env['P4_SEED'] ?? Date.now() % 1_000_000)
const PEOPLE = 200
const SENDS_EACH = 5
/** Within this time all of it happens, in an order nobody knows. */
const SPAN_MS = 5_000
/** Long enough to say no meanwhile, and less than the gateway waits for a call. */
const SLOW_ANSWER_MS = 2_000

/** The ways to say no, and the channels that each of them closes. */
const OPT_OUTS = {
  unfollow: ROAD_CHANNELS,
  switch_off: ['subscription_message'],
  refuse_notice: ['template_message'],
  keyword: ROAD_CHANNELS,
  revoke_authorization: ROAD_CHANNELS,
  api_everything: ROAD_CHANNELS,
  api_follow: ['template_message'],
  api_template: ['subscription_message'],
  api_conversation: ['customer_service_message'],
} as const satisfies Record<string, readonly RoadChannel[]>
type OptOut = keyof typeof OPT_OUTS
const WAYS = Object.keys(OPT_OUTS) as OptOut[]

/** What one person goes through. */
interface Plan {
  readonly person: string
  readonly optOut: OptOut
  readonly optOutAtMs: number
  /** Whether they come back a second or two later; what is sent then is right again. */
  readonly returns: boolean
  readonly sends: readonly { readonly channel: RoadChannel; readonly atMs: number }[]
}

describe(`P4 no-send-after-opt-out (seed ${SEED})`, () => {
  // Few connections to the sandbox, and warm ones: it shares this process with the tests, and takes
  // one new connection in each turn of a loop that a busy machine makes slow. A call would lie there.
  const road = useRoad({ processes: 2, env: { WCG_DISPATCH_CONCURRENCY: '16' } })

  test('begins no send that an acknowledged opt-out forbids, from any process', async () => {
    const random = seeded(SEED)
    const plans = Array.from({ length: PEOPLE }, () => planOf(road().people.newOpenid(), random))
    await crowd(plans, ({ person }) => agreesToAll(road(), person), 32)
    const called = await slowlyAnswered(road(), random)
    for (const fault of delays(random, { most: 50 })) road().sandbox.addFault(fault)
    await warmUp(road())

    await areCalled(road(), called)
    const calledAtMs = performance.now()
    const known = new Map<string, { fromMs: number; untilMs: number }>()
    await Promise.all([
      ...plans.map(async (plan) => {
        const [span] = await Promise.all([optsOut(road(), plan), asksFor(road(), plan)])
        known.set(plan.person, span)
      }),
      ...called.map(async (plan) => {
        known.set(plan.person, { fromMs: await sayNo(road(), plan), untilMs: Infinity })
      }),
    ])
    const messages = await senderOf(road()).allEnded()
    await road().sandbox.settled()
    road().sandbox.clearFaults()

    const report = road().sandbox.report()
    expect(report.sends_after_opt_out).toEqual([])
    expect(report.sends_after_refusal_answer).toEqual([])
    expect(lateCalls(road(), [...plans, ...called], known)).toEqual([])
    // whoever says no while a call lies at the platform is answered when that call is over
    expect(answeredTooSoon(road(), called, known)).toEqual([])
    // the run must have met both sides of the moment, or it has shown nothing
    expect(report.duplicates).toEqual([])
    const count = (status: string) => messages.filter((one) => one.status === status).length
    expect(count('sent') + count('delivered')).toBeGreaterThan(PEOPLE / 2)
    expect(count('blocked')).toBeGreaterThan(PEOPLE / 2)
    expect(callsUnderWay(road(), called, calledAtMs)).toBeGreaterThan(0)
  }, 60_000)

  test('begins none when a process stands still between its decision and its call', async () => {
    const random = seeded(SEED)
    const [awake, frozen] = road().gateways
    if (!awake || !frozen) throw new Error('two gateways are needed')
    const sender = senderOf(road())
    const plans = Array.from({ length: 90 }, () => ({
      ...planOf(road().people.newOpenid(), random),
      optOut: 'api_everything' as const,
    }))
    await crowd(plans, ({ person }) => agreesToAll(road(), person), 32)
    for (const fault of delays(random, { most: 50 })) road().sandbox.addFault(fault)
    await warmUp(road())
    const asks = plans.flatMap(({ person, sends }) =>
      sends.map(({ channel }): Ask => ({ to: person, channel })),
    )
    // both processes have their hands full when one of them stops
    const asking = crowd(asks, (ask) => sender.ask(ask), 48)
    await sleep(300)
    process.kill(frozen.pid, 'SIGSTOP')
    const known = new Map<string, { fromMs: number; untilMs: number }>()
    try {
      await crowd(
        plans,
        async (plan) => {
          known.set(plan.person, { fromMs: await sayNo(road(), plan), untilMs: Infinity })
        },
        plans.length,
      )
    } finally {
      process.kill(frozen.pid, 'SIGCONT')
    }
    await asking
    const messages = await sender.allEnded()
    road().sandbox.clearFaults()

    expect(lateCalls(road(), plans, known)).toEqual([])
    const mine = messages.filter(({ to }) => to !== null && known.has(to))
    expect(mine.filter(({ status }) => status === 'blocked').length).toBeGreaterThan(0)
  }, 60_000)

  test('closes every window for answers when the conversation is opted out of', async () => {
    const person = road().people.newOpenid()
    const sender = senderOf(road())
    await agreesToAll(road(), person)
    expect((await sender.optOut(person, 'conversation')).status).toBe(200)
    const ask: Ask = { to: person, channel: 'customer_service_message' }
    expect(await sender.check(ask)).toMatchObject({ allowed: false })
    expect(await sender.ended(await sender.ask(ask))).toMatchObject({ status: 'blocked' })
    expect(callsFor(road(), person)).toEqual([])
  })

  test.for([
    { errcode: 43004, channel: 'template_message', scope: 'follow', closes: ROAD_CHANNELS },
    { errcode: 40132, channel: 'template_message', scope: 'follow', closes: ROAD_CHANNELS },
    { errcode: 48002, channel: 'customer_service_message', scope: 'follow', closes: ROAD_CHANNELS },
    {
      errcode: 43101,
      channel: 'template_message',
      scope: `template:${NOTICE}`,
      closes: ['template_message'],
    },
    {
      errcode: 43101,
      channel: 'subscription_message',
      scope: `template:${SUBSCRIPTION}`,
      closes: ['subscription_message'],
    },
  ] as const)(
    'calls no more for a person once $errcode to a $channel is in the ledger',
    async ({ errcode, channel, scope, closes }) => {
      const person = road().people.newOpenid()
      const sender = senderOf(road())
      await agreesToAll(road(), person)
      // only the first call meets it: if there were a second, it would be delivered
      road().sandbox.addFault({ openid: person, path: PATHS[channel], errcode, times: 1 })
      const asked = await Promise.all(
        Array.from({ length: 6 }, (_, process) => sender.ask({ to: person, channel }, { process })),
      )
      const ended = await Promise.all(asked.map((id) => sender.ended(id)))

      const refused = ended.filter(({ status }) => status === 'refused')
      expect(refused.map(({ attempts }) => attempts.map((one) => one.errcode))).toEqual([[errcode]])
      const consent = (await sender.consents(person)).find((one) => one.scope === scope)
      expect(consent?.state).toBe('revoked')
      const { db } = road().database
      const ledger = await db('consent_ledger')
        .where({ subject: person, scope, change: 'revoked' })
        .first<{ recorded_at: Date }>('recorded_at')
      const after = callsFor(road(), person).filter(({ at }) => new Date(at) > ledger.recorded_at)
      expect(after).toEqual([])

      const calls = callsFor(road(), person).length
      const closed: readonly RoadChannel[] = closes.filter(
        // whether a refusal of the account's messages ends template rights too is not ours to say
        (one) => scope !== 'follow' || one !== 'subscription_message',
      )
      for (const one of closed) {
        for (const process of [0, 1]) {
          const id = await sender.ask({ to: person, channel: one }, { process })
          expect(await sender.ended(id)).toMatchObject({ status: 'blocked', attempts: [] })
        }
      }
      expect(callsFor(road(), person)).toHaveLength(calls)
      expect(road().sandbox.report().sends_after_refusal_answer).toEqual([])
    },
  )
})

/** Lets both processes open their connections to the platform. */
async function warmUp(road: Road): Promise<void> {
  const sender = senderOf(road)
  const people = Array.from({ length: 48 }, () => road.people.newOpenid())
  await crowd(people, (person) => road.people.follow(person))
  const asked: string[] = []
  await crowd(people, async (to) => {
    asked.push(await sender.ask({ to, channel: 'template_message' }))
  })
  for (const id of asked) await sender.ended(id)
}

function planOf(person: string, random: () => number): Plan {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]
  const optOutAtMs = SPAN_MS * (0.2 + 0.5 * random())
  return {
    person,
    optOut: pick(WAYS) ?? 'unfollow',
    optOutAtMs,
    returns: random() < 0.2,
    sends: Array.from({ length: SENDS_EACH }, () => ({
      channel: pick(ROAD_CHANNELS) ?? 'template_message',
      // half of them close to the moment that matters
      atMs: random() < 0.5 ? SPAN_MS * random() : optOutAtMs + 200 * (random() - 0.7),
    })),
  }
}

/** Every channel is open afterwards, for more messages than the plan holds. */
async function agreesToAll({ people }: Road, person: string): Promise<void> {
  await people.follow(person)
  await people.say(person, '你好')
  // one popup is one credit, and the same popup twice in a second would be a repeat
  const popup = (popupScene: string) => people.accept(person, [SUBSCRIPTION], { popupScene })
  for (let scene = 1; scene <= SENDS_EACH; scene += 1) await popup(String(scene))
}

/** One person for each way to say no; the platform takes its time to answer the first call to them. */
async function slowlyAnswered(road: Road, random: () => number): Promise<Plan[]> {
  const plans = WAYS.map((optOut) => ({ ...planOf(road.people.newOpenid(), random), optOut }))
  await crowd(plans, ({ person }) => agreesToAll(road, person))
  const slow = { path: PATHS.template_message, delay_ms: SLOW_ANSWER_MS, times: 1 }
  for (const { person } of plans) road.sandbox.addFault({ ...slow, openid: person })
  return plans
}

/** Asks for a message to each of them, until its call lies at the platform. */
async function areCalled(road: Road, plans: readonly Plan[]): Promise<void> {
  await crowd(plans, async ({ person }) => {
    await senderOf(road).ask({ to: person, channel: 'template_message' })
  })
  await until(
    () => plans.filter(({ person }) => callsFor(road, person).length === 0),
    (uncalled) => uncalled.length === 0,
  )
}

/** Says no at its moment. @returns the monotonic span in which the no was known and held. */
async function optsOut(road: Road, plan: Plan): Promise<{ fromMs: number; untilMs: number }> {
  await sleep(plan.optOutAtMs)
  const fromMs = await sayNo(road, plan)
  // a word of the application is not taken back by a follow in every case; those stay away
  if (!plan.returns || plan.optOut.startsWith('api_')) return { fromMs, untilMs: Infinity }
  await nextSecond()
  const untilMs = performance.now()
  await road.people.follow(plan.person)
  return { fromMs, untilMs }
}

async function sayNo(road: Road, { person, optOut }: Plan): Promise<number> {
  const { people } = road
  const api = async (scope: string) => {
    const answer = await senderOf(road).optOut(person, scope)
    expect(answer.status).toBe(200)
    return answer.arrivedMs
  }
  const push = async (act: ReturnType<typeof people.follow>) =>
    (await act)?.acknowledged_ms ?? Infinity
  switch (optOut) {
    case 'unfollow':
      return push(people.unfollow(person))
    case 'switch_off':
      return push(people.switchOff(person, SUBSCRIPTION))
    case 'refuse_notice':
      return push(people.reject(person, [NOTICE]))
    case 'keyword':
      return push(people.say(person, ' 退订 '))
    case 'revoke_authorization':
      return push(people.revokeAuthorization(person))
    case 'api_everything':
      return api('everything')
    case 'api_follow':
      return api('follow')
    case 'api_template':
      return api(`template:${SUBSCRIPTION}`)
    case 'api_conversation':
      await api('conversation:action')
      return api('conversation')
  }
}

async function asksFor(road: Road, plan: Plan): Promise<void> {
  const asks = plan.sends.map(async ({ channel, atMs }, index) => {
    await sleep(Math.max(0, atMs))
    const ask: Ask = { to: plan.person, channel }
    await senderOf(road).ask(ask, { process: index })
  })
  await Promise.all(asks)
}

/** Sends that reached the platform while the gateway knew better, by the one clock of the sandbox. */
function lateCalls(
  road: Road,
  plans: readonly Plan[],
  known: ReadonlyMap<string, { fromMs: number; untilMs: number }>,
) {
  return plans.flatMap(({ person, optOut }) => {
    const { fromMs, untilMs } = known.get(person) ?? { fromMs: Infinity, untilMs: Infinity }
    const closed = new Set<string>(OPT_OUTS[optOut].map((channel) => PATHS[channel]))
    return callsFor(road, person)
      .filter(({ path }) => closed.has(path))
      .filter(({ arrived_ms }) => arrived_ms > fromMs && arrived_ms < untilMs)
      .map(({ path, arrived_ms }) => ({ person, optOut, path, lateMs: arrived_ms - fromMs }))
  })
}

/** Calls that the platform had at a moment and had not answered: the gateway had to wait for them. */
function callsUnderWay(road: Road, plans: readonly Plan[], atMs: number): number {
  return plans.filter(({ person }) =>
    callsFor(road, person).some(
      ({ arrived_ms, answered_ms }) => arrived_ms < atMs && (answered_ms ?? Infinity) > atMs,
    ),
  ).length
}

/** Those whose no was acknowledged while the platform had not answered the call to them. */
function answeredTooSoon(
  road: Road,
  plans: readonly Plan[],
  known: ReadonlyMap<string, { fromMs: number }>,
) {
  return plans.filter(({ person }) => {
    const fromMs = known.get(person)?.fromMs ?? 0
    return !callsFor(road, person).some((call) => (call.answered_ms ?? Infinity) < fromMs)
  })
}

function callsFor(road: Road, person: string) {
  const { entries } = road.sandbox.log({ kind: 'call', openid: person })
  return entries.filter((entry) => entry.kind === 'call')
}
