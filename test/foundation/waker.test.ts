import { describe, expect, it } from 'vitest'
import { createWaker } from '../../src/foundation/waker.ts'

/** Long enough to fail by the limit of the test. */
const FOR_EVER_MS = 1_000_000

describe('createWaker', () => {
  it('rests until the time is over', async () => {
    const startedMs = performance.now()
    await createWaker(new AbortController().signal).rest(30)
    // timers may be a millisecond early by this clock
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(28)
  })

  it('ends the rest under way, as often as it is woken', async () => {
    const waker = createWaker(new AbortController().signal)
    for (let times = 0; times < 3; times += 1) {
      const rest = waker.rest(FOR_EVER_MS)
      waker.wake()
      waker.wake()
      await rest
    }
  })

  it('remembers a call that came before the rest, for one rest', async () => {
    const waker = createWaker(new AbortController().signal)
    waker.wake()
    await waker.rest(FOR_EVER_MS)
    const ended: string[] = []
    const rest = waker.rest(FOR_EVER_MS).then(() => ended.push('rest'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(ended).toEqual([])
    waker.wake()
    await rest
  })

  it('rests no more when the signal has aborted, now or before', async () => {
    const stop = new AbortController()
    const waker = createWaker(stop.signal)
    const rest = waker.rest(FOR_EVER_MS)
    stop.abort()
    await rest
    await waker.rest(FOR_EVER_MS)
    await createWaker(stop.signal).rest(FOR_EVER_MS)
  })
})
