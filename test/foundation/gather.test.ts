import { describe, expect, it } from 'vitest'
import { UnavailableError } from '../../src/foundation/errors.ts'
import { createGatherer } from '../../src/foundation/gather.ts'

class Away extends Error {}

/** Doubles numbers; refuses negative ones; each run waits until the test lets it go. */
function startDoubling(
  limits: { maxBatch?: number; maxWaiting?: number; maxRuns?: number; worthwhile?: number } = {},
) {
  const runs: number[][] = []
  const open: (() => void)[] = []
  let gate = Promise.resolve()
  const gatherer = createGatherer<number, number>({
    ...limits,
    maxBatch: limits.maxBatch ?? 100,
    maxWaiting: limits.maxWaiting ?? 100,
    isCommonFailure: (error) => error instanceof Away,
    run: async (items) => {
      runs.push([...items])
      await gate
      if (items.includes(0)) throw new Away('away')
      const bad = items.find((item) => item < 0)
      if (bad !== undefined) throw new RangeError(`bad ${bad}`)
      return items.map((item) => item * 2)
    },
  })
  const close = () => {
    gate = new Promise((resolve) => open.push(resolve))
  }
  return { gatherer, runs, close, open: () => open.splice(0).forEach((release) => release()) }
}

const settled = (work: Promise<number>[]) =>
  Promise.allSettled(work).then((results) =>
    results.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason))),
  )

describe('createGatherer', () => {
  it('starts at once with the first item and gathers the others behind that run', async () => {
    const { gatherer, runs, close, open } = startDoubling()
    close()
    const work = [1, 2, 3, 4].map((item) => gatherer.add(item))
    expect(runs).toEqual([[1]])
    expect(gatherer.waiting).toBe(3)
    open()
    expect(await Promise.all(work)).toEqual([2, 4, 6, 8])
    expect(runs).toEqual([[1], [2, 3, 4]])
    expect(gatherer.waiting).toBe(0)
  })

  it('never carries more than a batch', async () => {
    const { gatherer, runs } = startDoubling({ maxBatch: 2 })
    await Promise.all([1, 2, 3, 4, 5, 6].map((item) => gatherer.add(item)))
    expect(runs).toEqual([[1], [2, 3], [4, 5], [6]])
  })

  it('begins another run beside the first once enough waits, and no more than it may', async () => {
    const { gatherer, runs, close, open } = startDoubling({ maxRuns: 2, worthwhile: 3 })
    close()
    const work = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => gatherer.add(item))
    expect(runs).toEqual([[1], [2, 3, 4]])
    expect(gatherer.waiting).toBe(4)
    open()
    expect(await Promise.all(work)).toEqual([2, 4, 6, 8, 10, 12, 14, 16])
    expect(runs).toEqual([[1], [2, 3, 4], [5, 6, 7, 8]])
  })

  it('works again after it was idle', async () => {
    const { gatherer } = startDoubling()
    expect(await gatherer.add(1)).toBe(2)
    await gatherer.idle()
    expect(await gatherer.add(2)).toBe(4)
  })

  it.each([0, 3, 7])('finds the one bad item among eight, wherever it is (%i)', async (place) => {
    const { gatherer, close, open, runs } = startDoubling()
    close()
    const first = gatherer.add(100)
    const items = [1, 2, 3, 4, 5, 6, 7, 8]
    items[place] = -1
    const work = items.map((item) => gatherer.add(item))
    open()
    await first
    const results = await settled(work)
    expect(results).toEqual(items.map((item) => (item < 0 ? 'RangeError: bad -1' : item * 2)))
    expect(runs.length).toBeLessThanOrEqual(8)
  })

  it('fails all at once when the failure says nothing about the items', async () => {
    const { gatherer, close, open, runs } = startDoubling()
    close()
    const first = gatherer.add(100)
    const work = [1, 0, 3].map((item) => gatherer.add(item))
    open()
    await first
    expect(await settled(work)).toEqual(['Error: away', 'Error: away', 'Error: away'])
    expect(runs).toHaveLength(2)
  })

  it('turns away what is too much, and only that', async () => {
    const { gatherer, close, open } = startDoubling({ maxWaiting: 2 })
    close()
    const accepted = [1, 2, 3].map((item) => gatherer.add(item))
    const refused = await gatherer.add(4).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(UnavailableError)
    expect(refused).toMatchObject({ code: 'queue_full' })
    open()
    expect(await Promise.all(accepted)).toEqual([2, 4, 6])
  })

  it('is idle when nothing waits and nothing runs', async () => {
    const { gatherer, close, open } = startDoubling()
    await gatherer.idle()
    close()
    let isIdle = false
    const work = gatherer.add(1)
    const idle = gatherer.idle().then(() => {
      isIdle = true
    })
    await Promise.resolve()
    expect(isIdle).toBe(false)
    open()
    await Promise.all([work, idle])
    expect(isIdle).toBe(true)
  })
})
