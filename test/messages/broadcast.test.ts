import { describe, expect, it } from 'vitest'
import { csvRow } from '../../src/messages/broadcast-report.ts'
import {
  broadcastStatus,
  countRecipients,
  estimateEnd,
  restOf,
  type BroadcastPhase,
} from '../../src/messages/broadcast.ts'
import { MESSAGE_STATUSES, type MessageStatus } from '../../src/messages/message.ts'

const NOW = new Date('2026-03-01T00:00:00Z')
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000)

const none = Object.fromEntries(MESSAGE_STATUSES.map((status) => [status, 0])) as Record<
  MessageStatus,
  number
>

describe('restOf', () => {
  const running = { status: 'running', reason: null, expiresAt: later(60) } as const

  it('says that it rests, and until when', () => {
    expect(restOf(running, later(30), NOW)).toEqual({ reason: 'quiet_hours', until: later(30) })
  })

  it.each([
    ['no quiet hours', running, null],
    ['it is paused', { ...running, status: 'paused' }, later(30)],
    ['it is over', { ...running, status: 'completed', reason: 'expired' }, later(30)],
    ['its time is over', { ...running, expiresAt: NOW }, later(30)],
  ] as const)('does not where %s', (_why, broadcast, quietUntil) => {
    expect(restOf(broadcast, quietUntil, NOW)).toEqual({ reason: broadcast.reason, until: null })
  })
})

describe('broadcastStatus', () => {
  it.each<[BroadcastPhase, { paused?: boolean; started?: boolean; ahead?: boolean }, string]>([
    ['receiving', {}, 'receiving'],
    ['receiving', { ahead: true }, 'receiving'],
    ['receiving', { paused: true }, 'paused'],
    ['expanding', {}, 'expanding'],
    ['expanding', { paused: true }, 'paused'],
    ['running', { ahead: true }, 'scheduled'],
    ['running', { ahead: true, paused: true }, 'paused'],
    ['running', {}, 'running'],
    ['running', { started: true }, 'running'],
    ['running', { started: true, paused: true }, 'paused'],
    ['completed', { paused: true }, 'completed'],
    ['cancelled', {}, 'cancelled'],
  ])('calls %s with %o %s', (phase, { paused, started, ahead }, expected) => {
    const stored = {
      phase,
      pausedAt: paused ? NOW : null,
      startedAt: started ? NOW : null,
      sendAt: ahead ? later(60) : NOW,
    }
    expect(broadcastStatus(stored, NOW)).toBe(expected)
  })
})

describe('countRecipients', () => {
  const lines = { accepted: 10, duplicate: 1, bad: 1, complete: true }
  it.each([
    ['running', { waiting: 4, cancelled: 1, expired: 0 }],
    ['paused', { waiting: 4, cancelled: 1, expired: 0 }],
    ['cancelled', { waiting: 0, cancelled: 5, expired: 0 }],
    ['completed', { waiting: 0, cancelled: 1, expired: 4 }],
  ] as const)('says of a broadcast that is %s what the rest is', (status, expected) => {
    const counts = countRecipients({ status, lines }, { ...none, sent: 3, queued: 2 }, 1)
    expect(counts).toMatchObject({ ...expected, sent: 3, queued: 2 })
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(10)
  })
})

describe('estimateEnd', () => {
  const messages = { ...none, waiting: 90, queued: 10, sent: 5 }
  it.each([
    ['running', 10, later(10)],
    ['running', 0, null],
    ['running', null, null],
    ['paused', 10, null],
    ['completed', 10, null],
  ] as const)('of one that is %s at %s a second', (status, ratePerSecond, expected) => {
    expect(estimateEnd({ status, messages, ratePerSecond }, NOW)).toEqual(expected)
  })
})

describe('csvRow', () => {
  it('quotes what needs it, and leaves nothing that a spreadsheet would run', () => {
    expect(csvRow(['oA', null, 7, 'a,b', 'say "x"', 'two\nlines'])).toBe(
      'oA,,7,"a,b","say ""x""","two\nlines"\r\n',
    )
    for (const first of ['=', '+', '-', '@', '\t', '\r']) {
      expect(csvRow([`${first}cmd|' /C calc'!A0`])).toMatch(/^"?'/)
    }
    expect(csvRow([-7])).toBe('-7\r\n')
  })
})
