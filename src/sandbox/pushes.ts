import { sleep } from '../foundation/clock.ts'
import type { EventInput } from './inputs.ts'
import { unixSeconds } from './movable-clock.ts'
import type { PushRules } from './options.ts'
import { mayBeAnswered, readPassiveReply } from './passive-reply.ts'
import { createPushClient } from './push-client.ts'
import { isAcknowledgement, type PushPlace } from './push-place.ts'
import type { PushPlan } from './push-faults.ts'
import {
  makeHandshakeUrl,
  makePushRequest,
  type PushInput,
  type PushRequest,
} from './push-request.ts'
import type { PushRecord, TryRecord } from './record.ts'
import { createShuffler } from './shuffler.ts'
import type { World } from './world.ts'

/** A document on its way out. */
export interface OutgoingPush {
  /** Where it goes: asked when it leaves, because an address may have changed by then. */
  readonly place: () => PushPlace
  readonly event: string
  readonly openid: string | undefined
  readonly document: string
  /** What differs from how the platform does it. */
  readonly options?: Omit<EventInput, 'document' | 'openid'>
  /** How long it waits for the answer; as the push rules say when absent. */
  readonly timeoutMs?: number
  /** Whatever looks like a passive reply is a right answer: the check before a release reads it itself. */
  readonly readsReply?: boolean
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
  /**
   * The GET made when the callback's address is saved; WeCom waits one second for its answer.
   *
   * @param receiveId what stands behind an encrypted `echostr`; the place's own when absent.
   */
  handshake(place: PushPlace, receiveId?: string): Promise<HandshakeResult>
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
      const answered = await client.ask({
        ...outgoing,
        copy,
        timeoutMs: push.timeoutMs ?? world.push.answerTimeoutMs,
        isRight: (answer) => judgeAnswer(delivery, answer),
      })
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
    const { ownerId, url, kind } = push.place()
    const plan = world.pushFaults.take({ appId: ownerId, event: push.event })
    const record = openRecord(world, push, { plan, ownerId, kind })
    world.record.pushes.add(record)
    if (!url) record.outcome = 'no_callback_url'
    else if (plan.drop) record.outcome = 'dropped'
    else {
      await deliverAll(push, record, plan)
      const outcome = record.acknowledged_ms === null ? 'given_up' : 'acknowledged'
      record.outcome = plan.tamper ? 'tampered' : outcome
    }
    world.record.count(ownerId, `push:${record.outcome}`)
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
    async handshake(place, receiveId = place.receiveId) {
      const { url: saved } = place
      if (!saved) return { verified: false, status: null, answer: null }
      const echostr = world.random.digits(19)
      const timestamp = String(unixSeconds(world.clock.now()))
      const head = { url: saved, place, receiveId, timestamp, nonce: world.random.digits(9) }
      const url = makeHandshakeUrl(head, echostr, world.random)
      const timeoutMs =
        place.query === 'wecom' ? world.push.noticeTimeoutMs : world.push.answerTimeoutMs
      const isRight = () => true
      const { status, answer } = await client.ask({ url, body: null, copy: 0, timeoutMs, isRight })
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

/** A message in the answer is right where the platform takes one and can read it; it is kept. */
function judgeAnswer(
  { push, record, input }: Delivery,
  answer: { readonly status: number; readonly text: string },
): boolean {
  const { place } = input
  if (push.readsReply) return isAcknowledgement('reply', answer)
  if (answer.status !== 200 || !mayBeAnswered(place, push.event)) {
    return isAcknowledgement(place.answer, answer)
  }
  const reply = readPassiveReply(place, answer.text, push.openid)
  if (reply) record.reply = reply
  if (reply === undefined) return place.answer === 'any'
  return reply !== null || isAcknowledgement(place.answer, answer)
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

function openRecord(
  world: World,
  push: OutgoingPush,
  to: { readonly plan: PushPlan; readonly ownerId: string; readonly kind: PushPlace['kind'] },
): PushRecord {
  return {
    kind: 'push',
    id: world.record.nextId(),
    at: world.clock.now().toISOString(),
    app_id: to.ownerId,
    to: to.kind,
    openid: push.openid ?? null,
    event: push.event,
    document: push.document,
    tampered: to.plan.tamper ?? null,
    outcome: 'waiting',
    acknowledged_at: null,
    acknowledged_ms: null,
    reply: null,
    tries: [],
  }
}

function pushInput(world: World, push: OutgoingPush, plan: PushPlan): PushInput {
  const { options } = push
  const configured = push.place()
  const place = {
    ...configured,
    mode: options?.mode ?? configured.mode,
    receiveId: options?.receive_id ?? configured.receiveId,
  }
  return {
    place,
    url: place.url ?? '',
    openid: push.openid,
    document: push.document,
    timestamp: options?.timestamp ?? String(unixSeconds(world.clock.now())),
    nonce: options?.nonce ?? world.random.digits(NONCE_DIGITS),
    tamper: plan.tamper,
  }
}
