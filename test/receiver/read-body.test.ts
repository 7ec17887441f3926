import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/foundation/errors.ts'
import { readBody } from '../../src/receiver/read-body.ts'

const limits = { maxBytes: 10, timeoutMs: 1_000 }

function incoming(...chunks: (string | null)[]): IncomingMessage {
  const req = new IncomingMessage(new Socket())
  for (const chunk of chunks) req.push(chunk === null ? null : Buffer.from(chunk))
  return req
}

describe('readBody', () => {
  it('joins what comes in pieces', async () => {
    const body = await readBody(incoming('退', 'a', 'b', null), limits)
    expect(body).toEqual({ ok: true, bytes: Buffer.from('退ab') })
  })

  it('counts bytes, not characters', async () => {
    expect(await readBody(incoming('退退退退', null), limits)).toEqual({
      ok: false,
      reason: 'too_large',
    })
  })

  it('gives up after the time allowed', async () => {
    const slow = readBody(incoming('a'), { ...limits, timeoutMs: 20 })
    expect(await slow).toEqual({ ok: false, reason: 'slow_body' })
  })

  it('notes a sender that went away before anybody listened', async () => {
    const req = incoming('a')
    req.destroy()
    expect(await readBody(req, limits)).toEqual({ ok: false, reason: 'incomplete_body' })
  })

  it('throws where a parser in front has taken the body', async () => {
    const req = incoming('a', null)
    req.resume()
    await once(req, 'end')
    await expect(readBody(req, limits)).rejects.toBeInstanceOf(InvariantError)
  })
})
