import { describe, expect, it } from 'vitest'
import { listEvents } from '../../src/events/event-store.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const START = Date.parse('2026-03-01T00:00:00Z')

/** Three events, the first two of person A. Returns the account and the ids in their order. */
async function aLog() {
  const accountId = await insertAccount(db())
  const ids: string[] = []
  for (const [index, subject] of ['oA', 'oA', 'oB'].entries()) {
    const rows: { id: string }[] = await db()('event')
      .insert({
        account_id: accountId,
        repeat_key: sha256(String(index)),
        kind: index === 1 ? 'message.text' : 'event.subscribe',
        name: index === 1 ? 'text' : 'subscribe',
        subject,
        occurred_at: new Date(START + index * 1000),
        document: `<xml>${index}</xml>`,
      })
      .returning('id')
    ids.push(rows[0]?.id ?? '')
  }
  return { accountId, ids }
}

const list = (filter: Partial<Parameters<typeof listEvents>[1]>) =>
  listEvents(db(), { accountIds: [], withDocument: false, limit: 10, ...filter })

describe('listEvents', () => {
  it('is newest first, and oldest first after an event', async () => {
    const { accountId, ids } = await aLog()
    const mine = { accountIds: [accountId] }
    expect((await list(mine)).map(({ id }) => id)).toEqual(ids.toReversed())
    expect((await list({ ...mine, afterId: ids[0]! })).map(({ id }) => id)).toEqual(ids.slice(1))
  })

  it('goes on before an event', async () => {
    const { accountId, ids } = await aLog()
    const page = await list({ accountIds: [accountId], beforeId: ids[2]!, limit: 1 })
    expect(page.map(({ id }) => id)).toEqual([ids[1]])
  })

  it('narrows by kind and by person', async () => {
    const { accountId, ids } = await aLog()
    const mine = { accountIds: [accountId] }
    expect((await list({ ...mine, kind: 'message.text' })).map(({ id }) => id)).toEqual([ids[1]])
    expect((await list({ ...mine, subject: 'oB' })).map(({ id }) => id)).toEqual([ids[2]])
  })

  it('finds nothing for nobody, and nothing of other accounts', async () => {
    const { accountId } = await aLog()
    await aLog()
    expect(await list({})).toEqual([])
    expect(await list({ accountIds: [accountId] })).toHaveLength(3)
  })

  it('shows the document only to those who ask for it', async () => {
    const { accountId } = await aLog()
    const mine = { accountIds: [accountId], limit: 1 }
    expect(await list(mine)).toMatchObject([{ document: null }])
    expect(await list({ ...mine, withDocument: true })).toMatchObject([
      {
        kind: 'event.subscribe',
        name: 'subscribe',
        subject: 'oB',
        occurredAt: new Date(START + 2000),
        document: '<xml>2</xml>',
        erasedAt: null,
      },
    ])
  })
})
