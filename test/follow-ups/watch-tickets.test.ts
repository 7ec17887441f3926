import { beforeEach, describe, expect, it } from 'vitest'
import type { TicketHolder } from '../../src/accounts/ticket-age.ts'
import { watchTickets } from '../../src/follow-ups/watch-tickets.ts'
import { createLog } from '../../src/foundation/log.ts'

const NOW = new Date('2026-03-01T12:00:00Z')
const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000)
const clock = { now: () => NOW, monotonicMs: () => 0 }

function holder(name: string, kind: TicketHolder['kind'], more: Partial<TicketHolder>) {
  return { id: 1, name, kind, appId: name, ticketAt: null, addedAt: minutesAgo(900), ...more }
}

let lines: string[]
let started: string[]
beforeEach(() => {
  lines = []
  started = []
})

const watch = (...holders: TicketHolder[]) =>
  watchTickets({
    list: async () => holders,
    start: async ({ name }) => {
      started.push(name)
      if (name === 'broken') throw new Error('no secret')
    },
    clock,
    log: createLog('debug', { write: (line: string) => void lines.push(line) }),
  })

describe('watchTickets', () => {
  it('says nothing of tickets that are in time, and of accounts that were just added', async () => {
    await watch(
      holder('component', 'component', { ticketAt: minutesAgo(60) }),
      holder('suite', 'wecom_suite', { ticketAt: minutesAgo(25) }),
      holder('new', 'wecom_suite', { addedAt: minutesAgo(10) }),
    )
    expect([lines, started]).toEqual([[], []])
  })

  it('warns of each that is overdue, and switches the pushes of components on', async () => {
    await watch(
      holder('broken', 'component', { ticketAt: minutesAgo(61) }),
      holder('never', 'component', { addedAt: minutesAgo(61) }),
      holder('suite', 'wecom_suite', { ticketAt: minutesAgo(26) }),
    )
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { msg: 'ticket.overdue', account: 'broken', age_minutes: 61 },
      { msg: 'ticket.pushes_not_started', account: 'broken' },
      { msg: 'ticket.overdue', account: 'never', ticket_at: null },
      { msg: 'ticket.overdue', account: 'suite', kind: 'wecom_suite', age_minutes: 26 },
    ])
    expect(started).toEqual(['broken', 'never'])
  })
})
