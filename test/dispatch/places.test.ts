import { describe, expect, it, vi } from 'vitest'
import { createPlaces, roomFor } from '../../src/dispatch/places.ts'

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
  const quiet = { monotonicMs: () => 0, onFree: () => {} }

  it('has room for an account up to what it begins with, and leaves room for another one', () => {
    const places = createPlaces(64, quiet)
    for (let call = 0; call < 16; call += 1) places.take(1)
    expect(places.heldBy(1)).toBe(16)
    expect([1, 2].map((id) => places.isOpenFor(id))).toEqual([false, true])
  })

  it('lets more of an account whose calls are quick, and fewer of one whose calls time out', () => {
    const places = createPlaces(64, quiet)
    for (let call = 0; call < 16; call += 1) places.take(1)
    for (let call = 0; call < 16; call += 1) places.called(1, { latencyMs: 50, isOverload: false })
    places.called(2, { latencyMs: 50, isOverload: true })
    expect(places.limitOf(1)).toBeGreaterThan(16)
    expect([2, 3].map((id) => places.limitOf(id))).toEqual([11, 16])
  })

  it('counts a place that is given back twice once, and says when', () => {
    const onFree = vi.fn()
    const places = createPlaces(4, { monotonicMs: () => 0, onFree })
    const leave = places.take(1)
    places.take(1)
    leave()
    leave()
    expect(places.heldBy(1)).toBe(1)
    expect(onFree).toHaveBeenCalledTimes(1)
  })

  it('forgets an account that sends nothing for ten minutes', () => {
    let nowMs = 0
    const places = createPlaces(8, { monotonicMs: () => nowMs, onFree: () => {} })
    places.called(1, { latencyMs: 50, isOverload: false })
    nowMs = 600_001
    expect(places.view()).toEqual([])
  })
})
