import { describe, expect, it } from 'vitest'
import { createSnapshot } from '../../src/accounts/snapshot.ts'
import { UnavailableError } from '../../src/foundation/errors.ts'

/** A snapshot over a source that the test commands, and a clock that the test moves. */
function setUp() {
  const state = { now: 0, loads: 0, rows: ['acme'], broken: false, gate: Promise.resolve() }
  const snapshot = createSnapshot({
    load: async () => {
      state.loads += 1
      const rows = new Set(state.rows)
      await state.gate
      if (state.broken) throw new Error('no database')
      return rows
    },
    clock: { now: () => new Date(state.now), monotonicMs: () => state.now },
    maxAgeMs: 5_000,
    unavailable: { code: 'rows_unavailable', message: 'not now' },
  })
  const has = async (name: string) =>
    (await snapshot.find((rows) => (rows.has(name) ? name : undefined))) !== undefined
  return { state, snapshot, has }
}

describe('createSnapshot', () => {
  it('loads once for any number of questions asked at once', async () => {
    const { state, has } = setUp()
    expect(await Promise.all([has('acme'), has('acme'), has('other')])).toEqual([true, true, false])
    expect(state.loads).toBe(1)
  })

  it('loads again only when the copy is old', async () => {
    const { state, has } = setUp()
    await has('acme')
    state.now = 4_999
    await has('acme')
    expect(state.loads).toBe(1)
    state.now = 5_000
    await has('acme')
    expect(state.loads).toBe(2)
  })

  it('looks for an unknown key at most once a second', async () => {
    const { state, has } = setUp()
    await has('acme')
    for (const now of [100, 900, 1_000, 1_100, 1_999]) {
      state.now = now
      await has('nobody')
    }
    expect(state.loads).toBe(2)
    state.rows.push('late')
    state.now = 2_000
    expect(await has('late')).toBe(true)
  })

  it('loads again after an invalidation, whatever its age', async () => {
    const { state, snapshot, has } = setUp()
    await has('acme')
    state.rows = []
    snapshot.invalidate()
    expect(await has('acme')).toBe(false)
  })

  it('does not take a load that began before an invalidation for a fresh one', async () => {
    const { state, snapshot, has } = setUp()
    const gate = Promise.withResolvers<void>()
    state.gate = gate.promise
    const early = has('acme')
    state.rows = []
    snapshot.invalidate()
    const late = has('acme')
    gate.resolve()
    await early
    expect(await late).toBe(false)
    expect(await has('acme')).toBe(false)
  })

  it('serves from a copy of up to ten minutes while the source fails', async () => {
    const { state, has } = setUp()
    await has('acme')
    state.broken = true
    state.now = 600_000
    expect(await has('acme')).toBe(true)
    state.now = 600_001
    await expect(has('acme')).rejects.toThrow(UnavailableError)
  })

  it('tries a failing source once a second, and takes it up again when it answers', async () => {
    const { state, has } = setUp()
    await has('acme')
    state.broken = true
    state.now = 5_000
    await has('acme')
    state.now = 5_500
    await has('acme')
    expect(state.loads).toBe(2)
    state.broken = false
    state.rows.push('new')
    state.now = 6_000
    expect(await has('new')).toBe(true)
    expect(state.loads).toBe(3)
  })

  it('says that it cannot answer when it never loaded', async () => {
    const { state, has } = setUp()
    state.broken = true
    await expect(has('acme')).rejects.toMatchObject({ code: 'rows_unavailable' })
  })
})
