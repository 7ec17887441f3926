import { describe, expect, it } from 'vitest'
import { nextTry, type RetryCause } from '../../src/dispatch/retry-schedule.ts'

/** 20:30:20.500 in China, on a day that ends 3 h 29 min 39.5 s later. */
const NOW = new Date('2026-03-01T12:30:20.500Z')

const CAUSES = [
  'transient',
  'not_sent',
  'unclear',
  'token',
  'rate_minute',
  'quota_daily',
  'late_decision',
] as const satisfies readonly RetryCause[]

function wait(cause: RetryCause, tries: number, random: number): number | null {
  const next = nextTry({ cause, tries, now: NOW, random })
  return next && next.getTime() - NOW.getTime()
}

/** `earliest…latest` in milliseconds from now. */
function span(cause: RetryCause, tries: number): string {
  const earliest = wait(cause, tries, 0)
  const latest = wait(cause, tries, 1)
  if (earliest === null || latest === null) return 'never'
  return earliest === latest ? `${earliest}` : `${earliest}…${latest}`
}

function table(): string {
  const rows = CAUSES.map((cause) =>
    [1, 2, 3, 4, 9, 10, 11, 12].map((tries) => span(cause, tries)).join(' | '),
  )
  return CAUSES.map((cause, index) => `${cause}: ${rows[index]}`).join('\n')
}

describe('nextTry', () => {
  it('keeps to the schedule that docs/dispatch.md prints', () => {
    process.stdout.write(`after try 1, 2, 3, 4, 9, 10, 11, 12 (ms)\n${table()}\n`)
    expect(table()).toBe(
      [
        'transient: 800…1200 | 1600…2400 | 3200…4800 | never | never | never | never | never',
        'not_sent: 800…1200 | 1600…2400 | 3200…4800 | 6400…9600 | 204800…307200 | 240000…360000 | 240000…360000 | 240000…360000',
        'unclear: 800…1200 | 1600…2400 | 3200…4800 | never | never | never | never | never',
        'token: 0 | never | never | never | never | never | never | never',
        'rate_minute: 39500…44500 | 39500…44500 | 39500…44500 | 39500…44500 | 39500…44500 | 39500…44500 | never | never',
        'quota_daily: 12579500…12639500 | 12579500…12639500 | 12579500…12639500 | 12579500…12639500 | 12579500…12639500 | 12579500…12639500 | 12579500…12639500 | 12579500…12639500',
        'late_decision: 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0',
      ].join('\n'),
    )
  })

  it('never asks a full minute again within it', () => {
    const start = new Date('2026-03-01T12:30:00.000Z')
    const next = nextTry({ cause: 'rate_minute', tries: 1, now: start, random: 0 })
    expect(next).toEqual(new Date('2026-03-01T12:31:00.000Z'))
  })

  it('stays at its longest pause however often the platform was out of reach', () => {
    expect(wait('not_sent', 5_000, 0.5)).toBe(300_000)
  })
})
