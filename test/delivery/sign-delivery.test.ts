import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { signatureHeaders, writeSecret } from '../../src/delivery/sign-delivery.ts'

/** From the specification's own libraries: test of `sign` (standard-webhooks, libraries/javascript). */
const VECTOR = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  body: '{"test": 2432232314}',
  now: new Date(1614265330_000),
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}

describe('signatureHeaders', () => {
  it('signs as the specification does', () => {
    expect(signatureHeaders(VECTOR, [VECTOR.secret])).toEqual({
      'webhook-id': VECTOR.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': VECTOR.signature,
    })
  })

  it('signs with both secrets of a rotation, the new one first', () => {
    const fresh = writeSecret(Buffer.alloc(32, 9))
    const headers = signatureHeaders(VECTOR, [fresh, VECTOR.secret])
    const [first, second, ...more] = headers['webhook-signature']?.split(' ') ?? []
    expect(first).toMatch(/^v1,[\w+/]{43}=$/)
    expect([second, more]).toEqual([VECTOR.signature, []])
  })
})

describe('writeSecret', () => {
  it('is base64 behind the prefix that every library takes', () => {
    expect(writeSecret(Buffer.from('secret'))).toBe('whsec_c2VjcmV0')
  })
})

type IsGenuine = (
  headers: Record<string, string>,
  body: string,
  secret: string,
  now: number,
) => boolean

describe('docs/delivery.md', () => {
  it('shows a check that takes what we sign, and nothing else', async () => {
    const page = await readFile(new URL('../../docs/delivery.md', import.meta.url), 'utf8')
    const [, code = ''] = /```js\n([\s\S]+?)```/.exec(page) ?? []
    const shown = `data:text/javascript,${encodeURIComponent(code)}`
    const { isGenuine } = (await import(/* @vite-ignore */ shown)) as { isGenuine: IsGenuine }
    const { body, secret, now } = VECTOR
    const nowMs = now.getTime()
    const headers = signatureHeaders(VECTOR, [writeSecret(Buffer.alloc(32, 9)), secret])
    expect(isGenuine(headers, body, secret, nowMs)).toBe(true)
    expect(isGenuine(headers, `${body} `, secret, nowMs)).toBe(false)
    expect(isGenuine(headers, body, writeSecret(Buffer.alloc(32, 8)), nowMs)).toBe(false)
    expect(isGenuine(headers, body, secret, nowMs + 301_000)).toBe(false)
    expect(isGenuine({ ...headers, 'webhook-id': 'other' }, body, secret, nowMs)).toBe(false)
    expect(isGenuine({}, body, secret, nowMs)).toBe(false)
  })
})
