import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseStrictJson } from '../../src/api/strict-json.ts'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createBroadcastStore, type BroadcastStore } from '../../src/messages/broadcast-store.ts'
import type { Caller } from '../../src/messages/caller.ts'
import { cancelBroadcast } from '../../src/messages/change-broadcast.ts'
import { createListedBroadcast } from '../../src/messages/create-broadcast.ts'
import { showBroadcast } from '../../src/messages/find-broadcast.ts'
import { indexOf } from '../../src/templates/registry.ts'
import { headOf, linesOfJson } from '../support/broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const log = createLog('silent')

let caller: Caller
let head: Record<string, unknown>
beforeAll(async () => {
  const id = await insertAccount(db())
  const account = await db()('account').where({ id }).first<{ name: string }>('name')
  const { name } = account
  const applications = createApplicationStore({ db: db(), clock: systemClock })
  const { id: applicationId } = await applications.add({ name: 'shop', accountNames: [name] })
  caller = { id: applicationId, name: 'shop', accounts: [{ id, name }] }
  head = headOf(name)
})

/** As of an account that nobody has asked the platform about. */
const NO_TEMPLATES = { strict: false, ...indexOf({ templates: [], aliases: [] }) }

function create(
  chunks: AsyncIterable<Buffer>,
  options: { readonly key?: string; readonly store?: BroadcastStore } = {},
) {
  const { key = null, store = createBroadcastStore(db()) } = options
  return createListedBroadcast(
    {
      store,
      findSender: () => Promise.resolve({ kind: 'official_account' as const }),
      findTemplates: () => Promise.resolve(NO_TEMPLATES),
      callbacks: { urlFault: () => null, readyForCallbacks: () => Promise.resolve() },
      clock: systemClock,
      log,
      lifetimeHours: 24,
    },
    { caller, chunks, parse: parseStrictJson, idempotencyKey: key },
  )
}

/** The bytes of lines, in pieces that end anywhere. */
async function* pieces(text: string, size = 700): AsyncGenerator<Buffer, void> {
  const bytes = Buffer.from(text)
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size)
}

/** Bytes that end in the middle, as those of a broken connection. */
async function* broken(text: string, at: number): AsyncGenerator<Buffer, void> {
  yield* pieces(text.slice(0, at))
  throw new Error('the connection is gone')
}

const people = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ to: `oListed${index}` }))

async function recipientsOf(id: string): Promise<string[]> {
  const rows = await db()('broadcast_recipient')
    .where({ broadcast_id: id })
    .orderBy('line')
    .select<{ recipient: string }[]>('recipient')
  return rows.map(({ recipient }) => recipient)
}

const wantedOf = (id: string) => ({ caller, id })

