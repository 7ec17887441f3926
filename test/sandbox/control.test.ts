import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSandbox } from '../../src/sandbox/sandbox.ts'
import { APP_ID, TEMPLATE, startSandbox } from './start-sandbox.ts'
import { containing, number } from './matchers.ts'

type Setup = Awaited<ReturnType<typeof startSandbox>>

let setup: Setup
let openid: string
beforeEach(async () => {
  setup = await startSandbox()
  openid = setup.account.newOpenid()
})
afterEach(() => setup.stop())

const control = async (
  path: string,
  body?: unknown,
  method = body === undefined ? 'GET' : 'POST',
) => {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
  const answer = await fetch(`${setup.url}/sandbox${path}`, init)
  return { status: answer.status, body: await setup.json(answer) }
}
const act = (name: string, body: unknown = {}, query = '') =>
  control(`/accounts/${APP_ID}/followers/${openid}/${name}${query}`, body)

describe('POST /sandbox/accounts/{app_id}/followers/{openid}/{act}', () => {
  it('lets a person act and answers the push', async () => {
    expect(await act('follow', { scene: '7' })).toMatchObject({
      status: 200,
      body: { openid, push: { outcome: 'acknowledged' } },
    })
    expect(await act('accept', { template_ids: [TEMPLATE] })).toMatchObject({ status: 200 })
    expect(await control(`/accounts/${APP_ID}/followers/${openid}`)).toMatchObject({
      body: { follows: true, scene: '7', credits: { [TEMPLATE]: 1 } },
    })
  })

  it('loses the push of a silent act', async () => {
    expect(await act('follow', {}, '?silent=1')).toMatchObject({ body: { push: null } })
    expect(setup.receiver.pushes).toEqual([])
    expect(setup.account.follower(openid)?.follows).toBe(true)
  })

  it('does not wait for the push where asked', async () => {
    setup.receiver.answers.push({ delayMs: 100 })
    expect(await act('follow', {}, '?wait=0')).toMatchObject({ status: 200, body: { push: null } })
    await control('/settle', {})
    expect(setup.sandbox.log().entries).toMatchObject([{ outcome: 'acknowledged' }])
    expect((await act('say', {}, '?wait=0')).status).toBe(400)
  })

  it.each([
    ['fly', {}, 404, 'expected one of follow, unfollow'],
    ['say', {}, 400, 'text'],
    ['accept', {}, 400, 'template_ids: expected at least one template id'],
    ['follow', { scenery: '1' }, 400, 'scenery'],
  ])('answers %s %j with %i and what is expected', async (name, body, ...[status, sentence]) => {
    const answer = await act(name, body)
    expect(answer.status).toBe(status)
    expect(answer.body.error).toContain(sentence)
    expect(setup.account.follower(openid)).toBeUndefined()
  })
})

describe('POST /sandbox/accounts', () => {
  const account = {
    app_id: 'wxsecond',
    secret: 's',
    original_id: 'gh_2',
    token: 't',
    aes_key: 'b'.repeat(43),
  }

  it('adds an account without showing its secrets', async () => {
    const { status, body } = await control('/accounts', account)
    expect(status).toBe(200)
    expect(body).toMatchObject({ app_id: 'wxsecond', mode: 'safe', followers: 0 })
    expect(JSON.stringify(body)).not.toContain('bbbb')
  })

  it('changes a known account and keeps its followers', async () => {
    await setup.account.follow(openid)
    await control('/accounts', { ...account, app_id: APP_ID, callback_url: setup.receiver.url })
    expect(setup.account.follower(openid)?.follows).toBe(true)
    await setup.account.unfollow(openid)
    expect(setup.receiver.pushes.at(-1)?.document).toBeUndefined()
  })

  it.each([
    [{ ...account, aes_key: 'short' }, 'aes_key: expected 43 letters and digits'],
    [{ ...account, aes_key: null }, 'aes_key: expected an EncodingAESKey'],
    [{ ...account, callback_url: 'ftp://x' }, 'callback_url'],
  ])('refuses %j', async (input, sentence) => {
    const { status, body } = await control('/accounts', input)
    expect(status).toBe(400)
    expect(body.error).toContain(sentence)
  })
})

describe('POST /sandbox/accounts/{app_id}/events', () => {
  it('pushes a document as it is', async () => {
    const document = '<xml><FromUserName>o1</FromUserName><Event>CLICK</Event></xml>'
    const path = `${setup.url}/sandbox/accounts/${APP_ID}/events`
    const answer = await fetch(path, { method: 'POST', body: document })
    expect(await setup.json(answer)).toMatchObject({ openid: 'o1', event: 'CLICK', document })
    expect(setup.receiver.pushes[0]?.document).toBe(document)
  })

  it('takes options', async () => {
    const document = '<xml><Event>CLICK</Event></xml>'
    const options = { document, nonce: '77', timestamp: '1', repeats: 0, openid: 'o2' }
    setup.receiver.answers.push({ status: 500 })
    const { body } = await control(`/accounts/${APP_ID}/events`, options)
    expect(body).toMatchObject({ outcome: 'given_up', openid: 'o2' })
    expect(setup.receiver.pushes).toHaveLength(1)
    expect(setup.receiver.pushes[0]?.query.get('nonce')).toBe('77')
  })
})

