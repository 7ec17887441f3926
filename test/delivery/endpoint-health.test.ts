import { describe, expect, it } from 'vitest'
import { judgeHealth } from '../../src/delivery/endpoint-health.ts'

const NOW = new Date('2026-11-21T12:00:00Z')
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000)
const nothing = { delivered: 0, failed: 0, furthestTry: 0 }
const failed = { delivered: 0, failed: 3, furthestTry: 4 }

describe('judgeHealth', () => {
  it.each([
    ['nothing was tried', daysAgo(9), nothing, 'unchanged'],
    ['all of it arrived', null, { ...nothing, delivered: 2 }, 'unchanged'],
    ['one of many arrived', daysAgo(9), { ...failed, delivered: 1 }, 'recovered'],
    ['some failed, but one arrived', null, { ...failed, delivered: 1 }, 'unchanged'],
    ['it is the first failure', null, failed, 'failing'],
    ['it fails for less than five days', daysAgo(4.99), failed, 'unchanged'],
    ['it fails for five days', daysAgo(5), failed, 'pause'],
    [
      'it fails once more after days of silence',
      daysAgo(9),
      { ...failed, furthestTry: 3 },
      'unchanged',
    ],
  ] as const)('when %s', (_, failingSince, batch, expected) => {
    expect(judgeHealth({ failingSince, patienceDays: 5 }, batch, NOW)).toBe(expected)
  })

  it('never pauses without a limit', () => {
    const health = { failingSince: daysAgo(90), patienceDays: 0 }
    expect(judgeHealth(health, failed, NOW)).toBe('unchanged')
  })
})
