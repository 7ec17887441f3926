import { createCipheriv } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AES_KEY, TOKEN, sha1 } from './callback-receiver.ts'
import {
  COMPONENT,
  MERCHANT,
  OTHER_MERCHANT,
  TEMPLATE,
  startEverything,
  usual,
  type Received,
} from './every-platform.ts'
import { containing } from './matchers.ts'

let setup: Awaited<ReturnType<typeof startEverything>>
const start = async (options?: Parameters<typeof startEverything>[0]) => {
  await setup?.stop()
  setup = await startEverything(options)
}
beforeEach(() => start())
afterEach(() => setup.stop())

const component = () => setup.sandbox.component(COMPONENT)
const api = (name: string, body: object, token = '') =>
  setup.post(`/cgi-bin/component/${name}?component_access_token=${token}`, {
    component_appid: COMPONENT,
    ...body,
  })
const askForToken = (ticket: string | undefined) =>
  api('api_component_token', {
    component_appsecret: 'component secret',
    component_verify_ticket: ticket,
  })
const giveToken = async () => {
  const { ticket } = (await component().act('push_ticket')).made
  return String((await askForToken(ticket)).component_access_token)
}
/** A merchant authorises, and the code is exchanged. */
const authorize = async (token: string) => {
  const { auth_code } = (await component().act('authorize', { app_id: MERCHANT })).made
  const answer = await api('api_query_auth', { authorization_code: auth_code }, token)
  return Object(answer.authorization_info) as Record<string, string>
}

describe('component_verify_ticket', () => {
  it('goes to the authorisation URL under the component’s appid, without an openid', async () => {
    const { push, made } = await component().act('push_ticket')
    expect(push).toMatchObject({ to: 'component', outcome: 'acknowledged' })
    const { path, query, body, document, receiveId } = setup.callbacks.last()
    expect([path, receiveId]).toEqual(['/component', COMPONENT])
    expect([...query.keys()]).toEqual([
      'signature',
      'timestamp',
      'nonce',
      'encrypt_type',
      'msg_signature',
    ])
    expect(body).toContain(`<AppId><![CDATA[${COMPONENT}]]></AppId>`)
    expect(document).toContain(`<ComponentVerifyTicket><![CDATA[${made.ticket}]]>`)
    expect(document).not.toContain('MsgType')
  })

  it('is repeated until the answer is success and nothing else', async () => {
    setup.callbacks.state.answering = () => ''
    expect((await component().act('push_ticket')).push).toMatchObject({ outcome: 'given_up' })
    expect(setup.callbacks.received).toHaveLength(4)
  })

  it('comes every ten minutes of the sandbox’s clock where chosen', async () => {
    setup.sandbox.addComponent({
      app_id: 'wxclock',
      secret: 's',
      token: TOKEN,
      aes_key: AES_KEY,
      callback_url: `${setup.callbacks.url}/clock`,
      tickets: 'every_ten_minutes',
    })
    for (const seconds of [1, 500, 100]) {
      setup.sandbox.advance(seconds)
      await setup.sandbox.settled()
    }
    expect(setup.callbacks.received.map(({ path }) => path)).toEqual(['/clock', '/clock'])
  })

  it.each([
    [61006, 0, 'nonsense'],
    [61005, 12 * 3600, undefined],
  ])('answers %i after %i seconds', async (errcode, seconds, wrong) => {
    const { ticket } = (await component().act('push_ticket')).made
    setup.sandbox.advance(seconds)
    expect(await askForToken(wrong ?? ticket)).toMatchObject({ errcode })
  })

  it('can be stopped and started again', async () => {
    const secret = { component_secret: 'component secret' }
    await component().act('stop_tickets')
    expect(await api('api_start_push_ticket', secret)).toMatchObject({ errmsg: 'ok' })
    expect(await api('api_start_push_ticket', secret)).toMatchObject({
      errmsg: 'in a normal state',
    })
  })
})

