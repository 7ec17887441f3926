import { describe, expect, it, vi } from 'vitest'
import type { ClaimedMessage } from '../../src/dispatch/dispatch-store.ts'
import { createLine } from '../../src/dispatch/line.ts'
import { createPlaces } from '../../src/dispatch/places.ts'

function messagesOf(accountId: number, count: number): ClaimedMessage[] {
  return Array.from({ length: count }, (_, number) => ({
    id: `${accountId}/${number}`,
    accountId,
    recipient: `oReader${number}`,
    channel: 'customer_service_message',
    templateId: null,
    content: {},
    consentScope: null,
    sealedSecret: null,
    expiresAt: new Date(1),
    dueAt: new Date(0),
    earlier: [],
    onTrial: false,
    isPaced: false,
    hasMore: false,
    goesBehind: false,
  }))
}

/** A line before so many places. */
function aLine(size: number) {
  const onLow = vi.fn()
  const places = createPlaces(size, { monotonicMs: () => 0, onFree: () => {} })
  const line = createLine(size, { places, onLow })
  const claim = (...messages: ClaimedMessage[]) => line.claimed(line.offer(), messages)
  /** Whose turn it is, as often as there is one. */
  const turns = () => {
    const taken = []
    for (let turn = line.next(); turn; turn = line.next()) taken.push(turn)
    return taken
  }
  return { onLow, places, line, claim, turns }
}

describe('createLine', () => {
  it('offers twice the places, of each account twice what it may have under way', () => {
    const { line } = aLine(64)
    expect(line.offer()).toEqual({
      ...{ limit: 128, accountIds: [], rooms: [], held: [] },
      otherRoom: 32,
    })
  })

  it('offers less of an account that waits, and tells what it has in hand', () => {
    const { line, claim, turns } = aLine(64)
    claim(...messagesOf(7, 32))
    expect(turns()).toHaveLength(16)
    expect(line.offer()).toMatchObject({ limit: 112, accountIds: [7], rooms: [16], held: [32] })
  })

  it('names an account whose calls time out, also when nothing of it waits', () => {
    const { line, places } = aLine(64)
    places.called(2, { latencyMs: 50, isOverload: true })
    places.called(3, { latencyMs: 50, isOverload: false })
    expect(line.offer()).toMatchObject({ accountIds: [2], rooms: [22] })
  })

  it('gives the next place to whom the fewest calls are under way for', () => {
    const { claim, turns } = aLine(8)
    claim(...messagesOf(1, 4), ...messagesOf(2, 4))
    expect(turns().map(({ message }) => message.id)).toEqual([
      ...['1/0', '2/0', '1/1', '2/1', '1/2', '2/2', '1/3', '2/3'],
    ])
  })

  it('lets a campaign’s messages go behind, but one after seven others', () => {
    const { claim, line, places } = aLine(64)
    const behind = messagesOf(1, 2).map((one) => ({ ...one, id: 'campaign', goesBehind: true }))
    claim(...behind, ...messagesOf(1, 9))
    const order = []
    for (let turn = line.next(); turn; turn = line.next()) order.push(turn.message.id)
    expect(order.indexOf('campaign')).toBe(7)
    expect(order.lastIndexOf('campaign')).toBe(10)
    expect([order.length, places.heldBy(1)]).toEqual([11, 11])
  })

  it('passes over an account without a place, and comes back when it has one', () => {
    const { claim, turns, line } = aLine(8)
    claim(...messagesOf(1, 6))
    const [first] = turns()
    claim(...messagesOf(2, 1))
    expect(turns().map(({ message }) => message.id)).toEqual(['2/0'])
    first?.leave()
    expect(turns().map(({ message }) => message.id)).toEqual(['1/4'])
    expect(line.size).toBe(1)
  })

  it('asks for more when a third has gone of what filled its room', () => {
    const { claim, line, onLow } = aLine(64)
    claim(...messagesOf(1, 32))
    for (let turn = 0; turn < 10; turn += 1) line.next()
    expect(onLow).not.toHaveBeenCalled()
    line.next()
    line.next()
    expect(onLow).toHaveBeenCalledTimes(1)
  })

  it('asks for nothing of an account that had less than its room', () => {
    const { claim, turns, onLow } = aLine(64)
    claim(...messagesOf(1, 31))
    turns()
    expect(onLow).not.toHaveBeenCalled()
  })

  it('asks for more when the claim as a whole was full', () => {
    const { claim, turns, onLow } = aLine(2)
    claim(...[1, 2, 3, 4].flatMap((id) => messagesOf(id, 1)))
    expect(turns()).toHaveLength(2)
    expect(onLow).toHaveBeenCalled()
  })

  it('asks on for an account that there was no room to ask for', () => {
    const { claim, turns, onLow } = aLine(2)
    claim(...messagesOf(1, 4))
    claim()
    turns()
    expect(onLow).toHaveBeenCalled()
  })

  it('gives out what is meant to wait elsewhere', () => {
    const { claim, line } = aLine(64)
    claim(...messagesOf(1, 3), ...messagesOf(2, 2))
    expect(line.takeOut(({ accountId }) => accountId === 1)).toHaveLength(3)
    expect(line.size).toBe(2)
    expect(line.next()?.message.accountId).toBe(2)
  })
})
