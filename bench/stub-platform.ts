import { createServer, type ServerResponse } from 'node:http'
import { serveParent } from './answer-parent.ts'

/*
 * A process of its own that plays the platform for sends: a token, and for every template message a
 * new msgid after a fixed time. Leaner than the sandbox, so that it is not what we measure.
 */

export interface StubRequest {
  /** Forgets what arrived and answers after this long from now on. */
  readonly delayMs?: number
}

/** The sends since the request before. */
export interface StubReport {
  readonly arrived: number
  /** From the first arrival to the last. */
  readonly seconds: number
  /** The most that waited for their answer at one moment. */
  readonly mostAtOnce: number
}

let delayMs = 0
let arrived = 0
let firstMs = 0
let lastMs = 0
let waiting = 0
let mostAtOnce = 0
/** Message ids of the platform are long numbers; each is given once. */
let msgid = 4_000_000_000_000_000

function report(): StubReport {
  return { arrived, seconds: (lastMs - firstMs) / 1000, mostAtOnce }
}

function take(response: ServerResponse): void {
  lastMs = performance.now()
  if (arrived === 0) firstMs = lastMs
  arrived += 1
  waiting += 1
  mostAtOnce = Math.max(mostAtOnce, waiting)
  setTimeout(() => {
    waiting -= 1
    response.end(`{"errcode":0,"errmsg":"ok","msgid":${++msgid}}`)
  }, delayMs)
}

const server = createServer((request, response) => {
  request.resume()
  response.setHeader('content-type', 'application/json')
  if (request.url?.startsWith('/cgi-bin/message/template/send')) return take(response)
  response.end('{"access_token":"a-token-of-the-bench","expires_in":7200}')
})
// A connection may rest between two rounds.
server.keepAliveTimeout = 60_000
serveParent(server, (request: StubRequest): StubReport => {
  const before = report()
  if (request.delayMs !== undefined) {
    delayMs = request.delayMs
    arrived = 0
    mostAtOnce = 0
  }
  return before
})
