import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, newPerson, readCredits, readLedger } from '../support/messages.ts'
import { addAccount, clientOf, serveApi } from './served-api.ts'

const database = useTestDatabase()
const db = () => database().db
let client: ReturnType<typeof clientOf>
let accountId: number

beforeAll(async () => {
  const api = serveApi(db())
  accountId = (await addAccount(db(), 'acme')).id
  await addAccount(db(), 'app')
  await db()('account')
    .where({ name: 'app' })
    .update({ kind: 'wecom_app', original_id: null, agent_id: '1' })
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme', 'app'] })
  client = clientOf(api.app, shop.key)
})

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)
const credits = (subject: string) => readCredits(db(), accountId, subject, 'template:T')

function report(subject: string, at: Date, results: object = { T: 'accept' }, account = 'acme') {
  return client
    .post(`/v1/accounts/${account}/consents/${subject}/reports`)
    .send({ results, requested_at: at.toISOString() })
}

const event = (subject: string, at: Date) =>
  giveConsent(db(), { accountId, subject, scope: 'template:T', credits: 1, at })

describe('POST …/reports', () => {
  it('records who reported what, and answers what holds then', async () => {
    const subject = newPerson()
    const answer = await report(subject, minutesAgo(1), {
      T: 'accept',
      R: 'reject',
      B: 'ban',
      F: 'filter',
    })
    expect(answer.status).toBe(200)
    const view = SCHEMAS.ConsentView.parse(answer.body)
    expect(view.consents).toMatchObject([
      { scope: 'template:R', state: 'revoked', live: false },
      { scope: 'template:T', state: 'granted', live: true, credits: 1 },
    ])
    expect(view.history).toMatchObject([
      { kind: 'report', actor: 'shop' },
      { kind: 'report', actor: 'shop' },
    ])
  })

  it('gives a standing right where the account lists the template as long-term', async () => {
    const subject = newPerson()
    await report(subject, minutesAgo(1), { LONG: 'accept' })
    expect(await readCredits(db(), accountId, subject, 'template:LONG')).toBeNull()
  })

  it.each([
    ['the report first', ['report', 'event']],
    ['the event first', ['event', 'report']],
    ['the report twice', ['report', 'report']],
    ['all of it twice', ['report', 'event', 'report']],
  ])('counts one popup once, %s', async (_what, order) => {
    const subject = newPerson()
    for (const one of order) {
      if (one === 'event') await event(subject, minutesAgo(5))
      else await report(subject, minutesAgo(4))
    }
    expect(await credits(subject)).toBe(1)
    expect(await readLedger(db(), accountId, subject)).toHaveLength(order.length)
  })

  it('counts two popups that are far enough apart twice, in either order', async () => {
    const [one, other] = [newPerson(), newPerson()]
    await report(one, minutesAgo(30))
    await event(one, minutesAgo(5))
    await event(other, minutesAgo(5))
    await report(other, minutesAgo(30))
    expect([await credits(one), await credits(other)]).toEqual([2, 2])
  })

  it('never takes away what events gave', async () => {
    const subject = newPerson()
    await event(subject, minutesAgo(6))
    await event(subject, minutesAgo(5))
    await report(subject, minutesAgo(4))
    expect(await credits(subject)).toBe(2)
  })

  it.each([
    ['an old popup', minutesAgo(61), { T: 'accept' }, 'requested_at'],
    ['a popup of the future', minutesAgo(-5), { T: 'accept' }, 'requested_at'],
    ['an unknown word', minutesAgo(1), { T: 'yes' }, 'results.T'],
    ['no template', minutesAgo(1), {}, 'results'],
    ['every template', minutesAgo(1), { '*': 'accept' }, 'results.*'],
  ])('refuses %s', async (_what, at, results, field) => {
    const answer = await report(newPerson(), at, results)
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_request', faults: [{ field }] })
  })

  it('refuses an account that has no popups', async () => {
    const answer = await report(newPerson(), minutesAgo(1), { T: 'accept' }, 'app')
    expect(answer.body).toMatchObject({ status: 400, code: 'channel_not_available' })
  })
})
