import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, type Account } from '../../src/accounts/account.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import { readJson } from '../../src/receiver/json.ts'
import {
  acceptParked,
  verifyHandshake,
  verifyPush,
  type PushInput,
  type PushResult,
  type Tenant,
} from '../../src/receiver/receive-push.ts'
import { signRequest } from '../../src/receiver/signature.ts'
import {
  COMPONENT,
  FOREIGN_AES_KEY,
  MINI_PROGRAM,
  OFFICIAL_ACCOUNT,
  SUITE,
  WECOM_APP,
  sealedVector,
} from '../fixtures/vectors.ts'
import {
  FOLLOW,
  inputFor,
  KIND_ACCOUNTS,
  plainHandshake,
  sealedHandshake,
  sealFor,
  vectorFor,
  vectorHandshake,
  wecomEvent,
} from '../support/kind-accounts.ts'
import { justAfter, testAccount } from '../support/sealed-pushes.ts'

const { component, authorizer, wecom_app, wecom_kf, wecom_suite, wecom_authorizer } = KIND_ACCOUNTS
const mini: Account = KIND_ACCOUNTS.mini_program
const jsonMini: Account = { ...mini, bodyFormat: 'json' }
const merchant: Tenant = { appId: authorizer.appId, account: authorizer }
const corp: Tenant = { appId: wecom_authorizer.appId, account: wecom_authorizer }
const individual: Account = {
  ...wecom_suite,
  settings: { ...DEFAULT_SETTINGS, empty_receive_id: true },
}
const OTHER = 'wx0000000000000000'

function outcomeOf(result: PushResult): string {
  return result.ok ? `${result.push.account.kind} ${result.push.source}` : result.refusal.reason
}

function vectorInput(name: string, account: Account, tenant?: Tenant): PushInput {
  return inputFor(account, vectorFor(account, sealedVector(name)), tenant)
}

/** An account of one of the platform's own published examples. */
function publishedAccount(name: string, kind: Account['kind'], more: Partial<Account>): Account {
  const { token, aesKey, receiveId: appId } = sealedVector(name)
  return testAccount({ kind, appId, callbackKey: { token, aesKey }, ...more })
}

