import { createHash, createHmac, randomUUID } from 'node:crypto'

/** A request to be signed, as docs/api.md describes it; written apart from the code that checks it. */
export interface ToSign {
  readonly secret: string
  readonly method: string
  /** With the query, as it is sent. */
  readonly target: string
  readonly body?: string
  /** Unix time in seconds; now when absent. */
  readonly at?: number
  readonly nonce?: string
}

/** The headers of a signed request. */
export function signedHeaders(request: ToSign): Record<string, string> {
  const { secret, method, target, body = '' } = request
  const [path = '', ...behind] = target.split('?')
  const timestamp = String(request.at ?? Math.floor(Date.now() / 1000))
  const nonce = request.nonce ?? randomUUID()
  const digest = createHash('sha256').update(body).digest('hex')
  const text = [method, path, behind.join('?'), digest, timestamp, nonce].join('\n')
  const hmac = createHmac('sha256', secret).update(text).digest('hex')
  return { 'x-timestamp': timestamp, 'x-nonce': nonce, 'x-signature': `sha256=${hmac}` }
}

/** The header that signed lines need besides. */
export function contentDigest(body: string): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}
