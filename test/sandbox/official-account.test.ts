import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APP_ID, TEMPLATE, startSandbox } from './start-sandbox.ts'
import { containing } from './matchers.ts'

type Setup = Awaited<ReturnType<typeof startSandbox>>

let setup: Setup
let openid: string
beforeEach(async () => {
  setup = await startSandbox()
  openid = setup.account.newOpenid()
})
afterEach(() => setup.stop())

const api = async (path: string, body?: unknown) => setup.json(await setup.api(path, body))

describe('POST /cgi-bin/message/template/subscribe', () => {
  const send = (more: object = {}) =>
    api('/cgi-bin/message/template/subscribe', {
      touser: openid,
      template_id: TEMPLATE,
      scene: '7',
      title: '到货',
      data: { content: { value: '您订的书到了' } },
      ...more,
    })

  it('sends once for a scene, though it is confirmed twice and nobody follows', async () => {
    await setup.account.confirmSubscription(openid, TEMPLATE, '7')
    await setup.account.confirmSubscription(openid, TEMPLATE, '7')
    expect(await send({ scene: '8' })).toMatchObject({ errcode: 43101 })
    expect(await send()).toEqual({ errcode: 0, errmsg: 'ok' })
    expect(await send()).toMatchObject({ errcode: 43101 })
    expect(setup.account.messages(openid)).toMatchObject([{ channel: 'one_time_subscription' }])
    expect(setup.receiver.pushes).toEqual([])
  })

  it.each([
    [{ title: '十'.repeat(16) }, 40062],
    [{ data: { content: { value: '字'.repeat(201) } } }, 47003],
    [{ scene: undefined }, 40097],
  ])('answers %j with %i', async (more, errcode) => {
    await setup.account.confirmSubscription(openid, TEMPLATE, '7')
    expect(await send(more)).toMatchObject({ errcode })
  })
})

describe('the blacklist', () => {
  it('pages, and its people get nothing', async () => {
    const few = await startSandbox({ platform: { blacklistPerPage: 1 } })
    const [first = '', second = ''] = few.account.addFollowers(2)
    for (const person of [first, second]) await few.account.act(person, { name: 'blacklist' })
    const page = async (begin_openid: string) =>
      few.json(await few.api('/cgi-bin/tags/members/getblacklist', { begin_openid }))
    expect(await page('')).toMatchObject({ total: 2, count: 1, data: { openid: [first] } })
    expect(await page(first)).toMatchObject({ data: { openid: [second] }, next_openid: second })
    expect(await page(second)).toMatchObject({ count: 0, next_openid: '' })
    expect(await few.errcodeOf(few.sendTemplate(first))).toBe(43019)
    await few.account.act(first, { name: 'unblacklist' })
    expect(await few.errcodeOf(few.sendTemplate(first))).toBe(0)
    await few.stop()
  })
})

describe('POST /cgi-bin/openapi/rid/get', () => {
  const refused = async () => {
    const answer = await setup.json(await setup.sendTemplate(openid))
    return / rid: (.*)$/.exec(String(answer.errmsg))?.[1]
  }

  it('explains a refused call of the same account for a week, without its secrets', async () => {
    const rid = await refused()
    expect(await api('/cgi-bin/openapi/rid/get', { rid })).toMatchObject({
      errcode: 0,
      request: {
        request_url: '/cgi-bin/message/template/send?access_token=******',
        request_body: containing(openid),
        response_body: containing('40003'),
        client_ip: '127.0.0.1',
      },
    })
    setup.sandbox.advance(7 * 86_400 + 1)
    expect(await api('/cgi-bin/openapi/rid/get', { rid })).toMatchObject({ errcode: 76004 })
  })

  it.each([
    ['00000000-00000000-00000000', 76001],
    ['nonsense', 76002],
  ])('answers %s with %i', async (rid, errcode) => {
    expect(await api('/cgi-bin/openapi/rid/get', { rid })).toMatchObject({ errcode })
  })
})

describe('POST /sandbox/accounts', () => {
  it('tells an account of no kind from one that is a merchant’s', async () => {
    const add = (input: object) => setup.post('/sandbox/accounts', input).then(setup.json)
    expect(await add({ app_id: 'wx1', original_id: 'gh_1', body_format: 'json' })).toMatchObject({
      error: containing('body_format: expected xml'),
    })
    expect(
      await add({ app_id: 'wx1', original_id: 'gh_1', component_app_id: APP_ID }),
    ).toMatchObject({ app_id: 'wx1', component_app_id: APP_ID, kind: 'official_account' })
  })
})
