import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AGENT, COMPONENT, CORP, MERCHANT, SUITE, startEverything } from './every-platform.ts'
import { containing } from './matchers.ts'

let setup: Awaited<ReturnType<typeof startEverything>>
beforeEach(async () => {
  setup = await startEverything()
})
afterEach(() => setup.stop())

describe('the control API of components, corps and suites', () => {
  it.each([
    ['components', COMPONENT, 'authorize', { app_id: MERCHANT }, 'auth_code'],
    ['corps', CORP, 'add_external_contact', { userid: 'LiXiaoMing' }, 'external_userid'],
    ['suites', SUITE, 'create_auth', { corp_id: CORP }, 'auth_code'],
  ])('/sandbox/%s/%s/acts/%s pushes and answers what it made', async (...row) => {
    const [owners, id, act, details, made] = row
    const path = `/sandbox/${owners}/${id}/acts/${act}`
    const answer = await setup.post(path, details)
    expect(answer).toMatchObject({ push: { outcome: 'acknowledged' } })
    expect(answer.made).toHaveProperty(made)
    const silent = await setup.post(`${path}?silent=1`, details)
    expect(silent.push).toBeNull()
    expect(setup.callbacks.received).toHaveLength(1)
  })

  it.each([
    ['/components/wxnobody/acts/push_ticket', {}, 'No wxnobody among the components'],
    [`/components/${COMPONENT}/acts/fly`, {}, 'expected one of push_ticket, authorize'],
    [`/components/${COMPONENT}/acts/unauthorize`, { app_id: MERCHANT }, 'let it authorize first'],
    [`/components/${COMPONENT}/acts/authorize`, { app_id: 'wx0' }, 'component_app_id is'],
    [`/corps/${CORP}/acts/member_enter`, { userid: 'A', agent_id: '1' }, `(known: ${AGENT})`],
    [`/corps/${CORP}/acts/kf_say`, { open_kfid: 'x', external_userid: 'y', text: 'z' }, 'known:'],
    [
      `/corps/${CORP}/acts/del_follow_user`,
      { userid: 'A', external_userid: 'B' },
      'let them add_external_contact first',
    ],
    [`/suites/${SUITE}/acts/cancel_auth`, { corp_id: CORP }, 'let it create_auth first'],
    ['/suites', { suite_id: 's' }, 'secret'],
  ])('answers %s %j with what is expected', async (path, body, sentence) => {
    expect(await setup.post(`/sandbox${path}`, body)).toMatchObject({
      error: containing(sentence),
    })
  })

  it('lists owners without a secret, and makes handshakes and pushes of one’s own', async () => {
    for (const owners of ['components', 'corps', 'suites']) {
      const list = await (await fetch(`${setup.url}/sandbox/${owners}`)).text()
      expect(list).not.toMatch(/secret|sandboxToken|kQ7mZ/)
      const id = { components: COMPONENT, corps: CORP, suites: SUITE }[owners] ?? ''
      expect(await setup.post(`/sandbox/${owners}/${id}/handshake`)).toMatchObject({
        verified: true,
      })
      const document = '<xml><Event>enter_agent</Event></xml>'
      expect(await setup.post(`/sandbox/${owners}/${id}/events`, { document })).toMatchObject({
        event: 'enter_agent',
        outcome: 'acknowledged',
      })
    }
  })

  it('tells what people of a corp received', async () => {
    const token = await setup.corpToken('app secret')
    await setup.post(`/cgi-bin/message/send?access_token=${token}`, {
      touser: '@all',
      agentid: Number(AGENT),
      msgtype: 'text',
      text: { content: 'x' },
    })
    const path = `/sandbox/corps/${CORP}/messages`
    expect(await setup.get(`${path}?person=WangFang`)).toMatchObject({
      messages: [{ channel: 'app_message', openid: 'WangFang' }],
    })
    expect(setup.sandbox.report().accounts[CORP]).toMatchObject({ 'sent:app_message': 3 })
  })

  it('goes back to the owners of the options', async () => {
    setup.sandbox.addCorp({ corp_id: 'ww1' })
    await setup.post('/sandbox/reset')
    const corps = await (await fetch(`${setup.url}/sandbox/corps`)).text()
    expect(corps).toContain(CORP)
    expect(corps).not.toContain('ww1"')
  })
})
