import { beforeAll, describe, expect, it } from 'vitest'
import request from 'supertest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import type { AddedApplication } from '../../src/applications/application-store.ts'
import { forgetOldNonces } from '../../src/applications/signing-store.ts'
import { headOf, linesOfJson } from '../support/broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { until } from '../support/send-road.ts'
import { contentDigest, signedHeaders, type ToSign } from '../support/sign-request.ts'
import { addAccount, serveApi, templateSend, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
const db = () => database().db

/** Two processes on one database. */
let here: ServedApi
let there: ServedApi
let secret: string
let shop: AddedApplication

beforeAll(async () => {
  here = serveApi(db())
  there = serveApi(database().openAnother())
  await addAccount(db(), 'acme')
  const made = here.signing.make()
  secret = made.secret
  shop = await here.applications.add({ name: 'shop', accountNames: ['acme'] }, made.sealFor)
})

interface Sent extends Partial<ToSign> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly target: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends a request without any signature. */
function sendPlain(api: ServedApi, sent: Sent) {
  const { method, target, key = shop.key, body, headers = {} } = sent
  const by = request(api.app)
  const call =
    method === 'GET' ? by.get(target) : method === 'POST' ? by.post(target) : by.delete(target)
  const all = { 'content-type': 'application/json', ...headers }
  return call.set('authorization', `Bearer ${key}`).set(all).send(body)
}

/** Sends a request that is signed as it is sent; `headers` replace those of the signature. */
function send(api: ServedApi, sent: Sent) {
  const headers = { ...signedHeaders({ secret, ...sent }), ...sent.headers }
  return sendPlain(api, { ...sent, headers })
}

const MESSAGES = { method: 'GET', target: '/v1/messages?account=acme&limit=1' } as const
const asked = (more: Record<string, unknown> = {}) =>
  ({ method: 'POST', target: '/v1/messages', body: JSON.stringify(templateSend(more)) }) as const

const countMessages = async () => (await db()('message').select('id')).length
const secondsNow = () => Math.floor(Date.now() / 1000)

describe('an application that has to sign', () => {
  it('is answered when it does, with a body and without', async () => {
    const posted = await send(here, asked())
    expect(posted.status).toBe(202)
    const { id } = posted.body as { id: string }
    expect((await send(here, MESSAGES)).status).toBe(200)
    const cancel = { method: 'POST', target: `/v1/messages/${id}/cancel` } as const
    expect((await send(here, cancel)).status).toBe(200)
    const odd = { method: 'GET', target: '/v1/messages?to=o%5Fx&to=?a' } as const
    expect((await send(here, odd)).body).toMatchObject({ code: 'invalid_query' })
  })

  it.each([
    ['nothing signed', { 'x-signature': '' }, 'signature_malformed'],
    ['another scheme', { 'x-signature': `md5=${'0'.repeat(64)}` }, 'signature_malformed'],
    ['no time', { 'x-timestamp': '' }, 'signature_malformed'],
    ['no nonce', { 'x-nonce': '' }, 'signature_malformed'],
    ['another time', { 'x-timestamp': String(secondsNow() + 7) }, 'signature_wrong'],
    ['another nonce', { 'x-nonce': 'another-nonce-of-ours' }, 'signature_wrong'],
    ['a made-up signature', { 'x-signature': `sha256=${'0'.repeat(64)}` }, 'signature_wrong'],
  ])('is refused with %s', async (_what, headers, code) => {
    const before = await countMessages()
    const answer = await send(here, { ...asked(), headers })
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(SCHEMAS.Problem.parse(answer.body)).toMatchObject({ status: 401, code })
    expect(await countMessages()).toBe(before)
  })

  it('is refused without a signature on every path, before its body is read', async () => {
    const missing = { status: 401, code: 'signature_missing' }
    expect((await sendPlain(here, asked())).body).toMatchObject(missing)
    expect((await sendPlain(here, MESSAGES)).body).toMatchObject(missing)
    const huge = { ...asked(), body: 'x'.repeat(100_000) }
    expect((await sendPlain(here, huge)).body).toMatchObject(missing)
    const nowhere = { method: 'GET', target: '/v1/nowhere' } as const
    expect((await sendPlain(here, nowhere)).body).toMatchObject(missing)
    expect((await send(here, nowhere)).body).toMatchObject({ status: 404 })
  })

  it('is refused when anything differs from what it signed', async () => {
    const signed = () => signedHeaders({ secret, ...asked() })
    const body = JSON.stringify(templateSend({ to: 'o_invented_openid_2' }))
    for (const sent of [
      { ...asked(), body },
      { ...asked(), target: '/v1/messages?x=1' },
      { ...asked(), target: '/v1/messages:check' },
      { ...asked(), method: 'GET', target: '/v1/messages' },
    ] as const) {
      const answer = await sendPlain(here, { ...sent, headers: signed() })
      expect(answer.body).toMatchObject({ status: 401, code: 'signature_wrong' })
    }
    const other = await send(here, { ...asked(), secret: 'wcgs_of_somebody_else' })
    expect(other.body).toMatchObject({ status: 401, code: 'signature_wrong' })
  })

  // a second may pass on the way here; request-signature.test.ts has both ends of the window exactly
  it.each([-301, 311])('is refused with a clock that is %d seconds off', async (seconds) => {
    const answer = await send(here, { ...MESSAGES, at: secondsNow() + seconds })
    expect(answer.body).toMatchObject({ status: 401, code: 'timestamp_out_of_window' })
  })

  it('cannot be played back by somebody who saw it, here or in another process', async () => {
    const headers = signedHeaders({ secret, ...asked() })
    const before = await countMessages()
    const [first, ...others] = await Promise.all(
      [here, there, here, there, here].map((api) => sendPlain(api, { ...asked(), headers })),
    ).then((answers) => answers.sort((one, other) => one.status - other.status))
    expect(first?.status).toBe(202)
    for (const { body } of others) expect(body).toMatchObject({ status: 401, code: 'nonce_used' })
    expect((await sendPlain(there, { ...asked(), headers })).status).toBe(401)
    expect(await countMessages()).toBe(before + 1)
  })

  it('may use a nonce again that a wrong signature, or a refused body, came with', async () => {
    const nonce = 'nonce-of-several-tries'
    const wrong = await send(here, { ...MESSAGES, nonce, secret: 'wcgs_wrong' })
    expect(wrong.body).toMatchObject({ code: 'signature_wrong' })
    const huge = await send(here, { ...asked(), nonce, body: 'x'.repeat(65 * 1024) })
    expect(huge.body).toMatchObject({ status: 413, code: 'body_too_large' })
    expect((await send(here, { ...MESSAGES, nonce })).status).toBe(200)
  })

  it('repeats a request under its Idempotency-Key with a new signature', async () => {
    const once = { ...asked(), headers: { 'idempotency-key': 'signed-once' } }
    const [first, second] = [await send(here, once), await send(there, once)]
    expect(second.body).toEqual(first.body)
    expect(second.headers['idempotent-replayed']).toBe('true')
  })

  it('leaves in the log that it signed, and neither secret nor signature', async () => {
    const headers = signedHeaders({ secret, ...MESSAGES })
    await sendPlain(here, { ...MESSAGES, headers })
    await sendPlain(here, { ...MESSAGES, headers })
    const answered = () => here.lines().filter(({ msg }) => msg === 'api.answered')
    const isToldOf = ({ application, signed }: Record<string, unknown>) =>
      application === 'shop' && signed === true
    await until(answered, (lines) => lines.some(isToldOf))
    const log = JSON.stringify(here.lines())
    expect(log).not.toContain(secret)
    expect(log).not.toContain(headers['x-signature']?.slice(7) ?? '')
  })

  it('leaves nonces only as long as their requests could be accepted', async () => {
    const nonce = 'nonce-to-be-forgotten'
    await send(here, { ...MESSAGES, nonce })
    await forgetOldNonces(db())
    const kept = () => db()('request_nonce').where({ nonce }).first<object>('expires_at')
    const ends = secondsNow() + 600
    const { expires_at } = (await kept()) as { expires_at: Date }
    expect(Math.abs(expires_at.getTime() / 1000 - ends)).toBeLessThan(30)
    await db()('request_nonce')
      .where({ nonce })
      .update({ expires_at: new Date(0) })
    await forgetOldNonces(db())
    expect(await kept()).toBeUndefined()
    expect(await db()('request_nonce').select('nonce')).not.toEqual([])
  })
})

describe('signed lines', () => {
  const target = '/v1/broadcasts'
  const text = (...people: string[]) => linesOfJson(headOf('acme'), ...people.map((to) => ({ to })))
  const post = (body: string, more: Partial<Sent> = {}) => {
    const sent = { method: 'POST', target, body, ...more } as const
    const type = { 'content-type': 'application/x-ndjson', 'content-digest': contentDigest(body) }
    return send(here, { ...sent, headers: { ...type, ...more.headers } })
  }
  const newest = () =>
    db()('broadcast').orderBy('created_at', 'desc').orderBy('id', 'desc').first<object>()

  it('are accepted with the digest that was signed', async () => {
    const answer = await post(text('oA', 'oB'))
    expect(answer.body).toMatchObject({ status: 'running', lines: { accepted: 2, complete: true } })
  })

  it('are not read without a digest, or with another one than was signed', async () => {
    const before = await db()('broadcast').select('id')
    const none = await post(text('oA'), { headers: { 'content-digest': 'sha-512=:AAAA:' } })
    expect(none.body).toMatchObject({ status: 401, code: 'signature_malformed' })
    const other = await post(text('oA'), { headers: { 'content-digest': contentDigest('x') } })
    expect(other.body).toMatchObject({ status: 401, code: 'signature_wrong' })
    expect(await db()('broadcast').select('id')).toEqual(before)
  })

  it('come to nothing when they are others than were signed', async () => {
    const signed = text('oA', 'oB')
    const headers = {
      ...signedHeaders({ secret, method: 'POST', target, body: signed }),
      'content-digest': contentDigest(signed),
    }
    const answer = await post(text('oA', 'oEvil'), { headers })
    expect(answer.body).toMatchObject({ status: 401, code: 'digest_wrong' })
    expect(await newest()).toMatchObject({ phase: 'cancelled', reason: 'interrupted' })
  })

  it('wait for the right ones where they have an Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'signed-list' }
    const signed = text('oA', 'oB')
    const headers = () => ({
      ...signedHeaders({ secret, method: 'POST', target, body: signed }),
      'content-digest': contentDigest(signed),
      ...key,
    })
    const wrong = await post(text('oA', 'oEvil'), { headers: headers() })
    expect(wrong.body).toMatchObject({ status: 401, code: 'digest_wrong' })
    expect(await newest()).toMatchObject({ phase: 'receiving' })
    const right = await post(signed, { headers: headers() })
    expect(right.body).toMatchObject({ status: 'running', lines: { accepted: 2, complete: true } })
  })
})

