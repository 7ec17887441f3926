import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sleep } from '../../src/foundation/clock.ts'

/** One call of a token endpoint, as it arrived. */
export interface TokenRequest {
  readonly kind: 'stable' | 'classic'
  readonly force: boolean
  readonly appId: string
  readonly secret: string
}

/** The platform's token endpoints for one account, small enough to look through. */
export interface TokenEndpoint {
  readonly url: string
  readonly requests: readonly TokenRequest[]
  /** The most calls that were under way at one moment. */
  readonly mostAtOnce: () => number
  /** How many different tokens it has made. */
  readonly made: () => number
  /** Whether the platform takes this token now. */
  accepts(token: string): boolean
  /** Kills the current token, as a leak drill or another holder does; the next call gives a new one. */
  revoke(): void
  /** Answers every call with this until `recover`; null breaks the connection. */
  refuseWith(answer: object | null): void
  recover(): void
  /** How long each answer takes. */
  delayMs: number
  close(): Promise<void>
}

const LIFE_MS = 7_200_000
const OVERLAP_SECONDS = 300

/**
 * Serves `/cgi-bin/stable_token` and `/cgi-bin/token` with the rules of the platform's pages: a
 * stable token stays the same until its last 300 s or until it is forced; a classic call makes a new
 * one, and the one before lives 300 s more.
 *
 * @param now the platform's clock.
 * @param options `keepsRevoked` hands a revoked token out again until it is forced;
 *   `overlapSeconds` is 300 on the platform.
 */
export async function startTokenEndpoint(
  now: () => Date,
  options: { readonly keepsRevoked?: boolean; readonly overlapSeconds?: number } = {},
): Promise<TokenEndpoint> {
  const overlapMs = (options.overlapSeconds ?? OVERLAP_SECONDS) * 1000
  const requests: TokenRequest[] = []
  const endsAt = new Map<string, number>()
  let made = 0
  let current = ''
  let refusal: object | null | undefined
  let underWay = 0
  let mostAtOnce = 0

  function make(): string {
    const nowMs = now().getTime()
    const oldEnd = endsAt.get(current)
    if (oldEnd !== undefined) endsAt.set(current, Math.min(oldEnd, nowMs + overlapMs))
    made += 1
    current = `invented-token-${made}-${'x'.repeat(40)}`
    endsAt.set(current, nowMs + LIFE_MS)
    return current
  }

  /** A revoked token is dead at once, and yet its stated life may go on. */
  const revoked = new Set<string>()

  function give(request: TokenRequest): object {
    const nowMs = now().getTime()
    const end = endsAt.get(current) ?? 0
    const isOver = end - nowMs <= overlapMs || (revoked.has(current) && !options.keepsRevoked)
    if (request.force) revoked.add(current)
    if (request.kind === 'classic' || request.force || isOver) make()
    return {
      access_token: current,
      expires_in: Math.floor(((endsAt.get(current) ?? 0) - nowMs) / 1000),
    }
  }

  const endpoint = { delayMs: 0 }
  const server = createServer((incoming, response) => {
    void (async () => {
      const request = await readRequest(incoming)
      requests.push(request)
      underWay += 1
      mostAtOnce = Math.max(mostAtOnce, underWay)
      // What the platform does, it does at once; only its answer may be slow.
      const answer = refusal === undefined ? give(request) : refusal
      await sleep(endpoint.delayMs)
      underWay -= 1
      if (answer === null) response.destroy()
      else response.end(JSON.stringify(answer))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return Object.assign(endpoint, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    mostAtOnce: () => mostAtOnce,
    made: () => made,
    accepts: (token: string) => !revoked.has(token) && (endsAt.get(token) ?? 0) > now().getTime(),
    revoke: () => void revoked.add(current),
    refuseWith: (answer: object | null) => void (refusal = answer),
    recover: () => void (refusal = undefined),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

async function readRequest(incoming: IncomingMessage): Promise<TokenRequest> {
  const url = new URL(incoming.url ?? '', 'http://127.0.0.1')
  if (incoming.method === 'GET' && url.pathname === '/cgi-bin/token') {
    const { appid, secret, grant_type } = Object.fromEntries(url.searchParams)
    if (grant_type !== 'client_credential') throw new Error('wrong grant_type')
    return { kind: 'classic', force: false, appId: appid ?? '', secret: secret ?? '' }
  }
  if (incoming.method !== 'POST' || url.pathname !== '/cgi-bin/stable_token' || url.search) {
    throw new Error(`no such endpoint: ${incoming.method} ${url.pathname}`)
  }
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
  const { appid, secret, grant_type, force_refresh } = { ...Object(body) } as Record<
    string,
    unknown
  >
  if (grant_type !== 'client_credential') throw new Error('wrong grant_type')
  return {
    kind: 'stable',
    force: force_refresh === true,
    appId: String(appid),
    secret: String(secret),
  }
}
