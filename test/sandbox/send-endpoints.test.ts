import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APP_ID, TEMPLATE, startSandbox } from './start-sandbox.ts'
import { containing } from './matchers.ts'

type Setup = Awaited<ReturnType<typeof startSandbox>>

let setup: Setup
let openid: string
beforeEach(async () => {
  setup = await startSandbox()
  openid = setup.account.newOpenid()
  await setup.account.follow(openid)
})
afterEach(() => setup.stop())

const receipts = async (): Promise<string[]> => {
  await setup.sandbox.settled()
  return setup.receiver.pushes.flatMap(
    ({ document = '' }) => /<Status>.*?([\w:][\w: ]*)\]/.exec(document)?.[1] ?? [],
  )
}

describe('POST /cgi-bin/message/template/send', () => {
  it('answers a bare 64-bit msgid above 2^53 and pushes it in the receipt', async () => {
    const text = await (await setup.sendTemplate(openid)).text()
    const msgid = /^\{"errcode":0,"errmsg":"ok","msgid":(\d{19})\}$/.exec(text)?.[1]
    expect(BigInt(msgid ?? 0)).toBeGreaterThan(2n ** 53n)
    expect(await receipts()).toEqual(['success'])
    expect(setup.receiver.pushes.at(-1)?.document).toContain(`<MsgID>${msgid}</MsgID>`)
    expect(setup.account.messages(openid)).toMatchObject([{ msgid, template_id: TEMPLATE }])
  })

  it.each([
    ['an unknown openid', { touser: 'oNobody' }, 40003],
    ['no template', { template_id: '' }, 40036],
    ['no data', { data: undefined }, 47003],
    ['a value that is not in an object', { data: { thing1: 'x' } }, 47003],
  ])('refuses %s', async (_what, change, errcode) => {
    expect(await setup.errcodeOf(setup.sendTemplate(openid, change))).toBe(errcode)
    expect(setup.account.messages()).toEqual([])
  })

  it('knows only the listed templates, and their placeholders', async () => {
    await setup.post(`/sandbox/accounts/${APP_ID}/templates`, {
      template_id: TEMPLATE,
      content: '{{thing1.DATA}} {{time2.DATA}}',
    })
    expect(await setup.errcodeOf(setup.sendTemplate(openid, { template_id: 'other' }))).toBe(40037)
    expect(await setup.json(await setup.sendTemplate(openid))).toMatchObject({
      errcode: 47003,
      errmsg: containing('argument invalid! data.time2.value is emtpy'),
    })
  })

  it('refuses who does not follow, and takes who follows again', async () => {
    await setup.account.unfollow(openid)
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(43004)
    await setup.account.follow(openid)
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(0)
  })

  it('refuses a refused template until it is allowed, also after a new follow', async () => {
    await setup.account.refuseTemplate(openid, TEMPLATE)
    await setup.account.unfollow(openid)
    await setup.account.follow(openid)
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(43101)
    await setup.account.allowTemplate(openid, TEMPLATE)
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(0)
  })

  it('shows switched off messages in the receipt, or with 48002 where chosen', async () => {
    await setup.account.block(openid)
    expect(await setup.errcodeOf(setup.sendTemplate(openid))).toBe(0)
    expect(await receipts()).toEqual(['failed:user block'])
    expect(setup.account.messages()).toEqual([])

    const other = await startSandbox({ platform: { blockedShowsIn: 'answer' } })
    await other.account.follow(openid)
    await other.account.block(openid)
    expect(await other.errcodeOf(other.sendTemplate(openid))).toBe(48002)
    await other.stop()
  })

  it('pushes a failed receipt on demand', async () => {
    const receipt = 'failed: system failed'
    setup.sandbox.addFault({ path: '/cgi-bin/message/template/send', receipt, times: 1 })
    await setup.sendTemplate(openid)
    expect(await receipts()).toEqual([receipt])
    expect(setup.account.messages()).toEqual([])
  })

  it('takes one client_msg_id once in ten minutes and answers the first msgid again', async () => {
    const send = () => setup.sendTemplate(openid, { client_msg_id: 'order-1' })
    const answers = await Promise.all([send(), send(), send()])
    const texts = new Set(await Promise.all(answers.map((answer) => answer.text())))
    expect(texts.size).toBe(1)
    expect(setup.account.messages()).toHaveLength(1)
    setup.sandbox.advance(600)
    expect(texts).not.toContain(await (await send()).text())
    expect(setup.account.messages()).toHaveLength(2)
  })

  it('answers a repeated client_msg_id with an errcode where chosen', async () => {
    const other = await startSandbox({ platform: { repeatedClientMsgId: 43117 } })
    await other.account.follow(openid)
    const send = () => other.errcodeOf(other.sendTemplate(openid, { client_msg_id: 'order-1' }))
    expect([await send(), await send()]).toEqual([0, 43117])
    await other.stop()
  })

  it('answers 45009 when the day is full', async () => {
    const limits = { '/cgi-bin/message/template/send': { perDay: 1 } }
    const few = await startSandbox({ platform: { limits } })
    await few.account.follow(openid)
    expect(await few.errcodeOf(few.sendTemplate(openid))).toBe(0)
    expect(await few.errcodeOf(few.sendTemplate(openid))).toBe(45009)
    await few.stop()
  })
})

