import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AES_KEY, TOKEN } from './callback-receiver.ts'
import { CORP, OTHER_CORP, PROVIDER, SUITE, startEverything } from './every-platform.ts'
import { containing } from './matchers.ts'

let setup: Awaited<ReturnType<typeof startEverything>>
beforeEach(async () => {
  setup = await startEverything()
})
afterEach(() => setup.stop())

const AGENT = '1000042'
const suite = () => setup.sandbox.suite(SUITE)
const askForToken = (ticket: string | undefined) =>
  setup.post('/cgi-bin/service/get_suite_token', {
    suite_id: SUITE,
    suite_secret: 'suite secret',
    suite_ticket: ticket,
  })
const suiteToken = async () => {
  const { ticket } = (await suite().act('push_ticket')).made
  return String((await askForToken(ticket)).suite_access_token)
}
const api = (name: string, body: object, token: string) =>
  setup.post(`/cgi-bin/service/${name}?suite_access_token=${token}`, body)
const install = async (token: string) => {
  const { made } = await suite().act('create_auth', { corp_id: CORP, agent_id: AGENT })
  return api('v2/get_permanent_code', { auth_code: made.auth_code }, token)
}
const corpToken = async (token: string) => {
  const { permanent_code } = await install(token)
  const body = { auth_corpid: CORP, permanent_code }
  const { access_token } = await api('get_corp_token', body, token)
  return { access_token, permanent_code }
}

describe('the notices of a suite', () => {
  it('prove the address with the provider’s corpid', async () => {
    expect(await suite().handshake()).toMatchObject({ verified: true })
    expect(setup.callbacks.last().receiveId).toBe(PROVIDER)
  })

  it('carry a ticket that is good for half an hour', async () => {
    const { push, made } = await suite().act('push_ticket')
    expect(push).toMatchObject({ to: 'wecom_suite', event: 'suite_ticket' })
    const { document, receiveId, body } = setup.callbacks.last()
    expect(receiveId).toBe(SUITE)
    expect(body).toContain('<AgentID><![CDATA[]]></AgentID>')
    expect(document).toMatch(/<TimeStamp>\d+<\/TimeStamp>/)
    expect(document).not.toContain('CreateTime')
    setup.sandbox.advance(1799)
    const first = await askForToken(made.ticket)
    expect(first).not.toHaveProperty('errcode')
    const next = (await suite().act('push_ticket')).made
    expect((await askForToken(next.ticket)).suite_access_token).toBe(first.suite_access_token)
    setup.sandbox.advance(1)
    expect(await askForToken(made.ticket)).toMatchObject({ errcode: 40085 })
  })

  it.each(['create_auth', 'change_auth', 'cancel_auth', 'reset_permanent_code'] as const)(
    '%s must be answered sooner than a ticket',
    async (act) => {
      await setup.stop()
      setup = await startEverything({ push: { noticeTimeoutMs: 150, repeats: 0 } })
      if (act !== 'create_auth') await suite().act('create_auth', { corp_id: CORP })
      setup.callbacks.state.answering = () => ({ delayMs: 250 })
      const slow = await suite().act(act, { corp_id: CORP })
      expect(slow.push?.tries.map(({ problem }) => problem)).toEqual(['timeout'])
      expect((await suite().act('push_ticket')).push).toMatchObject({ outcome: 'acknowledged' })
    },
  )

  it('must be answered with success', async () => {
    setup.callbacks.state.answering = () => ''
    expect((await suite().act('push_ticket')).push).toMatchObject({ outcome: 'given_up' })
  })

  it('keep AuthCorpId out of create_auth, and out of every push begun elsewhere', async () => {
    await suite().act('create_auth', { corp_id: CORP, state: 'spring' })
    const { document = '' } = setup.callbacks.last()
    expect(document).toContain('<State><![CDATA[spring]]>')
    expect(document).not.toContain('AuthCorpId')
    const { push, made } = await suite().act('create_auth', {
      corp_id: CORP,
      from_provider_site: true,
    })
    expect(push).toBeNull()
    expect(made.auth_code?.length).toBeGreaterThan(64)
  })
})

