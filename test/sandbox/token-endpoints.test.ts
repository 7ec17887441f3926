import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APP_ID, SECRET, startSandbox } from './start-sandbox.ts'
import { containing, matching } from './matchers.ts'

type Setup = Awaited<ReturnType<typeof startSandbox>>

let setup: Setup
beforeEach(async () => {
  setup = await startSandbox()
})
afterEach(() => setup.stop())

describe('GET /cgi-bin/token', () => {
  it('gives a new token each time, without an errcode', async () => {
    const first = await setup.classic()
    const second = await setup.classic()
    expect(Object.keys(first)).toEqual(['access_token', 'expires_in'])
    expect(first.expires_in).toBe(7200)
    expect(second.access_token).not.toBe(first.access_token)
  })

  it('lets a replaced token work for 300 seconds and then answers 40001', async () => {
    const first = await setup.classic()
    await setup.classic()
    setup.sandbox.advance(299)
    expect(await setup.tryToken(first.access_token)).toBeUndefined()
    setup.sandbox.advance(1)
    expect(await setup.tryToken(first.access_token)).toBe(40001)
  })

  it('answers 42001 for a token after 7200 seconds', async () => {
    const { access_token } = await setup.classic()
    setup.sandbox.advance(7199)
    expect(await setup.tryToken(access_token)).toBeUndefined()
    setup.sandbox.advance(1)
    expect(await setup.tryToken(access_token)).toBe(42001)
  })

  it.each([
    ['grant_type=client_credential&secret=s', 41002],
    [`grant_type=client_credential&appid=${APP_ID}`, 41004],
    [`grant_type=x&appid=${APP_ID}&secret=${SECRET}`, 40002],
    ['grant_type=client_credential&appid=wxnobody&secret=s', 40013],
    [`grant_type=client_credential&appid=${APP_ID}&secret=wrong`, 40125],
  ])('answers %s with %i', async (query, errcode) => {
    const answer = await fetch(`${setup.url}/cgi-bin/token?${query}`)
    expect(answer.status).toBe(200)
    expect(await setup.json(answer)).toMatchObject({
      errcode,
      errmsg: matching(/ rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/),
    })
  })

  it('answers 40164 to an address that is not on the list', async () => {
    const { app_id, secret, original_id, token, aes_key } = {
      app_id: APP_ID,
      secret: SECRET,
      original_id: 'gh_1',
      token: 't',
      aes_key: 'a'.repeat(43),
    }
    setup.sandbox.addAccount({
      app_id,
      secret,
      original_id,
      token,
      aes_key,
      ip_whitelist: ['10.0.0.1'],
    })
    expect(await setup.classic()).toMatchObject({
      errcode: 40164,
      errmsg: containing('invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist'),
    })
  })

  it('answers 45009 with the hint after 2,000 calls, until midnight in China', async () => {
    const few = await startSandbox({ platform: { limits: { '/cgi-bin/token': { perDay: 2 } } } })
    await few.classic()
    await few.classic()
    expect(await few.classic()).toMatchObject({
      errcode: 45009,
      errmsg: containing(
        'reach max api daily quota limit, could get access_token by getStableAccessToken, more details at mmbizurl.cn/s/JtxxFh33r rid: ',
      ),
    })
    const chinaMidnight = Math.ceil((few.sandbox.now().getTime() + 28_800_000) / 86_400_000)
    few.sandbox.advance(chinaMidnight * 86_400 - 28_800 - few.sandbox.now().getTime() / 1000)
    expect(await few.classic()).toHaveProperty('access_token')
    await few.stop()
  })
})