describe('POST /sandbox/faults', () => {
  beforeEach(() => setup.account.follow(openid))

  it('answers any errcode, for one person, so many times', async () => {
    await control('/faults', { openid, errcode: 40132, times: 1 })
    const other = setup.account.newOpenid()
    await setup.account.follow(other)
    expect(await setup.errcodeOf(setup.sendTemplate(other))).toBe(0)
    expect(await setup.json(await setup.sendTemplate(openid))).toMatchObject({
      errcode: 40132,
      errmsg: containing('invalid username rid: '),
    })
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(0)
  })

  it('answers an HTTP status as a gateway would', async () => {
    await control('/faults', { path: '/cgi-bin/message/template/send', http_status: 502 })
    const answer = await setup.sendTemplate(openid)
    expect(answer.status).toBe(502)
    expect(answer.headers.get('content-type')).toBe('text/html')
    await control('/faults', undefined, 'DELETE')
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(0)
  })

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('drops the connection %s the effect', async (reset, received) => {
    await setup.stable()
    const path = '/cgi-bin/message/template/send'
    setup.sandbox.addFault({ path, reset, times: 1 })
    await expect(setup.sendTemplate(openid)).rejects.toThrow('fetch failed')
    expect(setup.account.messages()).toHaveLength(received)
  })

  it('happens by chance', async () => {
    setup.sandbox.addFault({ path: '/cgi-bin/getcallbackip', errcode: -1, probability: 0.5 })
    const errcodes = []
    for (let count = 0; count < 40; count += 1) {
      errcodes.push(await setup.errcodeOf(setup.api('/cgi-bin/getcallbackip')))
    }
    expect(new Set(errcodes)).toEqual(new Set([-1, undefined]))
  })
})

describe('GET /sandbox/log', () => {
  it('tells every call and push in order, and never a token or secret', async () => {
    await setup.account.follow(openid)
    await setup.sendTemplate(openid, { client_msg_id: 'order-1' })
    await setup.sandbox.settled()
    const { body } = await control('/log')
    expect(body).toMatchObject({
      entries: [
        { kind: 'push', event: 'subscribe', acknowledged_ms: number },
        { kind: 'call', path: '/cgi-bin/stable_token', app_id: APP_ID, errcode: 0 },
        { kind: 'call', openid, template_id: TEMPLATE, client_msg_id: 'order-1', errcode: 0 },
        { kind: 'push', event: 'TEMPLATESENDJOBFINISH' },
      ],
      next_after: null,
    })
    expect(JSON.stringify(body)).not.toMatch(/access_token|sandboxsecret/)
  })

  it('pages and filters', async () => {
    await setup.account.follow(openid)
    await setup.account.unfollow(openid)
    const { body } = await control('/log?kind=push&limit=1')
    expect(body).toMatchObject({ entries: [{ event: 'subscribe' }], next_after: 1 })
    expect(await control('/log?after=1&limit=1')).toMatchObject({
      body: { entries: [{ event: 'unsubscribe' }], next_after: null },
    })
  })
})

