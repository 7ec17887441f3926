import { describe, expect, it, vi } from 'vitest'
import { createPlaces, roomFor } from '../../src/dispatch/places.ts'

/** Work that ends when it is told to. */
function someWork() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { work: promise, end: resolve }
}

const quiet = { monotonicMs: () => 0, onRoom: () => {} }

describe('roomFor', () => {
  it.each([
    { held: 0, limit: 64, free: 64, room: 48, why: 'one account leaves a quarter to the others' },
    { held: 48, limit: 64, free: 16, room: 0, why: 'it does not take the last places' },
    { held: 0, limit: 64, free: 16, room: 12, why: 'the second leaves a quarter of the rest' },
    { held: 0, limit: 10, free: 64, room: 10, why: 'no more than its latency allows' },
    { held: 12, limit: 10, free: 52, room: 0, why: 'nothing more after its limit fell' },
    { held: 0, limit: 64, free: 4, room: 4, why: 'a few are never refused while there is room' },
    { held: 2, limit: 64, free: 1, room: 1, why: 'no more than there is' },
    { held: 4, limit: 4, free: 0, room: 0, why: 'nothing where nothing is free' },
  ])('$why: $room of $free', ({ room, ...account }) => {
    expect(roomFor(account)).toBe(room)
  })
})

describe('createPlaces', () => {
  it('offers each account what it has room for, and strangers what they begin with', () => {
    const places = createPlaces(64, quiet)
    for (let call = 0; call < 5; call += 1) places.hold(7, someWork().work)
    expect(places.free).toBe(59)
    expect(places.offer()).toEqual({ accountIds: [7], rooms: [11], held: [5], otherRoom: 16 })
  })

  it('offers more of an account whose calls are quick, and less of one whose calls time out', () => {
    const places = createPlaces(64, quiet)
    for (let call = 0; call < 16; call += 1) places.hold(1, someWork().work)
    for (let call = 0; call < 16; call += 1) places.called(1, { latencyMs: 50, isOverload: false })
    places.called(2, { latencyMs: 50, isOverload: true })
    const limits = places.view().map(({ limit }) => limit)
    expect(limits[0]).toBeGreaterThan(16)
    expect(limits[1]).toBe(11)
  })

  it('says when an account that has more waiting has room for it', async () => {
    const onRoom = vi.fn()
    const places = createPlaces(4, { monotonicMs: () => 0, onRoom })
    const offer = places.offer()
    const works = [1, 2, 3, 4].map(() => someWork())
    for (const { work } of works) places.hold(1, work)
    places.claimed(offer, [1, 1, 1, 1])
    expect(onRoom).not.toHaveBeenCalled()
    works[0]?.end()
    await vi.waitFor(() => expect(onRoom).toHaveBeenCalledTimes(1))
  })

  it('says nothing of one that had less waiting than room', async () => {
    const onRoom = vi.fn()
    const places = createPlaces(4, { monotonicMs: () => 0, onRoom })
    const offer = places.offer()
    const { work, end } = someWork()
    places.hold(1, work)
    places.claimed(offer, [1])
    end()
    await places.untilEmpty()
    expect(onRoom).not.toHaveBeenCalled()
  })

  it('forgets an account that sends nothing for ten minutes', () => {
    let nowMs = 0
    const places = createPlaces(8, { monotonicMs: () => nowMs, onRoom: () => {} })
    places.called(1, { latencyMs: 50, isOverload: false })
    nowMs = 600_001
    expect(places.view()).toEqual([])
  })
})