describe('verifyPush, by kind', () => {
  const p5 = publishedAccount('P5', 'component', { originalId: null })
  const p5Merchant = { ...authorizer, originalId: 'gh_97417a04a28d' }
  const accepted: readonly (readonly [string, string, PushInput])[] = [
    [
      'P3',
      'mini_program mini_program',
      vectorInput(
        'P3',
        publishedAccount('P3', 'mini_program', {
          originalId: 'gh_97417a04a28d',
          bodyFormat: 'json',
        }),
      ),
    ],
    [
      'P5',
      'authorizer official_account',
      vectorInput('P5', p5, { appId: 'wx1', account: p5Merchant }),
    ],
    [
      'P8',
      'wecom_app wecom',
      vectorInput('P8', publishedAccount('P8', 'wecom_app', { originalId: null, agentId: '218' })),
    ],
    ['F4', 'mini_program mini_program', vectorInput('F4', jsonMini)],
    ['F5', 'component component', vectorInput('F5', component)],
    ['F6', 'authorizer official_account', vectorInput('F6', component, merchant)],
    ['F8', 'wecom_app wecom', vectorInput('F8', wecom_app)],
    ['F8 as a kf account', 'wecom_kf wecom', vectorInput('F8', wecom_kf)],
    ['F9', 'wecom_suite wecom_suite', vectorInput('F9', wecom_suite)],
    ['F10, where it is set', 'wecom_suite wecom_suite', vectorInput('F10', individual)],
    ['F13', 'wecom_authorizer wecom', vectorInput('F13', wecom_suite, corp)],
    ['F14', 'mini_program mini_program', vectorInput('F14', jsonMini)],
  ]

  it.each(accepted)('accepts %s as a push of %s', (_, owner, input) => {
    expect(outcomeOf(verifyPush(input))).toBe(owner)
  })

  it.each(['F4', 'F8', 'F9', 'F13', 'F14'])('hands on %s exactly as it was sealed', (name) => {
    const [, , input] = accepted.find(([vector]) => vector === name)!
    const result = verifyPush(input)
    expect(result.ok && result.push.document).toBe(sealedVector(name).message)
  })

  it('takes a merchant for what it is, a mini program too', () => {
    const account: Account = { ...authorizer, serves: 'mini_program' }
    const input = vectorInput('F6', component, { ...merchant, account })
    expect(outcomeOf(verifyPush(input))).toBe('authorizer mini_program')
  })

  const refused: readonly (readonly [string, string, PushInput])[] = [
    [
      'wrong_to_user_name',
      'F6 under the path of another authorizer',
      vectorInput('F6', component, {
        appId: OTHER,
        account: { ...authorizer, appId: OTHER, originalId: 'gh_000000000000' },
      }),
    ],
    [
      'unknown_authorizer',
      'F6 of an authorizer we do not know',
      vectorInput('F6', component, { ...merchant, account: undefined }),
    ],
    [
      'unknown_authorizer',
      'F13 of a corp we do not know',
      vectorInput('F13', wecom_suite, { ...corp, account: undefined }),
    ],
    ['missing_field', 'F6 on the authorisation URL', vectorInput('F6', component)],
    ['missing_field', 'F5 on the message URL', vectorInput('F5', component, merchant)],
    ['wrong_receive_id', 'F9 on the data URL', vectorInput('F9', wecom_suite, corp)],
    ['wrong_receive_id', 'F13 on the instruction URL', vectorInput('F13', wecom_suite)],
    [
      'wrong_receive_id',
      'F13 under the path of another corp',
      vectorInput('F13', wecom_suite, { ...corp, appId: OTHER }),
    ],
    ['wrong_receive_id', 'F10, where it is not set', vectorInput('F10', wecom_suite)],
    [
      'duplicated_field',
      'an event of two applications',
      inputFor(
        wecom_app,
        sealFor(
          wecom_app,
          wecomEvent(WECOM_APP.appId, '<AgentID>1000007</AgentID><AgentID>1000008</AgentID>'),
          wecom_app.appId,
        ),
      ),
    ],
    [
      'wrong_to_user_name',
      'an event of another corp',
      inputFor(wecom_app, sealFor(wecom_app, wecomEvent(OTHER), wecom_app.appId)),
    ],
    [
      'bad_document',
      'F4 where XML is configured',
      inputFor(mini, vectorFor(jsonMini, sealedVector('F4'))),
    ],
    [
      'bad_document',
      'F4 in XML where JSON is configured',
      inputFor(jsonMini, vectorFor(mini, sealedVector('F4'))),
    ],
    ['bad_message', 'F4 in XML, sealed JSON', vectorInput('F4', mini)],
    [
      'not_encrypted',
      'a component without encrypt_type',
      inputFor(component, {
        ...vectorFor(component, sealedVector('F5')),
        query: vectorHandshake(sealedVector('F5')),
      }),
    ],
    [
      'not_encrypted',
      'a plain push to a corp',
      inputFor(wecom_app, {
        query: plainHandshake(wecom_app, ''),
        body: wecomEvent(WECOM_APP.appId),
      }),
    ],
  ]

  it.each(refused)('refuses with %s: %s', (reason, _, input) => {
    expect(outcomeOf(verifyPush(input))).toBe(reason)
  })

  it('does not tell who is unknown to a sender that is not the platform', () => {
    const { query, body } = vectorFor(component, sealedVector('F6'))
    const forged = { query: { ...query, msg_signature: '0'.repeat(40) }, body }
    for (const account of [authorizer, undefined]) {
      const input = inputFor(component, forged, { ...merchant, account })
      expect(outcomeOf(verifyPush(input))).toBe('bad_signature')
    }
  })

  it.each(['change_app_admin', 'unlicensed_notify', 'program_notify'])(
    'takes %s, of the provider’s own side, on the instruction URL',
    (name) => {
      const document = wecomEvent(SUITE.providerCorpId).replace('subscribe', name)
      const result = verifyPush(inputFor(wecom_suite, sealFor(wecom_suite, document, SUITE.appId)))
      expect(outcomeOf(result)).toBe('wecom_suite wecom_suite')
      expect(result.ok && readEvent(result.push).kind).toBe(`suite.${name}`)
    },
  )

  it('takes an event of a member on the instruction URL for none that it knows', () => {
    const document = wecomEvent(SUITE.providerCorpId)
    const result = verifyPush(inputFor(wecom_suite, sealFor(wecom_suite, document, SUITE.appId)))
    expect(result.ok && readEvent(result.push).kind).toBe('suite.unknown')
  })

  const migration = {
    AuthCorpId: WECOM_APP.appId,
    InfoType: 'agree_external_userid_migration',
    ServiceCorpId: SUITE.providerCorpId,
    TimeStamp: 1767312000,
  }
  const agreement = {
    AuthCorpId: WECOM_APP.appId,
    event_type: 'chat_archive_audit_approved_single',
    TimeStamp: 1767312000,
    ExternalUserID: 'wm1',
  }
  const { TimeStamp: timestamp, ...ofZone } = agreement
  const jsonSuite: Account = { ...wecom_suite, bodyFormat: 'json' }

  /** @param outer what the envelope is in: nothing shows that the platform varies it as well. */
  function suiteInput(
    document: object | string,
    { outer = wecom_suite, tenant }: { readonly outer?: Account; readonly tenant?: Tenant } = {},
  ) {
    const text = typeof document === 'string' ? document : JSON.stringify(document)
    const push = sealFor(outer, text, tenant ? tenant.appId : SUITE.appId)
    return inputFor(wecom_suite, push, tenant)
  }

  it.each([
    ['a notice with an InfoType', suiteInput(migration)],
    ['one of the data zone', suiteInput(agreement)],
    ['the time in its other spelling', suiteInput({ ...ofZone, timestamp })],
    ['space in front', suiteInput(`\uFEFF \n${JSON.stringify(migration)}`)],
    ['the envelope in JSON too', suiteInput(agreement, { outer: jsonSuite })],
    [
      'XML in an envelope of JSON',
      suiteInput(sealedVector('F9').message ?? '', { outer: jsonSuite }),
    ],
  ])('takes from a suite, whose notices have both formats: %s', (_, input) => {
    expect(outcomeOf(verifyPush(input))).toBe('wecom_suite wecom_suite')
  })

  it.each([
    ['missing_field', 'no type', suiteInput({ ...migration, InfoType: '' })],
    ['missing_field', 'no time', suiteInput(ofZone)],
    ['missing_field', 'milliseconds', suiteInput({ ...ofZone, timestamp: timestamp * 1000 })],
    [
      'duplicated_field',
      'two types',
      suiteInput(JSON.stringify(agreement).replace('{', '{"event_type":"cancel_auth",')),
    ],
    ['bad_message', 'a list', suiteInput([migration])],
    ['bad_message', 'a trailing comma', suiteInput(JSON.stringify(migration).replace('}', ',}'))],
    ['bad_message', 'JSON on the data URL', suiteInput(migration, { tenant: corp })],
    [
      'bad_document',
      'an envelope of JSON on the data URL',
      suiteInput(wecomEvent(corp.appId), { outer: jsonSuite, tenant: corp }),
    ],
    [
      'bad_message',
      'JSON to a component',
      inputFor(component, sealFor(component, JSON.stringify(migration), COMPONENT.appId)),
    ],
    [
      'bad_message',
      'JSON to an application',
      inputFor(wecom_app, sealFor(wecom_app, JSON.stringify(migration), WECOM_APP.appId)),
    ],
    [
      'missing_field',
      'an event_type to a component',
      inputFor(
        component,
        sealFor(
          component,
          '<xml><event_type>authorized</event_type><CreateTime>1767312000</CreateTime></xml>',
          COMPONENT.appId,
        ),
      ),
    ],
  ])('refuses with %s: %s', (reason, _, input) => {
    expect(outcomeOf(verifyPush(input))).toBe(reason)
  })

  it('takes an event whatever application it names, or none, and a kf event of nobody', () => {
    // 2000004 is the chat archive; which numbers built-in functions have is not published
    const others = ['1000008', '2000004'].map((agentId) => `<AgentID>${agentId}</AgentID>`)
    const quiet = ['', '<AgentID/>', '<AgentID><![CDATA[ ]]></AgentID>', ...others].map((agent) =>
      wecomEvent(WECOM_APP.appId, agent),
    )
    const kf = wecomEvent(WECOM_APP.appId).replace(/<FromUserName>.*<\/FromUserName>/, '')
    for (const document of [...quiet, kf]) {
      const push = sealFor(wecom_app, document, wecom_app.appId)
      expect(outcomeOf(verifyPush(inputFor(wecom_app, push)))).toBe('wecom_app wecom')
    }
  })

  it('binds a push without a receive id to the corp in its document', () => {
    const pushFor = (corpId: string) =>
      inputFor(individual, sealFor(individual, wecomEvent(corpId), ''), corp)
    expect(outcomeOf(verifyPush(pushFor(WECOM_APP.appId)))).toBe('wecom_authorizer wecom')
    expect(outcomeOf(verifyPush(pushFor(OTHER)))).toBe('wrong_to_user_name')
  })

  it('accepts the previous pair of a component and a suite, and says so', () => {
    const old = { token: 'OldToken1', aesKey: FOREIGN_AES_KEY }
    for (const [account, tenant, document, receiveId] of [
      [component, merchant, FOLLOW, COMPONENT.appId],
      [wecom_suite, corp, wecomEvent(corp.appId), corp.appId],
    ] as const) {
      const push = sealFor({ ...account, callbackKey: old }, document, receiveId)
      const result = verifyPush(inputFor({ ...account, previousCallbackKey: old }, push, tenant))
      expect(result.ok && result.push.keyUsed).toBe('previous')
    }
  })

  it('refuses an old push of every kind', () => {
    for (const [, , input] of accepted) {
      const now = new Date(input.now.getTime() + 3_600_000)
      expect(outcomeOf(verifyPush({ ...input, now }))).toBe('stale')
    }
  })
})

