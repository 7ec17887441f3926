import { DEFAULT_SETTINGS, type Account } from '../../src/accounts/account.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import { prepareKey, sealEnvelope } from '../../src/receiver/message-crypto.ts'
import type { PushInput } from '../../src/receiver/receive-push.ts'
import { signMessage, signRequest } from '../../src/receiver/signature.ts'
import { cdata } from '../../src/receiver/xml.ts'
import { OFFICIAL_ACCOUNT, SUBSCRIBE_DOCUMENT, sealedVector } from '../fixtures/vectors.ts'

/** An account of the fixtures, with what a test changes about it. */
export function testAccount(changes: Partial<Account> = {}): Account {
  return {
    id: 1,
    name: 'acme',
    kind: 'official_account',
    appId: OFFICIAL_ACCOUNT.appId,
    originalId: OFFICIAL_ACCOUNT.originalId,
    agentId: null,
    providerCorpId: null,
    parentId: null,
    serves: null,
    mode: 'safe',
    bodyFormat: 'xml',
    callbackKey: { token: OFFICIAL_ACCOUNT.token, aesKey: OFFICIAL_ACCOUNT.aesKey },
    previousCallbackKey: null,
    settings: DEFAULT_SETTINGS,
    ...changes,
  }
}

/** A moment shortly after a timestamp in Unix seconds. */
export function justAfter(timestamp: string): Date {
  return new Date(Number(timestamp) * 1000 + 2_500)
}

export function outerXml(encrypt: string): string {
  const to = cdata(OFFICIAL_ACCOUNT.originalId)
  return `<xml><ToUserName>${to}</ToUserName><Encrypt>${cdata(encrypt)}</Encrypt></xml>`
}

export interface SignedPush {
  readonly query: Record<string, string>
  readonly body: string
}

/** What signs and seals a push; the fixtures' account where nothing is said. */
export interface PushSeal {
  readonly token?: string
  readonly aesKey?: string
  readonly receiveId?: string
  readonly timestamp?: string
  readonly nonce?: string
}

/** A document sealed and signed by the production code, as safe mode posts it. */
export function sealPush(message: string, seal: PushSeal = {}): SignedPush {
  const key = prepareKey(seal.aesKey ?? OFFICIAL_ACCOUNT.aesKey)
  const encrypt = sealEnvelope({
    message,
    key,
    receiveId: seal.receiveId ?? OFFICIAL_ACCOUNT.appId,
  })
  return signEncrypt(encrypt, seal)
}

/** A push with exactly this `Encrypt`, rightly signed. */
export function signEncrypt(encrypt: string, seal: PushSeal = {}): SignedPush {
  const { token, timestamp, nonce } = signedBy(seal)
  const query = {
    signature: signRequest(token, timestamp, nonce),
    timestamp,
    nonce,
    encrypt_type: 'aes',
    msg_signature: signMessage({ token, timestamp, nonce, encrypt: encrypt.trim() }),
  }
  return { query, body: outerXml(encrypt) }
}

/** A document as plain mode posts it. */
export function plainPush(document: string, seal: PushSeal = {}): SignedPush {
  const { token, timestamp, nonce } = signedBy(seal)
  return {
    query: { signature: signRequest(token, timestamp, nonce), timestamp, nonce },
    body: document,
  }
}

function signedBy(seal: PushSeal) {
  return {
    token: seal.token ?? OFFICIAL_ACCOUNT.token,
    timestamp: seal.timestamp ?? '1767312002',
    nonce: seal.nonce ?? '1304958672',
  }
}

/** A push of the fixtures as it comes over HTTP. */
export function vectorPush(vector: {
  readonly timestamp: string
  readonly nonce: string
  readonly msgSignature: string
  readonly encrypt: string
}): SignedPush {
  const { timestamp, nonce, msgSignature: msg_signature } = vector
  const query = { timestamp, nonce, encrypt_type: 'aes', msg_signature }
  return { query, body: outerXml(vector.encrypt) }
}

/** F2 as `verifyPush` takes it, with what a test changes. */
export function f2Input(
  changes: {
    readonly account?: Partial<Account>
    readonly query?: Record<string, unknown>
    readonly body?: string | Buffer
    readonly now?: Date
  } = {},
): PushInput {
  const vector = sealedVector('F2')
  const push = vectorPush(vector)
  const account = testAccount(changes.account)
  return {
    account,
    keys: prepareKeys(account),
    query: { ...push.query, signature: vector.signature, ...changes.query },
    body: Buffer.from(changes.body ?? push.body),
    now: changes.now ?? justAfter(vector.timestamp),
  }
}

/** A push of the fixtures' account as `verifyPush` takes it. */
export function pushInput(push: SignedPush, changes: Partial<Account> = {}): PushInput {
  const account = testAccount(changes)
  const now = justAfter(push.query.timestamp ?? '')
  return {
    account,
    keys: prepareKeys(account),
    query: push.query,
    body: Buffer.from(push.body),
    now,
  }
}

/** The follow of F2 with one piece of its text replaced. */
export function changedDocument(from: string, to: string): string {
  if (!SUBSCRIBE_DOCUMENT.includes(from)) throw new Error(`the document has no ${from}`)
  return SUBSCRIBE_DOCUMENT.replace(from, to)
}
