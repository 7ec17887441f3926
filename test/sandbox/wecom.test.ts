import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AGENT, CORP, KF, startEverything, usual } from './every-platform.ts'
import { containing, matching, number } from './matchers.ts'

let setup: Awaited<ReturnType<typeof startEverything>>
let token: string
beforeEach(async () => {
  setup = await startEverything()
  token = await setup.corpToken('app secret')
})
afterEach(() => setup.stop())

const corp = () => setup.sandbox.corp(CORP)
const api = (path: string, body: object, own = token) =>
  setup.post(`/cgi-bin/${path}?access_token=${own}`, body)
const read = (path: string, query = '') =>
  setup.get(`/cgi-bin/${path}?access_token=${token}${query}`)
const send = (more: object = {}) =>
  api('message/send', {
    touser: 'LiXiaoMing',
    agentid: Number(AGENT),
    msgtype: 'text',
    text: { content: '到货' },
    ...more,
  })

describe('the handshake', () => {
  it('is an encrypted echostr with the corpid behind it', async () => {
    expect(await corp().handshake(AGENT)).toMatchObject({ verified: true })
    const { method, receiveId, query } = setup.callbacks.last()
    expect([method, receiveId]).toEqual(['GET', CORP])
    expect([...query.keys()]).toEqual(['msg_signature', 'timestamp', 'nonce', 'echostr'])
  })

  it('is lost after the time that WeCom waits', async () => {
    await setup.stop()
    setup = await startEverything({ push: { noticeTimeoutMs: 100 } })
    setup.callbacks.state.answering = () => ({ delayMs: 250 })
    expect(await corp().handshake()).toMatchObject({ verified: false, status: null })
  })

  it('is refused with quotes around it', async () => {
    setup.callbacks.state.answering = (one) => `"${usual(one)}"`
    expect(await corp().handshake('kf')).toMatchObject({ verified: false, status: 200 })
  })
})

describe('pushes to an app', () => {
  it('name the agent outside and inside, and carry three parameters', async () => {
    const { push } = await corp().act('member_subscribe', { userid: 'LiXiaoMing' })
    expect(push).toMatchObject({ to: 'wecom_app', event: 'subscribe', openid: 'LiXiaoMing' })
    const { query, body, document, receiveId } = setup.callbacks.last()
    expect([...query.keys()]).toEqual(['msg_signature', 'timestamp', 'nonce'])
    expect(body).toContain(`<AgentID><![CDATA[${AGENT}]]></AgentID>`)
    expect(document).toMatch(new RegExp(`<AgentID>${AGENT}</AgentID>\\s*</xml>$`))
    expect(receiveId).toBe(CORP)
  })

  it.each([
    ['member_enter', {}, 'enter_agent', '<EventKey><![CDATA[]]>'],
    ['member_say', { text: '你好' }, 'text', '<Content><![CDATA[你好]]>'],
    ['create_user', {}, 'change_contact.create_user', '<ChangeType><![CDATA[create_user]]>'],
    [
      'update_user',
      { new_userid: 'lixm' },
      'change_contact.update_user',
      '<NewUserID><![CDATA[lixm]]>',
    ],
    ['delete_user', {}, 'change_contact.delete_user', '<FromUserName><![CDATA[sys]]>'],
  ] as const)('%s is pushed', async (name, details, ...[event, part]) => {
    const { push } = await corp().act(name, { userid: 'LiXiaoMing', ...details })
    expect(push).toMatchObject({ event, outcome: 'acknowledged' })
    expect(setup.callbacks.last().document).toContain(part)
  })

  it('are acknowledged by any body, and repeated after any other status', async () => {
    setup.callbacks.state.answering = () => 'whatever'
    const details = { userid: 'LiXiaoMing' }
    expect((await corp().act('member_enter', details)).push).toMatchObject({
      outcome: 'acknowledged',
    })
    setup.callbacks.state.answering = () => ({ status: 204 })
    const { push } = await corp().act('member_enter', details)
    expect(push?.tries).toHaveLength(4)
    expect(push?.outcome).toBe('given_up')
  })

  it.each([
    ['wrong_receive_id', 'wx0000000000000000'],
    ['related_receive_id', AGENT],
    ['empty_receive_id', ''],
  ] as const)('can have a %s', async (tamper, receiveId) => {
    setup.sandbox.addPushFault({ tamper })
    await corp().act('member_enter', { userid: 'LiXiaoMing' })
    expect(setup.callbacks.last().receiveId).toBe(receiveId)
  })
})

