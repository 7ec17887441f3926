import { sleep } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { CallOutcome, PlatformCall, PlatformClient } from './platform-client.ts'
import {
  countOf,
  emptyPlace,
  isNearlyFull,
  isResting,
  isToWrite,
  settle,
  takeBack,
  type QuotaPlace,
} from './quota-place.ts'
import type { CallCount } from './quota-store.ts'
import { DAY_IS_FULL, type QuotaTally } from './quota.ts'
import { chinaDay } from './token-rules.ts'
import { createQuotaWatch, type QuotaWatchParts } from './watch-quota.ts'

export interface QuotaLedgerParts extends QuotaWatchParts {
  readonly addCalls: (counts: readonly CallCount[]) => Promise<readonly QuotaTally[]>
  /** Only tests shorten it. */
  readonly writeEveryMs?: number
}

/** How a counted call ended: it never left, the platform said 45009 to it, or anything else. */
export type CallEnd = 'not_sent' | 'day_full' | 'called'

export interface QuotaLedger {
  /**
   * Sees to it that the limit of a path is known before the day's first call of it: the platform is
   * asked, once a day for each account and path whose calls may rest.
   *
   * @returns null when there is nothing to wait for; else a promise that never fails and takes two
   *   seconds at most, also where the platform does not say.
   */
  ready(accountId: number, path: string): Promise<void> | null
  /**
   * Begins a call; null when it must rest, because the day's calls are used up but for the margin,
   * as far as this process knows and with all that are under way here.
   *
   * @returns to be called once at the end; a call counts unless it never left.
   */
  begin(accountId: number, path: string): ((end: CallEnd) => void) | null
  /** Something changed (a clearing, a limit): what is known is read anew at once. */
  refresh(): void
  /** Writes down what was counted; for an orderly stop. */
  stop(): Promise<void>
}

/** One statement for all accounts and paths; a warning comes at most so late. */
const WRITE_EVERY_MS = 1_000
/** The same when few calls are left: several processes share them. */
const WRITE_NEARLY_FULL_MS = 20
/** How long the first call of a day waits for the platform to name the limit. */
const OPEN_WITHIN_MS = 2_000

/**
 * Counts the calls of this process in memory and adds them, once a second, to what all processes
 * have counted. From the sum come the warnings, the metric, and the rest before the platform says
 * 45009. While the database is away counts wait here; a process that is killed loses those of its
 * last second.
 */
export function createQuotaLedger(parts: QuotaLedgerParts): QuotaLedger {
  const { clock, log, writeEveryMs = WRITE_EVERY_MS } = parts
  const places = new Map<string, QuotaPlace>()
  const watch = createQuotaWatch(parts, (place) => {
    // What it said counts from the next writing on.
    place.isWanted = true
    writeSoon()
  })
  let timer: { readonly handle: NodeJS.Timeout; readonly atMs: number } | null = null
  let writing: Promise<void> = Promise.resolve()
  let isStopped = false

  function placeOf(accountId: number, path: string): QuotaPlace {
    const day = chinaDay(clock.now())
    const key = `${accountId} ${day} ${path}`
    const known = places.get(key)
    if (known) return known
    const place = emptyPlace(accountId, day, path)
    places.set(key, place)
    return place
  }

  function writeSoon(withinMs = writeEveryMs): void {
    if (isStopped) return
    const atMs = clock.monotonicMs() + withinMs
    if (timer && timer.atMs <= atMs) return
    if (timer) clearTimeout(timer.handle)
    const handle = setTimeout(() => {
      timer = null
      void flush()
    }, withinMs).unref()
    timer = { handle, atMs }
  }

  function flush(): Promise<void> {
    writing = writing.then(write)
    return writing
  }

  async function write(): Promise<void> {
    const asked = [...places.values()].filter(isToWrite)
    if (asked.length === 0) return
    const counts = asked.map(countOf)
    for (const place of asked) {
      place.writing = place.pending
      place.pending = 0
    }
    try {
      const tallies = await parts.addCalls(counts)
      const learnt = asked.flatMap((place, index) => settle(place, tallies, counts[index]))
      for (const { place, tally, added } of learnt) await watch.written(place, tally, added)
      forgetOldDays()
    } catch (error) {
      // Counted again with the next second's; what did reach the database is counted twice.
      for (const place of asked) {
        place.pending += place.writing
        place.writing = 0
      }
      log.warn({ error: describeError(error) }, 'quota.not_written')
      writeSoon()
    }
  }

  async function open(place: QuotaPlace): Promise<void> {
    place.isWanted = true
    await flush()
    const isAsked = await watch.askFirst(place)
    if (place.isWanted) await flush()
    place.isOpen = isAsked
  }

  /** Whatever the platform does; where the database is away the next call looks again. */
  async function openInTime(place: QuotaPlace): Promise<void> {
    const waiting = new AbortController()
    const opened = open(place).catch((error: unknown) => {
      log.warn({ path: place.path, error: describeError(error) }, 'quota.not_read')
    })
    const isLate = sleep(OPEN_WITHIN_MS, waiting.signal).then(() => !waiting.signal.aborted)
    if (await Promise.race([opened.then(() => false), isLate])) place.isOpen = place.tally !== null
    waiting.abort()
    place.opening = null
  }

  function forgetOldDays(): void {
    const today = chinaDay(clock.now())
    for (const [key, { day, pending }] of places) {
      if (day !== today && pending === 0) places.delete(key)
    }
  }

  return {
    ready(accountId, path) {
      if (!parts.restablePaths.has(path)) return null
      const place = placeOf(accountId, path)
      if (place.isOpen) return null
      place.opening ??= openInTime(place)
      return place.opening
    },

    begin(accountId, path) {
      const place = placeOf(accountId, path)
      if (parts.restablePaths.has(path) && isResting(place)) {
        place.isWanted = true
        writeSoon()
        return null
      }
      if (place.spare > 0) place.spare -= 1
      else place.pending += 1
      writeSoon(isNearlyFull(place) ? Math.min(WRITE_NEARLY_FULL_MS, writeEveryMs) : writeEveryMs)
      return (end) => {
        if (end === 'not_sent') takeBack(place)
        if (end !== 'day_full' || place.full !== 'no') return
        place.full = 'yes'
        writeSoon(0)
      }
    },

    refresh() {
      for (const place of places.values()) place.isWanted ||= place.tally !== null
      void flush()
    },

    async stop() {
      isStopped = true
      if (timer) clearTimeout(timer.handle)
      await writing
      await watch.settle()
      await write()
    },
  }
}

/** The reason of a call that was not made because the day's quota is used up but for the margin. */
export const QUOTA_MARGIN = 'quota_margin'

/**
 * A client whose calls for an account are counted; those of a path that must rest do not leave. A
 * call that may have arrived counts, whatever became of it.
 */
export function countCalls(client: PlatformClient, ledger: QuotaLedger): PlatformClient {
  return {
    async call(call) {
      const { accountId, path } = call
      if (accountId === undefined) return client.call(call)
      const end = ledger.begin(accountId, path)
      if (!end) return { kind: 'not_sent', reason: QUOTA_MARGIN }
      const outcome = await client.call(call)
      end(endOf(call, outcome))
      return outcome
    },
    close: () => client.close(),
  }
}

/** In WeCom 45009 is about the minute. */
function endOf({ host }: PlatformCall, outcome: CallOutcome): CallEnd {
  if (outcome.kind === 'not_sent') return 'not_sent'
  const isFull = outcome.kind === 'answer' && outcome.errcode === DAY_IS_FULL && host !== 'wecom'
  return isFull ? 'day_full' : 'called'
}
