import { beforeAll, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi, templateSend, type ServedApi } from './served-api.ts'

const NOWHERE = '00000000-0000-7000-8000-000000000000'

describe('/v1/endpoints', () => {
  const database = useTestDatabase()
  let api: ServedApi
  let shop: ReturnType<typeof clientOf>
  let other: ReturnType<typeof clientOf>

  beforeAll(async () => {
    const { db } = database()
    api = serveApi(db)
    await addAccount(db, 'acme')
    await addAccount(db, 'foreign')
    const [first, second] = [
      await api.applications.add({ name: 'shop', accountNames: ['acme'] }),
      await api.applications.add({ name: 'other', accountNames: ['acme', 'foreign'] }),
    ]
    shop = clientOf(api.app, first.key)
    other = clientOf(api.app, second.key)
  })

  const events = { account: 'acme', url: 'https://shop.example.com/events' }

  async function added(body: object, client = shop): Promise<{ id: string; secret: string }> {
    const answer = await client.post('/v1/endpoints').send(body)
    expect(answer.status).toBe(201)
    return answer.body as { id: string; secret: string }
  }

  it('shows the secret once, and keeps it sealed', async () => {
    const { id, secret, ...rest } = await added({ ...events, events: ['message.text'] })
    expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
    const read = await shop.get(`/v1/endpoints/${id}`)
    expect(read.body).toEqual({ id, ...rest })
    expect(read.body).toMatchObject({
      ...{ ...events, application: 'shop', purpose: 'events', events: ['message.text'] },
      ...{ disabled_at: null, previous_secret_until: null },
    })
    const rows = await database().db('endpoint')
    expect(JSON.stringify(rows)).not.toContain(secret.slice(6))
    expect(JSON.stringify(api.lines())).not.toContain(secret.slice(6))
  })

  it('gives a new secret, and says how long the one before signs too', async () => {
    const { id, secret } = await added(events)
    const rotated = await shop.post(`/v1/endpoints/${id}/rotate-secret`)
    expect(rotated.status).toBe(200)
    const { secret: fresh, previous_secret_until: until } = rotated.body as Record<string, string>
    expect(fresh).not.toBe(secret)
    const hours = (Date.parse(until ?? '') - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(23.9)
    expect(hours).toBeLessThan(24.1)
  })

  it('is listed page by page, by its own application alone', async () => {
    const { id } = await added({ ...events, account: 'foreign' }, other)
    const page = await other.get('/v1/endpoints?limit=1')
    expect(page.body).toMatchObject({ endpoints: [{ id }], next_cursor: null })
    const first = await shop.get('/v1/endpoints?limit=1')
    const { next_cursor: cursor } = first.body as { next_cursor: string }
    const second = await shop.get(`/v1/endpoints?account=acme&limit=1&cursor=${cursor}`)
    const ids = [first, second].map(
      ({ body }) => (body as { endpoints: { id: string }[] }).endpoints[0]?.id,
    )
    expect(new Set(ids).size).toBe(2)
    for (const path of ['', '/deliveries']) {
      expect((await shop.get(`/v1/endpoints/${id}${path}`)).body).toMatchObject({
        code: 'endpoint_not_found',
      })
    }
    expect((await shop.delete(`/v1/endpoints/${id}`)).status).toBe(404)
    expect((await shop.patch(`/v1/endpoints/${id}`).send({ disabled: true })).status).toBe(404)
    expect((await shop.post(`/v1/endpoints/${id}/rotate-secret`)).status).toBe(404)
  })

  it('is changed, switched off and on, and removed', async () => {
    const { id } = await added(events)
    const change = (body: object) => shop.patch(`/v1/endpoints/${id}`).send(body)
    const url = 'https://shop.example.com/elsewhere'
    expect((await change({ url, events: ['event.scan'] })).body).toMatchObject({
      ...{ url, events: ['event.scan'] },
    })
    expect((await change({ disabled: true })).body).toMatchObject({ disabled_reason: 'by_request' })
    const retry = await shop.post(`/v1/endpoints/${id}/deliveries/${NOWHERE}/retry`)
    expect([retry.status, retry.body]).toMatchObject([409, { code: 'endpoint_disabled' }])
    expect((await change({ disabled: false })).body).toMatchObject({ disabled_at: null })
    const missing = await shop.post(`/v1/endpoints/${id}/deliveries/${NOWHERE}/retry`)
    expect(missing.body).toMatchObject({ code: 'delivery_not_found' })
    expect((await shop.delete(`/v1/endpoints/${id}`)).body).toMatchObject({ id, url })
    expect((await shop.get(`/v1/endpoints/${id}`)).status).toBe(404)
  })

  it.each([
    [{ url: events.url }, 'account', 'is required'],
    [{ account: 'acme' }, 'url', 'is required'],
    [{ ...events, url: 'http://shop.example.com/' }, 'url', 'https'],
    [{ ...events, url: 'https://169.254.169.254/' }, 'url', 'WCG_PRIVATE_ENDPOINTS'],
    [{ ...events, url: 'https://me:word@shop.example.com/' }, 'url', 'user name'],
    [{ ...events, purpose: 'other' }, 'purpose', 'events, reply, callbacks'],
    [{ ...events, events: [] }, 'events', 'at least one'],
    [{ ...events, events: ['Message Text'] }, 'events.0', 'kind of an event'],
    [{ ...events, purpose: 'callbacks' }, 'account', 'callback_url'],
    [{ ...events, secret: 'mine' }, 'secret', 'is not a field'],
  ])('refuses %j and names the field', async (body, field, rule) => {
    const answer = await shop.post('/v1/endpoints').send(body)
    expect(answer.status).toBe(400)
    const { faults } = answer.body as { faults: { field: string; rule: string }[] }
    expect(faults.find((fault) => fault.field === field)?.rule).toContain(rule)
  })

  it('is refused for an account that the application may not use', async () => {
    const answer = await shop.post('/v1/endpoints').send({ ...events, account: 'foreign' })
    expect([answer.status, answer.body]).toMatchObject([404, { code: 'account_not_found' }])
  })

  it('gives the replies of an account to one endpoint only', async () => {
    const { id } = await added({ ...events, purpose: 'reply' })
    const second = await other.post('/v1/endpoints').send({ ...events, purpose: 'reply' })
    expect([second.status, second.body]).toMatchObject([409, { code: 'endpoint_exists' }])
    await shop.delete(`/v1/endpoints/${id}`)
    await added({ ...events, purpose: 'reply' }, other)
  })

  it('makes a secret for callbacks with the first callback_url, once, and can rotate it', async () => {
    const callback_url = 'https://shop.example.com/results'
    for (const to of ['o_first', 'o_second']) {
      const asked = await shop.post('/v1/messages').send(templateSend({ to, callback_url }))
      expect(asked.status).toBe(202)
    }
    const list = await shop.get('/v1/endpoints')
    const { endpoints } = list.body as { endpoints: { id: string; purpose: string }[] }
    const [own, ...more] = endpoints.filter(({ purpose }) => purpose === 'callbacks')
    expect(more).toEqual([])
    expect(own).toMatchObject({ account: null, url: null })
    const rotated = await shop.post(`/v1/endpoints/${own?.id ?? ''}/rotate-secret`)
    expect(rotated.body).toMatchObject({ secret: expect.stringMatching(/^whsec_/) as string })
    const again = await shop.post('/v1/endpoints').send({ purpose: 'callbacks' })
    expect([again.status, again.body]).toMatchObject([409, { code: 'endpoint_exists' }])
  })

  it('refuses a callback_url that nothing may be posted to, and stores no message', async () => {
    const callback_url = 'https://10.0.0.7/results'
    const to = 'o_nowhere'
    const answer = await shop.post('/v1/messages').send(templateSend({ to, callback_url }))
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ faults: [{ field: 'callback_url' }] })
    expect(await database().db('message').where({ recipient: to })).toEqual([])
  })

  it('is switched off with its application', async () => {
    const { db } = database()
    const { key } = await api.applications.add({ name: 'passing', accountNames: ['acme'] })
    const { id } = await added(events, clientOf(api.app, key))
    await api.applications.revoke('passing')
    expect(await db('endpoint').where({ id }).first()).toMatchObject({
      disabled_reason: 'application_revoked',
    })
  })
})
