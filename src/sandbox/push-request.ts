import { prepareKey, sealEnvelope, type EnvelopeKey } from '../receiver/message-crypto.ts'
import { signMessage, signRequest } from '../receiver/signature.ts'
import { cdata } from '../receiver/xml.ts'
import type { Tampering } from './inputs.ts'
import type { Randomness } from './randomness.ts'

/** One push as it leaves: the same for every repeat of it. */
export interface PushRequest {
  readonly url: string
  readonly body: string
}

export interface PushInput {
  readonly callbackUrl: string
  readonly mode: 'safe' | 'compatible' | 'plain'
  readonly token: string
  /** Null only in plain mode. */
  readonly key: EnvelopeKey | null
  readonly receiveId: string
  readonly originalId: string
  readonly openid: string | undefined
  readonly document: string
  readonly timestamp: string
  readonly nonce: string
  readonly tamper: Tampering | undefined
}

/** What “stale” means here: a day; receivers are advised to refuse far less. */
const STALE_SECONDS = 86_400

/**
 * The signed request for a document in the account's mode (callbacks.md §3.1).
 *
 * Nothing is encrypted in plain mode, so there a wrong receive id or a foreign key is a wrong
 * signature instead.
 */
export function makePushRequest(input: PushInput, random: Randomness): PushRequest {
  const { tamper, nonce } = input
  const timestamp =
    tamper === 'stale_timestamp' ? String(Number(input.timestamp) - STALE_SECONDS) : input.timestamp
  const encrypt = input.mode === 'plain' || !input.key ? undefined : seal(input, input.key, random)
  const forged =
    tamper === 'bad_signature' ||
    (encrypt === undefined && (tamper === 'wrong_receive_id' || tamper === 'foreign_key'))
  const token = forged ? `${input.token}x` : input.token

  const query: [string, string][] = [
    ['signature', signRequest(token, timestamp, nonce)],
    ['timestamp', timestamp],
    ['nonce', nonce],
  ]
  if (input.openid !== undefined) query.push(['openid', input.openid])
  if (encrypt !== undefined) {
    query.push(['encrypt_type', 'aes'])
    query.push(['msg_signature', signMessage({ token, timestamp, nonce, encrypt })])
  }
  const sent = tamper === 'unsigned' ? query.filter(([name]) => !name.endsWith('signature')) : query
  return { url: withQuery(input.callbackUrl, sent), body: writeBody(input, encrypt) }
}

/** The GET that the platform makes when somebody saves the callback's address on its page. */
export function makeHandshakeUrl(
  input: Pick<PushInput, 'callbackUrl' | 'token' | 'timestamp' | 'nonce'>,
  echostr: string,
): string {
  const { callbackUrl, token, timestamp, nonce } = input
  return withQuery(callbackUrl, [
    ['signature', signRequest(token, timestamp, nonce)],
    ['echostr', echostr],
    ['timestamp', timestamp],
    ['nonce', nonce],
  ])
}

function seal(input: PushInput, key: EnvelopeKey, random: Randomness): string {
  const foreign = () => prepareKey(random.hex(43))
  return sealEnvelope({
    message: input.document,
    receiveId: input.tamper === 'wrong_receive_id' ? 'wx0000000000000000' : input.receiveId,
    key: input.tamper === 'foreign_key' ? foreign() : key,
    random: random.bytes(16),
  })
}

function writeBody(input: PushInput, encrypt: string | undefined): string {
  if (encrypt === undefined) return input.document
  const sealed = `<Encrypt>${cdata(encrypt)}</Encrypt>`
  if (input.mode === 'compatible') {
    return input.document.replace(/<\/xml>\s*$/, () => `${sealed}\n</xml>`)
  }
  const to = `<ToUserName>${cdata(input.originalId)}</ToUserName>`
  return `<xml>\n    ${to}\n    ${sealed}\n</xml>\n`
}

function withQuery(url: string, parameters: readonly [string, string][]): string {
  const target = new URL(url)
  for (const [name, value] of parameters) target.searchParams.append(name, value)
  return target.href
}
