import { afterEach, describe, expect, it } from 'vitest'
import { TOKEN, sha1 } from './callback-receiver.ts'
import { TEMPLATE, startSandbox } from './start-sandbox.ts'

type Setup = Awaited<ReturnType<typeof startSandbox>>

let setup: Setup
const start = async (choices?: Parameters<typeof startSandbox>[0]) => {
  setup = await startSandbox(choices)
  return setup.account.newOpenid()
}
afterEach(() => setup.stop())

const lastPush = () => {
  const push = setup.receiver.pushes.at(-1)
  if (!push) throw new Error('expected a push')
  return push
}

describe('a push', () => {
  it('is encrypted in safe mode, with every parameter the platform sends', async () => {
    const openid = await start()
    const push = await setup.account.follow(openid, { scene: 'spring_2026' })
    expect(push).toMatchObject({ outcome: 'acknowledged', event: 'subscribe' })
    const { query, body, document } = lastPush()
    expect([...query.keys()]).toEqual([
      'tenant',
      'signature',
      'timestamp',
      'nonce',
      'openid',
      'encrypt_type',
      'msg_signature',
    ])
    const signed = [TOKEN, query.get('timestamp') ?? '', query.get('nonce') ?? '']
    expect(query.get('signature')).toBe(sha1(signed))
    expect(document).toBe(push?.document)
    expect(document).toContain('<EventKey><![CDATA[qrscene_spring_2026]]></EventKey>')
    expect(body).not.toContain('FromUserName')
  })

  it('carries the plain fields beside the envelope in compatible mode', async () => {
    const openid = await start({ account: { mode: 'compatible' } })
    await setup.account.follow(openid)
    expect(lastPush().document).toContain(openid)
    expect(lastPush().body).toMatch(/<FromUserName>[^]*<Encrypt>.*<\/Encrypt>\s*<\/xml>$/)
  })

  it('is bare and without msg_signature in plain mode', async () => {
    const openid = await start({ account: { mode: 'plain', aes_key: null } })
    const push = await setup.account.follow(openid)
    expect(lastPush().body).toBe(push?.document)
    expect(lastPush().query.has('msg_signature')).toBe(false)
    expect(lastPush().query.has('encrypt_type')).toBe(false)
  })

  it('proves the address with a handshake', async () => {
    await start()
    expect(await setup.account.handshake()).toMatchObject({ verified: true })
    setup.receiver.answers.push({ body: '"quoted"' })
    expect(await setup.account.handshake()).toMatchObject({ verified: false })
  })
})

