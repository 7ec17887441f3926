/*
 * Timers for limits that are hardly ever reached: set for every request and nearly always taken back.
 * One timer of Node's looks after them all, so that each costs no more than its place in a ring.
 */

/** How late a coarse timer may be. */
const STEP_MS = 50

/**
 * A place in the ring of timers. Not in a Set: a Set that grows or is tidied leaves its old table
 * behind, which points to the new one. Once the collector has moved one such table to the long-lived,
 * it keeps all later ones, and with them nearly every push, until the next collection of everything.
 */
interface CoarseTimer {
  readonly dueMs: number
  /** What is left of a timer that has been taken back holds nothing. */
  late: (() => void) | undefined
  before: CoarseTimer | undefined
  after: CoarseTimer | undefined
}

/** Begins and ends the ring; never due. */
const ring: CoarseTimer = { dueMs: Infinity, late: undefined, before: undefined, after: undefined }
ring.before = ring.after = ring
let looking: NodeJS.Timeout | undefined

/**
 * Calls `late` when `ms` milliseconds have passed, or up to 50 ms after that.
 *
 * @returns takes it back; nothing happens when it is too late for that.
 */
export function setCoarseTimer(ms: number, late: () => void): () => void {
  const timer = { dueMs: performance.now() + ms, late, before: ring.before, after: ring }
  if (ring.before) ring.before.after = timer
  ring.before = timer
  looking ??= setInterval(look, STEP_MS)
  return () => takeOut(timer)
}

function takeOut(timer: CoarseTimer): void {
  const { before, after } = timer
  if (!before || !after) return
  before.after = after
  after.before = before
  timer.late = timer.before = timer.after = undefined
}

function look(): void {
  const nowMs = performance.now()
  const due: CoarseTimer[] = []
  for (let timer = ring.after; timer && timer !== ring; timer = timer.after) {
    if (timer.dueMs <= nowMs) due.push(timer)
  }
  for (const timer of due) {
    // none where one before it has taken it back
    const { late } = timer
    takeOut(timer)
    late?.()
  }
  if (ring.after !== ring) return
  clearInterval(looking)
  looking = undefined
}

/**
 * The result of work, if it comes within `ms`, give or take 50; what comes later is nobody's any more.
 *
 * @throws what `tooLate` makes, or what the work itself throws.
 */
export function within<Result>(
  limit: { readonly ms: number; readonly tooLate: () => Error },
  work: Promise<Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const takeBack = setCoarseTimer(limit.ms, () => reject(limit.tooLate()))
    const andTakeBack =
      <Value>(settle: (value: Value) => void) =>
      (value: Value) => {
        takeBack()
        settle(value)
      }
    work.then(andTakeBack(resolve), andTakeBack(reject))
  })
}