describe('POST /cgi-bin/message/subscribe/bizsend', () => {
  const send = () => setup.errcodeOf(setup.sendSubscription(openid))

  it('spends one right for each send and answers without a msgid', async () => {
    expect(await send()).toBe(43101)
    await setup.account.accept(openid, [TEMPLATE])
    await setup.account.accept(openid, [TEMPLATE])
    expect(await (await setup.sendSubscription(openid)).text()).toBe('{"errcode":0,"errmsg":"ok"}')
    expect([await send(), await send()]).toEqual([0, 43101])
    await setup.sandbox.settled()
    expect(setup.receiver.pushes.at(-1)?.document).toContain('subscribe_msg_sent_event')
  })

  it('keeps a long-term right until it is switched off', async () => {
    await setup.post(`/sandbox/accounts/${APP_ID}/templates`, {
      template_id: TEMPLATE,
      long_term: true,
    })
    await setup.account.accept(openid, [TEMPLATE])
    expect([await send(), await send(), await send()]).toEqual([0, 0, 0])
    await setup.account.switchOff(openid, TEMPLATE)
    expect(await send()).toBe(43101)
  })

  it('does not need a follow', async () => {
    await setup.account.accept(openid, [TEMPLATE])
    await setup.account.unfollow(openid)
    expect(await send()).toBe(0)
  })
})

describe('POST /cgi-bin/message/custom/send', () => {
  const send = () => setup.errcodeOf(setup.reply(openid))

  it('takes three messages within a minute of the follow', async () => {
    expect([await send(), await send(), await send(), await send()]).toEqual([0, 0, 0, 45047])
    setup.sandbox.advance(60)
    expect(await send()).toBe(45015)
  })

  it('takes five messages within 48 hours of a message', async () => {
    setup.sandbox.advance(61)
    expect(await send()).toBe(45015)
    await setup.account.say(openid, '在吗')
    setup.sandbox.advance(48 * 3600 - 1)
    const answers = []
    for (let count = 0; count < 6; count += 1) answers.push(await send())
    expect(answers).toEqual([0, 0, 0, 0, 0, 45047])
    await setup.account.say(openid, '在吗')
    expect(await send()).toBe(0)
  })

  it('refuses after an unfollow with 45015 and after a block with 48002', async () => {
    await setup.account.say(openid, '在吗')
    await setup.account.block(openid)
    expect(await send()).toBe(48002)
    await setup.account.unblock(openid)
    await setup.account.unfollow(openid)
    expect(await send()).toBe(45015)
  })
})

describe('GET /cgi-bin/user/…', () => {
  it('tells who follows', async () => {
    const path = `/cgi-bin/user/info?openid=${openid}`
    expect(await setup.json(await setup.api(path))).toMatchObject({ subscribe: 1, openid })
    await setup.account.unfollow(openid)
    expect(await setup.json(await setup.api(path))).toEqual({ subscribe: 0, openid })
    expect(await setup.errcodeOf(setup.api('/cgi-bin/user/info?openid=oNobody'))).toBe(40003)
  })

  it('pages through followers until next_openid is empty', async () => {
    const paged = await startSandbox({ platform: { followersPerPage: 2 } })
    const [a = '', b = '', c = ''] = paged.account.addFollowers(3)
    await paged.account.unfollow(b)
    const page = async (next: string) =>
      paged.json(await paged.api(`/cgi-bin/user/get?next_openid=${next}`))
    const first = { total: 2, count: 2, data: { openid: [a, c] }, next_openid: c }
    expect(await page('')).toEqual(first)
    expect(await page(b)).toEqual({ ...first, count: 1, data: { openid: [c] } })
    expect(await page(c)).toEqual({ total: 2, count: 0, next_openid: '' })
    await paged.stop()
  })

  it('takes at most 100 openids in a batch', async () => {
    const batch = (count: number) =>
      setup.api('/cgi-bin/user/info/batchget', { user_list: Array(count).fill({ openid }) })
    expect(await setup.json(await batch(100))).toHaveProperty('user_info_list.99.subscribe', 1)
    expect(await setup.errcodeOf(batch(101))).toBe(40032)
  })
})
