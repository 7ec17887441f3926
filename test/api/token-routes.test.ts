import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
let api: ServedApi
let client: ReturnType<typeof clientOf>

beforeAll(async () => {
  api = serveApi(database().db)
  await addAccount(database().db, 'acme')
  await addAccount(database().db, 'foreign')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
})

const PATH = '/v1/accounts/acme/access-token'

describe('GET /v1/accounts/{account}/access-token', () => {
  it('answers the token, to be kept by nobody in between', async () => {
    const expiresAt = new Date('2026-03-01T02:00:00Z')
    api.setToken({ kind: 'token', value: 'invented-token', expiresAt })
    const answer = await client.get(PATH)
    expect(answer.status).toBe(200)
    expect(SCHEMAS.AccessToken.parse(answer.body)).toEqual({
      access_token: 'invented-token',
      expires_at: '2026-03-01T02:00:00.000Z',
    })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('leaves a line that says who read it, without the token', async () => {
    await client.get(PATH).set('x-request-id', 'audit')
    const line = api.lines().find((entry) => entry['request_id'] === 'audit')
    expect(line).toMatchObject({
      msg: 'access_token.read',
      application: 'shop',
      account: 'acme',
      outcome: 'token',
    })
    expect(JSON.stringify(api.lines())).not.toContain('invented-token')
  })

  it('says why there is none and when to ask again', async () => {
    const retryAt = new Date(Date.now() + 60_000)
    api.setToken({ kind: 'unavailable', reason: 'ip_not_allowed', retryAt })
    const answer = await client.get(PATH)
    expect(answer.status).toBe(503)
    expect(answer.body).toMatchObject({
      code: 'token_unavailable',
      detail: expect.stringContaining('ip_not_allowed') as string,
    })
    const seconds = Number(answer.headers['retry-after'])
    expect(seconds).toBeGreaterThan(50)
    expect(seconds).toBeLessThanOrEqual(60)
  })

  it('gives no token of an account of others', async () => {
    api.setToken({ kind: 'token', value: 'invented-token', expiresAt: new Date() })
    const answer = await client.get('/v1/accounts/foreign/access-token')
    expect(answer.body).toMatchObject({ status: 404, code: 'account_not_found' })
  })
})

describe('GET /v1/accounts/{account}/provider-access-token', () => {
  it('answers the token of the provider, and says where there is none', async () => {
    const path = '/v1/accounts/acme/provider-access-token'
    expect((await client.get(path)).body).toMatchObject({ status: 404, code: 'no_provider_token' })
    const expiresAt = new Date('2026-03-01T02:00:00Z')
    api.setProviderToken({ kind: 'token', value: 'invented-provider-token', expiresAt })
    const answer = await client.get(path)
    expect(SCHEMAS.AccessToken.parse(answer.body).access_token).toBe('invented-provider-token')
    expect(JSON.stringify(api.lines())).not.toContain('invented-provider-token')
  })
})