describe('a signing secret', () => {
  it('is replaced without a gap, everywhere, and ends at once where it must', async () => {
    const made = here.signing.make()
    const crm = await here.applications.add({ name: 'crm', accountNames: ['acme'] }, made.sealFor)
    const status = async (api: ServedApi, by: string, at = secondsNow()) =>
      (await send(api, { ...MESSAGES, key: crm.key, secret: by, at })).status
    const lookAgain = () => [here, there].forEach((api) => api.passSeconds(1))
    lookAgain() // as a secret that a process does not know makes it do, once a second
    expect([await status(here, made.secret), await status(there, made.secret)]).toEqual([200, 200])

    const second = await here.signing.rotate('crm', { endPrevious: false })
    lookAgain()
    for (const api of [there, here]) {
      expect([await status(api, second.secret), await status(api, made.secret)]).toEqual([200, 200])
    }
    const day = 24 * 3_600 + 60 // the clock here has been moved by seconds
    const nextDay = serveApi(db())
    nextDay.passSeconds(day)
    const tomorrow = secondsNow() + day
    expect(await status(nextDay, made.secret, tomorrow)).toBe(401)
    expect(await status(nextDay, second.secret, tomorrow)).toBe(200)

    const third = await here.signing.rotate('crm', { endPrevious: true })
    expect(third.previousUntil).toBeNull()
    expect(await status(here, second.secret)).toBe(401)
    expect(await status(here, third.secret)).toBe(200)
    there.passSeconds(5)
    expect(await status(there, second.secret)).toBe(401)
  })

  it('lets an application sign before it has to, and is forgotten with the demand', async () => {
    const crm = await here.applications.add({ name: 'site', accountNames: ['acme'] })
    const plain = async () => (await sendPlain(here, { ...MESSAGES, key: crm.key })).body as object
    const signed = async (by: string) =>
      (await send(here, { ...MESSAGES, key: crm.key, secret: by })).body as object
    const messages = expect.objectContaining({ messages: expect.anything() as unknown }) as object
    const later = () => here.passSeconds(5)

    expect(await plain()).toEqual(messages)
    expect(await signed('wcgs_none')).toMatchObject({ code: 'signature_unexpected' })
    const demanding = here.signing.setDemand('site', 'required')
    await expect(demanding).rejects.toMatchObject({ code: 'signing_secret_missing' })
    const made = await here.signing.rotate('site', { endPrevious: false })
    expect(made).toMatchObject({ signatures: 'optional', previousUntil: null })
    later()
    expect([await plain(), await signed(made.secret)]).toEqual([messages, messages])
    expect(await signed('wcgs_wrong')).toMatchObject({ code: 'signature_wrong' })
    await here.signing.setDemand('site', 'required')
    later()
    expect(await plain()).toMatchObject({ code: 'signature_missing' })
    await here.signing.setDemand('site', 'off')
    later()
    expect(await plain()).toEqual(messages)
    expect(await signed(made.secret)).toMatchObject({ code: 'signature_unexpected' })
  })

  it('is nowhere in the database as it was shown, and ends with the key', async () => {
    const made = here.signing.make()
    await here.applications.add({ name: 'brief', accountNames: ['acme'] }, made.sealFor)
    const row = () => db()('application').where({ name: 'brief' }).first<object>()
    expect(JSON.stringify(await row())).not.toContain(made.secret.slice(5))
    await here.applications.revoke('brief')
    expect(await row()).toMatchObject({ signatures: 'off', sealed_signing_secret: null })
    const rotating = here.signing.rotate('brief', { endPrevious: false })
    await expect(rotating).rejects.toMatchObject({ code: 'unknown_application' })
  })
})