describe('GET /cgi-bin/gettoken', () => {
  it('gives each secret one token until it ends', async () => {
    expect(await setup.corpToken('app secret')).toBe(token)
    expect(await setup.corpToken('kf secret')).not.toBe(token)
    setup.sandbox.advance(7200)
    expect(await read('getcallbackip')).toMatchObject({ errcode: 42001 })
    expect(await setup.corpToken('app secret')).not.toBe(token)
  })

  it.each([
    ['corpid=ww0&corpsecret=app%20secret', 40013],
    [`corpid=${CORP}&corpsecret=nonsense`, 40001],
    [`corpsecret=x`, 41002],
    [`corpid=${CORP}`, 41004],
  ])('answers %s with %i, a hint and the caller’s address', async (query, errcode) => {
    expect(await setup.get(`/cgi-bin/gettoken?${query}`)).toMatchObject({
      errcode,
      errmsg: matching(/, hint: \[\w+\], from ip: 127\.0\.0\.1, more info at https:.*\?e=\d+$/),
    })
  })
})

describe('POST /cgi-bin/message/send', () => {
  it('reaches those it can, and lists the others in lower case', async () => {
    const answer = await send({ touser: 'lixiaoming|Nobody', toparty: '2|9' })
    expect(answer).toEqual({
      errcode: 0,
      errmsg: 'ok',
      invaliduser: 'nobody',
      invalidparty: '9',
      msgid: answer.msgid,
    })
    expect(
      corp()
        .messages()
        .map(({ openid, from }) => [openid, from]),
    ).toEqual([
      ['LiXiaoMing', AGENT],
      ['WangFang', AGENT],
    ])
  })

  it.each([
    [{ touser: 'Nobody' }, 81013],
    [{ touser: undefined }, 40063],
    [{ agentid: 5 }, 301002],
    [{ agentid: undefined }, 40056],
    [{ msgtype: 'song' }, 40008],
    [{ text: {} }, 44004],
  ])('answers %j with %i', async (more, errcode) => {
    expect(await send(more)).toMatchObject({ errcode })
  })

  it('does not reach a member who cannot see the app, and counts the attempt', async () => {
    await corp().act('member_unsubscribe', { userid: 'LiXiaoMing' })
    expect(await send()).toMatchObject({ errcode: 81013 })
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { app_id: CORP, openid: 'LiXiaoMing', because: 'unsubscribe', channel: 'app_message' },
    ])
    await corp().act('member_subscribe', { userid: 'LiXiaoMing' })
    expect(await send()).toMatchObject({ errcode: 0 })
    expect(setup.sandbox.report().sends_after_opt_out).toHaveLength(1)
  })

  it('drops more than 30 a minute without a word', async () => {
    for (let count = 0; count < 32; count += 1) {
      expect(await send({ text: { content: String(count) } })).toMatchObject({ errcode: 0 })
    }
    expect(corp().messages('LiXiaoMing')).toHaveLength(30)
    setup.sandbox.advance(60)
    await send()
    expect(corp().messages('LiXiaoMing')).toHaveLength(31)
  })

  it('delivers an identical request once where the check is asked for', async () => {
    const checked = { enable_duplicate_check: 1, duplicate_check_interval: 60 }
    const first = await send(checked)
    expect((await send(checked)).msgid).toBe(first.msgid)
    expect(corp().messages()).toHaveLength(1)
    setup.sandbox.advance(61)
    await send(checked)
    expect(corp().messages()).toHaveLength(2)
  })

  it('fails with any errcode, in the words of WeCom', async () => {
    setup.sandbox.addFault({ path: '/cgi-bin/message/send', errcode: 45033, times: 1 })
    expect(await send()).toMatchObject({ errcode: 45033, errmsg: containing('hint: [') })
  })
})

describe('POST /cgi-bin/webhook/send', () => {
  const robot = (key: string, more: object = {}) =>
    setup.post(`/cgi-bin/webhook/send?key=${key}`, {
      msgtype: 'text',
      text: { content: 'x' },
      ...more,
    })

  it('takes 20 messages a minute', async () => {
    setup.sandbox.advance(60 - ((setup.sandbox.now().getTime() / 1000) % 60))
    for (let count = 0; count < 20; count += 1) {
      expect(await robot('robot%20key')).toMatchObject({ errcode: 0 })
    }
    expect(await robot('robot%20key')).toMatchObject({ errcode: 45009 })
    expect(corp().messages('alarms')).toHaveLength(20)
  })

  it.each([
    ['nonsense', {}, 93000],
    ['old%20key', {}, 93004],
    ['robot%20key', { text: {} }, 44004],
    ['robot%20key', { msgtype: 'song' }, 40008],
  ])('answers key %s and %j with %i', async (key, more, errcode) => {
    expect(await robot(key, more)).toMatchObject({ errcode })
  })
})

