import { BEGUN_TOO_LATE, type CallOutcome } from '../wechat/platform-client.ts'

/**
 * When calls rest because none gets through. A breaker belongs to an account or to an API host: an
 * account's opens by its own calls, a host's only when calls of several accounts fail.
 */

/** Calls that failed one after the other; any answer of the platform ends the row. */
export interface FailureRow {
  readonly failures: number
  readonly sinceMs: number
  /** Whose calls they were, as far as that matters: two are enough. */
  readonly accountIds: readonly number[]
}

export const NO_FAILURES: FailureRow = { failures: 0, sinceMs: 0, accountIds: [] }

/** In one row, within a minute. At a time-out of 10 s and a limit of four calls that is half of it. */
const FAILURES_TO_OPEN = { account: 10, host: 20 } as const
const ROW_MS = 60_000

/**
 * How long nobody calls, after the first opening and after each trial call that failed. About as the
 * messages wait that were not sent, so that a short outage costs no more than before.
 */
export const REST_SECONDS = [1, 2, 5, 10, 30, 60] as const

/** What a call says about whether the platform is reached; null: nothing, we held it back ourselves. */
export function reaches(call: CallOutcome): boolean | null {
  switch (call.kind) {
    case 'answer':
      return true
    case 'unclear':
      return false
    case 'not_sent':
      return HELD_BACK.has(call.reason) ? null : false
  }
}

/** `quota_margin`: the day's calls are nearly used up, see wechat/quota-ledger.ts. */
const HELD_BACK: ReadonlySet<string> = new Set([BEGUN_TOO_LATE, 'quota_margin'])

/** The row with one more failure, and whether the breaker opens by it. */
export function afterFailure(
  row: FailureRow,
  failure: { readonly atMs: number; readonly accountId: number },
  whose: keyof typeof FAILURES_TO_OPEN,
): { readonly row: FailureRow; readonly opens: boolean } {
  const goesOn = row.failures > 0 && failure.atMs - row.sinceMs < ROW_MS
  const grown: FailureRow = goesOn
    ? { ...row, failures: row.failures + 1, accountIds: withOne(row.accountIds, failure.accountId) }
    : { failures: 1, sinceMs: failure.atMs, accountIds: [failure.accountId] }
  const opens =
    grown.failures >= FAILURES_TO_OPEN[whose] &&
    (whose === 'account' || grown.accountIds.length > 1)
  return opens ? { row: NO_FAILURES, opens } : { row: grown, opens }
}

function withOne(accountIds: readonly number[], id: number): readonly number[] {
  return accountIds.length > 1 || accountIds.includes(id) ? accountIds : [...accountIds, id]
}