describe('GET /sandbox/report', () => {
  const sendTo = (person: string) => setup.errcodeOf(setup.sendTemplate(person))

  it('counts a send after an acknowledged unfollow, with both times', async () => {
    await setup.account.follow(openid)
    expect(await sendTo(openid)).toBe(0)
    await setup.account.unfollow(openid)
    expect(await sendTo(openid)).toBe(43004)
    const { sends_after_opt_out: broken } = setup.sandbox.report()
    expect(broken).toMatchObject([{ openid, because: 'unsubscribe', learned_from: 'push' }])
    expect(broken[0]?.arrived_ms).toBeGreaterThan(broken[0]?.learned_ms ?? Infinity)
    expect(setup.sandbox.report(60_000).sends_after_opt_out).toEqual([])
  })

  it.each([
    ['a silent unfollow', () => setup.account.unfollow(openid, { silent: true })],
    ['a new follow', () => setup.account.unfollow(openid).then(() => setup.account.follow(openid))],
    ['another template', () => setup.account.switchOff(openid, 'other')],
  ])('does not count a send after %s', async (_what, happen) => {
    await setup.account.follow(openid)
    await happen()
    await sendTo(openid)
    expect(setup.sandbox.report().sends_after_opt_out).toEqual([])
  })

  it('does not count a send after an unfollow that was never acknowledged', async () => {
    await setup.account.follow(openid)
    setup.receiver.answers.push(...Array.from({ length: 4 }, () => ({ status: 500 })))
    await setup.account.unfollow(openid)
    await sendTo(openid)
    expect(setup.sandbox.report().sends_after_opt_out).toEqual([])
  })

  it.each([
    ['reject', () => setup.account.reject(openid, [TEMPLATE])],
    ['switch_off', () => setup.account.switchOff(openid, TEMPLATE)],
    ['cancel_account', () => setup.account.cancelAccount(openid)],
  ])('counts both kinds of send after %s', async (_what, happen) => {
    await setup.account.follow(openid)
    await happen()
    await sendTo(openid)
    await setup.sendSubscription(openid)
    expect(setup.sandbox.report().sends_after_opt_out).toHaveLength(2)
  })

  it('does not count a subscription message after an unfollow', async () => {
    await setup.account.follow(openid)
    await setup.account.accept(openid, [TEMPLATE])
    await setup.account.unfollow(openid)
    expect(await setup.errcodeOf(setup.sendSubscription(openid))).toBe(0)
    await setup.reply(openid)
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { channel: 'customer_service_message' },
    ])
  })

  it('counts a send after a receipt that says user block', async () => {
    await setup.account.follow(openid)
    await setup.account.block(openid)
    await sendTo(openid)
    await setup.sandbox.settled()
    await sendTo(openid)
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { because: 'failed:user block' },
    ])
  })

  it('counts a second send after a refusing answer apart', async () => {
    await setup.account.follow(openid)
    await setup.account.refuseTemplate(openid, TEMPLATE)
    expect([await sendTo(openid), await sendTo(openid), await sendTo(openid)]).toEqual([
      43101, 43101, 43101,
    ])
    const report = setup.sandbox.report()
    expect(report.sends_after_opt_out).toEqual([])
    expect(report.sends_after_refusal_answer).toHaveLength(2)
  })

  it('counts duplicates beyond their client_msg_ids, tokens and pushes', async () => {
    await setup.account.follow(openid)
    for (const client_msg_id of ['a', 'b', undefined, undefined]) {
      await setup.sendTemplate(openid, { client_msg_id })
    }
    await setup.classic()
    await setup.sandbox.settled()
    const { body } = await control('/report')
    expect(body).toMatchObject({
      sent: 4,
      duplicate_messages: 1,
      duplicates: [{ openid, received: 4, expected: 3 }],
      accounts: {
        [APP_ID]: {
          'token:stable': 1,
          'token:classic': 1,
          'sent:template_message': 4,
          'push:acknowledged': 5,
        },
      },
    })
  })
})

describe('POST /sandbox/reset', () => {
  it('goes back to the accounts of the options', async () => {
    await setup.account.follow(openid)
    await control('/clock', { advance_seconds: 5000 })
    expect(await control('/reset', {})).toMatchObject({ status: 200 })
    expect(setup.account.follower(openid)).toBeUndefined()
    expect(setup.sandbox.log().entries).toEqual([])
    expect(Math.abs(setup.sandbox.now().getTime() - Date.now())).toBeLessThan(1000)
  })

  it('clears only the record where asked', async () => {
    await setup.account.follow(openid)
    await control('/reset', { only: 'record' })
    expect(setup.account.follower(openid)?.follows).toBe(true)
    expect(setup.sandbox.log().entries).toEqual([])
  })
})

describe('createSandbox', () => {
  it('closes while a push waits for its answer and an API call for its delay', async () => {
    const other = await startSandbox({ push: { answerTimeoutMs: 5000 } })
    other.receiver.answers.push({ delayMs: 60 })
    other.sandbox.addFault({ delay_ms: 30 })
    const push = other.account.follow(openid)
    const call = other.stable().catch(() => 'dropped')
    await new Promise((resolve) => setTimeout(resolve, 10))
    await other.sandbox.close()
    expect(await push).toMatchObject({ outcome: 'given_up' })
    expect(await call).toBe('dropped')
    await other.stop()
  })

  it('makes the same openids from the same seed and keeps no more than its limit', async () => {
    const account = {
      app_id: 'wx1',
      secret: 's',
      original_id: 'g',
      token: 't',
      mode: 'plain',
    } as const
    const make = () => createSandbox({ seed: 'one', accounts: [account], recordLimit: 2 })
    const [one, two] = [make().account('wx1'), make()]
    const made = one.newOpenid()
    expect(made).toMatch(/^o[\w-]{27}$/)
    expect(two.account('wx1').newOpenid()).toBe(made)
    for (const text of ['1', '2', '3']) await two.account('wx1').say(made, text)
    expect(two.log().entries).toHaveLength(2)
    expect(two.report().forgotten.pushes).toBe(1)
  })
})
