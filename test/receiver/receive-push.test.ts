import { describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import { InvariantError } from '../../src/foundation/errors.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import {
  verifyHandshake,
  verifyPush,
  type PushInput,
  type PushResult,
} from '../../src/receiver/receive-push.ts'
import { REFUSALS } from '../../src/receiver/refusals.ts'
import {
  FOREIGN_AES_KEY,
  OFFICIAL_ACCOUNT,
  REFUSED,
  SIGNED_REQUESTS,
  SUBSCRIBE_DOCUMENT,
  sealedVector,
} from '../fixtures/vectors.ts'
import {
  changedDocument,
  f2Input,
  justAfter,
  outerXml,
  plainPush,
  pushInput,
  sealPush,
  signEncrypt,
  testAccount,
  vectorPush,
} from '../support/sealed-pushes.ts'

const f2 = sealedVector('F2')
const withPrevious: Partial<Account> = {
  previousCallbackKey: {
    token: OFFICIAL_ACCOUNT.token,
    aesKey: OFFICIAL_ACCOUNT.previousAesKey,
  },
}

function reasonOf(result: PushResult): string {
  return result.ok ? 'accepted' : result.refusal.reason
}

function acceptedBy(result: PushResult) {
  if (!result.ok) throw new Error(`${result.refusal.reason}: ${result.refusal.detail ?? ''}`)
  return result.push
}

/** F2 in compatible mode: the plain elements, then `Encrypt`. */
function compatibleBody(plain: string): string {
  return plain.replace('</xml>', `<Encrypt><![CDATA[${f2.encrypt}]]></Encrypt>\n</xml>`)
}

