import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { setCoarseTimer, within } from '../../src/foundation/coarse-timer.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

describe('setCoarseTimer', () => {
  it('calls each when its time has come, up to 50 ms later, and only once', () => {
    const said: string[] = []
    setCoarseTimer(100, () => said.push('second'))
    setCoarseTimer(20, () => said.push('first'))
    setCoarseTimer(1_000, () => said.push('third'))
    vi.advanceTimersByTime(70)
    expect(said).toEqual(['first'])
    vi.advanceTimersByTime(80)
    expect(said).toEqual(['first', 'second'])
    vi.advanceTimersByTime(2_000)
    expect(said).toEqual(['first', 'second', 'third'])
  })

  it('forgets what is taken back, wherever it stands, and however often', () => {
    const said: number[] = []
    const takeBacks = [1, 2, 3, 4].map((n) => setCoarseTimer(10, () => said.push(n)))
    for (const n of [1, 0, 3, 3]) takeBacks[n]?.()
    vi.advanceTimersByTime(200)
    expect(said).toEqual([3])
    takeBacks[2]?.()
  })

  it('lets one that is due take back another that is due, and set a new one', () => {
    const said: string[] = []
    const late: (() => void)[] = []
    setCoarseTimer(10, () => {
      said.push('one')
      late[0]?.()
      setCoarseTimer(10, () => said.push('new'))
    })
    late.push(setCoarseTimer(10, () => said.push('other')))
    vi.advanceTimersByTime(60)
    expect(said).toEqual(['one'])
    vi.advanceTimersByTime(100)
    expect(said).toEqual(['one', 'new'])
  })
})

describe('within', () => {
  const tooLate = () => new Error('too late')

  it('gives what the work gives in time, and no timer stays behind', async () => {
    await expect(within({ ms: 100, tooLate }, Promise.resolve('done'))).resolves.toBe('done')
    const failing = Promise.reject(new Error('failed'))
    await expect(within({ ms: 100, tooLate }, failing)).rejects.toThrow('failed')
    vi.advanceTimersByTime(60)
  })

  it('fails when the time has passed; what comes later is nobody’s', async () => {
    const work = Promise.withResolvers<string>()
    const limited = within({ ms: 100, tooLate }, work.promise)
    vi.advanceTimersByTime(200)
    await expect(limited).rejects.toThrow('too late')
    work.resolve('late')
    await expect(limited).rejects.toThrow('too late')
  })
})
