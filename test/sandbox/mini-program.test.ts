import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINI, TEMPLATE, startEverything } from './every-platform.ts'
import { containing } from './matchers.ts'

let setup: Awaited<ReturnType<typeof startEverything>>
let token: string
let openid: string
const start = async (options?: Parameters<typeof startEverything>[0]) => {
  await setup?.stop()
  setup = await startEverything(options)
  const credentials = { grant_type: 'client_credential', appid: MINI, secret: 'mini secret' }
  token = String((await setup.post('/cgi-bin/stable_token', credentials)).access_token)
  openid = account().newOpenid()
}
const account = () => setup.sandbox.account(MINI)
const api = (path: string, body: object) => setup.post(`${path}?access_token=${token}`, body)
const send = (more: object = {}) =>
  api('/cgi-bin/message/subscribe/send', {
    touser: openid,
    template_id: TEMPLATE,
    data: { thing1: { value: '到货' } },
    ...more,
  })
const sendToDevice = (more: object = {}) =>
  api('/cgi-bin/message/device/subscribe/send', {
    ...{ to_openid_list: [openid], template_id: TEMPLATE, sn: 'sn1', modelId: 'm1' },
    data: { thing1: { value: '已洗完' } },
    ...more,
  })
const document = (): unknown => JSON.parse(setup.callbacks.last().document ?? '')

beforeEach(() => start())
afterEach(() => setup.stop())

describe('pushes of a Mini Program in JSON', () => {
  it('have one item as an object, under the appid, in a JSON envelope', async () => {
    expect(await account().accept(openid, [TEMPLATE])).toMatchObject({ to: 'mini_program' })
    const { body, receiveId, type } = setup.callbacks.last()
    expect(Object.keys(JSON.parse(body) as object)).toEqual(['ToUserName', 'Encrypt'])
    expect([receiveId, type]).toEqual([MINI, 'application/json'])
    expect(document()).toMatchObject({
      Event: 'subscribe_msg_popup_event',
      List: { TemplateId: TEMPLATE, SubscribeStatusString: 'accept', PopupScene: '0' },
    })
  })

  it('have several items as an array', async () => {
    await account().reject(openid, ['T1'], { others: ['T2'] })
    expect(document()).toMatchObject({
      List: [{ SubscribeStatusString: 'reject' }, { SubscribeStatusString: 'accept' }],
    })
  })

  it.each([
    ['always_array', { List: [{ TemplateId: 'T' }] }],
    ['wrapped', { SubscribeMsgChangeEvent: { List: { TemplateId: 'T' } } }],
  ] as const)('have lists as %s where chosen', async (jsonLists, expected) => {
    await start({ platform: { jsonLists } })
    await account().switchOff(openid, 'T')
    expect(document()).toMatchObject(expected)
  })

  it('have a number where XML has a bare one', async () => {
    await account().say(openid, '你好')
    expect(setup.callbacks.last().document).toMatch(/"CreateTime":\d+,.*"MsgId":\d{19}\}$/)
  })

  it('open two messages when the person enters the service', async () => {
    await account().enterSession(openid)
    expect(document()).toMatchObject({ Event: 'user_enter_tempsession' })
    const reply = { touser: openid, msgtype: 'text', text: { content: '您好' } }
    const answers = []
    for (let count = 0; count < 3; count += 1) {
      answers.push((await api('/cgi-bin/message/custom/send', reply)).errcode)
    }
    expect(answers).toEqual([0, 0, 45047])
  })

  it('refuse acts that a Mini Program does not know', async () => {
    await expect(account().follow(openid)).rejects.toThrow('nobody does this to a mini_program')
  })
})

describe('POST /cgi-bin/message/subscribe/send', () => {
  it('spends one right, answers a 64-bit msgid and tells what became of it', async () => {
    await account().accept(openid, [TEMPLATE])
    const answer = await fetch(
      `${setup.url}/cgi-bin/message/subscribe/send?access_token=${token}`,
      {
        method: 'POST',
        body: JSON.stringify({ touser: openid, template_id: TEMPLATE, data: {} }),
      },
    )
    expect(await answer.text()).toMatch(/"msgid":\d{19}\}$/)
    await setup.sandbox.settled()
    expect(document()).toMatchObject({
      Event: 'subscribe_msg_sent_event',
      List: { ErrorCode: '0', ErrorStatus: 'success' },
    })
    expect(account().messages(openid)).toMatchObject([{ channel: 'subscription_message' }])
    expect(await send()).toMatchObject({ errcode: 43101 })
  })

  it('is not for the tokens of Official Accounts, nor their APIs for its own', async () => {
    const path = '/cgi-bin/message/template/send'
    expect(await api(path, { touser: openid })).toMatchObject({ errcode: 48001 })
  })

  it('counts a send after a rejected popup', async () => {
    await account().accept(openid, [TEMPLATE])
    await account().reject(openid, [TEMPLATE])
    expect(await send()).toMatchObject({ errcode: 0 })
    expect(setup.sandbox.report().sends_after_opt_out).toMatchObject([
      { app_id: MINI, openid, because: 'subscribe_msg_popup_event' },
    ])
  })

  it('fails with any errcode, in the words of Mini Programs', async () => {
    setup.sandbox.addFault({ path: '/cgi-bin/message/subscribe/send', errcode: 43107, times: 1 })
    expect(await send()).toMatchObject({ errcode: 43107, errmsg: containing(' rid: ') })
  })
})

describe('GET /wxaapi/newtmpl/gettemplate', () => {
  it('lists the templates with their type', async () => {
    setup.sandbox.addAccount({
      app_id: MINI,
      kind: 'mini_program',
      secret: 'mini secret',
      original_id: 'gh_9d0f2b4c6e81',
      token: 't',
      mode: 'plain',
      templates: [{ template_id: 'T', title: '提醒', long_term: true }],
    })
    expect(await setup.get(`/wxaapi/newtmpl/gettemplate?access_token=${token}`)).toMatchObject({
      errcode: 0,
      data: [{ priTmplId: 'T', title: '提醒', type: 3 }],
    })
  })
})

describe('a device message', () => {
  it('needs a right, a device and a known person, and reaches the person', async () => {
    expect(await sendToDevice()).toMatchObject({ errcode: 40003 })
    await account().accept(openid, [TEMPLATE], { silent: true })
    expect(await sendToDevice({ sn: undefined })).toMatchObject({ errcode: 47001 })
    expect(await sendToDevice({ to_openid_list: [] })).toMatchObject({ errcode: 40003 })
    expect(await sendToDevice()).toMatchObject({ errcode: 0 })
    expect(account().messages(openid)).toMatchObject([
      { channel: 'device_message', template_id: TEMPLATE, content: { sn: 'sn1' } },
    ])
    expect(await sendToDevice()).toMatchObject({ errcode: 43101 })
  })

  it('has templates of its own', async () => {
    await account().accept(openid, [TEMPLATE, 'device'], { silent: true })
    const templates = [
      { template_id: TEMPLATE },
      { template_id: 'device', for_devices: true, long_term: true },
    ]
    for (const one of templates) {
      await setup.post(`/sandbox/accounts/${MINI}/templates`, one)
    }
    expect(await sendToDevice()).toMatchObject({ errcode: 40037 })
    expect(await send({ template_id: 'device' })).toMatchObject({ errcode: 40037 })
    expect(await send()).toMatchObject({ errcode: 0 })
    expect(await sendToDevice({ template_id: 'device' })).toMatchObject({ errcode: 0 })
  })
})
