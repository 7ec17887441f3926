import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll } from 'vitest'

/** One request as an application got it. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What it answers with; `never` leaves the caller hanging. */
export type Answering =
  | {
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  | 'never'

/** An application that is told what happens. */
export interface WebhookReceiver {
  readonly url: string
  readonly received: readonly Received[]
  /** Those that came to a path. */
  at(path: string): readonly Received[]
  /** What a path is answered with from now on; 204 where nothing was said. */
  answer(path: string, answering: Answering | (() => Answering)): void
}

/** Gives a test file such an application for as long as it runs. */
export function useWebhookReceiver(): () => WebhookReceiver {
  const received: Received[] = []
  const answers = new Map<string, Answering | (() => Answering)>()
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => void chunks.push(chunk))
    req.on('end', () => {
      const path = req.url ?? ''
      received.push({ path, headers: req.headers, body: Buffer.concat(chunks).toString() })
      const chosen = answers.get(path) ?? { status: 204 }
      const answer = typeof chosen === 'function' ? chosen() : chosen
      if (answer === 'never') return
      const { status, body, headers } = answer
      res.writeHead(status, { ...headers })
      res.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  let url = ''
  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return () => ({
    url,
    received,
    at: (path) => received.filter((one) => one.path === path),
    answer: (path, answering) => void answers.set(path, answering),
  })
}

/** Whether one of these secrets signed a request, by the words of the specification. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const expected = `v1,${createHmac('sha256', key).update(content).digest('base64')}`
  return String(headers['webhook-signature']).split(' ').includes(expected)
}