describe('customer contact', () => {
  const add = async (more: object = {}) =>
    (await corp().act('add_external_contact', { userid: 'LiXiaoMing', ...more })).made
  const welcome = (code: string | undefined) =>
    api('externalcontact/send_welcome_msg', { welcome_code: code, text: { content: '欢迎' } })

  it('welcomes once, within 20 seconds', async () => {
    const first = await add({ state: 'spring' })
    const { document } = setup.callbacks.last()
    expect(document).toContain(`<WelcomeCode><![CDATA[${first.welcome_code}]]>`)
    expect(document).toContain('<State><![CDATA[spring]]>')
    expect(await welcome(first.welcome_code)).toMatchObject({ errcode: 0 })
    expect(await welcome(first.welcome_code)).toMatchObject({ errcode: 41051 })
    const late = await add()
    setup.sandbox.advance(20)
    expect(await welcome(late.welcome_code)).toMatchObject({ errcode: 41050 })
    expect(corp().messages(first.external_userid)).toMatchObject([
      { channel: 'welcome_message', from: 'LiXiaoMing' },
    ])
    expect(await add({ welcome_code: false })).not.toHaveProperty('welcome_code')
  })

  it.each([
    ['del_follow_user', 0],
    ['del_external_contact', 84061],
  ] as const)('%s ends the relation for its event; the list answers %i', async (act, errcode) => {
    const { external_userid } = await add()
    const pair = { userid: 'LiXiaoMing', external_userid }
    expect((await corp().act(act, pair)).push).toMatchObject({
      event: `change_external_contact.${act}`,
    })
    expect(await read('externalcontact/list', '&userid=LiXiaoMing')).toMatchObject({ errcode })
  })

  it('makes a task that a member confirms, and tells whom it reached', async () => {
    const stays = (await add()).external_userid ?? ''
    const leaves = (await add()).external_userid ?? ''
    const asked = { external_userid: [stays, leaves, 'wmnobody'], text: { content: '新品' } }
    const { msgid, fail_list } = await api('externalcontact/add_msg_template', asked)
    expect(fail_list).toEqual(['wmnobody'])
    const result = () =>
      api('externalcontact/get_groupmsg_send_result', { msgid, userid: 'LiXiaoMing' })
    expect(await result()).toMatchObject({ send_list: [{ status: 0 }, { status: 0 }] })
    await corp().act('del_follow_user', { userid: 'LiXiaoMing', external_userid: leaves })
    await corp().act('confirm_group_message', { msgid, userid: 'LiXiaoMing' })
    expect(await result()).toMatchObject({
      send_list: [
        { external_userid: stays, status: 1, send_time: number },
        { external_userid: leaves, status: 2 },
      ],
    })
    expect(await api('externalcontact/get_groupmsg_task', { msgid })).toMatchObject({
      task_list: [{ userid: 'LiXiaoMing', status: 2 }],
    })
    expect(corp().messages()).toMatchObject([{ openid: stays, channel: 'group_message' }])
  })

  it('counts a task for a customer who left', async () => {
    const { external_userid } = await add()
    await corp().act('del_follow_user', { userid: 'LiXiaoMing', external_userid })
    const asked = { external_userid: [external_userid], text: { content: '新品' } }
    await api('externalcontact/add_msg_template', asked)
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { openid: external_userid, because: 'change_external_contact.del_follow_user' },
    ])
  })

  it('is capped at one message for each day of the month', async () => {
    const { external_userid } = await add()
    const results: unknown[] = []
    for (let count = 0; count < 32; count += 1) {
      const asked = { external_userid: [external_userid], text: { content: String(count) } }
      const { msgid } = await api('externalcontact/add_msg_template', asked)
      await corp().act('confirm_group_message', { msgid, userid: 'LiXiaoMing' })
      const body = { msgid, userid: 'LiXiaoMing' }
      const { send_list } = await api('externalcontact/get_groupmsg_send_result', body)
      results.push(send_list)
    }
    expect(results.at(0)).toMatchObject([{ status: 1 }])
    expect(results.at(-1)).toMatchObject([{ status: 3 }])
    expect([28, 29, 30, 31]).toContain(corp().messages().length)
  })

  it('tells who agreed to the archive; a refusal is never pushed', async () => {
    const { external_userid } = await add()
    const pair = { userid: 'LiXiaoMing', external_userid }
    const ask = async () => {
      const info = [{ userid: 'LiXiaoMing', exteranalopenid: external_userid }]
      return api('msgaudit/check_single_agree', { info })
    }
    const { push } = await corp().act('agree_archive', pair)
    expect(push).toMatchObject({ event: 'change_external_contact.msg_audit_approved' })
    expect(await ask()).toMatchObject({ agreeinfo: [{ agree_status: 'Agree' }] })
    expect((await corp().act('disagree_archive', pair)).push).toBeNull()
    expect(await ask()).toMatchObject({ agreeinfo: [{ agree_status: 'Disagree' }] })
  })
})