describe('createListedBroadcast', () => {
  it('takes 50,000 lines no faster than it stores them', async () => {
    const count = 50_000
    let taken = 0
    let stored = 0
    let mostAhead = 0
    async function* lines(): AsyncGenerator<Buffer, void> {
      yield Buffer.from(linesOfJson(head))
      for (const { to } of people(count)) {
        taken += 1
        mostAhead = Math.max(mostAhead, taken - stored)
        yield Buffer.from(`{"to":"${to}","data":{"thing1":{"value":"${taken}"}}}\n`)
      }
    }
    const store = createBroadcastStore(db())
    const watched: BroadcastStore = {
      ...store,
      addLines: async (id, batch) => {
        const answer = await store.addLines(id, batch)
        stored += batch.recipients.length
        return answer
      },
    }
    const { broadcast } = await create(lines(), { store: watched })
    expect(broadcast.lines).toEqual({ accepted: count, duplicate: 0, bad: 0, complete: true })
    expect(mostAhead).toBeGreaterThan(0)
    expect(mostAhead).toBeLessThanOrEqual(2_001)
  })

  it('goes on where a list broke off when it is sent again with its key', async () => {
    const text = linesOfJson(head, ...people(5_000), '{"bad"', { to: 'oListed7' })
    const key = randomUUID()
    await expect(create(broken(text, 90_000), { key })).rejects.toThrow('the connection is gone')
    const { broadcast, replayed } = await create(pieces(text, 4_096), { key })
    expect(replayed).toBe(false)
    expect(broadcast.lines).toEqual({ accepted: 5_000, duplicate: 1, bad: 1, complete: true })
    expect(await recipientsOf(broadcast.id)).toEqual(people(5_000).map(({ to }) => to))

    const again = await create(pieces(text), { key })
    expect(again).toMatchObject({ replayed: true, broadcast: { id: broadcast.id } })
    expect(again.broadcast.lines).toEqual(broadcast.lines)
    expect(again.badLines).toMatchObject([{ line: 5_002 }])
  })

  it('makes one broadcast of one list that arrives several times at once', async () => {
    const text = linesOfJson(head, ...people(6_500))
    const key = randomUUID()
    const all = await Promise.all(
      [500, 900, 4_000].map((size) => create(pieces(text, size), { key })),
    )
    expect(new Set(all.map(({ broadcast }) => broadcast.id)).size).toBe(1)
    expect(all.filter(({ replayed }) => !replayed)).toHaveLength(1)
    for (const { broadcast } of all) {
      expect(broadcast.lines).toEqual({ accepted: 6_500, duplicate: 0, bad: 0, complete: true })
    }
  })

  it('refuses another head, other lines, fewer and more lines under the same key', async () => {
    const key = randomUUID()
    await create(pieces(linesOfJson(head, ...people(3_000))), { key })
    const lists: [readonly unknown[], string][] = [
      [[{ ...head, name: 'autumn' }, ...people(3_000)], 'idempotency_key_reused'],
      [[head, { to: 'oOther' }, ...people(2_999)], 'broadcast_lines_differ'],
      [[head, ...people(2_999)], 'broadcast_lines_differ'],
      [[head, ...people(3_001)], 'broadcast_lines_differ'],
      [[head, ...people(9_000)], 'broadcast_lines_differ'],
    ]
    for (const [lines, code] of lists) {
      await expect(create(pieces(linesOfJson(...lines)), { key })).rejects.toMatchObject({ code })
    }
  })

  it('cancels a list that broke off and that nobody can name again', async () => {
    const text = linesOfJson(head, ...people(3_000))
    await expect(create(broken(text, 60_000))).rejects.toThrow('the connection is gone')
    const [latest] = await createBroadcastStore(db()).list({
      accountIds: [caller.accounts[0]?.id ?? 0],
      limit: 1,
    })
    expect(latest).toMatchObject({ status: 'cancelled', reason: 'interrupted' })
  })

  it('does not go on with a list that was cancelled meanwhile', async () => {
    const text = linesOfJson(head, ...people(5_000))
    const key = randomUUID()
    await expect(create(broken(text, 90_000), { key })).rejects.toThrow('the connection is gone')
    const store = createBroadcastStore(db())
    const { id } = (await store.findByKey(caller.id ?? '', key)) ?? { id: '' }
    await cancelBroadcast({ store, log }, wantedOf(id))
    await expect(create(pieces(text), { key })).rejects.toMatchObject({ code: 'broadcast_ended' })
  })

  it('keeps a line that is too long, not UTF-8 or no JSON, and reads the others', async () => {
    const text = Buffer.concat([
      Buffer.from(
        linesOfJson(head, { to: 'oFirst', data: { thing1: { value: 'x'.repeat(17_000) } } }),
      ),
      Buffer.from([0x7b, 0xff, 0x0a]),
      Buffer.from('[]\r\n  \r\n{"to":"oLast"}'),
    ])
    async function* chunks() {
      yield text
    }
    const { broadcast, badLines } = await create(chunks())
    expect(badLines).toEqual([
      { line: 2, reason: 'must be at most 16384 bytes' },
      { line: 3, reason: 'must be one JSON value in UTF-8' },
      { line: 4, reason: 'must be a JSON object' },
    ])
    expect(await recipientsOf(broadcast.id)).toEqual(['oLast'])
  })

  it('takes no data where the channel has none, and obeys the channel’s rules for it', async () => {
    const service = {
      ...head,
      channel: 'customer_service_message',
      content: { msgtype: 'text', text: { content: 'x' } },
    }
    const { badLines } = await create(
      pieces(linesOfJson(service, { to: 'oA', data: {} }, { to: 'oB' })),
    )
    expect(badLines).toEqual([
      { line: 2, reason: expect.stringContaining('has no data') as string },
    ])
    const second = await create(
      pieces(linesOfJson(head, { to: 'oA', data: { thing1: 'no object' } }, { to: 'oB' })),
    )
    expect(second.badLines).toEqual([
      { line: 2, reason: expect.stringContaining('data.thing1') as string },
    ])
  })
})

describe('showBroadcast', () => {
  it('counts each recipient once, whatever has become of it', async () => {
    const { broadcast } = await create(pieces(linesOfJson(head, ...people(30))))
    const store = createBroadcastStore(db())
    const show = () => showBroadcast({ store, clock: systemClock }, wantedOf(broadcast.id))
    expect((await show()).messages).toMatchObject({ waiting: 30, queued: 0 })
    await cancelBroadcast({ store, log }, wantedOf(broadcast.id))
    expect((await show()).messages).toMatchObject({ waiting: 0, cancelled: 30 })
  })
})
