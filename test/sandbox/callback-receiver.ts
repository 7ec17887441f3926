import { createDecipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

/** What a callback received, and what a verifier that knows only the documents makes of it. */
export interface ReceivedPush {
  readonly query: URLSearchParams
  readonly body: string
  /** The document, where signature, padding and receive id are right. */
  readonly document: string | undefined
  readonly at: number
}

/** How the receiver answers its next request. */
export interface ReceiverAnswer {
  readonly status?: number
  readonly body?: string
  readonly delayMs?: number
}

export const TOKEN = 'sandboxToken'
export const AES_KEY = 'kQ7mZx2Lp9Rv4Tn8Wc1Yb6Hd3Jf5Gs0AaEeUuIiOoPx'

/** Where an account's pushes go in these tests; verifies with node:crypto alone. */
export async function startReceiver(appId: string) {
  const pushes: ReceivedPush[] = []
  const answers: ReceiverAnswer[] = []
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://receiver').searchParams
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      pushes.push({ query, body, document: verify(query, body, appId), at: performance.now() })
      const {
        status = 200,
        body: text = query.get('echostr') ?? 'success',
        delayMs = 0,
      } = answers.shift() ?? {}
      void wait(delayMs).then(() => response.writeHead(status).end(text))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/callback?tenant=7`,
    pushes,
    answers,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** The document of an encrypted push that is right in everything, else undefined. */
function verify(query: URLSearchParams, body: string, appId: string): string | undefined {
  const encrypt = /<Encrypt><!\[CDATA\[(.+?)\]\]><\/Encrypt>/.exec(body)?.[1]
  if (encrypt === undefined) return undefined
  const parts = [TOKEN, query.get('timestamp') ?? '', query.get('nonce') ?? '', encrypt]
  if (sha1(parts) !== query.get('msg_signature')) return undefined
  const key = Buffer.from(`${AES_KEY}=`, 'base64')
  const aes = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  const plain = Buffer.concat([aes.update(encrypt, 'base64'), aes.final()])
  const pad = plain.at(-1) ?? 0
  if (pad < 1 || pad > 32) return undefined
  const length = plain.readUInt32BE(16)
  const end = 20 + length
  if (end > plain.length - pad) return undefined
  if (plain.subarray(end, plain.length - pad).toString() !== appId) return undefined
  return plain.subarray(20, end).toString()
}

/** Lower-case hex SHA-1 over the sorted strings. */
export function sha1(parts: readonly string[]): string {
  return createHash('sha1').update(parts.toSorted().join('')).digest('hex')
}
