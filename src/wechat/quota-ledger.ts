import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { PlatformClient } from './platform-client.ts'
import type { CallCount } from './quota-store.ts'
import {
  isTold,
  limitOf,
  marksPassed,
  mustRest,
  quotaResetsAt,
  shareOf,
  usedOf,
  type QuotaTally,
} from './quota.ts'
import { chinaDay } from './token-rules.ts'

/** What of an account the ledger looks at. */
export interface CountedAccount {
  readonly id: number
  readonly name: string
  readonly settings: { readonly quota_margin_percent: number }
}

export interface QuotaLedgerParts {
  readonly addCalls: (counts: readonly CallCount[]) => Promise<readonly QuotaTally[]>
  readonly findAccount: (accountId: number) => Promise<CountedAccount | undefined>
  /** The paths whose calls rest when the day is nearly used up; all others are only counted. */
  readonly restablePaths: ReadonlySet<string>
  /** Rests the channels of a path, in every process. */
  readonly rest: (rest: {
    readonly accountId: number
    readonly path: string
    readonly until: Date
  }) => Promise<void>
  /** Asks the platform what the limit really is, and keeps what it says. */
  readonly askPlatform: (account: CountedAccount, path: string) => Promise<void>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Only tests shorten it. */
  readonly writeEveryMs?: number
}

export interface QuotaLedger {
  /**
   * Begins a call; null when it must rest, because the day's calls are used up but for the margin,
   * as far as this process knows and with all that are under way here.
   *
   * @returns to be called once at the end, with whether the call may have arrived: then it counts.
   */
  readonly begin: (accountId: number, path: string) => ((hasLeft: boolean) => void) | null
  /** Something changed (a clearing, a limit): what is known is read anew at once. */
  refresh(): void
  /** Writes down what was counted; for an orderly stop. */
  stop(): Promise<void>
}

/** One API of one account on one day, as this process knows it. */
interface Place {
  readonly accountId: number
  readonly day: string
  readonly path: string
  /** Counted here and not written down yet. */
  pending: number
  /** Begun here and not over: each may count. */
  underWay: number
  /** What all processes had written down when we last did. */
  tally: QuotaTally | null
  marginPercent: number
  /** Read anew although nothing was counted: calls are held back, or the platform was asked. */
  isWanted: boolean
}

/** One statement for all accounts and paths; a warning comes at most so late. */
const WRITE_EVERY_MS = 1_000

/**
 * Counts the calls of this process in memory and adds them, once a second, to what all processes
 * have counted. From the sum come the warnings, the metric, and the rest before the platform says
 * 45009. While the database is away counts wait here; a process that is killed loses those of its
 * last second.
 */
