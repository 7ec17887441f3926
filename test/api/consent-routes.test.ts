import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi } from './served-api.ts'

const database = useTestDatabase()
let client: ReturnType<typeof clientOf>

beforeAll(async () => {
  const api = serveApi(database().db)
  await addAccount(database().db, 'acme')
  await addAccount(database().db, 'foreign')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
})

const pathOf = (subject: string, act = '') => `/v1/accounts/acme/consents/${subject}${act}`

describe('GET /v1/accounts/{account}/consents/{subject}', () => {
  it('has nothing to say of a person it does not know', async () => {
    const answer = await client.get(pathOf('o_stranger'))
    expect(answer.status).toBe(200)
    expect(SCHEMAS.ConsentView.parse(answer.body)).toEqual({
      account: 'acme',
      subject: 'o_stranger',
      consents: [],
      history: [],
    })
  })

  it('takes no account of others for its own', async () => {
    const answers = await Promise.all(
      ['foreign', 'nowhere'].map((name) =>
        client.get(`/v1/accounts/${name}/consents/o_1`).set('x-request-id', 'same'),
      ),
    )
    expect(answers.map((answer) => answer.status)).toEqual([404, 404])
    expect(answers[0]?.text).toBe(answers[1]?.text)
  })

  it('refuses what cannot be a person', async () => {
    const answer = await client.get(pathOf('o%201'))
    expect(answer.body).toMatchObject({ status: 400, faults: [{ field: 'subject' }] })
  })
})

describe('POST …/opt-in and …/opt-out', () => {
  it('records who said what and why, and answers what holds then', async () => {
    const granted = await client
      .post(pathOf('o_1', '/opt-in'))
      .send({ scope: 'template:T1', reason: 'accepted in our mini program' })
    expect(granted.status).toBe(200)
    const view = SCHEMAS.ConsentView.parse(granted.body)
    expect(view.consents).toMatchObject([
      { scope: 'template:T1', state: 'granted', live: true, credits: 1 },
    ])
    expect(view.history).toMatchObject([
      { kind: 'api', actor: 'shop', change: 'granted', reason: 'accepted in our mini program' },
    ])

    const revoked = await client
      .post(pathOf('o_1', '/opt-out'))
      .send({ scope: 'template:T1', reason: 'asked by phone' })
    const after = SCHEMAS.ConsentView.parse(revoked.body)
    expect(after.consents).toMatchObject([{ scope: 'template:T1', state: 'revoked', live: false }])
    expect(after.history.map((entry) => entry.change)).toEqual(['revoked', 'granted'])
    const shown = await client.get(pathOf('o_1'))
    expect(shown.body).toEqual(revoked.body)
  })

  it('stops everything when no scope is named', async () => {
    const answer = await client.post(pathOf('o_2', '/opt-out')).send({ reason: 'complaint' })
    expect(SCHEMAS.ConsentView.parse(answer.body).consents).toMatchObject([
      { scope: 'everything', state: 'revoked' },
    ])
  })

  it.each([
    ['opt-out', {}, 'reason'],
    ['opt-out', { reason: '  ' }, 'reason'],
    ['opt-out', { reason: 'x', scope: 'newsletter' }, 'scope'],
    ['opt-out', { reason: 'x', actor: 'somebody' }, 'actor'],
    ['opt-in', { reason: 'x' }, 'scope'],
    ['opt-in', { reason: 'x', scope: 'conversation' }, 'scope'],
    ['opt-in', { scope: 'follow' }, 'reason'],
  ])('%s refuses %j', async (act, body, field) => {
    const answer = await client.post(pathOf('o_3', `/${act}`)).send(body)
    expect(answer.status).toBe(400)
    expect(SCHEMAS.Problem.parse(answer.body).faults?.map((fault) => fault.field)).toEqual([field])
    const after = await client.get(pathOf('o_3'))
    expect(after.body).toMatchObject({ history: [] })
  })

  it.each([['opt-in'], ['opt-out']])('%s changes nothing in an account of others', async (act) => {
    const answer = await client
      .post(`/v1/accounts/foreign/consents/o_1/${act}`)
      .send({ scope: 'follow', reason: 'x' })
    expect(answer.status).toBe(404)
    const rows: unknown[] = await database().db('consent_ledger').where({ scope: 'follow' })
    expect(rows).toEqual([])
  })
})