describe('customer service', () => {
  const customer = 'wmQ7kZBgAAx2VdT9nLrYcH5uJpEw8fSA'
  const talk = { open_kfid: KF, external_userid: customer }
  const say = (text = '在吗') => corp().act('kf_say', { ...talk, text })
  const answer = (more: object = {}) =>
    api('kf/send_msg', {
      touser: customer,
      open_kfid: KF,
      msgtype: 'text',
      text: { content: '您好' },
      ...more,
    })
  const sync = (more: object) => api('kf/sync_msg', { open_kfid: KF, ...more })
  const kfToken = () =>
    /<Token><!\[CDATA\[(.+?)\]\]>/.exec(setup.callbacks.last().document ?? '')?.[1]

  it('pushes a notice to its own callback, and the lines page by cursor', async () => {
    for (const text of ['1', '2', '3']) await say(text)
    expect(setup.callbacks.last()).toMatchObject({ path: '/kf', receiveId: CORP })
    expect(setup.callbacks.last().document).not.toContain('FromUserName')
    const first = await sync({ token: kfToken(), limit: 2 })
    expect(first).toMatchObject({
      has_more: 1,
      msg_list: [{ text: { content: '1' }, origin: 3 }, { text: { content: '2' } }],
    })
    const second = await sync({ token: kfToken(), cursor: first.next_cursor })
    expect(second).toMatchObject({ has_more: 0, msg_list: [{ text: { content: '3' } }] })
  })

  it('takes a token for ten minutes, and few calls without one', async () => {
    await say()
    setup.sandbox.advance(600)
    expect(await sync({ token: kfToken() })).toMatchObject({ errcode: 95007 })
    setup.sandbox.advance(60 - ((setup.sandbox.now().getTime() / 1000) % 60))
    const answers = []
    for (let count = 0; count < 11; count += 1) answers.push((await sync({})).errcode)
    expect(answers.at(-1)).toBe(45009)
  })

  it('sends five messages in 48 hours after one of the customer’s', async () => {
    expect(await answer()).toMatchObject({ errcode: 40096 })
    await corp().act('kf_enter_session', talk)
    expect(await answer()).toMatchObject({ errcode: 95002 })
    await say()
    for (let count = 0; count < 5; count += 1) expect(await answer()).toMatchObject({ errcode: 0 })
    expect(await answer()).toMatchObject({ errcode: 95001 })
    await say()
    setup.sandbox.advance(48 * 3600)
    token = await setup.corpToken('app secret')
    expect(await answer()).toMatchObject({ errcode: 95002 })
  })

  it('takes a msgid once, and sends only in two states', async () => {
    await say()
    expect(await answer({ msgid: 'order_1' })).toEqual({
      errcode: 0,
      errmsg: 'ok',
      msgid: 'order_1',
    })
    expect(await answer({ msgid: 'order_1' })).toMatchObject({ errcode: 40058 })
    await corp().act('kf_set_state', { ...talk, state: 3 })
    expect(await answer()).toMatchObject({ errcode: 95018 })
    expect(corp().messages(customer)).toMatchObject([{ from: KF, msgid: 'order_1' }])
  })

  it('tells later that the customer refuses', async () => {
    await say()
    await corp().act('kf_reject', talk)
    expect(await answer({ msgid: 'order_2' })).toMatchObject({ errcode: 0 })
    await setup.sandbox.settled()
    const { msg_list } = await sync({ token: kfToken() })
    expect(Array.isArray(msg_list) ? msg_list.at(-1) : undefined).toMatchObject({
      origin: 4,
      event: { event_type: 'msg_send_fail', fail_msgid: 'order_2', fail_type: 10 },
    })
    expect(corp().messages()).toEqual([])
  })

  it('fails on demand, for any reason', async () => {
    await say()
    const { push } = await corp().act('kf_fail', { ...talk, msgid: 'order_3', fail_type: 5 })
    expect(push).toMatchObject({ event: 'kf_msg_or_event', to: 'wecom_kf' })
  })
})
