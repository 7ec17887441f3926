/*
 * When an endpoint is given a rest: it has taken nothing for days, and posting more is of no use to
 * anybody.
 */

/** Why an endpoint is paused. */
export const PAUSED_REASONS = ['by_request', 'failing'] as const
export type PausedReason = (typeof PAUSED_REASONS)[number]

const DAY_MS = 24 * 3_600_000

/**
 * One failure now and one days ago say nothing about the time between. This try comes when its
 * delivery has been failing for 35 minutes.
 */
const TELLING_TRY = 4

/** What a batch of tries came to. */
export interface TriedBatch {
  readonly delivered: number
  readonly failed: number
  /** Of the failed ones, which try of its delivery the furthest was. */
  readonly furthestTry: number
}

/**
 * What follows from a batch of tries at an endpoint. One success in it is enough.
 *
 * @param health.failingSince the first failure behind the last success that is on record.
 * @param health.patienceDays how long nothing may succeed; 0: for ever.
 * @returns what is to be written, `unchanged` for nothing: as a rule, no statement is needed.
 */
export function judgeHealth(
  health: { readonly failingSince: Date | null; readonly patienceDays: number },
  batch: TriedBatch,
  now: Date,
): 'unchanged' | 'recovered' | 'failing' | 'pause' {
  const { failingSince, patienceDays } = health
  if (batch.delivered > 0) return failingSince === null ? 'unchanged' : 'recovered'
  if (batch.failed === 0) return 'unchanged'
  if (failingSince === null) return 'failing'
  const failingMs = now.getTime() - failingSince.getTime()
  const isOver = patienceDays > 0 && failingMs >= patienceDays * DAY_MS
  return isOver && batch.furthestTry >= TELLING_TRY ? 'pause' : 'unchanged'
}