/** Every callback address: who receives there, for whom, what stands behind a right push. */
const ADDRESSES: readonly {
  readonly name: string
  readonly account: Account
  readonly tenant?: Tenant
  readonly receiveId: string
  readonly document: string
}[] = [
  {
    name: 'official_account',
    account: KIND_ACCOUNTS.official_account,
    receiveId: OFFICIAL_ACCOUNT.appId,
    document: FOLLOW,
  },
  {
    name: 'mini_program',
    account: mini,
    receiveId: MINI_PROGRAM.appId,
    document: FOLLOW.replace(OFFICIAL_ACCOUNT.originalId, MINI_PROGRAM.originalId),
  },
  {
    name: 'component, authorisation URL',
    account: component,
    receiveId: COMPONENT.appId,
    document: sealedVector('F5').message ?? '',
  },
  {
    name: 'component, message URL',
    account: component,
    tenant: merchant,
    receiveId: COMPONENT.appId,
    document: FOLLOW,
  },
  {
    name: 'wecom_app',
    account: wecom_app,
    receiveId: WECOM_APP.appId,
    document: wecomEvent(WECOM_APP.appId),
  },
  {
    name: 'wecom_kf',
    account: wecom_kf,
    receiveId: WECOM_APP.appId,
    document: wecomEvent(WECOM_APP.appId),
  },
  {
    name: 'wecom_suite, instruction URL',
    account: wecom_suite,
    receiveId: SUITE.appId,
    document: sealedVector('F9').message ?? '',
  },
  {
    name: 'wecom_suite, data URL',
    account: wecom_suite,
    tenant: corp,
    receiveId: WECOM_APP.appId,
    document: wecomEvent(WECOM_APP.appId),
  },
]

