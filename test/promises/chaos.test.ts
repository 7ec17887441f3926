import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createChildren } from '../../bench/children.ts'
import { runChaos, type ChaosReport } from '../chaos/run-chaos.ts'
import { writeReport } from '../chaos/write-report.ts'
import { createTestDatabase } from '../support/database.ts'

/** The plan follows from it; a failure names it. `CHAOS_SEED=… vitest run …` repeats a plan. */
const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000)
/** `npm run chaos` plays the same with a hundred thousand messages. */
const MESSAGES = 900
/** A run takes some seconds; a machine that others use as well may take twenty times as long. */
const LIMIT_MS = 150_000

describe(`everything at once, with two processes that are killed (seed ${SEED})`, () => {
  const children = createChildren({ profileFolder: null })
  let report: ChaosReport

  beforeAll(async () => {
    const database = await createTestDatabase()
    try {
      const size = { messages: MESSAGES, seed: SEED, processes: 2, atOnce: 96, patient: false }
      report = await runChaos({ children, database }, size)
    } finally {
      await children.endAll()
      await database.drop()
    }
  }, LIMIT_MS)
  afterAll(() => children.endAll())

  /** What is broken of a promise, by name; the whole report stands beside it. */
  function expectToHold(promise: string): void {
    const ofPromise = report.verdict.invariants.filter((one) => one.promise === promise)
    expect(ofPromise.length).toBeGreaterThan(1)
    const broken = ofPromise.filter((one) => one.broken.length > 0)
    expect(broken, writeReport(report)).toEqual([])
  }

  function count(name: string): number {
    const found = report.verdict.counts[name]
    if (found === undefined) throw new Error(`nobody has counted “${name}”`)
    return found
  }

  it('P4 sends nothing after an opt-out, however the two race', () => {
    expectToHold('P4')
    // the run must have met both sides of the moment, or it has shown nothing
    expect(count('opt-outs acknowledged')).toBeGreaterThan(MESSAGES / 50)
    expect(count('… messages asked for before, and blocked')).toBeGreaterThan(0)
    expect(count('messages received at the platform')).toBeGreaterThan(MESSAGES / 5)
  })

  it('P6 makes one message of one request, with one true end, and loses no credit', () => {
    expectToHold('P6')
    expect(count('messages asked for')).toBe(MESSAGES)
    expect(count('processes killed')).toBe(2)
    expect(count('… cut off after the platform acted')).toBeGreaterThan(0)
    expect(count('… different errcodes')).toBeGreaterThan(10)
    expect(count('… people compared with the platform')).toBeGreaterThan(0)
  })

  it('P7 asks for no more tokens than there is reason for', () => {
    expectToHold('P7')
    expect(count('tokens that somebody else killed')).toBe(2)
    expect(count('token requests of the gateways')).toBeGreaterThan(3)
  })
})