describe('verifyPush', () => {
  it('accepts F2 and hands on the document exactly as it was sealed', () => {
    const input = f2Input()
    const push = acceptedBy(verifyPush(input))
    expect(push).toMatchObject({
      account: input.account,
      document: SUBSCRIBE_DOCUMENT,
      timestamp: '1767312002',
      keyUsed: 'current',
      receivedAt: input.now,
    })
    expect(push.fields.Event).toBe('subscribe')
  })

  it('accepts F3 with the previous key, and says so', () => {
    const push = vectorPush(sealedVector('F3'))
    expect(acceptedBy(verifyPush(pushInput(push, withPrevious))).keyUsed).toBe('previous')
    expect(reasonOf(verifyPush(pushInput(push)))).toBe('not_decryptable')
  })

  it('accepts the previous Token, and says so', () => {
    const previousCallbackKey = { token: 'OldToken1', aesKey: OFFICIAL_ACCOUNT.previousAesKey }
    const sealed = sealPush(SUBSCRIBE_DOCUMENT, { token: 'OldToken1' })
    expect(acceptedBy(verifyPush(pushInput(sealed, { previousCallbackKey }))).keyUsed).toBe(
      'previous',
    )
    const plain = plainPush(SUBSCRIBE_DOCUMENT, { token: 'OldToken1' })
    const account: Partial<Account> = { mode: 'plain', previousCallbackKey }
    expect(acceptedBy(verifyPush(pushInput(plain, account))).keyUsed).toBe('previous')
  })

  it('accepts F2c in compatible mode', () => {
    const body = compatibleBody(SUBSCRIBE_DOCUMENT)
    const push = acceptedBy(verifyPush(f2Input({ account: { mode: 'compatible' }, body })))
    expect(push.document).toBe(SUBSCRIBE_DOCUMENT)
  })

  it('believes only the sealed part of F2x, whose plain part says unsubscribe', () => {
    const plain = changedDocument('[subscribe]', '[unsubscribe]')
    const input = f2Input({ account: { mode: 'compatible' }, body: compatibleBody(plain) })
    expect(acceptedBy(verifyPush(input)).fields.Event).toBe('subscribe')
  })

  it('accepts F15 in plain mode, with encrypt_type absent or raw', () => {
    const { timestamp, nonce, signature } = SIGNED_REQUESTS[3]
    const push = { query: { timestamp, nonce, signature }, body: `\uFEFF${SUBSCRIBE_DOCUMENT}` }
    const accepted = acceptedBy(verifyPush(pushInput(push, { mode: 'plain' })))
    expect(accepted).toMatchObject({ keyUsed: 'none', document: SUBSCRIBE_DOCUMENT })
    const raw = { ...push, query: { ...push.query, encrypt_type: 'raw' } }
    expect(reasonOf(verifyPush(pushInput(raw, { mode: 'plain' })))).toBe('accepted')
  })

  it.each([
    ['white space around Encrypt', { body: outerXml(`\n  ${f2.encrypt}\n`) }],
    ['a byte order mark', { body: `\uFEFF${outerXml(f2.encrypt)}` }],
    ['Encrypt outside CDATA', { body: `<xml><Encrypt>${f2.encrypt}</Encrypt></xml>` }],
    ['another outer ToUserName', { body: outerXml(f2.encrypt).replace('gh_5c1e', 'gh_0000') }],
    ['parameters we do not know', { query: { openid: 'x', 'a[b]': 'y' } }],
  ])('accepts F2 with %s', (_, changes) => {
    expect(reasonOf(verifyPush(f2Input(changes)))).toBe('accepted')
  })

  it.each([
    ['64-bit ids and ids that look like numbers', '<MsgId>4561255354251345929</MsgId><Id>1e5</Id>'],
    ['an emoji', '<Content><![CDATA[退订 👋]]></Content>'],
    ['a split ]]>', '<Content><![CDATA[a]]]]><![CDATA[>b]]></Content>'],
    ['a DOCTYPE that a person typed', '<Content><![CDATA[<!DOCTYPE html>]]></Content>'],
    ['a space before an identifier', '<InfoType> <![CDATA[x]]></InfoType>'],
  ])('hands on %s untouched', (_, element) => {
    const document = changedDocument('</xml>', `${element}</xml>`)
    expect(acceptedBy(verifyPush(pushInput(sealPush(document)))).document).toBe(document)
  })

  it.each([
    [600, 'accepted'],
    [-600, 'accepted'],
    [601, 'stale'],
    [-601, 'stale'],
  ])('finds a push %i s away %s', (seconds, expected) => {
    const now = new Date((Number(f2.timestamp) + seconds) * 1000)
    expect(reasonOf(verifyPush(f2Input({ now })))).toBe(expected)
  })

  it('accepts any age where the setting is 0', () => {
    const settings = { ...DEFAULT_SETTINGS, freshness_seconds: 0 }
    const now = new Date('2030-01-01T00:00:00Z')
    expect(reasonOf(verifyPush(f2Input({ account: { settings }, now })))).toBe('accepted')
  })

  const sealed = (from: string, to: string) => pushInput(sealPush(changedDocument(from, to)))
  const refused = (name: string) => {
    const vector = REFUSED.find((candidate) => candidate.name === name)!
    return pushInput(vectorPush(vector), withPrevious)
  }
  const without = (name: string) => f2Input({ query: { [name]: undefined } })
  const plain = (body: string) => pushInput(plainPush(body), { mode: 'plain' })
  const half = Buffer.from('退').subarray(0, 2)

  /** Each starts from a push that is accepted and breaks one thing. */
  const broken: readonly (readonly [string, string, PushInput])[] = [
    ['duplicated_parameter', 'nonce twice', f2Input({ query: { nonce: [f2.nonce, f2.nonce] } })],
    ['duplicated_parameter', 'a nested nonce', f2Input({ query: { nonce: { a: f2.nonce } } })],
    [
      'duplicated_parameter',
      'msg_signature twice',
      f2Input({ query: { msg_signature: ['', ''] } }),
    ],
    ['missing_parameter', 'no nonce', without('nonce')],
    ['missing_parameter', 'no timestamp', without('timestamp')],
    ['missing_parameter', 'an empty nonce', f2Input({ query: { nonce: '' } })],
    ['not_encrypted', 'no encrypt_type', without('encrypt_type')],
    ['not_encrypted', 'no msg_signature', without('msg_signature')],
    ['not_encrypted', 'encrypt_type raw', f2Input({ query: { encrypt_type: 'raw' } })],
    ['not_encrypted', 'encrypt_type AES', f2Input({ query: { encrypt_type: 'AES' } })],
    ['not_encrypted', 'a plain push', pushInput(plainPush(SUBSCRIBE_DOCUMENT))],
    [
      'not_encrypted',
      'a plain push in compatible mode',
      pushInput(plainPush(SUBSCRIBE_DOCUMENT), { mode: 'compatible' }),
    ],
    ['unexpected_encryption', 'F2 in plain mode', f2Input({ account: { mode: 'plain' } })],
    [
      'bad_signature',
      'another digit',
      f2Input({ query: { msg_signature: `f${f2.msgSignature.slice(1)}` } }),
    ],
    [
      'bad_signature',
      'signature in its place',
      f2Input({ query: { msg_signature: f2.signature } }),
    ],
    ['bad_signature', 'no value', f2Input({ query: { msg_signature: '0'.repeat(40) } })],
    ['bad_signature', 'another timestamp', f2Input({ query: { timestamp: '1767312003' } })],
    ['bad_signature', 'another Encrypt', f2Input({ body: outerXml(sealedVector('F3').encrypt) })],
    [
      'bad_signature',
      'a plain push',
      pushInput(plainPush(SUBSCRIBE_DOCUMENT, { token: 'x' }), { mode: 'plain' }),
    ],
    [
      'bad_timestamp',
      'letters, signed',
      pushInput(sealPush(SUBSCRIBE_DOCUMENT, { timestamp: 'soon' })),
    ],
    [
      'bad_timestamp',
      'milliseconds, signed',
      pushInput(sealPush(SUBSCRIBE_DOCUMENT, { timestamp: '1767312002000' })),
    ],
    [
      'bad_timestamp',
      'a sign, signed',
      pushInput(sealPush(SUBSCRIBE_DOCUMENT, { timestamp: '+176731200' })),
    ],
    ['stale', 'an hour old', f2Input({ now: new Date((Number(f2.timestamp) + 3600) * 1000) })],
    [
      'bad_encoding',
      'a cut character',
      f2Input({ body: Buffer.concat([Buffer.from(outerXml(f2.encrypt)), half]) }),
    ],
    ['bad_document', 'no body', f2Input({ body: '' })],
    ['bad_document', 'JSON', f2Input({ body: JSON.stringify({ Encrypt: f2.encrypt }) })],
    ['bad_document', 'a root left open', f2Input({ body: outerXml(f2.encrypt).slice(0, -1) })],
    ['bad_document', 'plain mode, no XML', plain('hello')],
    ['doctype', 'outer DOCTYPE', f2Input({ body: `<!DOCTYPE xml>${outerXml(f2.encrypt)}` })],
    ['doctype', 'N5', refused('N5')],
    ['doctype', 'plain mode', plain(`<!DOCTYPE xml>${SUBSCRIBE_DOCUMENT}`)],
    ['missing_encrypt', 'no Encrypt', f2Input({ body: SUBSCRIBE_DOCUMENT })],
    ['missing_encrypt', 'an empty Encrypt', f2Input({ body: outerXml(' ') })],
    [
      'missing_encrypt',
      'fields in Encrypt',
      f2Input({ body: '<xml><Encrypt><a>1</a></Encrypt></xml>' }),
    ],
    [
      'duplicated_field',
      'Encrypt twice',
      f2Input({ body: outerXml(f2.encrypt).replace('</xml>', '<Encrypt/></xml>') }),
    ],
    ['bad_ciphertext', 'not base64', pushInput(signEncrypt('***'))],
    ['bad_ciphertext', 'half a block', pushInput(signEncrypt(Buffer.alloc(48).toString('base64')))],
    ['not_decryptable', 'N2: a foreign key', refused('N2')],
    ['not_decryptable', 'N3: the length field', refused('N3')],
    ['not_decryptable', 'N4: the padding', refused('N4')],
    [
      'not_decryptable',
      'our own with a foreign key',
      pushInput(sealPush(SUBSCRIBE_DOCUMENT, { aesKey: FOREIGN_AES_KEY })),
    ],
    ['wrong_receive_id', 'N1', refused('N1')],
    ['wrong_receive_id', 'no id', pushInput(sealPush(SUBSCRIBE_DOCUMENT, { receiveId: '' }))],
    ['bad_message', 'text', pushInput(sealPush('hello'))],
    ['bad_message', 'JSON', pushInput(sealPush('{"MsgType":"event"}'))],
    ['bad_message', 'U+0000', sealed('spring', '\0')],
    ['bad_message', 'a root left open', sealed('</xml>', '<xml>')],
    ['wrong_to_user_name', 'another account', sealed('gh_5c1e8a2b7d90', 'gh_5c1e8a2b7d91')],
    ['wrong_to_user_name', 'another case', sealed('gh_5c1e8a2b7d90', 'GH_5c1e8a2b7d90')],
    ...['ToUserName', 'FromUserName', 'CreateTime', 'MsgType', 'Event', 'OpenID'].map(
      (name) =>
        [
          'duplicated_field',
          `${name} twice`,
          sealed('</xml>', `<${name}>x</${name}><${name}>x</${name}></xml>`),
        ] as const,
    ),
    ...['ToUserName', 'FromUserName', 'CreateTime', 'MsgType'].map(
      (name) => ['missing_field', `no ${name}`, pushInput(sealPush(withoutElement(name)))] as const,
    ),
    ['missing_field', 'an empty MsgType', sealed('[event]', '[ ]')],
    ['missing_field', 'fields in MsgType', sealed('<![CDATA[event]]>', '<a>event</a>')],
  ]

  it.each(broken)('refuses with %s: %s', (reason, _, input) => {
    expect(reasonOf(verifyPush(input))).toBe(reason)
  })

  it('has a broken push for every reason that does not come from HTTP itself', () => {
    const fromHttp = [
      'unknown_account',
      'method_not_allowed',
      'too_large',
      'slow_body',
      'incomplete_body',
    ]
    // Shown in receive-kinds.test.ts: an Official Account has none.
    const ofOtherKinds = ['unknown_authorizer']
    const reasons = new Set([...fromHttp, ...ofOtherKinds, ...broken.map(([reason]) => reason)])
    expect([...reasons].sort()).toEqual(Object.keys(REFUSALS).sort())
  })

  it('shows of a wrong id and a wrong addressee their beginnings only', () => {
    expect(verifyPush(refused('N1'))).toMatchObject({
      refusal: { detail: 'expected wx7f3a…, got wx0000…' },
    })
    const other = sealed('gh_5c1e8a2b7d90', 'gh_\n"x')
    expect(verifyPush(other)).toMatchObject({
      refusal: { detail: 'expected gh_5c1…, got gh_??x' },
    })
  })

  it('says of a stale push how far its time is from ours', () => {
    const now = new Date((Number(f2.timestamp) + 3600) * 1000)
    expect(verifyPush(f2Input({ now }))).toMatchObject({
      refusal: { detail: '3600 s behind our clock, 600 s allowed' },
    })
  })
})