/** Every id that some push of the fixtures could end with, and some that none could. */
const RECEIVE_IDS = [
  ...['', OTHER, OFFICIAL_ACCOUNT.appId, OFFICIAL_ACCOUNT.originalId, MINI_PROGRAM.appId],
  ...[COMPONENT.appId, WECOM_APP.appId, WECOM_APP.agentId, SUITE.appId, SUITE.providerCorpId],
]

describe('the receive id of a push', () => {
  const matrix = ADDRESSES.flatMap((address) =>
    [...RECEIVE_IDS, `${address.receiveId} `, address.receiveId.toUpperCase()].map(
      (receiveId) => [receiveId, address.name, address] as const,
    ),
  )

  it.each(matrix)('%j at %s is taken only where it belongs', (receiveId, _, address) => {
    const { account, tenant, document } = address
    const result = verifyPush(inputFor(account, sealFor(account, document, receiveId), tenant))
    const owner = tenant?.account ?? account
    const expected =
      receiveId === address.receiveId ? [owner.kind] : ['refused', 'wrong_receive_id']
    expect(result.ok ? [result.push.account.kind] : ['refused', result.refusal.reason]).toEqual(
      expected,
    )
  })

  it('is shown in the log by its beginning only', () => {
    const push = sealFor(wecom_suite, wecomEvent(corp.appId), SUITE.providerCorpId)
    expect(verifyPush(inputFor(wecom_suite, push, corp))).toMatchObject({
      refusal: { detail: 'expected ww3c7e…, got ww1f5d…' },
    })
  })
})