describe('an authorisation', () => {
  it('is pushed, and its code is good once', async () => {
    const token = await giveToken()
    const { pre_auth_code } = await api('api_create_preauthcode', {}, token)
    const { push, made } = await component().act('authorize', { app_id: MERCHANT, pre_auth_code })
    expect(push).toMatchObject({ event: 'authorized', openid: MERCHANT })
    expect(setup.callbacks.last().document).toContain(made.auth_code)
    const exchange = () => api('api_query_auth', { authorization_code: made.auth_code }, token)
    expect(await exchange()).toMatchObject({ authorization_info: { authorizer_appid: MERCHANT } })
    expect(await exchange()).toMatchObject({ errcode: 61010 })
    const list = await api('api_get_authorizer_list', { offset: 0, count: 500 }, token)
    expect(list).toMatchObject({
      total_count: 1,
      list: [{ authorizer_appid: MERCHANT, refresh_token: containing('refreshtoken@@@') }],
    })
    const info = await api('api_get_authorizer_info', { authorizer_appid: MERCHANT }, token)
    expect(info).toMatchObject({ authorizer_info: { user_name: 'gh_5c1e8a2b7d90' } })
  })

  it('is updated only when the permission sets change', async () => {
    const token = await giveToken()
    await authorize(token)
    const update = (scopes: number[]) =>
      component().act('update_authorization', { app_id: MERCHANT, scopes })
    expect((await update([1, 7])).push).toMatchObject({ event: 'updateauthorized' })
    expect((await update([7, 1])).push).toBeNull()
  })

  it('lets a merchant send only what the permission sets carry', async () => {
    const token = await giveToken()
    const { authorizer_access_token } = await authorize(token)
    const merchant = setup.sandbox.account(MERCHANT)
    const openid = merchant.newOpenid()
    await merchant.follow(openid)
    await component().act('update_authorization', { app_id: MERCHANT, scopes: [1] })
    const ask = (path: string, body: object) =>
      setup.post(`/cgi-bin/message/${path}?access_token=${authorizer_access_token}`, {
        ...{ touser: openid, ...body },
      })
    const notice = { template_id: 'T', data: { thing1: { value: '茶' } } }
    expect(await ask('template/send', notice)).toMatchObject({ errcode: 61007 })
    const reply = { msgtype: 'text', text: { content: '在' } }
    expect(await ask('custom/send', reply)).toMatchObject({ errcode: 0 })
  })

  it('sends its people’s messages to the message URL, under the component’s appid', async () => {
    await authorize(await giveToken())
    const merchant = setup.sandbox.account(MERCHANT)
    const openid = merchant.newOpenid()
    expect(await merchant.follow(openid)).toMatchObject({ to: 'authorizer', app_id: MERCHANT })
    const { path, query, document, receiveId } = setup.callbacks.last()
    expect([path, receiveId]).toEqual([`/component/${MERCHANT}`, COMPONENT])
    expect(query.get('openid')).toBe(openid)
    expect(document).toContain('<ToUserName><![CDATA[gh_5c1e8a2b7d90]]>')
  })

  it('lets the component send with the merchant’s token, until it is taken back', async () => {
    const token = await giveToken()
    const { authorizer_access_token, authorizer_refresh_token } = await authorize(token)
    const merchant = setup.sandbox.account(MERCHANT)
    const openid = merchant.newOpenid()
    await merchant.follow(openid)
    const send = () =>
      setup.post(`/cgi-bin/message/template/send?access_token=${authorizer_access_token}`, {
        touser: openid,
        template_id: TEMPLATE,
        data: {},
      })
    expect(await send()).toMatchObject({ errcode: 0 })
    const { push } = await component().act('unauthorize', { app_id: MERCHANT })
    expect(push).toMatchObject({ event: 'unauthorized', outcome: 'acknowledged' })
    expect(await send()).toMatchObject({ errcode: 40001 })
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { app_id: MERCHANT, because: 'unauthorized' },
    ])
    const refresh = { authorizer_appid: MERCHANT, authorizer_refresh_token }
    expect(await api('api_authorizer_token', refresh, token)).toMatchObject({ errcode: 61003 })
    expect(await merchant.say(openid, 'x')).toMatchObject({ outcome: 'no_callback_url' })
  })

  it.each([
    ['same', (given: unknown, old: string) => given === old, 0],
    ['rotated', (given: unknown, old: string) => given !== old && given !== '', 61023],
    ['empty', (given: unknown) => given === '', 0],
  ] as const)('refreshes with a refresh token that is %s', async (refreshToken, fits, again) => {
    await start({ platform: { refreshToken } })
    const token = await giveToken()
    const { authorizer_refresh_token: old = '' } = await authorize(token)
    const refresh = () =>
      api(
        'api_authorizer_token',
        { authorizer_appid: MERCHANT, authorizer_refresh_token: old },
        token,
      )
    expect(fits((await refresh()).authorizer_refresh_token, old)).toBe(true)
    expect((await refresh()).errcode ?? 0).toBe(again)
  })

  it('kills the refresh token of an earlier one', async () => {
    const token = await giveToken()
    const { authorizer_refresh_token } = await authorize(token)
    await authorize(token)
    const refresh = { authorizer_appid: MERCHANT, authorizer_refresh_token }
    expect(await api('api_authorizer_token', refresh, token)).toMatchObject({ errcode: 61023 })
  })

  it('does not mix up the tokens of components and merchants', async () => {
    const token = await giveToken()
    const { authorizer_access_token } = await authorize(token)
    const wrong = await setup.get(`/cgi-bin/user/get?access_token=${token}`)
    expect(wrong).toMatchObject({ errcode: 61015 })
    expect(await api('api_create_preauthcode', {}, authorizer_access_token)).toMatchObject({
      errcode: 61014,
    })
  })
})

