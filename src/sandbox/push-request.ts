import { prepareKey, sealEnvelope, type EnvelopeKey } from '../receiver/message-crypto.ts'
import { signMessage, signRequest } from '../receiver/signature.ts'
import { cdata } from '../receiver/xml.ts'
import type { Tampering } from './inputs.ts'
import type { PushPlace } from './push-place.ts'
import type { Randomness } from './randomness.ts'
import { sealDamaged } from './raw-envelope.ts'

/** One push as it leaves: the same for every repeat of it. */
export interface PushRequest {
  readonly url: string
  readonly body: string
}

export interface PushInput {
  readonly place: PushPlace
  readonly url: string
  readonly openid: string | undefined
  readonly document: string
  readonly timestamp: string
  readonly nonce: string
  readonly tamper: Tampering | undefined
}

/** What “stale” means here: a day; receivers are advised to refuse far less. */
const STALE_SECONDS = 86_400
/** No platform gives this id to anybody. */
const NOBODY = 'wx0000000000000000'

/** Tamperings that need an envelope: without one they are a bad signature. */
const OF_THE_ENVELOPE: ReadonlySet<Tampering> = new Set([
  'wrong_receive_id',
  'related_receive_id',
  'empty_receive_id',
  'foreign_key',
  'downgraded',
  'plain_signature',
  'broken_length',
  'broken_padding',
])

/**
 * The signed request for a document in the callback's mode (callbacks.md §3).
 *
 * Nothing is encrypted in plain mode, so there everything that is wrong with an envelope is a wrong
 * signature instead; so is another path where the callback has one alone.
 */
export function makePushRequest(input: PushInput, random: Randomness): PushRequest {
  const { tamper, place } = input
  const document = tamper === 'doctype' ? withDoctype(input.document) : input.document
  const { key } = place
  const encrypt =
    place.mode === 'plain' || !key ? undefined : seal({ ...input, document }, key, random)
  const query = makeQuery(input, encrypt)
  const url = tamper === 'other_path' ? (place.otherUrl ?? input.url) : input.url
  const bare = tamper === 'downgraded' || encrypt === undefined
  return { url: withQuery(url, query), body: bare ? document : writeBody(place, document, encrypt) }
}

function makeQuery(input: PushInput, encrypt: string | undefined): [string, string][] {
  const { tamper, nonce, place, openid } = input
  const timestamp =
    tamper === 'stale_timestamp' ? String(Number(input.timestamp) - STALE_SECONDS) : input.timestamp
  const token = isForged(input, encrypt) ? `${place.token}x` : place.token
  const signature = signRequest(token, timestamp, nonce)
  const query: [string, string][] = [
    ['timestamp', timestamp],
    ['nonce', nonce],
  ]
  if (tamper === 'repeated_parameter') query.push(['nonce', nonce])
  if (place.query === 'official') query.unshift(['signature', signature])
  if (place.query === 'official' && openid !== undefined) query.push(['openid', openid])
  if (encrypt !== undefined && tamper !== 'downgraded') {
    const whole = signMessage({ token, timestamp, nonce, encrypt })
    const wanted: [string, string] = [
      'msg_signature',
      tamper === 'plain_signature' ? signature : whole,
    ]
    if (place.query === 'wecom') query.unshift(wanted)
    else query.push(['encrypt_type', 'aes'], wanted)
  }
  return tamper === 'unsigned' ? query.filter(([name]) => !name.endsWith('signature')) : query
}

function isForged({ tamper, place }: PushInput, encrypt: string | undefined): boolean {
  if (tamper === 'bad_signature') return true
  if (tamper === 'other_path') return place.otherUrl === null
  return tamper !== undefined && encrypt === undefined && OF_THE_ENVELOPE.has(tamper)
}

/** The GET that the platform makes when somebody saves the callback's address on its page. */
export function makeHandshakeUrl(
  input: {
    readonly url: string
    readonly place: PushPlace
    /** What stands behind the `echostr` of WeCom; a suite’s is the provider’s corpid. */
    readonly receiveId: string
    readonly timestamp: string
    readonly nonce: string
  },
  echostr: string,
  random: Randomness,
): string {
  const { url, place, receiveId, timestamp, nonce } = input
  const { token, key } = place
  const when: [string, string][] = [
    ['timestamp', timestamp],
    ['nonce', nonce],
  ]
  if (place.query === 'wecom' && key) {
    const encrypt = sealEnvelope({ message: echostr, receiveId, key, random: random.bytes(16) })
    const signed = signMessage({ token, timestamp, nonce, encrypt })
    return withQuery(url, [['msg_signature', signed], ...when, ['echostr', encrypt]])
  }
  const signature = signRequest(token, timestamp, nonce)
  return withQuery(url, [['signature', signature], ['echostr', echostr], ...when])
}

function seal({ tamper, place, document }: PushInput, key: EnvelopeKey, random: Randomness) {
  const foreign = () => prepareKey(random.hex(43))
  const sealed = {
    message: document,
    receiveId: receiveIdOf(place, tamper),
    key: tamper === 'foreign_key' ? foreign() : key,
    random: random.bytes(16),
  }
  return tamper === 'broken_length' || tamper === 'broken_padding'
    ? sealDamaged({ ...sealed, damage: tamper })
    : sealEnvelope(sealed)
}

function receiveIdOf(place: PushPlace, tamper: Tampering | undefined): string {
  if (tamper === 'wrong_receive_id') return NOBODY
  if (tamper === 'related_receive_id') return place.relatedReceiveId
  return tamper === 'empty_receive_id' ? '' : place.receiveId
}

/** A document type with an entity, which no platform writes and no receiver may read. */
function withDoctype(document: string): string {
  return `<!DOCTYPE xml [<!ENTITY e "subscribe">]>${document}`
}

function writeBody(place: PushPlace, document: string, encrypt: string): string {
  const fields = [...place.outer, ['Encrypt', encrypt] as const]
  if (place.format === 'json') {
    const sealed = JSON.stringify({ Encrypt: encrypt })
    if (place.mode === 'compatible') {
      return document.replace(/\}\s*$/, () => `,${sealed.slice(1)}`)
    }
    return JSON.stringify(Object.fromEntries(fields))
  }
  if (place.mode === 'compatible') {
    const sealed = `<Encrypt>${cdata(encrypt)}</Encrypt>`
    return document.replace(/<\/xml>\s*$/, () => `${sealed}\n</xml>`)
  }
  const written = fields.map(([name, text]) => `    <${name}>${cdata(text)}</${name}>\n`)
  return `<xml>\n${written.join('')}</xml>\n`
}

function withQuery(url: string, parameters: readonly [string, string][]): string {
  const target = new URL(url)
  for (const [name, value] of parameters) target.searchParams.append(name, value)
  return target.href
}