describe('verifyHandshake, by kind', () => {
  function shake(account: Account, query: Record<string, unknown>, now?: Date) {
    const at = now ?? justAfter(String(query.timestamp))
    return verifyHandshake({ account, keys: prepareKeys(account), query, now: at })
  }

  it.each(['official_account', 'mini_program', 'component'] as const)(
    'gives the echostr of %s back',
    (kind) => {
      const account = KIND_ACCOUNTS[kind]
      expect(shake(account, plainHandshake(account, 'echo-1'))).toEqual({
        ok: true,
        echostr: 'echo-1',
      })
    },
  )

  it.each([
    ['F7', wecom_app],
    ['F7b', wecom_app],
    ['F7c', wecom_app],
    ['F7', wecom_kf],
    ['F12', wecom_suite],
    ['P7', publishedAccount('P7', 'wecom_app', { originalId: null, agentId: '218' })],
  ])('opens the echostr of %s', (name, account) => {
    const vector = sealedVector(name)
    expect(shake(account, vectorHandshake(vector))).toEqual({ ok: true, echostr: vector.message })
  })

  it('opens F7b and P7 when every + has become a space', () => {
    for (const [name, account] of [
      ['F7b', wecom_app],
      ['P7', publishedAccount('P7', 'wecom_app', { agentId: '218' })],
    ] as const) {
      const vector = sealedVector(name)
      const query = vectorHandshake(vector)
      expect(query.echostr).toContain('+')
      const decoded = { ...query, echostr: query.echostr.replaceAll('+', ' ') }
      expect(shake(account, decoded)).toEqual({ ok: true, echostr: vector.message })
    }
  })

  const rightIds = [
    ['wecom_app', wecom_app, WECOM_APP.appId],
    ['wecom_kf', wecom_kf, WECOM_APP.appId],
    ['wecom_suite', wecom_suite, SUITE.providerCorpId],
  ] as const
  const matrix = rightIds.flatMap(([kind, account, right]) =>
    RECEIVE_IDS.map((receiveId) => [receiveId, kind, account, right] as const),
  )

  it.each(matrix)('takes %j from %s only where it belongs', (receiveId, _, account, right) => {
    const result = shake(account, sealedHandshake(account, '42', receiveId))
    expect(result.ok ? result.echostr : result.refusal.reason).toBe(
      receiveId === right ? '42' : 'wrong_receive_id',
    )
  })

  it('takes a handshake without a receive id where that is set', () => {
    const query = sealedHandshake(individual, '42', '')
    expect(shake(individual, query)).toEqual({ ok: true, echostr: '42' })
  })

  it('opens under the previous pair', () => {
    const old = { token: 'OldToken1', aesKey: FOREIGN_AES_KEY }
    const query = sealedHandshake({ ...wecom_app, callbackKey: old }, '42', WECOM_APP.appId)
    expect(shake({ ...wecom_app, previousCallbackKey: old }, query).ok).toBe(true)
    expect(shake(wecom_app, query)).toMatchObject({ refusal: { reason: 'bad_signature' } })
  })

  const f7 = vectorHandshake(sealedVector('F7'))
  const { token } = WECOM_APP
  it.each([
    ['missing_parameter', 'no msg_signature', { ...f7, msg_signature: undefined }],
    ['missing_parameter', 'no echostr', { ...f7, echostr: undefined }],
    ['duplicated_parameter', 'echostr twice', { ...f7, echostr: [f7.echostr, f7.echostr] }],
    ['bad_signature', 'another echostr', { ...f7, echostr: sealedVector('F7b').encrypt }],
    ['bad_signature', 'another nonce', { ...f7, nonce: '1' }],
    [
      'bad_signature',
      'the signature of WeChat, over less',
      { ...f7, msg_signature: signRequest(token, f7.timestamp, f7.nonce) },
    ],
    ['missing_parameter', 'the handshake of WeChat', plainHandshake(wecom_app, '42')],
    [
      'not_decryptable',
      'a foreign key',
      sealedHandshake(
        { ...wecom_app, callbackKey: { token, aesKey: FOREIGN_AES_KEY } },
        '42',
        WECOM_APP.appId,
      ),
    ],
  ])('refuses with %s: %s', (reason, _, query) => {
    expect(shake(wecom_app, query)).toMatchObject({ ok: false, refusal: { reason } })
  })

  it('refuses an old request', () => {
    const now = new Date((Number(f7.timestamp) + 601) * 1000)
    expect(shake(wecom_app, f7, now)).toMatchObject({ refusal: { reason: 'stale' } })
  })
})

