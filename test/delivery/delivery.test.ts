import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { decideFate, readRetryAfter, RETRY_PAUSES_MS } from '../../src/delivery/delivery.ts'

const NOW = new Date('2026-11-21T12:00:00Z')
const answer = (httpStatus: number, retryAfterMs: number | null = null) => {
  return { kind: 'answer', httpStatus, retryAfterMs, body: '' } as const
}

describe('decideFate', () => {
  it.each([200, 201, 204, 299])('takes %i for delivered', (status) => {
    expect(decideFate(answer(status), 1)).toEqual({ status: 'delivered' })
  })

  it.each([301, 307, 400, 401, 404, 429, 500, 503])('tries again after %i', (status) => {
    expect(decideFate(answer(status), 1)).toEqual({
      ...{ status: 'waiting', afterMs: 5_000, reason: `http_${status}` },
    })
  })

  it('tries again where no answer came, and keeps why', () => {
    const fate = decideFate({ kind: 'no_answer', reason: 'timeout' }, 2)
    expect(fate).toEqual({ status: 'waiting', afterMs: 300_000, reason: 'timeout' })
  })

  it('gives up after the eighth try', () => {
    const fates = Array.from({ length: 8 }, (_, index) => decideFate(answer(500), index + 1))
    expect(fates.map(({ status }) => status)).toEqual([
      ...Array<string>(7).fill('waiting'),
      'failed',
    ])
    expect(fates.flatMap((fate) => (fate.status === 'waiting' ? [fate.afterMs] : []))).toEqual(
      RETRY_PAUSES_MS,
    )
  })

  it('gives up at once on 410, and the endpoint with it', () => {
    expect(decideFate(answer(410), 1)).toEqual({
      ...{ status: 'failed', reason: 'http_410', isGone: true },
    })
    expect(decideFate(answer(500), 8)).toMatchObject({ isGone: false })
  })

  it('waits as long as Retry-After asks, if that is longer, and a day at most', () => {
    expect(decideFate(answer(503, 60_000), 1)).toMatchObject({ afterMs: 60_000 })
    expect(decideFate(answer(503, 1_000), 1)).toMatchObject({ afterMs: 5_000 })
    expect(decideFate(answer(429, 1e12), 1)).toMatchObject({ afterMs: 86_400_000 })
  })
})

describe('readRetryAfter', () => {
  it.each([
    ['120', 120_000],
    [' 5 ', 5_000],
    ['Sat, 21 Nov 2026 12:01:00 GMT', 60_000],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['soon', null],
    [undefined, null],
  ])('reads %s', (header, expected) => {
    expect(readRetryAfter(header, NOW)).toBe(expected)
  })
})

describe('docs/delivery.md', () => {
  it('shows the pauses as they are', async () => {
    const page = await readFile(new URL('../../docs/delivery.md', import.meta.url), 'utf8')
    const shown = [...page.matchAll(/^\| (\d) \| (?:at once|(\d+) (s|min|h) after)/gm)]
    const unit = { s: 1_000, min: 60_000, h: 3_600_000 } as const
    const pauses = shown.flatMap(([, , count, name]) =>
      count === undefined ? [] : [Number(count) * unit[name as keyof typeof unit]],
    )
    expect(shown).toHaveLength(8)
    expect(pauses).toEqual(RETRY_PAUSES_MS)
  })
})
