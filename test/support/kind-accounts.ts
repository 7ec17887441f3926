import type { Account } from '../../src/accounts/account.ts'
import { prepareKeys } from '../../src/receiver/callback-keys.ts'
import { prepareKey, sealEnvelope } from '../../src/receiver/message-crypto.ts'
import type { PushInput, Tenant } from '../../src/receiver/receive-push.ts'
import { signMessage, signRequest } from '../../src/receiver/signature.ts'
import { cdata } from '../../src/receiver/xml.ts'
import {
  COMPONENT,
  MINI_PROGRAM,
  OFFICIAL_ACCOUNT,
  SUITE,
  WECOM_APP,
  type SealedVector,
} from '../fixtures/vectors.ts'
import { justAfter, testAccount } from './sealed-pushes.ts'

/** One account of each kind, with the ids and keys of the fixtures. */
export const KIND_ACCOUNTS = {
  official_account: testAccount(),
  mini_program: kindAccount('mini_program', MINI_PROGRAM, { originalId: MINI_PROGRAM.originalId }),
  component: kindAccount('component', COMPONENT),
  authorizer: testAccount({
    ...{ id: 12, name: 'merchant', kind: 'authorizer', parentId: 11 },
    ...{ serves: 'official_account', callbackKey: null },
  }),
  wecom_app: kindAccount('wecom_app', WECOM_APP, { agentId: WECOM_APP.agentId }),
  wecom_kf: kindAccount('wecom_kf', WECOM_APP),
  wecom_suite: kindAccount('wecom_suite', SUITE, { providerCorpId: SUITE.providerCorpId }),
  wecom_authorizer: {
    ...kindAccount('wecom_authorizer', { ...WECOM_APP }),
    ...{ id: 14, parentId: 13, callbackKey: null },
  },
} as const satisfies Record<Account['kind'], Account>

function kindAccount(
  kind: Account['kind'],
  side: { readonly appId: string; readonly token: string; readonly aesKey: string },
  more: Partial<Account> = {},
): Account {
  const { appId, token, aesKey } = side
  const callbackKey = { token, aesKey }
  return testAccount({ id: 11, name: kind, kind, appId, originalId: null, callbackKey, ...more })
}

/** The requests that a receiver of this account would be given, at the hour of the push. */
export function inputFor(
  account: Account,
  push: { readonly query: Record<string, string>; readonly body?: string },
  tenant?: Tenant,
): PushInput {
  return {
    account,
    keys: prepareKeys(account),
    query: push.query,
    body: Buffer.from(push.body ?? ''),
    now: justAfter(push.query.timestamp ?? ''),
    tenant,
  }
}

/** How the platform of an account seals a document and says so in the query. */
export function sealFor(
  account: Account,
  document: string,
  receiveId: string,
): { readonly query: Record<string, string>; readonly body: string } {
  const { token = '', aesKey } = account.callbackKey ?? {}
  const encrypt = sealEnvelope({ message: document, receiveId, key: prepareKey(aesKey ?? '') })
  const [timestamp, nonce] = ['1767312002', '1304958672']
  const isWecom = account.kind.startsWith('wecom')
  const query = {
    timestamp,
    nonce,
    msg_signature: signMessage({ token, timestamp, nonce, encrypt }),
    ...(!isWecom && { signature: signRequest(token, timestamp, nonce), encrypt_type: 'aes' }),
  }
  return { query, body: outerDocument(account, encrypt) }
}

/** A vector as it comes over HTTP to an account. */
export function vectorFor(account: Account, vector: SealedVector) {
  const { timestamp, nonce, msgSignature: msg_signature, signature, encrypt } = vector
  const query = {
    ...{ timestamp, nonce, msg_signature },
    ...(signature !== undefined && { signature, encrypt_type: 'aes' }),
  }
  return { query, body: outerDocument(account, encrypt) }
}

/** The `echostr` of WeCom, sealed and signed. */
export function sealedHandshake(account: Account, echostr: string, receiveId: string) {
  const { query, body } = sealFor(account, echostr, receiveId)
  const encrypt = /<Encrypt><!\[CDATA\[(.*)\]\]>/.exec(body)?.[1] ?? ''
  return { ...query, echostr: encrypt }
}

/** A handshake of a vector. */
export function vectorHandshake({ timestamp, nonce, msgSignature, encrypt }: SealedVector) {
  return { timestamp, nonce, msg_signature: msgSignature, echostr: encrypt }
}

/** The plain handshake of WeChat. */
export function plainHandshake(account: Account, echostr: string) {
  const [timestamp, nonce] = ['1767312002', '1304958672']
  const signature = signRequest(account.callbackKey?.token ?? '', timestamp, nonce)
  return { timestamp, nonce, signature, echostr }
}

function outerDocument({ bodyFormat, appId }: Account, encrypt: string): string {
  return bodyFormat === 'json'
    ? JSON.stringify({ ToUserName: appId, Encrypt: encrypt })
    : `<xml><ToUserName>${cdata(appId)}</ToUserName><Encrypt>${cdata(encrypt)}</Encrypt></xml>`
}

/** An event of the fixtures' OA, for whoever receives it. */
export const FOLLOW = [
  `<xml><ToUserName>${OFFICIAL_ACCOUNT.originalId}</ToUserName>`,
  '<FromUserName>oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa</FromUserName><CreateTime>1767312000</CreateTime>',
  '<MsgType>event</MsgType><Event>subscribe</Event></xml>',
].join('')

/** An event of a corp; `agent` is the element that names the application, or nothing. */
export function wecomEvent(corpId: string, agent = ''): string {
  return [
    `<xml><ToUserName>${corpId}</ToUserName><FromUserName>LiXiaoMing</FromUserName>`,
    '<CreateTime>1767312000</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>',
    `${agent}</xml>`,
  ].join('')
}
