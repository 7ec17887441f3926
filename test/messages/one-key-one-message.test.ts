import { beforeAll, describe, expect, it } from 'vitest'
import type { AddedApplication } from '../../src/applications/application-store.ts'
import { addAccount, clientOf, serveApi, templateSend, type ServedApi } from '../api/served-api.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()
let processes: [ServedApi, ServedApi]
let shop: AddedApplication
let crm: AddedApplication

beforeAll(async () => {
  processes = [serveApi(database().db), serveApi(database().openAnother())]
  await addAccount(database().db, 'acme')
  const { applications } = processes[0]
  shop = await applications.add({ name: 'shop', accountNames: ['acme'] })
  crm = await applications.add({ name: 'crm', accountNames: ['acme'] })
})

function send(options: {
  process?: 0 | 1
  key: string
  application?: AddedApplication
  body?: object
}) {
  const { app } = processes[options.process ?? 0]
  return clientOf(app, (options.application ?? shop).key)
    .post('/v1/messages')
    .set('idempotency-key', options.key)
    .send(options.body ?? templateSend())
}

async function rowsOf(key: string): Promise<number> {
  const rows: unknown[] = await database().db('message').where({ idempotency_key: key })
  return rows.length
}

describe('one Idempotency-Key', () => {
  it('makes one message of 50 requests at once through two processes', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, turn) =>
        send({ process: turn % 2 === 0 ? 0 : 1, key: 'burst' }),
      ),
    )
    expect(answers.map((answer) => answer.status)).toEqual(Array(50).fill(202))
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
    const first = answers.filter((answer) => answer.headers['idempotent-replayed'] === undefined)
    expect(first).toHaveLength(1)
    expect(await rowsOf('burst')).toBe(1)
  })

  it('gives exactly one of two different requests its message', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, turn) =>
        send({
          process: turn % 2 === 0 ? 0 : 1,
          key: 'contest',
          body: templateSend({ to: `o_${turn % 2}` }),
        }),
      ),
    )
    const statuses = answers.map((answer) => answer.status)
    expect(statuses.filter((status) => status === 202)).toHaveLength(10)
    expect(statuses.filter((status) => status === 409)).toHaveLength(10)
    expect(await rowsOf('contest')).toBe(1)
  })

  it('answers a later repeat to the letter, whatever became of the message', async () => {
    const first = await send({ key: 'later' })
    await database()
      .db('message')
      .where({ idempotency_key: 'later' })
      .update({ status: 'sent', recipient: null, content: null })
    const again = await send({ key: 'later', process: 1 })
    expect(again.status).toBe(202)
    expect(again.text).toBe(first.text)
    expect(again.headers['location']).toBe(first.headers['location'])
    expect(again.headers['idempotent-replayed']).toBe('true')
  })

  it('answers a repeat that comes after the times of the request have passed', async () => {
    const body = templateSend({ expires_at: new Date(Date.now() + 3_000).toISOString() })
    const first = await send({ key: 'stale', body })
    expect(first.status).toBe(202)
    processes[1].passSeconds(10)
    const again = await send({ key: 'stale', body, process: 1 })
    expect([again.status, again.text]).toEqual([202, first.text])
    const unknown = await send({ key: 'stale-too', body, process: 1 })
    expect(unknown.status).toBe(400)
  })

  it('refuses another request', async () => {
    await send({ key: 'reused' })
    const answer = await send({ key: 'reused', body: templateSend({ purpose: 'another' }) })
    expect(answer.status).toBe(409)
    expect(answer.body).toMatchObject({ code: 'idempotency_key_reused' })
  })

  it('belongs to its application', async () => {
    const one = await send({ key: 'mine' })
    const two = await send({ key: 'mine', application: crm, body: templateSend({ to: 'o_other' }) })
    expect([one.status, two.status]).toEqual([202, 202])
    expect(await rowsOf('mine')).toBe(2)
  })

  it('is not used up by a request that was refused', async () => {
    expect((await send({ key: 'second try', body: {} })).status).toBe(400)
    expect((await send({ key: 'second-try', body: {} })).status).toBe(400)
    expect((await send({ key: 'second-try' })).status).toBe(202)
  })
})