describe('POST /cgi-bin/stable_token', () => {
  it('gives the same token with the seconds that are left', async () => {
    const first = await setup.stable()
    setup.sandbox.advance(1000)
    const second = await setup.stable()
    expect(second.access_token).toBe(first.access_token)
    expect([6199, 6200]).toContain(second.expires_in)
  })

  it('gives a new one in the last 300 seconds while the old one still works', async () => {
    const first = await setup.stable()
    setup.sandbox.advance(6901)
    const second = await setup.stable()
    expect(second.access_token).not.toBe(first.access_token)
    expect(await setup.tryToken(first.access_token)).toBeUndefined()
    expect(await setup.tryToken(second.access_token)).toBeUndefined()
  })

  it('replaces at once by force, but not again within 30 seconds', async () => {
    const first = await setup.stable()
    const second = await setup.stable({ force_refresh: true })
    expect(await setup.tryToken(first.access_token)).toBe(40001)
    expect((await setup.stable({ force_refresh: true })).access_token).toBe(second.access_token)
    setup.sandbox.advance(30)
    const third = await setup.stable({ force_refresh: true })
    expect(third.access_token).not.toBe(second.access_token)
    expect(await setup.tryToken(second.access_token)).toBe(40001)
  })

  it('refuses the 21st forced refresh of a day', async () => {
    for (let count = 0; count < 20; count += 1) {
      expect(await setup.stable({ force_refresh: true })).toHaveProperty('access_token')
      setup.sandbox.advance(31)
    }
    expect(await setup.stable({ force_refresh: true })).toMatchObject({ errcode: 45009 })
  })

  it('is isolated from the classic endpoint', async () => {
    const stable = await setup.stable()
    const classic = await setup.classic()
    await setup.stable({ force_refresh: true })
    setup.sandbox.advance(400)
    expect(await setup.tryToken(stable.access_token)).toBe(40001)
    expect(await setup.tryToken(classic.access_token)).toBeUndefined()
  })

  it('answers 45011 over the quota of a minute and takes calls in the next', async () => {
    const limits = { '/cgi-bin/stable_token': { perMinute: 1 } }
    const few = await startSandbox({ platform: { limits } })
    few.sandbox.advance(60 - ((few.sandbox.now().getTime() / 1000) % 60))
    expect(await few.stable()).toHaveProperty('access_token')
    expect(await few.stable()).toMatchObject({ errcode: 45011 })
    few.sandbox.advance(60)
    expect(await few.stable()).toHaveProperty('access_token')
    await few.stop()
  })

  it.each([
    ['', 44002],
    ['appid=1', 47001],
    ['[]', 47001],
  ])('answers the body %j with %i', async (body, errcode) => {
    const answer = await fetch(`${setup.url}/cgi-bin/stable_token`, { method: 'POST', body })
    expect(await setup.json(answer)).toMatchObject({ errcode })
  })

  it('answers 43002 to GET, and the classic endpoint 43001 to POST', async () => {
    const get = await fetch(`${setup.url}/cgi-bin/stable_token`)
    expect(await setup.json(get)).toMatchObject({ errcode: 43002 })
    expect(await setup.json(await setup.post('/cgi-bin/token', {}))).toMatchObject({
      errcode: 43001,
    })
  })
})

describe('the token check', () => {
  it('answers 41001 without a token and 40001 to an unknown one', async () => {
    const missing = await fetch(`${setup.url}/cgi-bin/getcallbackip`)
    expect(await setup.json(missing)).toMatchObject({ errcode: 41001 })
    expect(await setup.tryToken('nonsense')).toBe(40001)
  })

  it('answers with the date of the sandbox', async () => {
    setup.sandbox.advance(-86_400 * 365)
    const answer = await setup.api('/cgi-bin/getcallbackip')
    expect(Date.parse(answer.headers.get('date') ?? '')).toBeCloseTo(
      Math.floor(setup.sandbox.now().getTime() / 1000) * 1000,
      -4,
    )
  })
})

describe('POST /cgi-bin/clear_quota and /v2', () => {
  it('clears daily counters ten times a month, together', async () => {
    const few = await startSandbox({ platform: { limits: { '/cgi-bin/token': { perDay: 1 } } } })
    const v2 = () => few.post('/cgi-bin/clear_quota/v2', { appid: APP_ID, appsecret: SECRET })
    await few.classic()
    expect(await few.classic()).toMatchObject({ errcode: 45009 })
    expect(await few.json(await few.api('/cgi-bin/clear_quota', { appid: APP_ID }))).toEqual({
      errcode: 0,
      errmsg: 'ok',
    })
    expect(await few.classic()).toHaveProperty('access_token')
    for (let count = 1; count < 10; count += 1) expect(await few.errcodeOf(v2())).toBe(0)
    expect(await few.errcodeOf(v2())).toBe(48006)
    await few.stop()
  })

  it('tells what is left of a quota', async () => {
    await setup.api('/cgi-bin/user/get')
    const path = '/cgi-bin/openapi/quota/get'
    const answer = await setup.api(path, { cgi_path: '/cgi-bin/user/get' })
    expect(await setup.json(answer)).toEqual({
      errcode: 0,
      errmsg: 'ok',
      quota: { daily_limit: 500, used: 1, remain: 499 },
    })
    expect(await setup.errcodeOf(setup.api(path, { cgi_path: '/cgi-bin/nothing' }))).toBe(76021)
  })
})
