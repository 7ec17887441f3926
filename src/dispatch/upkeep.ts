import type { Knex } from 'knex'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { CHANNELS, CHANNEL_NAMES, deduplicates } from '../wechat/channels.ts'
import { forgetOldReceipts, measureQueue, recoverMessages } from './dispatch-store.ts'
import { restInQuietHours } from './quiet-store.ts'

export interface Upkeep {
  start(): void
  stop(): Promise<void>
}

/** Often enough that a dead process's messages are taken up seconds after its leases end. */
const EVERY_MS = 2_000
const ROUNDS_OF_AN_HOUR = 1_800
const MAX_RECOVERED = 500
/** Less than any channel's memory for repeats, by a minute for the way and our clocks. */
const MEMORY_SECONDS = CHANNELS.template_message.repeatMemoryMs / 1000 - 60

/**
 * What needs doing now and then: messages of dead processes taken up, quiet hours kept, the queue
 * measured, what is old forgotten. Every process does it; the statements allow that.
 */
export function createUpkeep(deps: {
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Called when messages were queued again. */
  readonly onRecovered: () => void
  /** What other rooms measure, done in every round. */
  readonly measures: readonly (() => Promise<void>)[]
  /** Work of other rooms, done at the start and then once an hour. */
  readonly hourly: readonly (() => Promise<void>)[]
}): Upkeep {
  const { db, clock, log, metrics } = deps
  const stopping = new AbortController()
  let loop: Promise<void> | undefined

  async function run(): Promise<void> {
    for (let round = 0; !stopping.signal.aborted; round += 1) {
      try {
        await recover()
        while ((await restInQuietHours(db)) && !stopping.signal.aborted);
        await measure()
        if (round % ROUNDS_OF_AN_HOUR === 0) await tidy()
      } catch (error) {
        log.warn({ error: describeError(error) }, 'upkeep.failed')
      }
      await sleep(EVERY_MS, stopping.signal)
    }
  }

  async function recover(): Promise<void> {
    const recovered = await recoverMessages(db, {
      deduplicated: CHANNEL_NAMES.filter(deduplicates),
      withinSeconds: MEMORY_SECONDS,
      limit: MAX_RECOVERED,
    })
    for (const message of recovered) {
      log.warn(
        { message_id: message.id, channel: message.channel, status: message.status },
        'dispatch.recovered',
      )
    }
    if (recovered.some((message) => message.status === 'queued')) deps.onRecovered()
  }

  async function tidy(): Promise<void> {
    await forgetOldReceipts(db)
    for (const chore of deps.hourly) await chore()
  }

  async function measure(): Promise<void> {
    const queue = await measureQueue(db)
    metrics.queueLength.set({ status: 'scheduled' }, queue.scheduled)
    metrics.queueLength.set({ status: 'queued' }, queue.queued)
    metrics.queueLength.set({ status: 'sending' }, queue.sending)
    const waitedMs = queue.oldestDueAt ? clock.now().getTime() - queue.oldestDueAt.getTime() : 0
    metrics.queueAge.set(Math.max(0, waitedMs / 1000))
    for (const other of deps.measures) await other()
  }

  return {
    start() {
      loop ??= run()
    },
    async stop() {
      stopping.abort()
      await loop
    },
  }
}
