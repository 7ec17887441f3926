/**
 * How many calls of an account may be under way, learned from how long they take (Little's law: what
 * is under way is rate times latency). While the platform is as quick as it can be, more of them bring
 * more; when calls take longer they only wait somewhere else.
 */
export interface CallLimit {
  /** Calls under way at once; not a whole number, so that it can grow by less than one. */
  readonly limit: number
  /** It doubles until something speaks against it. */
  readonly isStarting: boolean
  /** Calls that began before the last cut say nothing new. */
  readonly cutAtMs: number
  /** The shortest latency of this period and of the one before: the platform when nothing queues. */
  readonly best: { readonly sinceMs: number; readonly nowMs: number; readonly beforeMs: number }
  /** What was seen since the limit was last looked at. */
  readonly seen: {
    readonly sinceMs: number
    readonly calls: number
    readonly totalMs: number
    readonly mostInHand: number
  }
}

/** A call that is over. */
export interface LimitedCall {
  /** The moment of its end, by the monotonic clock. */
  readonly atMs: number
  readonly latencyMs: number
  /** It timed out, or the platform said that it is too much. */
  readonly isOverload: boolean
  /** What the account had in hand, this call included. */
  readonly inHand: number
}

/** The account may always have so many in hand: enough to learn that it is quick again. */
export const LEAST_LIMIT = 4

/** A new account begins with this share of the places. */
const FIRST_SHARE = 1 / 4
/** After a timeout or “too many”: what TCP's CUBIC leaves. */
const CUT = 0.7
/** A platform's latency varies by itself; only what is beyond this counts as waiting. */
const TOLERANCE = 2
const SLACK_MS = 100
/** A call this long is slow whatever the account's best is: it holds a place that others could use. */
const SLOW_MS = 2_000
/** How long the best latency is remembered, twice over: a platform that moved away is learned. */
const BEST_PERIOD_MS = 60_000
/** The limit is looked at after so many calls, or so long. */
const LEAST_CALLS = 8
const LONGEST_LOOK_MS = 1_000

/** What an account begins with, of so many places. */
export function firstLimit(places: number, atMs: number): CallLimit {
  return {
    limit: Math.min(places, Math.max(LEAST_LIMIT, Math.ceil(places * FIRST_SHARE))),
    isStarting: true,
    cutAtMs: -Infinity,
    best: { sinceMs: atMs, nowMs: Infinity, beforeMs: Infinity },
    seen: nothingSeen(atMs),
  }
}

/** The limit after a call. @param places of the process: no account may have more. */
export function afterCall(known: CallLimit, call: LimitedCall, places: number): CallLimit {
  if (call.isOverload) return cut(known, call, places)
  const best = bestWith(known.best, call)
  const seen = {
    sinceMs: known.seen.sinceMs,
    calls: known.seen.calls + 1,
    totalMs: known.seen.totalMs + call.latencyMs,
    mostInHand: Math.max(known.seen.mostInHand, call.inHand),
  }
  const isDue =
    seen.calls >= Math.max(LEAST_CALLS, known.limit / 2) ||
    call.atMs - seen.sinceMs >= LONGEST_LOOK_MS
  if (!isDue) return { ...known, best, seen }
  return { ...known, best, ...adapted(known, { best, seen }, places), seen: nothingSeen(call.atMs) }
}

function cut(known: CallLimit, call: LimitedCall, places: number): CallLimit {
  if (call.atMs - call.latencyMs < known.cutAtMs) return known
  return {
    ...known,
    limit: within(known.limit * CUT, places),
    isStarting: false,
    cutAtMs: call.atMs,
    seen: nothingSeen(call.atMs),
  }
}

function adapted(
  known: CallLimit,
  { best, seen }: Pick<CallLimit, 'best' | 'seen'>,
  places: number,
): Pick<CallLimit, 'limit' | 'isStarting'> {
  const latencyMs = seen.totalMs / seen.calls
  const quickMs = TOLERANCE * Math.min(best.nowMs, best.beforeMs) + SLACK_MS
  const most = latencyMs > SLOW_MS ? (places * SLOW_MS) / latencyMs : places
  if (latencyMs > quickMs) {
    const limit = known.limit * Math.max(1 / 2, quickMs / latencyMs)
    return { limit: Math.min(within(limit, places), within(most, places)), isStarting: false }
  }
  // without calls that wait for a place a higher limit would be a guess
  const isWanted = seen.mostInHand >= Math.floor(known.limit * 0.75)
  const grown = known.isStarting ? known.limit * 2 : known.limit + Math.sqrt(known.limit)
  const limit = within(Math.min(isWanted ? grown : known.limit, most), places)
  return { limit, isStarting: known.isStarting && limit < places }
}

function within(limit: number, places: number): number {
  return Math.min(places, Math.max(LEAST_LIMIT, limit))
}

function bestWith(best: CallLimit['best'], { atMs, latencyMs }: LimitedCall): CallLimit['best'] {
  if (atMs - best.sinceMs >= BEST_PERIOD_MS) {
    return { sinceMs: atMs, nowMs: latencyMs, beforeMs: best.nowMs }
  }
  return latencyMs < best.nowMs ? { ...best, nowMs: latencyMs } : best
}

function nothingSeen(atMs: number): CallLimit['seen'] {
  return { sinceMs: atMs, calls: 0, totalMs: 0, mostInHand: 0 }
}
