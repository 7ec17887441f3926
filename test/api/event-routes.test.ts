import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { recordPushes } from '../../src/consent/push-store.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi } from './served-api.ts'

const database = useTestDatabase()
let client: ReturnType<typeof clientOf>

beforeAll(async () => {
  const { db } = database()
  const api = serveApi(db)
  const acme = await addAccount(db, 'acme')
  const foreign = await addAccount(db, 'foreign')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
  const push = (accountId: number, turn: number, kind: string) => ({
    accountId,
    repeatKey: sha256(`push ${accountId} ${turn}`),
    kind,
    name: kind.split('.')[1] ?? '',
    subject: `o_${turn}`,
    occurredAt: new Date(Date.UTC(2026, 2, 1, 0, 0, turn)),
    document: `<xml>${turn}</xml>`,
    effectiveAt: new Date(Date.UTC(2026, 2, 1, 0, 0, turn)),
    changes: [],
    receipts: [],
    erase: false,
    ticket: null,
    job: null,
  })
  await recordPushes(db, [
    push(acme.id, 1, 'event.subscribe'),
    push(acme.id, 2, 'message.text'),
    push(acme.id, 3, 'message.text'),
    push(foreign.id, 4, 'message.text'),
  ])
})

async function subjects(query: string): Promise<(string | null)[]> {
  const answer = await client.get(`/v1/events${query}`)
  expect(answer.status).toBe(200)
  return SCHEMAS.EventList.parse(answer.body).events.map((event) => event.subject)
}

describe('GET /v1/events', () => {
  it("lists what the platform said to the application's accounts, newest first", async () => {
    expect(await subjects('')).toEqual(['o_3', 'o_2', 'o_1'])
  })

  it('tells everything but the document, unless asked', async () => {
    const without = SCHEMAS.EventList.parse((await client.get('/v1/events?subject=o_1')).body)
    expect(without.events).toMatchObject([
      { account: 'acme', kind: 'event.subscribe', occurred_at: '2026-03-01T00:00:01.000Z' },
    ])
    expect(without.events[0]).not.toHaveProperty('document')
    const withDocument = await client.get('/v1/events?subject=o_1&include=document')
    expect(SCHEMAS.EventList.parse(withDocument.body).events[0]?.document).toBe('<xml>1</xml>')
  })

  it.each([
    ['?kind=message.text', ['o_3', 'o_2']],
    ['?account=acme&subject=o_2', ['o_2']],
    ['?kind=event.subscribe&subject=o_2', []],
    ['?subject=o_4', []],
  ])('narrows by %s', async (query, found) => {
    expect(await subjects(query)).toEqual(found)
  })

  it('goes on where the last page ended', async () => {
    const first = SCHEMAS.EventList.parse((await client.get('/v1/events?limit=2')).body)
    expect(first.events).toHaveLength(2)
    expect(await subjects(`?limit=2&cursor=${first.next_cursor}`)).toEqual(['o_1'])
  })

  it.each([
    ['include=everything', 'include'],
    ['limit=1000', 'limit'],
    ['cursor=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw', 'cursor'],
    ['since=today', 'since'],
  ])('refuses ?%s', async (query, field) => {
    const answer = await client.get(`/v1/events?${query}`)
    expect(answer.body).toMatchObject({ status: 400, faults: [{ field }] })
  })

  it('knows no account of others', async () => {
    expect((await client.get('/v1/events?account=foreign')).status).toBe(404)
  })
})
