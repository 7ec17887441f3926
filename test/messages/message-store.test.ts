import { Client } from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { newId, sha256 } from '../../src/foundation/ids.ts'
import { createMessageStore, type MessageStore } from '../../src/messages/message-store.ts'
import type { NewMessage } from '../../src/messages/message.ts'
import { addAccount } from '../api/served-api.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()
let store: MessageStore
let account: { id: number; name: string }
let other: { id: number; name: string }

beforeAll(async () => {
  store = createMessageStore(database().db)
  account = await addAccount(database().db, 'acme')
  other = await addAccount(database().db, 'other')
})

function newMessage(changes: Partial<NewMessage> = {}): NewMessage {
  const createdAt = changes.createdAt ?? new Date()
  return {
    id: newId(createdAt),
    account,
    applicationId: null,
    to: 'o_invented_1',
    channel: 'template_message',
    templateId: 'T1',
    content: { template_id: 'T1', data: {} },
    alias: null,
    consentScope: null,
    sealedSecret: null,
    plan: null,
    purpose: null,
    idempotencyKey: null,
    requestDigest: sha256('request'),
    sendAt: createdAt,
    expiresAt: new Date(createdAt.getTime() + 3_600_000),
    createdAt,
    ...changes,
  }
}

async function stored(changes: Partial<NewMessage> = {}): Promise<NewMessage> {
  const message = newMessage(changes)
  expect(await store.insert(message)).toBe(true)
  return message
}

describe('insert', () => {
  it('stores what is due now as queued', async () => {
    const message = await stored({ purpose: 'order' })
    expect(await store.find(message.id, [account.id])).toMatchObject({
      id: message.id,
      account: 'acme',
      to: 'o_invented_1',
      templateId: 'T1',
      purpose: 'order',
      status: 'queued',
      sendAt: message.sendAt,
      expiresAt: message.expiresAt,
      createdAt: message.createdAt,
      finishedAt: null,
      attemptCount: 0,
      receipt: null,
    })
  })

  it('stores what is due later as scheduled, due at its time', async () => {
    const sendAt = new Date(Date.now() + 60_000)
    const { id } = await stored({ sendAt })
    const row: unknown = await database().db('message').where({ id }).first('status', 'due_at')
    expect(row).toEqual({ status: 'scheduled', due_at: sendAt })
  })

  it('puts marketing behind what people wait for', async () => {
    const lanes = await Promise.all(
      [undefined, true].map(async (isMarketing) => {
        const { id } = await stored(isMarketing === undefined ? {} : { isMarketing })
        return database().db('message').where({ id }).first<{ lane: number }>('lane')
      }),
    )
    expect(lanes).toEqual([{ lane: 0 }, { lane: 1 }])
  })

  it('wakes whoever listens, once the row can be read', async () => {
    const listener = new Client({ connectionString: database().url })
    await listener.connect()
    const heard = new Promise((resolve) => {
      listener.once('notification', ({ channel }: { channel: string }) => resolve(channel))
    })
    await listener.query('listen message_queued')
    await stored()
    expect(await heard).toBe('message_queued')
    await listener.end()
  })

  it('lets messages without a key stand side by side', async () => {
    const first = await stored()
    const second = await stored()
    expect(first.id).not.toBe(second.id)
  })
})

describe('find', () => {
  it('finds nothing for somebody who may not use the account', async () => {
    const { id } = await stored()
    expect(await store.find(id, [other.id])).toBeUndefined()
    expect(await store.find(id, [])).toBeUndefined()
  })
})

describe('attemptsOf', () => {
  it('tells each call in order, ids with all their digits', async () => {
    const { id } = await stored()
    const startedAt = new Date('2026-03-01T00:00:00Z')
    const row = { message_id: id, account_id: account.id, started_at: startedAt, process: 'p' }
    const evidence = database().db.raw(`array[9007199254740993]::bigint[]`)
    await database()
      .db('attempt')
      .insert([
        { ...row, number: 2, evidence, outcome: 'sent', errcode: 0, msgid: '3487542469355618313' },
        {
          ...row,
          number: 1,
          evidence,
          outcome: 'retry',
          errcode: -1,
          errmsg: 'system error',
          http_status: 200,
          rid: 'r',
        },
      ])
    expect(await store.attemptsOf(id)).toEqual([
      {
        number: 1,
        startedAt,
        finishedAt: null,
        outcome: 'retry',
        errcode: -1,
        errmsg: 'system error',
        httpStatus: 200,
        rid: 'r',
        msgid: null,
        evidence: ['9007199254740993'],
      },
      expect.objectContaining({ number: 2, errcode: 0, msgid: '3487542469355618313' }),
    ])
  })
})