describe('an installation', () => {
  it('gives a permanent code for an auth_code, once', async () => {
    const token = await suiteToken()
    const { made } = await suite().act('create_auth', { corp_id: CORP, agent_id: AGENT })
    const exchange = () => api('get_permanent_code', { auth_code: made.auth_code }, token)
    const first = await exchange()
    expect(first).toMatchObject({
      auth_corp_info: { corpid: CORP },
      auth_info: { agent: [{ agentid: Number(AGENT) }] },
    })
    expect(first).toHaveProperty('access_token')
    expect(await exchange()).toMatchObject({ errcode: 40078 })
    expect(await api('get_permanent_code', { auth_code: 'short' }, token)).toMatchObject({
      errcode: 40058,
      errmsg: containing('auth_code exceed min length 64'),
    })
    expect(await install(token)).not.toHaveProperty('access_token')
  })

  it('sends with the corp’s token until the corp takes it back', async () => {
    const token = await suiteToken()
    const { access_token, permanent_code } = await corpToken(token)
    const send = () =>
      setup.post(`/cgi-bin/message/send?access_token=${String(access_token)}`, {
        touser: 'LiXiaoMing|ZhaoLei',
        agentid: Number(AGENT),
        msgtype: 'text',
        text: { content: 'x' },
      })
    expect(await send()).toMatchObject({ errcode: 0, unlicenseduser: 'zhaolei' })
    expect(setup.sandbox.corp(CORP).messages()).toMatchObject([{ from: AGENT }])
    await suite().act('cancel_auth', { corp_id: CORP })
    expect(await send()).toMatchObject({ errcode: 40014 })
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { app_id: CORP, because: 'cancel_auth' },
    ])
    const body = { auth_corpid: CORP, permanent_code }
    expect(await api('get_corp_token', body, token)).toMatchObject({ errcode: 40084 })
  })

  it('replaces the permanent code when it is reset', async () => {
    const token = await suiteToken()
    const { permanent_code } = await install(token)
    const { made } = await suite().act('reset_permanent_code', { corp_id: CORP })
    await api('v2/get_permanent_code', { auth_code: made.auth_code }, token)
    const body = { auth_corpid: CORP, permanent_code }
    expect(await api('get_auth_info', body, token)).toMatchObject({ errcode: 40084 })
  })

  it('pushes members to the data URL under the corpid, customers to the suite', async () => {
    await install(await suiteToken())
    const corp = setup.sandbox.corp(CORP)
    const { push } = await corp.act('member_subscribe', { userid: 'LiXiaoMing', agent_id: AGENT })
    expect(push).toMatchObject({ to: 'wecom_authorizer' })
    expect(setup.callbacks.last()).toMatchObject({ path: `/suite/${CORP}`, receiveId: CORP })
    await corp.act('add_external_contact', { userid: 'LiXiaoMing', agent_id: AGENT })
    const { path, receiveId, document } = setup.callbacks.last()
    expect([path, receiveId]).toEqual(['/suite', SUITE])
    expect(document).toContain('<InfoType><![CDATA[change_external_contact]]>')
    expect(document).toContain(`<AuthCorpId><![CDATA[${CORP}]]>`)
    expect(document).not.toContain('FromUserName')
  })

  it.each([
    ['related_receive_id', `/suite/${CORP}`, SUITE],
    ['other_path', `/suite/${OTHER_CORP}`, CORP],
  ] as const)('can have its data pushed with %s', async (tamper, path, receiveId) => {
    await install(await suiteToken())
    await suite().act('create_auth', { corp_id: OTHER_CORP })
    setup.sandbox.addPushFault({ tamper })
    const details = { userid: 'LiXiaoMing', agent_id: AGENT }
    await setup.sandbox.corp(CORP).act('member_enter', details)
    expect(setup.callbacks.last()).toMatchObject({ path, receiveId })
  })
})

describe('a template of agency-developed apps', () => {
  const agency = 'dk1c5e9a3b7d2f8064'

  it('has permanent codes that are secrets for gettoken, and for nothing else', async () => {
    const { url } = setup.callbacks
    setup.sandbox.addSuite({
      ...{ suite_id: agency, secret: 'suite secret', provider_corp_id: PROVIDER },
      ...{ token: TOKEN, aes_key: AES_KEY },
      ...{ callback_url: `${url}/agency`, data_url: `${url}/agency/$CORPID$` },
    })
    const { made } = await setup.sandbox.suite(agency).act('push_ticket')
    const { suite_access_token } = await setup.post('/cgi-bin/service/get_suite_token', {
      ...{ suite_id: agency, suite_secret: 'suite secret', suite_ticket: made.ticket },
    })
    const token = String(suite_access_token)
    const created = await setup.sandbox.suite(agency).act('create_auth', { corp_id: CORP })
    const exchanged = await api(
      'v2/get_permanent_code',
      { auth_code: created.made.auth_code },
      token,
    )
    const permanent_code = String(exchanged.permanent_code)
    const body = { auth_corpid: CORP, permanent_code }
    expect(await api('get_corp_token', body, token)).toMatchObject({ errcode: 48002 })
    expect(await setup.corpToken(permanent_code)).not.toBe('undefined')
    await setup.sandbox.suite(agency).act('cancel_auth', { corp_id: CORP })
    expect(await setup.corpToken(permanent_code)).toBe('undefined')
  })

  it('differs in this from a third-party app', async () => {
    const { permanent_code } = await install(await suiteToken())
    expect(await setup.corpToken(String(permanent_code))).toBe('undefined')
  })
})

describe('GET /cgi-bin/service/…', () => {
  it('gives pre-authorisation codes, and 40083 where the body would be lost', async () => {
    const token = await suiteToken()
    const path = '/cgi-bin/service/get_pre_auth_code?suite_access_token='
    expect(await setup.get(path + token)).toMatchObject({ errcode: 0, expires_in: 1200 })
    expect(await setup.get(`${path}nonsense`)).toMatchObject({ errcode: 40082 })
    expect(await setup.get('/cgi-bin/service/get_suite_token')).toMatchObject({ errcode: 40083 })
  })
})