describe('a push of a tenant without an account', () => {
  const early = (input: PushInput) => {
    const result = verifyPush(input)
    return result.ok ? undefined : result.early
  }
  const strangers = {
    merchant: { ...merchant, account: undefined },
    corp: { ...corp, account: undefined },
  }

  it('may wait where all but the account is right', () => {
    const ofMerchant = vectorInput('F6', component, strangers.merchant)
    expect(early(ofMerchant)).toMatchObject({
      ...{ parent: component, tenant: merchant.appId, source: null },
      ...{ document: sealedVector('F6').message, timestamp: ofMerchant.query['timestamp'] },
    })
    const ofCorp = vectorInput('F13', wecom_suite, strangers.corp)
    expect(early(ofCorp)).toMatchObject({ tenant: corp.appId, source: 'wecom' })
  })

  it.each<[string, PushInput]>([
    [
      'an address whose placeholder was left alone',
      vectorInput('F6', component, { appId: '$APPID$', account: undefined }),
    ],
    ['a document of the other address', vectorInput('F5', component, strangers.merchant)],
    [
      'words to another corp',
      inputFor(wecom_suite, sealFor(wecom_suite, wecomEvent(OTHER), corp.appId), strangers.corp),
    ],
    ['another receive id', vectorInput('F13', wecom_suite, { appId: OTHER, account: undefined })],
  ])('may not wait with %s', (_, input) => {
    expect(verifyPush(input).ok).toBe(false)
    expect(early(input)).toBeUndefined()
  })

  it('is accepted for the account that it is addressed to, and for no other', () => {
    const tenant: Account = { ...authorizer, serves: 'mini_program' }
    const waited = {
      ...{ parent: component, source: null, timestamp: '1767312300' },
      ...{ document: sealedVector('F6').message ?? '', receivedAt: justAfter('1767312300') },
    }
    expect(outcomeOf(acceptParked({ ...waited, tenant }))).toBe('authorizer mini_program')
    const other = { ...tenant, originalId: 'gh_000000000000' }
    expect(outcomeOf(acceptParked({ ...waited, tenant: other }))).toBe('wrong_to_user_name')
    const notice = { ...waited, document: sealedVector('F9').message ?? '' }
    const { source } = { source: 'wecom_suite' } as const
    expect(
      acceptParked({ ...notice, parent: wecom_suite, source, tenant: wecom_authorizer }),
    ).toMatchObject({ ok: true, push: { account: wecom_authorizer, source } })
  })
})

