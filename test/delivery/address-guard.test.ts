import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { mayConnect } from '../../src/delivery/address-guard.ts'
import { urlFault } from '../../src/delivery/endpoint.ts'
import { createWebhookClient } from '../../src/delivery/webhook-client.ts'
import { systemClock } from '../../src/foundation/clock.ts'

const PUBLIC = ['8.8.8.8', '2606:4700:4700::1111', '::ffff:8.8.8.8']
const LOOPBACK = ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1']
const PRIVATE = [
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  'fd12::1',
  '::ffff:10.0.0.1',
]
const FORBIDDEN = [
  ...['0.0.0.0', '169.254.169.254', '100.100.100.200', '224.0.0.1', '255.255.255.255'],
  ...['::', '::ffff:169.254.169.254', 'fe80::1', 'fd00:ec2::254', 'ff02::1', '64:ff9b::7f00:1'],
  ...['2002:7f00:1::', '::7f00:1', 'no address'],
]

describe('mayConnect', () => {
  it.each(PUBLIC)('lets %s through whatever is allowed', (address) => {
    expect(mayConnect(address, 'refuse')).toBe(true)
  })

  it.each(LOOPBACK)('takes %s for this machine', (address) => {
    const allowed = (['refuse', 'loopback', 'allow'] as const).map((one) =>
      mayConnect(address, one),
    )
    expect(allowed).toEqual([false, true, true])
  })

  it.each(PRIVATE)('takes %s for a private network', (address) => {
    const allowed = (['refuse', 'loopback', 'allow'] as const).map((one) =>
      mayConnect(address, one),
    )
    expect(allowed).toEqual([false, false, true])
  })

  it.each(FORBIDDEN)('never lets %s through', (address) => {
    expect(mayConnect(address, 'allow')).toBe(false)
  })
})

describe('urlFault', () => {
  it.each([
    ['https://shop.example.com/hooks?team=1', 'refuse'],
    ['http://127.0.0.1:3000/hooks', 'loopback'],
    ['http://localhost:3000/hooks', 'loopback'],
    ['http://[::1]:3000/hooks', 'loopback'],
    ['http://orders.internal/hooks', 'allow'],
    ['http://10.0.0.7/hooks', 'allow'],
  ] as const)('takes %s with %s', (url, allowed) => {
    expect(urlFault(url, allowed)).toBeNull()
  })

  it.each([
    ['http://shop.example.com/', 'loopback', 'https'],
    ['http://127.0.0.1/', 'refuse', 'private'],
    ['https://[::ffff:169.254.169.254]/', 'allow', 'private'],
    // other ways to write 127.0.0.1, which the URL itself undoes
    ['https://0x7f000001/', 'refuse', 'private'],
    ['https://2130706433/', 'refuse', 'private'],
    ['https://user:word@shop.example.com/', 'allow', 'user name'],
    ['https://shop.example.com/#part', 'allow', 'fragment'],
    ['ftp://shop.example.com/', 'allow', 'https'],
    ['shop.example.com', 'allow', 'https'],
    [`https://shop.example.com/${'x'.repeat(2_000)}`, 'allow', '2000'],
  ] as const)('refuses %s with %s', (url, allowed, expected) => {
    expect(urlFault(url, allowed)).toContain(expected)
  })
})

describe('the webhook client', () => {
  it('looks at the address when it connects: a name that leads here gets nothing', async () => {
    let connections = 0
    const server = createServer((_, res) => res.end('{}')).on('connection', () => {
      connections += 1
    })
    server.listen(0, 'localhost')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const post = { headers: {}, body: '{}', timeoutMs: 5_000, answerBytes: 100 }
    const strict = createWebhookClient({ clock: systemClock, privateAddresses: 'refuse' })
    const lenient = createWebhookClient({ clock: systemClock, privateAddresses: 'loopback' })
    try {
      for (const host of ['localhost', '127.0.0.1', '[::1]']) {
        for (const scheme of ['http', 'https']) {
          const url = `${scheme}://${host}:${port}/`
          const refused = { kind: 'no_answer', reason: 'address_refused' }
          expect(await strict.post({ ...post, url })).toEqual(refused)
        }
      }
      expect(connections).toBe(0)
      const url = `http://localhost:${port}/`
      expect(await lenient.post({ ...post, url })).toMatchObject({ httpStatus: 200, body: '{}' })
    } finally {
      await Promise.all([strict.close(), lenient.close()])
      server.closeAllConnections()
      server.close()
    }
  })

  it('reads the beginning of an answer, follows no redirect, and hangs up in time', async () => {
    const server = createServer((req, res) => {
      if (req.url === '/long') res.end('x'.repeat(1_000_000))
      if (req.url === '/away') res.writeHead(302, { location: '/long' }).end()
      if (req.url === '/later') res.writeHead(503, { 'retry-after': '7' }).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = createWebhookClient({ clock: systemClock, privateAddresses: 'loopback' })
    const to = (path: string, timeoutMs = 5_000) =>
      client.post({ url: base + path, headers: {}, body: '{}', timeoutMs, answerBytes: 100 })
    try {
      expect(await to('/long')).toMatchObject({ httpStatus: 200, body: 'x'.repeat(100) })
      expect(await to('/away')).toMatchObject({ httpStatus: 302 })
      expect(await to('/later')).toMatchObject({ httpStatus: 503, retryAfterMs: 7_000 })
      expect(await to('/never', 100)).toEqual({ kind: 'no_answer', reason: 'timeout' })
    } finally {
      await client.close()
      server.closeAllConnections()
      server.close()
    }
  })
})
