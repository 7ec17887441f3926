/** Lets a loop rest until there is something to do: somebody woke it, or the time is over. */
export interface Waker {
  /** Ends the rest under way; without one the next ends at once, so that no call is lost. */
  wake(): void
  /** Rests so long at most. */
  rest(ms: number): Promise<void>
}

/** A waker for one loop; once the signal has aborted, every rest ends at once. */
export function createWaker(signal: AbortSignal): Waker {
  let woken = false
  let endRest: (() => void) | undefined

  const wake = () => {
    woken = true
    endRest?.()
  }
  signal.addEventListener('abort', wake, { once: true })

  return {
    wake,
    async rest(ms) {
      if (!woken && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          endRest = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      endRest = undefined
      woken = false
    },
  }
}
