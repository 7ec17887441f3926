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

  const rest = { reason: 'quota_daily', until: later(40) } as const
  const none = { quietUntil: null, channel: null }

  it.each([
    [{ ...none, quietUntil: later(30) }, 'quiet_hours', later(30)],
    [{ ...none, channel: rest }, 'quota_daily', later(40)],
    [{ quietUntil: later(30), channel: rest }, 'quota_daily', later(40)],
    [{ quietUntil: later(50), channel: rest }, 'quiet_hours', later(50)],
  ])('says that it rests, why, and until when: %o', (rests, reason, until) => {
    expect(restOf(running, rests, NOW)).toEqual({ reason, until })
  })

  it.each([
    ['nothing holds it', running, none],
    ['it is paused', { ...running, status: 'paused' }, { quietUntil: later(30), channel: rest }],
    [
      'it is over',
      { ...running, status: 'completed', reason: 'expired' },
      { ...none, channel: rest },
    ],
    ['its time is over', { ...running, expiresAt: NOW }, { ...none, quietUntil: later(30) }],
  ] as const)('does not where %s', (_why, broadcast, rests) => {
    expect(restOf(broadcast, rests, NOW)).toEqual({ reason: broadcast.reason, until: null })
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
