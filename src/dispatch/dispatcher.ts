import type { Knex } from 'knex'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { createUnderWay } from '../foundation/under-way.ts'
import { createWaker } from '../foundation/waker.ts'
import type { PlatformClient } from '../wechat/platform-client.ts'
import { claimMessages, releaseMessages, type ClaimedMessage } from './dispatch-store.ts'
import { createLine, type Turn } from './line.ts'
import { createPlaces } from './places.ts'
import type {
  FindAccountById,
  LookUpCode,
  OpenSealed,
  QuotaReady,
  TemplateRefused,
  Tokens,
} from './ports.ts'
import { sendClaimed } from './send-claimed.ts'
import { createSendParts } from './send-parts.ts'
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
  readonly quotaReady?: QuotaReady
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
/** Messages whose outcome is still to be written, as a share of the places; more wait for the database. */
const FINISHING_PER_PLACE = 2

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
    onFree: () => startWhatFits(),
  })
  const line = createLine(options.concurrency, { places, onLow: () => waker.wake() })
  const working = createUnderWay()
  const mostWorking = (1 + FINISHING_PER_PLACE) * options.concurrency
  const watch = createCallWatch({
    ...options,
    places,
    onRest: (accountId) => giveBack(line.takeOut((waiting) => waiting.accountId === accountId)),
  })
  let lastRoundAt: Date | null = null
  let loop: Promise<void> | undefined

  const parts = createSendParts(options, {
    lease,
    watch: (watched) => watch.called(watched),
    wakeAt: (at) => {
      const waitMs = at.getTime() - clock.now().getTime()
      if (waitMs <= 0) waker.wake()
      // due before the next look: a message that waited for its person
      else if (waitMs < LOOK_EVERY_MS) setTimeout(() => waker.wake(), waitMs).unref()
    },
    onRest: (isMeant) => giveBack(line.takeOut(isMeant)),
  })

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const waitMs = await round()
        if (waitMs > 0) await waker.rest(waitMs)
      } catch (error) {
        roundFailed(error)
        await sleep(PAUSE_AFTER_FAILURE_MS, stopping.signal)
      }
    }
  }

  /** What was claimed is free again when its lease is over. */
  function roundFailed(error: unknown): void {
    log.error({ error: describeError(error) }, 'dispatch.round_failed')
  }

  /** @returns how long to wait before looking again, in milliseconds. */
  async function round(): Promise<number> {
    const offer = line.offer()
    const claimed =
      offer.limit > 0 ? await claimMessages(db, { ...lease, limit: offer.limit, offer }) : []
    lastRoundAt = clock.now()
    if (stopping.signal.aborted) {
      await giveBack(claimed)
      return 0
    }
    line.claimed(offer, claimed)
    startWhatFits()
    if (claimed.some(({ hasMore }) => hasMore)) return 0
    return claimed.some(({ isPaced }) => isPaced) ? LOOK_PACED_MS : LOOK_EVERY_MS
  }

  async function giveBack(claimed: readonly ClaimedMessage[]): Promise<void> {
    if (claimed.length === 0) return
    const messageIds = claimed.map((message) => message.id)
    await releaseMessages(db, { process: options.process, messageIds, dueAt: null })
  }

  function startWhatFits(): void {
    while (working.count < mostWorking && !stopping.signal.aborted) {
      const turn = line.next()
      if (!turn) return
      startOne(turn)
    }
  }

  function startOne({ message, leave }: Turn): void {
    working.begin()
    void sendClaimed(parts, message, leave)
      .catch((error: unknown) => {
        log.error({ message_id: message.id, error: describeError(error) }, 'dispatch.failed')
      })
      .then(() => {
        working.end()
        leave()
        startWhatFits()
      })
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
      await giveBack(line.takeOut(() => true)).catch(roundFailed)
      await working.none()
    },
    get lastRoundAt() {
      return lastRoundAt
    },
  }
}
