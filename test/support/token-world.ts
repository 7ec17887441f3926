import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sleep } from '../../src/foundation/clock.ts'

/** One call as it arrived. */
export interface WorldCall {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * The token endpoints of both platforms for a third-party platform, its merchants, a suite, its corps
 * and a WeCom application, with the rules of the platforms' pages. The test reads and turns what is
 * in it.
 */
export interface TokenWorld {
  readonly url: string
  readonly calls: readonly WorldCall[]
  /** The tickets that are taken now. */
  readonly tickets: { component: string; suite: string }
  /** Each merchant's current refresh token. */
  readonly refreshTokens: Map<string, string>
  /** What a refresh does to it: a new one, an empty answer, or the same again. */
  rotation: 'new' | 'empty' | 'same'
  /** Merchants that the list holds before the one that is looked for. */
  listedBefore: number
  /** Answers every call of this path with this, until it is taken back; null breaks the connection. */
  refuse(path: string, answer: object | null | undefined): void
  /** Runs before a path answers; the call has been recorded by then. */
  onCall: (call: WorldCall) => Promise<void> | void
  /** The most calls of a path that were under way at one moment. */
  mostAtOnce(path: string): number
  accepts(token: string): boolean
  revoke(token: string): void
  callsOf(path: string): readonly WorldCall[]
  close(): Promise<void>
}

const LIFE_S = 7_200

export async function startTokenWorld(now: () => Date): Promise<TokenWorld> {
  const calls: WorldCall[] = []
  const endsAt = new Map<string, number>()
  const current = new Map<string, string>()
  const refusals = new Map<string, object | null>()
  const underWay = new Map<string, number>()
  const most = new Map<string, number>()
  let made = 0

  function isAlive(token: string | undefined): boolean {
    return (endsAt.get(token ?? '') ?? 0) > now().getTime()
  }

  function make(name: string): string {
    made += 1
    const token = `invented-${name}-token-${made}`
    endsAt.set(token, now().getTime() + LIFE_S * 1000)
    current.set(name, token)
    return token
  }

  /** WeCom gives the same token until it is over. */
  function same(name: string): { readonly token: string; readonly expires_in: number } {
    const known = current.get(name)
    const token = known !== undefined && isAlive(known) ? known : make(name)
    return { token, expires_in: Math.floor(((endsAt.get(token) ?? 0) - now().getTime()) / 1000) }
  }

  const world = {
    calls,
    tickets: { component: 'component-ticket-1', suite: 'suite-ticket-1' },
    refreshTokens: new Map<string, string>(),
    rotation: 'new' as TokenWorld['rotation'],
    listedBefore: 0,
    onCall: (() => {}) as TokenWorld['onCall'],
  }

  const answers: Readonly<Record<string, (call: WorldCall) => object>> = {
    'POST /cgi-bin/component/api_component_token': ({ body }) => {
      if (body['component_appsecret'] !== 'component-secret') return refused(40125)
      if (body['component_verify_ticket'] !== world.tickets.component) return refused(61006)
      return { component_access_token: make('component'), expires_in: LIFE_S }
    },
    'POST /cgi-bin/component/api_authorizer_token': ({ query, body }) => {
      if (!isAlive(query['component_access_token'])) return refused(40001)
      const appid = String(body['authorizer_appid'])
      const used = body['authorizer_refresh_token']
      if (used !== world.refreshTokens.get(appid)) return refused(61023)
      if (world.rotation === 'new') world.refreshTokens.set(appid, `refresh-${appid}-${made + 1}`)
      return {
        authorizer_access_token: make(appid),
        expires_in: LIFE_S,
        authorizer_refresh_token: world.rotation === 'empty' ? '' : world.refreshTokens.get(appid),
      }
    },
    'POST /cgi-bin/component/api_get_authorizer_list': ({ query, body }) => {
      if (!isAlive(query['component_access_token'])) return refused(40001)
      const others = Array.from({ length: world.listedBefore }, (_, index) => ({
        authorizer_appid: `wxother${index}`,
        refresh_token: 'not-yours',
        auth_time: 1,
      }))
      const all = [
        ...others,
        ...[...world.refreshTokens].map(([authorizer_appid, refresh_token]) => ({
          authorizer_appid,
          refresh_token,
          auth_time: 1,
        })),
      ]
      const offset = Number(body['offset'])
      return { total_count: all.length, list: all.slice(offset, offset + Number(body['count'])) }
    },
    'POST /cgi-bin/service/get_suite_token': ({ body }) => {
      if (body['suite_secret'] !== 'suite-secret') return refused(40080)
      if (body['suite_ticket'] !== world.tickets.suite) return refused(40085)
      const { token, expires_in } = same('suite')
      return { suite_access_token: token, expires_in }
    },
    'POST /cgi-bin/service/get_corp_token': ({ query, body }) => {
      if (!isAlive(query['suite_access_token'])) return refused(42009)
      if (body['permanent_code'] !== 'permanent-code') return refused(40084)
      const { token, expires_in } = same(String(body['auth_corpid']))
      return { access_token: token, expires_in }
    },
    'POST /cgi-bin/service/get_provider_token': ({ body }) => {
      if (body['corpid'] !== 'wwprovider') return refused(40013)
      if (body['provider_secret'] !== 'provider-secret') return refused(40001)
      const { token, expires_in } = same('provider')
      return { provider_access_token: token, expires_in }
    },
    'GET /cgi-bin/gettoken': ({ query }) => {
      if (query['corpsecret'] !== 'corp-secret') return refused(40001)
      const { token, expires_in } = same('wecom')
      return { errcode: 0, errmsg: 'ok', access_token: token, expires_in }
    },
  }

  async function answer(call: WorldCall): Promise<object | null> {
    calls.push(call)
    const busy = (underWay.get(call.path) ?? 0) + 1
    underWay.set(call.path, busy)
    most.set(call.path, Math.max(most.get(call.path) ?? 0, busy))
    try {
      // Slow enough that calls of one moment meet here.
      await sleep(20)
      await world.onCall(call)
      const refusal = refusals.get(call.path)
      if (refusal !== undefined) return refusal
      const give = answers[`${call.method} ${call.path}`]
      return give ? give(call) : refused(404)
    } finally {
      underWay.set(call.path, (underWay.get(call.path) ?? 1) - 1)
    }
  }

  const server = createServer((incoming, response) => {
    void (async () => {
      const body = await answer(await readCall(incoming))
      if (body === null) response.destroy()
      else response.end(JSON.stringify(body))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return Object.assign(world, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuse(path: string, with_: object | null | undefined) {
      if (with_ === undefined) refusals.delete(path)
      else refusals.set(path, with_)
    },
    mostAtOnce: (path: string) => most.get(path) ?? 0,
    accepts: (token: string) => isAlive(token),
    revoke: (token: string) => void endsAt.set(token, 0),
    callsOf: (path: string) => calls.filter((call) => call.path === path),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

function refused(errcode: number): object {
  return { errcode, errmsg: `invented words for ${errcode}` }
}

async function readCall(incoming: IncomingMessage): Promise<WorldCall> {
  const url = new URL(incoming.url ?? '/', 'http://127.0.0.1')
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  return {
    method: incoming.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    body: text === '' ? {} : { ...(JSON.parse(text) as Record<string, unknown>) },
  }
}
