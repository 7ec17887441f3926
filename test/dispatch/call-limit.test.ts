import { describe, expect, it } from 'vitest'
import {
  afterCall,
  firstLimit,
  LEAST_LIMIT,
  type CallLimit,
} from '../../src/dispatch/call-limit.ts'

const PLACES = 64

/**
 * An account that always has more waiting: its calls take so long, one after the other at each place.
 * Answers the limit after so many calls.
 */
function afterCalls(
  count: number,
  options: {
    readonly latencyMs: (inHand: number, call: number) => number
    readonly isOverload?: (call: number) => boolean
    readonly inHand?: number
    readonly from?: CallLimit
    readonly startMs?: number
  },
): CallLimit & { readonly atMs: number } {
  let atMs = options.startMs ?? 0
  let limit = options.from ?? firstLimit(PLACES, atMs)
  for (let call = 0; call < count; call += 1) {
    const inHand = options.inHand ?? Math.floor(limit.limit)
    const latencyMs = options.latencyMs(inHand, call)
    atMs += latencyMs / inHand
    const isOverload = options.isOverload?.(call) ?? false
    limit = afterCall(limit, { atMs, latencyMs, isOverload, inHand }, PLACES)
  }
  return { ...limit, atMs }
}

describe('firstLimit', () => {
  it.each([
    [1, 1],
    [4, 4],
    [8, 4],
    [64, 16],
    [1000, 250],
  ])('of %i places it is %i', (places, limit) => {
    expect(firstLimit(places, 0).limit).toBe(limit)
  })
})

describe('afterCall', () => {
  it('finds all places within a few hundred calls while more of them are no slower', () => {
    expect(afterCalls(200, { latencyMs: () => 100 }).limit).toBe(PLACES)
  })

  it('does not grow where nobody waits for a place', () => {
    expect(afterCalls(500, { latencyMs: () => 100, inHand: 3 }).limit).toBe(16)
  })

  it('settles where more calls only wait longer', () => {
    // ten at once are done in 100 ms; every further one waits for its turn
    const { limit } = afterCalls(2_000, { latencyMs: (inHand) => 100 * Math.max(1, inHand / 10) })
    expect(limit).toBeGreaterThan(15)
    expect(limit).toBeLessThan(45)
  })

  it('takes the usual spread of latencies for what it is', () => {
    const { limit } = afterCalls(1_000, { latencyMs: (_, call) => (call % 20 === 0 ? 900 : 100) })
    expect(limit).toBe(PLACES)
  })

  it('leaves a slow account a small part, also one that has always been slow', () => {
    const { limit } = afterCalls(400, { latencyMs: () => 10_000 })
    expect(limit).toBeLessThanOrEqual(13)
    expect(limit).toBeGreaterThanOrEqual(LEAST_LIMIT)
  })

  it('grows again when the platform is quick again', () => {
    const slow = afterCalls(200, { latencyMs: () => 5_000 })
    const quick = afterCalls(600, { latencyMs: () => 100, from: slow, startMs: slow.atMs })
    expect(slow.limit).toBeLessThan(30)
    expect(quick.limit).toBe(PLACES)
  })

  it('learns a new best latency within two minutes of a platform that moved away', () => {
    const near = afterCalls(200, { latencyMs: () => 20 })
    const moved = afterCalls(400, { latencyMs: () => 800, from: near, startMs: near.atMs })
    expect(moved.limit).toBe(LEAST_LIMIT)
    const later = moved.atMs + 130_000
    const learned = afterCalls(800, { latencyMs: () => 800, from: moved, startMs: later })
    expect(learned.limit).toBe(PLACES)
  })

  it('is cut once by all the calls that time out together', () => {
    const full = afterCalls(200, { latencyMs: () => 100 })
    let limit: CallLimit = full
    for (let call = 0; call < 40; call += 1) {
      const atMs = full.atMs + 10_000 + call
      limit = afterCall(limit, { atMs, latencyMs: 10_000, isOverload: true, inHand: 40 }, PLACES)
    }
    expect(limit.limit).toBeCloseTo(PLACES * 0.7)
  })

  it('never falls below the least', () => {
    const { limit } = afterCalls(100, { latencyMs: () => 100, isOverload: () => true })
    expect(limit).toBe(LEAST_LIMIT)
  })
})