describe('verifyPush, in JSON', () => {
  const event = {
    ToUserName: MINI_PROGRAM.originalId,
    FromUserName: 'oM4xK8pQwZrT6yVbN1cJ5hLsGfDa',
    CreateTime: 1767312000,
    MsgType: 'event',
    Event: 'user_enter_tempsession',
  }
  const document = JSON.stringify(event)
  const { token } = MINI_PROGRAM
  const [timestamp, nonce] = ['1767312002', '1304958672']
  const signed = { timestamp, nonce, signature: signRequest(token, timestamp, nonce) }

  function accept(input: PushInput) {
    const result = verifyPush(input)
    if (!result.ok) throw new Error(`${result.refusal.reason}: ${result.refusal.detail ?? ''}`)
    return result.push
  }

  it('accepts plain mode, and reads the whole body', () => {
    const account: Account = { ...jsonMini, mode: 'plain' }
    const body = `\uFEFF${document}`
    const push = accept(inputFor(account, { query: signed, body }))
    expect(push).toMatchObject({ document, keyUsed: 'none' })
    expect(push.fields.CreateTime).toBe('1767312000')
  })

  it('believes only the sealed part in compatible mode', () => {
    const account: Account = { ...jsonMini, mode: 'compatible' }
    const { query, body } = sealFor(account, document, MINI_PROGRAM.appId)
    const { Encrypt } = JSON.parse(body) as { Encrypt: string }
    const twin = JSON.stringify({ ...event, Event: 'user_authorization_revoke', Encrypt })
    expect(accept(inputFor(account, { query, body: twin })).fields.Event).toBe(event.Event)
  })

  it('keeps every digit of a long id', () => {
    const id = '1864323726461255681'
    const long = document.replace('}', `,"MsgId":${id}}`)
    const push = accept(inputFor(jsonMini, sealFor(jsonMini, long, MINI_PROGRAM.appId)))
    expect(push.fields.MsgId).toBe(id)
    expect(push.document).toBe(long)
  })

  const sealed = (text: string) => inputFor(jsonMini, sealFor(jsonMini, text, MINI_PROGRAM.appId))
  const { query, body } = sealFor(jsonMini, document, MINI_PROGRAM.appId)
  const twice = (name: string) => document.replace('}', `,"${name}":"x"}`)
  it.each<[string, string, PushInput]>([
    ...Object.keys(event).map((name): [string, string, PushInput] => [
      'duplicated_field',
      `${name} twice`,
      sealed(twice(name)),
    ]),
    [
      'duplicated_field',
      'Encrypt twice',
      inputFor(jsonMini, { query, body: body.replace('}', ',"Encrypt":"x"}') }),
    ],
    ['missing_encrypt', 'no Encrypt', inputFor(jsonMini, { query, body: document })],
    ['missing_field', 'no Event name', sealed(document.replace('"MsgType":"event",', ''))],
    ['missing_field', 'an object as MsgType', sealed(document.replace('"event"', '{"a":1}'))],
    [
      'missing_field',
      'milliseconds as CreateTime',
      sealed(document.replace('1767312000', '1767312000000')),
    ],
    [
      'missing_field',
      'CreateTime in another notation',
      sealed(document.replace('1767312000', '1.767312e9')),
    ],
    ['bad_message', 'a trailing comma', sealed(document.replace('}', ',}'))],
    ['bad_message', 'a list', sealed(`[${document}]`)],
    ['bad_message', 'too deep', sealed(document.replace('}', `,"a":${'['.repeat(20)}1}`))],
    ['bad_document', 'no body', inputFor(jsonMini, { query, body: '' })],
    [
      'wrong_to_user_name',
      'another mini program',
      sealed(document.replace(MINI_PROGRAM.originalId, 'gh_other')),
    ],
  ])('refuses with %s: %s', (reason, _, input) => {
    expect(outcomeOf(verifyPush(input))).toBe(reason)
  })

  it('lets nothing a person typed make a push fail', () => {
    const typed = document.replace('}', ',"Content":"\\u0000 \\ud800 ]]> <!DOCTYPE x> 👋"}')
    expect(readJson(typed).ok).toBe(true)
    expect(accept(sealed(typed)).fields.Content).toBe('\uFFFD \uFFFD ]]> <!DOCTYPE x> 👋')
  })
})
