import { describe, expect, it } from 'vitest'
import { createUnderWay } from '../../src/foundation/under-way.ts'

describe('createUnderWay', () => {
  it('tells all who wait when the last work is over', async () => {
    const work = createUnderWay()
    work.begin()
    work.begin()
    const told: string[] = []
    const waiting = ['one', 'two'].map((who) => work.none().then(() => told.push(who)))
    work.end()
    await Promise.resolve()
    expect([work.count, told]).toEqual([1, []])
    work.end()
    await Promise.all(waiting)
    expect([work.count, told]).toEqual([0, ['one', 'two']])
  })

  it('waits on for work that begins when the last work ends', async () => {
    const work = createUnderWay()
    work.begin()
    let isOver = false
    const waiting = work.none().then(() => (isOver = true))
    work.end()
    work.begin()
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    work.end()
    await waiting
  })

  it('does not wait where there is nothing, and counts anew afterwards', async () => {
    const work = createUnderWay()
    await work.none()
    work.begin()
    expect(work.count).toBe(1)
    work.end()
    await work.none()
  })
})
