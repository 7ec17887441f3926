import { describe, expect, it } from 'vitest'
import { sleep, systemClock } from '../../src/foundation/clock.ts'

describe('systemClock', () => {
  it('tells the time of this machine', () => {
    expect(Math.abs(systemClock.now().getTime() - Date.now())).toBeLessThan(1_000)
  })

  it('measures spans that never shrink', () => {
    const before = systemClock.monotonicMs()
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before)
  })
})

describe('sleep', () => {
  it('waits', async () => {
    const before = systemClock.monotonicMs()
    await sleep(30)
    expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(25)
  })

  it('ends at once when the signal has aborted or aborts', async () => {
    const stopping = new AbortController()
    const long = sleep(3_600_000, stopping.signal)
    stopping.abort()
    await long
    await sleep(3_600_000, stopping.signal)
  })
})