describe('what a person does', () => {
  it.each([
    ['unfollow', {}, 'unsubscribe', '<EventKey><![CDATA[]]></EventKey>'],
    ['say', { text: 'a]]>b' }, 'text', '<Content><![CDATA[a]]]]><![CDATA[>b]]></Content>'],
    ['tap_menu', { key: 'V1' }, 'CLICK', '<EventKey><![CDATA[V1]]></EventKey>'],
    ['switch_off', { template_id: 'T' }, 'subscribe_msg_change_event', '<![CDATA[reject]]>'],
    ['visit_location', {}, 'LOCATION', '<Latitude>23.137466</Latitude>'],
    ['revoke_authorization', {}, 'user_authorization_revoke', '<RevokeInfo><![CDATA[205]]>'],
    ['cancel_account', {}, 'user_authorization_cancellation', '<OpenID><![CDATA[o'],
  ] as const)('%s %j is pushed', async (name, details, ...[event, part]) => {
    const openid = await start()
    const push = await setup.account.act(openid, { name, details })
    expect(push).toMatchObject({ event, outcome: 'acknowledged' })
    expect(lastPush().document).toContain(part)
  })

  it('accepts and rejects templates of one popup in one event', async () => {
    const openid = await start()
    await setup.account.accept(openid, [TEMPLATE, 'T2'], { others: ['T3'] })
    const lists = lastPush().document?.match(/<List>.*?<\/List>/g) ?? []
    expect(lists.map((list) => /accept|reject/.exec(list)?.[0])).toEqual([
      'accept',
      'accept',
      'reject',
    ])
    expect(setup.account.follower(openid)?.credits).toMatchObject({ [TEMPLATE]: 1, T2: 1, T3: 0 })
  })

  it.each(['block', 'unblock', 'refuse_template', 'allow_template'] as const)(
    '%s changes the state and is not pushed',
    async (act) => {
      const openid = await start()
      const details = act.endsWith('template') ? { template_id: 'T' } : {}
      expect(await setup.account.act(openid, { name: act, details })).toBeNull()
      expect(setup.receiver.pushes).toEqual([])
    },
  )

  it('is lost when silent, though the state has changed', async () => {
    const openid = await start()
    expect(await setup.account.follow(openid, { silent: true })).toBeNull()
    expect(setup.account.follower(openid)?.follows).toBe(true)
    expect(setup.receiver.pushes).toEqual([])
  })

  it('scans with or without following before', async () => {
    const openid = await start()
    await setup.account.scan(openid, '7')
    await setup.account.scan(openid, '7')
    const events = setup.receiver.pushes.map(
      ({ document = '' }) => /<Event><!\[CDATA\[(\w+)/.exec(document)?.[1],
    )
    expect(events).toEqual(['subscribe', 'SCAN'])
  })
})

describe('a message in the answer', () => {
  const messageTo = (person: string) =>
    `<xml><ToUserName><![CDATA[${person}]]></ToUserName><MsgType>text</MsgType></xml>`

  it('reaches the person whom it is for, and is kept with the push', async () => {
    const openid = await start({ account: { mode: 'plain', aes_key: null } })
    setup.receiver.answers.push({ body: messageTo(openid) })
    const push = await setup.account.say(openid, 'hello')
    expect(push).toMatchObject({ outcome: 'acknowledged', reply: messageTo(openid) })
    expect(push?.tries).toHaveLength(1)
  })

  it.each([
    ['for somebody else', { body: messageTo('oSomebodyElse') }],
    ['without a type', { body: '<xml></xml>' }],
  ])('is a wrong answer %s', async (_what, answer) => {
    const openid = await start({ account: { mode: 'plain', aes_key: null } })
    setup.receiver.answers.push(answer)
    const push = await setup.account.say(openid, 'hello')
    expect(push).toMatchObject({ reply: null, tries: [{ problem: 'wrong_answer' }, {}] })
  })

  it('is a wrong answer in plain words where all is encrypted, and to what takes none', async () => {
    const openid = await start()
    setup.receiver.answers.push({ body: messageTo(openid) })
    const said = await setup.account.say(openid, 'hello')
    expect(said).toMatchObject({ reply: null, tries: [{ problem: 'wrong_answer' }, {}] })
    setup.receiver.answers.push({ body: messageTo(openid) })
    const left = await setup.account.unfollow(openid)
    expect(left).toMatchObject({ reply: null, tries: [{ problem: 'wrong_answer' }, {}] })
  })
})

describe('repeats', () => {
  it.each([
    [{ body: '"success"' }],
    [{ body: '{"errcode":0}' }],
    [{ status: 201 }],
    [{ status: 500 }],
  ])('follow the wrong answer %j at once, with the same bytes', async (answer) => {
    const openid = await start()
    setup.receiver.answers.push(answer, answer)
    const push = await setup.account.follow(openid)
    expect(push?.outcome).toBe('acknowledged')
    expect(push?.tries.map(({ problem }) => problem)).toEqual([
      'wrong_answer',
      'wrong_answer',
      null,
    ])
    const [first, ...others] = setup.receiver.pushes
    for (const other of others) {
      expect(other.body).toBe(first?.body)
      expect(other.query.toString()).toBe(first?.query.toString())
    }
  })

  it('end after three', async () => {
    const openid = await start()
    setup.receiver.answers.push(...Array.from({ length: 9 }, () => ({ status: 500 })))
    const push = await setup.account.follow(openid)
    expect(push).toMatchObject({ outcome: 'given_up', acknowledged_at: null })
    expect(setup.receiver.pushes).toHaveLength(4)
  })

  it('follow a timeout', async () => {
    const openid = await start()
    setup.receiver.answers.push({ delayMs: 400 })
    const push = await setup.account.follow(openid)
    expect(push?.tries.map(({ problem }) => problem)).toEqual(['timeout', null])
  })

  it('carry the same timestamp and nonce around a new ciphertext where chosen', async () => {
    const openid = await start({ push: { encryptRepeatsAnew: true } })
    setup.receiver.answers.push({ status: 500 })
    await setup.account.follow(openid)
    const [first, second] = setup.receiver.pushes
    expect(second?.query.get('nonce')).toBe(first?.query.get('nonce'))
    expect(second?.body).not.toBe(first?.body)
    expect(second?.document).toBe(first?.document)
  })

  it('accept an empty answer', async () => {
    const openid = await start()
    setup.receiver.answers.push({ body: '' })
    expect(await setup.account.follow(openid)).toMatchObject({ outcome: 'acknowledged' })
    expect(setup.receiver.pushes).toHaveLength(1)
  })
})

describe('faults of pushes', () => {
  it('duplicates, one after another or at the same moment', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ duplicate: 2 })
    await setup.account.follow(openid)
    setup.sandbox.addPushFault({ duplicate: 4, concurrent: true })
    await setup.account.unfollow(openid)
    expect(setup.receiver.pushes).toHaveLength(8)
    expect(new Set(setup.receiver.pushes.map(({ body }) => body)).size).toBe(2)
  })

  it('drops, and only as many as asked for', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ drop: true, event: 'unsubscribe' })
    expect(await setup.account.follow(openid)).toMatchObject({ outcome: 'acknowledged' })
    expect(await setup.account.unfollow(openid)).toMatchObject({ outcome: 'dropped' })
    expect(await setup.account.unfollow(openid)).toMatchObject({ outcome: 'acknowledged' })
  })

  it('delays', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ delay_ms: 120 })
    const began = performance.now()
    await setup.account.follow(openid)
    expect(performance.now() - began).toBeGreaterThan(110)
  })

  it('sends a group in another order', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ shuffle_ms: 2000, times: 3 })
    const texts = ['1', '2', '3']
    await Promise.all(texts.map((text) => setup.account.say(openid, text)))
    const arrived = setup.receiver.pushes.map(
      ({ document = '' }) => /<Content><!\[CDATA\[(.)/.exec(document)?.[1],
    )
    expect(arrived.toSorted()).toEqual(texts)
    expect(arrived).not.toEqual(texts)
  })

  it('does not hold a group longer than its window', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ shuffle_ms: 50, times: 9 })
    expect(await setup.account.follow(openid)).toMatchObject({ outcome: 'acknowledged' })
  })

  it.each(['bad_signature', 'unsigned', 'wrong_receive_id', 'foreign_key'] as const)(
    'tampers: %s does not pass a verifier',
    async (tamper) => {
      const openid = await start()
      setup.sandbox.addPushFault({ tamper })
      setup.receiver.answers.push({ status: 403 })
      expect(await setup.account.follow(openid)).toMatchObject({ outcome: 'tampered' })
      expect(setup.receiver.pushes).toHaveLength(1)
      expect(lastPush().document).toBeUndefined()
      expect(setup.sandbox.report().tampered_accepted).toBe(0)
    },
  )

  it('tampers: a stale timestamp is rightly signed, and counted when it is believed', async () => {
    const openid = await start()
    setup.sandbox.addPushFault({ tamper: 'stale_timestamp' })
    await setup.account.follow(openid)
    expect(lastPush().document).toBeDefined()
    const age = setup.sandbox.now().getTime() / 1000 - Number(lastPush().query.get('timestamp'))
    expect(age).toBeGreaterThan(86_000)
    expect(setup.sandbox.report().tampered_accepted).toBe(1)
  })
})
