import { randomInt } from 'node:crypto'
import { request } from 'undici'
import type { CallbackMode } from '../../src/accounts/account.ts'
import { prepareKey, sealEnvelope } from '../../src/receiver/message-crypto.ts'
import { signMessage, signRequest } from '../../src/receiver/signature.ts'
import { cdata } from '../../src/receiver/xml.ts'

/** What the platform's page shows about an account; enough to sign and seal as the platform does. */
export interface PlatformSide {
  readonly appId: string
  readonly originalId: string
  readonly token: string
  readonly aesKey: string
}

/** A push ready to be posted; its query is a list, so that a test can break one thing in it. */
export interface SignedPush {
  readonly query: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** What differs from a push of this moment in safe mode. */
export interface PushChanges {
  readonly mode?: CallbackMode
  /** Unix seconds. */
  readonly timestamp?: string
  readonly nonce?: string
  readonly receiveId?: string
  /** 16 bytes; the same ones make the same bytes again. */
  readonly random?: Buffer
}

export interface PushAnswer {
  readonly status: number
  readonly text: string
  readonly contentType: string | undefined
  /** From the start of the request to the last byte of the answer. */
  readonly tookMs: number
}

/** Signs and seals a document as the platform does; everything new each time unless it is given. */
export function signPush(
  account: PlatformSide,
  document: string,
  changes: PushChanges = {},
): SignedPush {
  const timestamp = changes.timestamp ?? String(Math.floor(Date.now() / 1000))
  const nonce = changes.nonce ?? String(randomInt(1_000_000_000, 2_000_000_000))
  const head = [
    ['signature', signRequest(account.token, timestamp, nonce)],
    ['timestamp', timestamp],
    ['nonce', nonce],
  ] as const
  const mode = changes.mode ?? 'safe'
  if (mode === 'plain') return { query: head, body: document }
  const encrypt = sealEnvelope({
    message: document,
    receiveId: changes.receiveId ?? account.appId,
    key: prepareKey(account.aesKey),
    ...(changes.random !== undefined && { random: changes.random }),
  })
  const signature = signMessage({ token: account.token, timestamp, nonce, encrypt })
  const sealed = `<Encrypt>${cdata(encrypt)}</Encrypt>`
  const to = `<ToUserName>${cdata(account.originalId)}</ToUserName>`
  return {
    query: [...head, ['encrypt_type', 'aes'], ['msg_signature', signature]],
    body:
      mode === 'safe'
        ? `<xml>${to}${sealed}</xml>`
        : document.replace(/<\/xml>\s*$/, () => `${sealed}</xml>`),
  }
}

/** Posts a push to a callback address; throws only when no answer comes. */
export async function postPush(callbackUrl: string, push: SignedPush): Promise<PushAnswer> {
  const url = new URL(callbackUrl)
  for (const [name, value] of push.query) url.searchParams.append(name, value)
  const startedMs = performance.now()
  const answer = await request(url, {
    method: 'POST',
    body: push.body,
    headers: { 'content-type': 'text/xml' },
  })
  const text = await answer.body.text()
  const tookMs = performance.now() - startedMs
  const contentType = answer.headers['content-type']
  return {
    status: answer.statusCode,
    text,
    contentType: typeof contentType === 'string' ? contentType : undefined,
    tookMs,
  }
}
