/*
 * Timers for limits that are hardly ever reached: set for every request and nearly always taken back.
 * One timer of Node's looks after them all, so that each costs no more than its place in a set.
 */

/** How late a coarse timer may be. */
const STEP_MS = 50

interface CoarseTimer {
  readonly dueMs: number
  readonly late: () => void
}

const timers = new Set<CoarseTimer>()
let looking: NodeJS.Timeout | undefined

/**
 * Calls `late` when `ms` milliseconds have passed, or up to 50 ms after that.
 *
 * @returns takes it back; nothing happens when it is too late for that.
 */
export function setCoarseTimer(ms: number, late: () => void): () => void {
  const timer = { dueMs: performance.now() + ms, late }
  timers.add(timer)
  looking ??= setInterval(look, STEP_MS)
  return () => void timers.delete(timer)
}

function look(): void {
  const nowMs = performance.now()
  for (const timer of timers) {
    if (timer.dueMs > nowMs) continue
    timers.delete(timer)
    timer.late()
  }
  if (timers.size > 0) return
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
    work.then(resolve, reject)
    work.then(takeBack, takeBack)
  })
}
