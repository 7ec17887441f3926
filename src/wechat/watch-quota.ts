import type { Clock } from '../foundation/clock.ts'
import { AppError, describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { createUnderWay } from '../foundation/under-way.ts'
import type { QuotaPlace } from './quota-place.ts'
import type { CallCount } from './quota-store.ts'
import {
  isReadThatDay,
  isTold,
  limitOf,
  marksPassed,
  mustRest,
  quotaResetsAt,
  shareOf,
  usedOf,
  type QuotaTally,
} from './quota.ts'

/** What of an account the ledger looks at. */
export interface CountedAccount {
  readonly id: number
  readonly name: string
  readonly settings: { readonly quota_margin_percent: number }
}

export interface QuotaWatchParts {
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
}

/** Until the platform is asked again when it did not answer what the limit is. */
const ASK_AGAIN_MS = 600_000

/**
 * What follows from the counts: the metric, a warning, a question to the platform, a rest.
 *
 * @param readAgain told of a place about which the platform has said something.
 */
export function createQuotaWatch(parts: QuotaWatchParts, readAgain: (place: QuotaPlace) => void) {
  const { clock, log, metrics } = parts
  const asking = createUnderWay()
  let isOver = false

  /** Never fails; a platform that does not answer is asked again later. */
  function ask(account: CountedAccount, place: QuotaPlace): Promise<void> {
    place.askAgainMs = clock.now().getTime() + ASK_AGAIN_MS
    const { path } = place
    asking.begin()
    return parts
      .askPlatform(account, path)
      .then(() => readAgain(place))
      .catch((error: unknown) => {
        if (isRefused(error)) place.askAgainMs = Infinity
        log.warn({ account: account.name, path, error: describeError(error) }, 'quota.not_read')
      })
      .finally(() => asking.end())
  }

  async function rest(account: CountedAccount, tally: QuotaTally): Promise<void> {
    const { path } = tally
    const until = quotaResetsAt(clock.now())
    await parts.rest({ accountId: account.id, path, until })
    log.warn({ account: account.name, path, used: usedOf(tally), until }, 'quota.resting')
  }

  function isToAsk(place: QuotaPlace, tally: QuotaTally, added: CallCount): boolean {
    if (isOver || place.opening) return false
    if (added.isFull || marksPassed(tally, added.calls).length > 0) return true
    return !isReadThatDay(tally) && clock.now().getTime() >= place.askAgainMs
  }

  return {
    /**
     * Asks what the limit of a place is, unless the platform has named it on this day.
     *
     * @returns false where it cannot be asked yet: the counts are not known, or the account is not.
     */
    async askFirst(place: QuotaPlace): Promise<boolean> {
      if (!place.tally) return false
      if (isReadThatDay(place.tally)) return true
      const account = await parts.findAccount(place.accountId)
      if (account) await ask(account, place)
      return account !== undefined
    },

    /** A place was written down: what all have counted is known. */
    async written(place: QuotaPlace, tally: QuotaTally, added: CallCount): Promise<void> {
      const account = await parts.findAccount(place.accountId)
      if (!account) return
      place.marginPercent = account.settings.quota_margin_percent
      const share = shareOf(tally)
      if (share !== null) metrics.quotaUsed.set({ account: account.name, path: place.path }, share)
      const told = marksPassed(tally, added.calls).filter(isTold)
      for (const mark of told) tell(parts, { account, tally, mark })
      if (!parts.restablePaths.has(place.path)) return
      if (mustRest(tally, place.marginPercent)) await rest(account, tally)
      if (isToAsk(place, tally, added)) void ask(account, place)
    },

    /** Asks nothing more, and waits for the questions under way; for an orderly stop. */
    async settle(): Promise<void> {
      isOver = true
      await asking.none()
    },
  }
}

/** The platform has answered, and would answer the same again. */
function isRefused(error: unknown): boolean {
  return error instanceof AppError && error.code === 'quota_refused'
}

/** One line for a mark that was passed. */
function tell(
  { log, clock }: Pick<QuotaWatchParts, 'log' | 'clock'>,
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