describe('verifyHandshake', () => {
  const f1 = SIGNED_REQUESTS[2]
  const { timestamp, nonce, signature, echostr } = f1

  function shake(query: Record<string, unknown> = {}, changes: Partial<Account> = {}) {
    const account = testAccount(changes)
    const now = justAfter(timestamp)
    const whole = { timestamp, nonce, signature, echostr, ...query }
    return verifyHandshake({ account, keys: prepareKeys(account), query: whole, now })
  }

  it.each(['safe', 'compatible', 'plain'] as const)('answers F1 in %s mode', (mode) => {
    expect(shake({}, { mode })).toEqual({ ok: true, echostr })
  })

  it('answers P1, as the platform publishes it', () => {
    const p1 = SIGNED_REQUESTS[0]
    const account = testAccount({ callbackKey: { token: p1.token, aesKey: 'A'.repeat(43) } })
    const input = {
      account,
      keys: prepareKeys(account),
      query: { ...p1 },
      now: justAfter(p1.timestamp),
    }
    const { name: _name, token: _token, ...query } = p1
    expect(verifyHandshake({ ...input, query })).toEqual({ ok: true, echostr: p1.echostr })
  })

  it('answers under the previous Token', () => {
    const callbackKey = { token: 'NewToken1', aesKey: FOREIGN_AES_KEY }
    const previousCallbackKey = { token: f1.token, aesKey: OFFICIAL_ACCOUNT.aesKey }
    expect(shake({}, { callbackKey, previousCallbackKey }).ok).toBe(true)
    expect(shake({}, { callbackKey }).ok).toBe(false)
  })

  it.each([
    ['missing_parameter', { echostr: undefined }],
    ['missing_parameter', { signature: undefined }],
    ['duplicated_parameter', { echostr: [echostr, echostr] }],
    ['bad_signature', { signature: signature.replace('9', '8') }],
    ['bad_signature', { nonce: '1' }],
  ])('refuses with %s: %j', (reason, query) => {
    expect(shake(query)).toMatchObject({ ok: false, refusal: { reason } })
  })

  it('refuses an old request', () => {
    const account = testAccount()
    const query = { timestamp, nonce, signature, echostr }
    const now = new Date((Number(timestamp) + 601) * 1000)
    expect(verifyHandshake({ account, keys: prepareKeys(account), query, now })).toMatchObject({
      refusal: { reason: 'stale' },
    })
  })
})

describe('prepareKeys', () => {
  it('throws where the mode needs a key that is not there', () => {
    const callbackKey = { token: 'x', aesKey: null }
    expect(() => prepareKeys(testAccount({ callbackKey }))).toThrow(InvariantError)
    expect(prepareKeys(testAccount({ callbackKey, mode: 'plain' })).envelope).toBeNull()
  })
})

function withoutElement(name: string): string {
  return SUBSCRIBE_DOCUMENT.replace(new RegExp(`<${name}>.*</${name}>`), '')
}
