import type { Knex } from 'knex'
import { decideSend } from '../consent/consent-store.ts'
import { isUnavailable } from '../database/availability.ts'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import { createGatherer } from '../foundation/gather.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { createWaker } from '../foundation/waker.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'
import type { PlatformClient } from '../wechat/platform-client.ts'
import {
  beginAttempts,
  claimMessages,
  finishAttempts,
  pauseChannel,
  releaseMessages,
  type BeginDecision,
  type ClaimedMessage,
  type EndedAttempt,
} from './dispatch-store.ts'
import type { AttemptEnd } from './outcome.ts'
import { createPlaces } from './places.ts'
import type { FindAccountById, LookUpCode, OpenSealed, TemplateRefused, Tokens } from './ports.ts'
import { sendClaimed, type SendParts } from './send-claimed.ts'
import { createCallWatch } from './watch-calls.ts'

export interface DispatcherOptions {
  readonly db: Knex
  readonly client: Pick<PlatformClient, 'call'>
  readonly tokens: Tokens
  readonly findAccount: FindAccountById
  readonly openSealed: OpenSealed
  /** The codes as an operator has them for an account. */
  readonly lookUpCode: LookUpCode
  readonly templateRefused?: TemplateRefused
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Metrics
  /** This process's name in leases; unique among all that share the database. */
  readonly process: string
  /** Messages under way at once in this process. */
  readonly concurrency: number
  /** How long a claim holds without news; the survivors take over after it. */
  readonly leaseSeconds: number
}

export interface Dispatcher {
  start(): void
  /** Claims at once instead of at the next look; for whoever knows that something was queued. */
  wake(): void
  /** Claims nothing more, lets the calls under way end and records them, gives back the rest. */
  stop(): Promise<void>
  /** Sets the gauges of what each account may have in hand, and of breakers. */
  measure(): Promise<void>
  /** When the loop last went round; null before the first time. */
  readonly lastRoundAt: Date | null
}

/** How long a message may wait for its due time to be noticed when nobody wakes us. */
const LOOK_EVERY_MS = 500
/** The same while an account is paced: a bucket that fills evenly is emptied evenly. */
const LOOK_PACED_MS = 100
/** After a failure of the loop itself, usually a database that is away. */
const PAUSE_AFTER_FAILURE_MS = 1_000
const MAX_CLAIM = 200
/** Attempts of one begin or finish statement. */
const MAX_BATCH = 100

/**
 * Takes due messages from the queue and sends them, `concurrency` at a time. Any number of
 * dispatchers may work on one database.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { db, clock, log } = options
  const lease = { process: options.process, leaseSeconds: options.leaseSeconds }
  const stopping = new AbortController()
  const waker = createWaker(stopping.signal)
  const places = createPlaces(options.concurrency, {
    monotonicMs: () => clock.monotonicMs(),
    onRoom: () => waker.wake(),
  })
  const watch = createCallWatch({ ...options, places })
  let lastRoundAt: Date | null = null
  let loop: Promise<void> | undefined

  const begins = createGatherer<string, BeginDecision>({
    maxBatch: MAX_BATCH,
    maxWaiting: Infinity,
    isCommonFailure: isUnavailable,
    run: (messageIds) => beginAttempts(db, { ...lease, messageIds }),
  })
  const ends = createGatherer<EndedAttempt, string | null>({
    maxBatch: MAX_BATCH,
    maxWaiting: Infinity,
    isCommonFailure: isUnavailable,
    run: (ended) => finishAttempts(db, ended),
  })

  const parts: SendParts = {
    ...options,
    tokens: {
      getToken: (account, wish) => options.tokens.getToken(account, wish),
      reportRejected: (account, version) =>
        surely(() => options.tokens.reportRejected(account, version)),
    },
    isAllowed: async ({ recipient: subject, ...message }) =>
      (await decideSend(db, { ...message, subject, at: clock.now() })).allowed,
    begin: (messageId) => begins.add(messageId),
    finish: (ended) => surely(() => ends.add(ended)),
    release: async (messageId, dueAt) => {
      await releaseMessages(db, { process: options.process, messageIds: [messageId], dueAt })
      const waitMs = dueAt ? dueAt.getTime() - clock.now().getTime() : 0
      // due before the next look: a message that waited for its person
      if (waitMs < LOOK_EVERY_MS) setTimeout(() => waker.wake(), Math.max(0, waitMs)).unref()
    },
    pause: (message, end) => surely(() => restChannel(db, message, end)),
    watch: (watched) => watch.called(watched),
  }

  /**
   * The platform has acted: its answer must not be lost to a database that is away for a moment. We
   * try for as long as a lease; another process has called the outcome unknown by then.
   */
  async function surely<Result>(work: () => Promise<Result>): Promise<Result> {
    const untilMs = clock.monotonicMs() + options.leaseSeconds * 1000
    for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      try {
        return await work()
      } catch (error) {
        if (!isUnavailable(error) || clock.monotonicMs() > untilMs) throw error
        await sleep(pauseMs)
      }
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const waitMs = await round()
        if (waitMs > 0) await waker.rest(waitMs)
      } catch (error) {
        log.error({ error: describeError(error) }, 'dispatch.round_failed')
        await sleep(PAUSE_AFTER_FAILURE_MS, stopping.signal)
      }
    }
  }

  /** @returns how long to wait before looking again, in milliseconds. */
  async function round(): Promise<number> {
    await places.untilWorthwhile(stopping.signal)
    const limit = Math.min(places.free, MAX_CLAIM)
    if (limit <= 0) return 0
    const offer = places.offer()
    const claimed = await claimMessages(db, { ...lease, limit, offer })
    lastRoundAt = clock.now()
    if (stopping.signal.aborted) {
      await giveBack(claimed)
      return 0
    }
    const accountIds = claimed.map(({ accountId }) => accountId)
    for (const message of claimed) startOne(message)
    places.claimed(offer, accountIds)
    if (claimed.length === limit || claimed.some(({ hasMore }) => hasMore)) return 0
    return claimed.some(({ isPaced }) => isPaced) ? LOOK_PACED_MS : LOOK_EVERY_MS
  }

  async function giveBack(claimed: readonly ClaimedMessage[]): Promise<void> {
    const messageIds = claimed.map((message) => message.id)
    await releaseMessages(db, { process: options.process, messageIds, dueAt: null })
  }

  function startOne(message: ClaimedMessage): void {
    const work = sendClaimed(parts, message).catch((error: unknown) => {
      log.error({ message_id: message.id, error: describeError(error) }, 'dispatch.failed')
    })
    places.hold(message.accountId, work)
  }

  return {
    start() {
      loop ??= run()
    },
    wake: () => waker.wake(),
    measure: () => watch.measure(),
    async stop() {
      stopping.abort()
      await loop
      await places.untilEmpty()
    },
    get lastRoundAt() {
      return lastRoundAt
    },
  }
}

async function restChannel(db: Knex, message: ClaimedMessage, end: AttemptEnd): Promise<void> {
  if (!end.pause) return
  const { until, reason, every } = end.pause
  for (const channel of every ? CHANNEL_NAMES : [message.channel]) {
    const { accountId } = message
    await pauseChannel(db, { accountId, channel, until, errcode: end.errcode, reason })
  }
}