describe('list', () => {
  it('is newest first, and goes on where the last page ended', async () => {
    const messages: NewMessage[] = []
    for (const minute of [1, 2, 3]) {
      const createdAt = new Date(Date.UTC(2030, 0, 1, 0, minute))
      messages.push(await stored({ createdAt, to: 'o_list' }))
    }
    const filter = { accountIds: [account.id], to: 'o_list' }
    const ids = messages.map((message) => message.id).reverse()
    const first = await store.list({ ...filter, limit: 2 })
    expect(first.map((message) => message.id)).toEqual(ids.slice(0, 2))
    const second = await store.list({ ...filter, limit: 2, beforeId: ids[1] })
    expect(second.map((message) => message.id)).toEqual(ids.slice(2))
  })

  it('narrows by each field', async () => {
    const createdAt = new Date('2031-01-01T00:00:00Z')
    const wanted = await stored({ createdAt, to: 'o_filter', account: other })
    const accountIds = [account.id, other.id]
    const found = async (filter: Partial<Parameters<MessageStore['list']>[0]>) => {
      const list = await store.list({ accountIds, to: 'o_filter', limit: 10, ...filter })
      return list.map((message) => message.id)
    }
    expect(await found({})).toEqual([wanted.id])
    expect(await found({ status: 'queued' })).toEqual([wanted.id])
    expect(await found({ status: 'sent' })).toEqual([])
    expect(await found({ channel: 'subscription_message' })).toEqual([])
    expect(await found({ accountIds: [account.id] })).toEqual([])
    expect(await found({ to: 'o_nobody' })).toEqual([])
    expect(await found({ createdAfter: new Date('2030-12-31T00:00:00Z') })).toEqual([wanted.id])
    expect(await found({ createdAfter: createdAt })).toEqual([])
    expect(await found({ createdBefore: createdAt })).toEqual([])
  })
})

describe('cancel', () => {
  it('cancels what waits, once', async () => {
    const { id } = await stored()
    expect(await store.cancel(id, [account.id])).toBe(true)
    expect(await store.cancel(id, [account.id])).toBe(false)
    const message = await store.find(id, [account.id])
    expect(message).toMatchObject({ status: 'cancelled', finishedAt: expect.any(Date) as Date })
  })

  it.each([
    [
      'is in the hands of a worker',
      { lease_owner: 'w', leased_until: new Date(Date.now() + 60_000) },
    ],
    ['is being sent', { status: 'sending' }],
    ['has been sent', { status: 'sent' }],
    ['was blocked', { status: 'blocked' }],
  ])('leaves a message alone that %s', async (_what, changes) => {
    const { id } = await stored()
    await database().db('message').where({ id }).update(changes)
    expect(await store.cancel(id, [account.id])).toBe(false)
  })

  it('takes back a message whose worker has let its lease run out', async () => {
    const { id } = await stored()
    const leased_until = new Date(Date.now() - 1_000)
    await database().db('message').where({ id }).update({ lease_owner: 'w', leased_until })
    expect(await store.cancel(id, [account.id])).toBe(true)
  })

  it('does nothing for somebody who may not use the account', async () => {
    const { id } = await stored()
    expect(await store.cancel(id, [other.id])).toBe(false)
  })

  it('and a worker that claims at the same instant never both win', async () => {
    const { db } = database()
    for (let round = 0; round < 20; round += 1) {
      const { id } = await stored({ to: `o_race_${round}` })
      const claim = db('message')
        .where({ id, status: 'queued' })
        .update({ lease_owner: 'w', leased_until: new Date(Date.now() + 60_000) })
      const [cancelled, claimed] = await Promise.all([store.cancel(id, [account.id]), claim])
      expect(Number(cancelled) + claimed).toBe(1)
    }
  })
})
