import { createHash, randomInt } from 'node:crypto'
import { prepareKey, sealEnvelope, type EnvelopeKey } from '../src/receiver/message-crypto.ts'
import { signMessage, signRequest } from '../src/receiver/signature.ts'
import { cdata } from '../src/receiver/xml.ts'
import { writeEvent, writeText } from '../src/sandbox/documents.ts'

/** The one account of a run, as both sides know it. None of it is a secret: it is all invented. */
export const ACCOUNT = {
  name: 'bench',
  appId: 'wxbe0c4b7a91d35f26',
  originalId: 'gh_be0c4b7a91d3',
  token: 'BenchTokenOfNobody',
  aesKey: 'BenchKeyOfNobodyBenchKeyOfNobodyBenchKeyOfA',
  secret: 'be0c4b7a91d35f26be0c4b7a91d35f26',
}

/** Where all servers of a run take their pushes. */
export const CALLBACK_PATH = `/callbacks/${ACCOUNT.name}`

/**
 * The openid of the person with this number. It looks like the platform's: 28 characters without
 * order, so that neighbours by number are no neighbours in an index. `seed.ts` makes the same in SQL.
 */
export function openidOf(person: number): string {
  return `o${createHash('sha256').update(String(person)).digest('base64url').slice(0, 27)}`
}

/** What people do: in turn a text message, a follow and an unfollow, or nothing but write. */
export type PushMix = 'mixed' | 'messages'

export interface PushMaker {
  /** A whole HTTP request, signed and sealed at this moment; never the same twice. */
  next(): Buffer
}

/**
 * Makes pushes in safe mode, each of a person drawn from `people`. Every document differs from every
 * other, those of other makers included.
 *
 * @param options.people how many people there are; numbers from 0.
 */
export function createPushMaker(options: {
  readonly people: number
  readonly mix: PushMix
}): PushMaker {
  const writeDocument = options.mix === 'mixed' ? writeInTurn : writeMessage
  const key = prepareKey(ACCOUNT.aesKey)
  const maker = randomInt(1_000_000, 9_999_999)
  const openids = new Map<number, string>()
  let made = 0

  function openid(): string {
    const person = randomInt(options.people)
    const known = openids.get(person) ?? openidOf(person)
    // Ten thousand are worth remembering, ten million are not.
    if (openids.size < 100_000) openids.set(person, known)
    return known
  }

  return {
    next() {
      const number = made++
      const nowSeconds = Math.floor(Date.now() / 1000)
      const head = { originalId: ACCOUNT.originalId, openid: openid(), at: nowSeconds }
      return request(seal(key, writeDocument(head, number, maker), String(nowSeconds)))
    },
  }
}

type Head = Parameters<typeof writeEvent>[0]

function writeMessage(head: Head, number: number, maker: number): string {
  const text = `你好，请问订单 ${maker}_${number} 什么时候发货？`
  return writeText(head, text, `${maker}${1e9 + number}`)
}

function writeInTurn(head: Head, number: number, maker: number): string {
  const mark = `${maker}_${number}`
  switch (number % 3) {
    case 0:
      return writeMessage(head, number, maker)
    case 1:
      return writeEvent(head, 'subscribe', [{ name: 'EventKey', text: `qrscene_${mark}` }])
    default:
      return writeEvent(head, 'unsubscribe', [{ name: 'EventKey', text: mark }])
  }
}

interface SealedPush {
  readonly query: string
  readonly body: string
}

function seal(key: EnvelopeKey, document: string, timestamp: string): SealedPush {
  const { token, appId, originalId } = ACCOUNT
  const nonce = String(randomInt(1_000_000_000, 2_000_000_000))
  const encrypt = sealEnvelope({ message: document, receiveId: appId, key })
  const query =
    `signature=${signRequest(token, timestamp, nonce)}&timestamp=${timestamp}&nonce=${nonce}` +
    `&encrypt_type=aes&msg_signature=${signMessage({ token, timestamp, nonce, encrypt })}`
  const to = `<ToUserName>${cdata(originalId)}</ToUserName>`
  return { query, body: `<xml>${to}<Encrypt>${cdata(encrypt)}</Encrypt></xml>` }
}

function request({ query, body }: SealedPush): Buffer {
  const lines = [
    `POST ${CALLBACK_PATH}?${query} HTTP/1.1`,
    'Host: 127.0.0.1',
    'User-Agent: Mozilla/4.0',
    'Accept: */*',
    'Content-Type: text/xml',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: keep-alive',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
