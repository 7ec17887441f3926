import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { drain } from '../../src/commands/drain.ts'

const HOUR_MS = 3_600_000

const agent = new Agent({ keepAlive: true })
const server = createServer({ keepAliveTimeout: HOUR_MS })

/** A request that has reached the server, on a connection that both sides mean to keep. */
async function request() {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const sent = get({ port, host: '127.0.0.1', agent })
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  const [, answer] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  return { answer, answered }
}

afterEach(() => {
  agent.destroy()
  server.closeAllConnections()
})

describe('drain', () => {
  it('waits for the answer under way, and not for the end of its connection', async () => {
    const { answer, answered } = await request()
    const drained = drain(server, HOUR_MS)
    answer.end('done')
    const [response] = await answered
    expect(response.statusCode).toBe(200)
    response.resume()
    await drained
  })

  it('cuts off what takes longer than its limit', async () => {
    const { answered } = await request()
    const failed = expect(answered).rejects.toMatchObject({ code: 'ECONNRESET' })
    await drain(server, 20)
    await failed
  })
})
