import { describe, expect, it } from 'vitest'
import { pauseBeforeReplacing } from '../../src/commands/run-processes.ts'

describe('pauseBeforeReplacing', () => {
  it.each([
    [0, 0],
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [5, 16_000],
    [6, 30_000],
    [2_000, 30_000],
  ])('after %i young deaths is %i ms', (deaths, ms) => {
    expect(pauseBeforeReplacing(deaths)).toBe(ms)
  })
})