describe('what can be wrong with a push to the message URL', () => {
  it.each([
    ['related_receive_id', `/component/${MERCHANT}`, MERCHANT],
    ['empty_receive_id', `/component/${MERCHANT}`, ''],
    ['other_path', `/component/${OTHER_MERCHANT}`, COMPONENT],
  ] as const)('%s', async (tamper, path, receiveId) => {
    const token = await giveToken()
    await authorize(token)
    await component().act('authorize', { app_id: OTHER_MERCHANT })
    const merchant = setup.sandbox.account(MERCHANT)
    setup.sandbox.addPushFault({ tamper })
    expect(await merchant.follow('oAnna')).toMatchObject({ outcome: 'tampered', tampered: tamper })
    expect(setup.callbacks.last()).toMatchObject({ path, receiveId })
  })

  it.each([
    'downgraded',
    'plain_signature',
    'repeated_parameter',
    'broken_length',
    'broken_padding',
  ] as const)('%s does not open', async (tamper) => {
    await authorize(await giveToken())
    setup.sandbox.addPushFault({ tamper })
    await setup.sandbox.account(MERCHANT).follow('oAnna')
    expect(setup.callbacks.last().document).toBeUndefined()
  })

  it('a document type opens, and is none that a platform writes', async () => {
    await authorize(await giveToken())
    setup.sandbox.addPushFault({ tamper: 'doctype' })
    await setup.sandbox.account(MERCHANT).follow('oAnna')
    expect(setup.callbacks.last().document).toMatch(/^<!DOCTYPE/)
  })
})

/** A passive reply as the documents say it, sealed here and nowhere else. */
function reply(content: string): string {
  const key = Buffer.from(`${AES_KEY}=`, 'base64')
  const message = Buffer.from(`<xml><Content><![CDATA[${content}]]></Content></xml>`)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  const full = Buffer.concat([Buffer.alloc(16, 'r'), length, message, Buffer.from(COMPONENT)])
  const pad = 32 - (full.length % 32)
  const aes = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  const sealed = Buffer.concat([aes.update(full), aes.update(Buffer.alloc(pad, pad)), aes.final()])
  const encrypt = sealed.toString('base64')
  const signature = sha1([TOKEN, '1767312600', '77', encrypt])
  return `<xml><Encrypt><![CDATA[${encrypt}]]></Encrypt><MsgSignature><![CDATA[${signature}]]></MsgSignature><TimeStamp>1767312600</TimeStamp><Nonce><![CDATA[77]]></Nonce></xml>`
}

describe('the release check', () => {
  it('passes a component that answers all three', async () => {
    const answerThroughApi = async (code: string, openid: string) => {
      const token = await giveToken()
      const answer = await api('api_query_auth', { authorization_code: code }, token)
      const info = Object(answer.authorization_info) as Record<string, string>
      const path = `/cgi-bin/message/custom/send?access_token=${info.authorizer_access_token}`
      await setup.post(path, {
        touser: openid,
        msgtype: 'text',
        text: { content: `${code}_from_api` },
      })
    }
    setup.callbacks.state.answering = (received: Received) => {
      const { document = '', query } = received
      const code = /QUERY_AUTH_CODE:([^\]]+)/.exec(document)?.[1]
      if (code !== undefined) {
        void answerThroughApi(code, query.get('openid') ?? '')
        return ''
      }
      if (document.includes('TESTCOMPONENT')) return reply('TESTCOMPONENT_MSG_TYPE_TEXT_callback')
      return document.includes('LOCATION') ? reply('LOCATIONfrom_callback') : usual(received)
    }
    expect(await component().releaseCheck()).toMatchObject({ passed: true })
  })

  it('says what came instead', async () => {
    const check = await setup.post(`/sandbox/components/${COMPONENT}/release_check`, {
      wait_ms: 20,
    })
    expect(check).toMatchObject({
      passed: false,
      text_reply: { passed: false, got: 'success' },
      api_reply: { passed: false, expected: containing('_from_api'), got: null },
      event_reply: { passed: false, expected: 'LOCATIONfrom_callback' },
    })
  })
})
