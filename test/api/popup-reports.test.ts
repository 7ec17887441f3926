import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, newPerson, readCredits, readLedger } from '../support/messages.ts'
import { signedHeaders } from '../support/sign-request.ts'
import { addAccount, clientOf, serveApi } from './served-api.ts'

const database = useTestDatabase()
const db = () => database().db
let client: ReturnType<typeof clientOf>
let unsigned: ReturnType<typeof clientOf>
let secret: string
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
  const site = await api.applications.add({ name: 'site', accountNames: ['acme'] })
  unsigned = clientOf(api.app, site.key)
  // it may sign, and need not: a report has to be signed all the same
  secret = (await api.signing.rotate('shop', { endPrevious: false })).secret
})

/** How the ledger says that the application signed what it reported. */
const SIGNED = /^popup_report:(accept|reject):signed$/

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)
const credits = (subject: string) => readCredits(db(), accountId, subject, 'template:T')

const pathOf = (subject: string, account = 'acme') =>
  `/v1/accounts/${account}/consents/${subject}/reports`
const bodyOf = (at: Date, results: object) =>
  JSON.stringify({ results, requested_at: at.toISOString() })

function report(subject: string, at: Date, results: object = { T: 'accept' }, account = 'acme') {
  const [target, body] = [pathOf(subject, account), bodyOf(at, results)]
  return client
    .post(target)
    .set({
      'content-type': 'application/json',
      ...signedHeaders({ secret, method: 'POST', target, body }),
    })
    .send(body)
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
      { kind: 'report', actor: 'shop', reason: expect.stringMatching(SIGNED) as string },
      { kind: 'report', actor: 'shop', reason: expect.stringMatching(SIGNED) as string },
    ])
  })

  it.each([
    ['of an application that may sign', () => client],
    ['of one that has nothing to sign with', () => unsigned],
  ])('refuses an unsigned report %s: its key alone proves too little', async (_what, by) => {
    const subject = newPerson()
    const body = bodyOf(minutesAgo(1), { T: 'accept' })
    const answer = await by().post(pathOf(subject)).type('json').send(body)
    expect(answer.body).toMatchObject({ status: 403, code: 'report_not_signed' })
    expect((answer.body as { detail: string }).detail).toContain('wcg app rotate')
    expect(await readLedger(db(), accountId, subject)).toEqual([])
  })

  it('refuses a report with a signature that is not right', async () => {
    const [subject, body] = [newPerson(), bodyOf(minutesAgo(1), { T: 'accept' })]
    const headers = signedHeaders({ secret, method: 'POST', target: pathOf(subject), body })
    const answer = await client
      .post(pathOf(subject))
      .set({ 'content-type': 'application/json', ...headers })
      .send(body.replace('accept', 'reject'))
    expect(answer.body).toMatchObject({ status: 401, code: 'signature_wrong' })
    expect(await readLedger(db(), accountId, subject)).toEqual([])
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
