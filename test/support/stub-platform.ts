import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One send that reached the platform. */
export interface StubCall {
  readonly path: string
  readonly to: string
  readonly clientMsgId: string
  readonly accessToken: string | null
}

/** A platform that takes every send and notes it; the test says what it answers, and when. */
export interface StubPlatform {
  readonly url: string
  readonly calls: readonly StubCall[]
  /** The most calls it had in hand at the same moment. */
  readonly mostAtOnce: number
  close(): Promise<void>
}

/** @param answer the body to answer with; may take its time. */
export async function startStubPlatform(
  answer: (call: StubCall, number: number) => Promise<object> | object = () => ({}),
): Promise<StubPlatform> {
  const calls: StubCall[] = []
  let inHand = 0
  let mostAtOnce = 0

  const server = createServer((request, response) => {
    void (async () => {
      inHand += 1
      mostAtOnce = Math.max(mostAtOnce, inHand)
      const call = await readCall(request)
      calls.push(call)
      const number = calls.length
      const body = { errcode: 0, errmsg: 'ok', msgid: number, ...(await answer(call, number)) }
      inHand -= 1
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(body))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    get mostAtOnce() {
      return mostAtOnce
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readCall(request: IncomingMessage): Promise<StubCall> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>
  const url = new URL(request.url ?? '/', 'http://stub')
  return {
    path: url.pathname,
    to: body['touser'] ?? '',
    clientMsgId: body['client_msg_id'] ?? '',
    accessToken: url.searchParams.get('access_token'),
  }
}