export function createQuotaLedger(parts: QuotaLedgerParts): QuotaLedger {
  const { clock, log, metrics, writeEveryMs = WRITE_EVERY_MS } = parts
  const places = new Map<string, Place>()
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()
  let isStopped = false

  function placeOf(accountId: number, path: string): Place {
    const day = chinaDay(clock.now())
    const key = `${accountId} ${day} ${path}`
    const known = places.get(key)
    if (known) return known
    const place = emptyPlace(accountId, day, path)
    places.set(key, place)
    return place
  }

  function writeSoon(): void {
    if (timer || isStopped) return
    timer = setTimeout(() => {
      timer = null
      writing = writing.then(write)
    }, writeEveryMs).unref()
  }

  async function write(): Promise<void> {
    const asked = [...places.values()].filter((place) => place.pending > 0 || place.isWanted)
    if (asked.length === 0) return
    const counts = asked.map(({ accountId, day, path, pending: calls }) => {
      return { accountId, day, path, calls }
    })
    for (const place of asked) place.pending = 0
    try {
      const tallies = await parts.addCalls(counts)
      for (const [index, place] of asked.entries()) {
        const tally = tallies.find((one) => isOf(one, place))
        if (tally) await learn(place, tally, counts[index]?.calls ?? 0)
      }
      forgetOldDays()
    } catch (error) {
      // Counted again with the next second's; what did reach the database is counted twice.
      for (const [index, place] of asked.entries()) place.pending += counts[index]?.calls ?? 0
      log.warn({ error: describeError(error) }, 'quota.not_written')
      writeSoon()
    }
  }

  async function learn(place: Place, tally: QuotaTally, added: number): Promise<void> {
    place.tally = tally
    place.isWanted = false
    const account = await parts.findAccount(place.accountId)
    if (!account) return
    place.marginPercent = account.settings.quota_margin_percent
    const share = shareOf(tally)
    if (share !== null) metrics.quotaUsed.set({ account: account.name, path: place.path }, share)
    const marks = marksPassed(tally, added)
    for (const mark of marks.filter(isTold)) tell(parts, { account, tally, mark })
    if (!parts.restablePaths.has(place.path)) return
    if (marks.length > 0 && !isStopped) await ask(account, place.path)
    if (mustRest(tally, place.marginPercent)) await rest(account, tally)
  }

  async function ask(account: CountedAccount, path: string): Promise<void> {
    try {
      await parts.askPlatform(account, path)
      // What it said counts from the next writing on.
      placeOf(account.id, path).isWanted = true
      writeSoon()
    } catch (error) {
      log.warn({ account: account.name, path, error: describeError(error) }, 'quota.not_read')
    }
  }

  async function rest(account: CountedAccount, tally: QuotaTally): Promise<void> {
    const until = quotaResetsAt(clock.now())
    await parts.rest({ accountId: account.id, path: tally.path, until })
    log.warn(
      { account: account.name, path: tally.path, used: usedOf(tally), until },
      'quota.resting',
    )
  }

  function isResting({ path, tally, pending, underWay, marginPercent }: Place): boolean {
    if (!tally || !parts.restablePaths.has(path)) return false
    return mustRest(tally, marginPercent, usedOf(tally) + pending + underWay)
  }

  function forgetOldDays(): void {
    const today = chinaDay(clock.now())
    for (const [key, { day, pending, underWay }] of places) {
      if (day !== today && pending + underWay === 0) places.delete(key)
    }
  }

  return {
    begin(accountId, path) {
      const place = placeOf(accountId, path)
      if (isResting(place)) {
        place.isWanted = true
        writeSoon()
        return null
      }
      place.underWay += 1
      return (hasLeft) => {
        place.underWay -= 1
        if (!hasLeft) return
        place.pending += 1
        writeSoon()
      }
    },

    refresh() {
      for (const place of places.values()) place.isWanted ||= place.tally !== null
      writing = writing.then(write)
    },

    async stop() {
      isStopped = true
      if (timer) clearTimeout(timer)
      await writing
      await write()
    },
  }
}

function emptyPlace(accountId: number, day: string, path: string): Place {
  const counted = { pending: 0, underWay: 0, tally: null }
  return { accountId, day, path, ...counted, marginPercent: 0, isWanted: false }
}

/** One line for a mark that was passed. */
function tell(
  { log, clock }: Pick<QuotaLedgerParts, 'log' | 'clock'>,
  passed: {
    readonly account: CountedAccount
    readonly tally: QuotaTally
    readonly mark: number
  },
): void {
  const { account, tally, mark } = passed
  const limit = limitOf(tally)
  log.warn(
    {
      account: account.name,
      path: tally.path,
      percent: mark * 100,
      used: usedOf(tally),
      daily_limit: limit?.perDay,
      limit_source: limit?.source,
      resets_at: quotaResetsAt(clock.now()),
    },
    'quota.nearly_used',
  )
}

function isOf(tally: QuotaTally, place: Place): boolean {
  return tally.accountId === place.accountId && tally.day === place.day && tally.path === place.path
}

/** The reason of a call that was not made because the day's quota is used up but for the margin. */
const QUOTA_MARGIN = 'quota_margin'

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
      end(outcome.kind !== 'not_sent')
      return outcome
    },
    close: () => client.close(),
  }
}
