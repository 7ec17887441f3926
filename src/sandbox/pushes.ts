import { sleep } from '../foundation/clock.ts'
import type { EventInput } from './inputs.ts'
import { unixSeconds } from './movable-clock.ts'
import type { PushRules } from './options.ts'
import { createPushClient } from './push-client.ts'
import type { PushPlan } from './push-faults.ts'
import {
  makeHandshakeUrl,
  makePushRequest,
  type PushInput,
  type PushRequest,
} from './push-request.ts'
import type { PushRecord, TryRecord } from './record.ts'
import { createShuffler } from './shuffler.ts'
import type { Account, World } from './world.ts'

/** A document on its way out. */
export interface OutgoingPush {
  readonly account: Account
  readonly event: string
  readonly openid: string | undefined
  readonly document: string
  /** What differs from how the platform does it. */
  readonly options?: Omit<EventInput, 'document' | 'openid'>
  /** Called once, at the first right answer. */
  readonly onAcknowledged?: (push: PushRecord) => void
}

/** A push on its way, with the bytes that all its copies share. */
interface Delivery {
  readonly push: OutgoingPush
  readonly record: PushRecord
  readonly input: PushInput
  readonly outgoing: PushRequest
}

/** What the callback's owner said to the handshake. */
export interface HandshakeResult {
  readonly verified: boolean
  readonly status: number | null
  readonly answer: string | null
}

/** The outgoing half of the sandbox. */
export interface Pusher {
  /** Delivers a push with its repeats and faults; the record is final when this is done. */
  push(push: OutgoingPush): Promise<PushRecord>
  /** The same, some real milliseconds later, without anybody waiting. */
  pushLater(delayMs: number, make: () => OutgoingPush): void
  /** The GET made when the callback's address is saved. */
  handshake(account: Account): Promise<HandshakeResult>
  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void>
  close(): Promise<void>
}

const NONCE_DIGITS = 10

/** @param world whose clock, randomness, faults and record are used. */
export function createPusher(world: World): Pusher {
  const client = createPushClient(world.push, world.clock)
  const shuffler = createShuffler(world.random)
  const stopping = new AbortController()
  const pending = new Set<Promise<unknown>>()

  const track = <T>(work: Promise<T>): Promise<T> => {
    const forget = () => pending.delete(work)
    pending.add(work)
    work.then(forget, forget)
    return work
  }

  const deliver = async (delivery: Delivery, copy: number) => {
    const { push, record, input } = delivery
    let { outgoing } = delivery
    const repeats = input.tamper ? 0 : (push.options?.repeats ?? world.push.repeats)
    for (let repeat = 0; repeat <= repeats && !stopping.signal.aborted; repeat += 1) {
      const answered = await client.ask(outgoing.url, outgoing.body, copy)
      record.tries.push(answered)
      if (answered.problem === null) return acknowledge(delivery, answered, world.clock.now())
      if (repeat === repeats) return
      await sleep(pauseAfter(answered.problem, world.push), stopping.signal)
      if (world.push.encryptRepeatsAnew) outgoing = makePushRequest(input, world.random)
    }
  }

  const deliverAll = async (push: OutgoingPush, record: PushRecord, plan: PushPlan) => {
    const turn = plan.shuffle && (await shuffler.waitForTurn(plan.shuffle))
    if (plan.delayMs > 0) await sleep(plan.delayMs, stopping.signal)
    const input = pushInput(world, push, plan)
    const delivery = { push, record, input, outgoing: makePushRequest(input, world.random) }
    const copies = Array.from({ length: plan.duplicate + 1 }, (_, copy) => copy)
    if (plan.concurrent) {
      await Promise.all(copies.map((copy) => deliver(delivery, copy)))
    } else {
      for (const copy of copies) await deliver(delivery, copy)
    }
    turn?.()
  }

  const start = async (push: OutgoingPush): Promise<PushRecord> => {
    const { app_id, callback_url } = push.account.config
    const plan = world.pushFaults.take({ appId: app_id, event: push.event })
    const record = openRecord(world, push, plan)
    world.record.pushes.add(record)
    if (!callback_url) record.outcome = 'no_callback_url'
    else if (plan.drop) record.outcome = 'dropped'
    else {
      await deliverAll(push, record, plan)
      const outcome = record.acknowledged_ms === null ? 'given_up' : 'acknowledged'
      record.outcome = plan.tamper ? 'tampered' : outcome
    }
    world.record.count(app_id, `push:${record.outcome}`)
    return record
  }

  return {
    push: (push) => track(start(push)),
    pushLater(delayMs, make) {
      void track(
        sleep(delayMs, stopping.signal).then(() =>
          stopping.signal.aborted ? undefined : start(make()),
        ),
      )
    },
    async handshake(account) {
      const { callback_url, token } = account.config
      if (!callback_url) return { verified: false, status: null, answer: null }
      const echostr = world.random.digits(19)
      const head = {
        timestamp: String(unixSeconds(world.clock.now())),
        nonce: world.random.digits(9),
      }
      const url = makeHandshakeUrl({ callbackUrl: callback_url, token, ...head }, echostr)
      const { status, answer } = await client.ask(url, null, 0)
      return { verified: status === 200 && answer === echostr, status, answer }
    },
    async settled() {
      while (pending.size > 0) await Promise.allSettled(pending)
    },
    async close() {
      stopping.abort()
      shuffler.close()
      await client.close()
      await Promise.allSettled(pending)
    },
  }
}

/** The first right answer of a push that was not tampered with counts; later copies change nothing. */
function acknowledge({ push, record }: Delivery, answered: TryRecord, now: Date): void {
  if (record.tampered !== null || record.acknowledged_ms !== null) return
  record.acknowledged_ms = answered.ended_ms
  record.acknowledged_at = now.toISOString()
  push.onAcknowledged?.(record)
}

function pauseAfter(problem: NonNullable<TryRecord['problem']>, rules: PushRules): number {
  if (problem === 'timeout') return rules.repeatAfterTimeoutMs
  return problem === 'wrong_answer'
    ? rules.repeatAfterWrongAnswerMs
    : rules.repeatAfterNoConnectionMs
}

function openRecord(world: World, push: OutgoingPush, plan: PushPlan): PushRecord {
  return {
    kind: 'push',
    id: world.record.nextId(),
    at: world.clock.now().toISOString(),
    app_id: push.account.config.app_id,
    openid: push.openid ?? null,
    event: push.event,
    document: push.document,
    tampered: plan.tamper ?? null,
    outcome: 'waiting',
    acknowledged_at: null,
    acknowledged_ms: null,
    tries: [],
  }
}

function pushInput(world: World, push: OutgoingPush, plan: PushPlan): PushInput {
  const { config, key } = push.account
  return {
    callbackUrl: config.callback_url ?? '',
    mode: push.options?.mode ?? config.mode,
    token: config.token,
    key,
    receiveId: push.options?.receive_id ?? config.app_id,
    originalId: config.original_id,
    openid: push.openid,
    document: push.document,
    timestamp: push.options?.timestamp ?? String(unixSeconds(world.clock.now())),
    nonce: push.options?.nonce ?? world.random.digits(NONCE_DIGITS),
    tamper: plan.tamper,
  }
}
