import { describe, expect, it } from 'vitest'
import type { TokenKind } from '../../src/accounts/account.ts'
import { useRoad, type RoadAccount } from '../support/road.ts'

const KINDS: readonly TokenKind[] = ['stable', 'classic']
const BURSTS = 160
const LOSERS = 12
const MESSAGES = 8
const TEMPLATE = 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'

/** Bursts of every size and split; printed by the test's name, so that a failure can be repeated. */
const SEED = Number(process.env['P7_SEED'] ?? 20261121)

describe(`P7 one-token, two processes (seed ${SEED})`, () => {
  const road = useRoad({
    processes: 2,
    accounts: Array.from({ length: BURSTS }, (_, index) => ({
      settings: { token_kind: KINDS[index % KINDS.length] ?? 'stable' },
    })),
  })

  it('asks once for each of many accounts, however both processes are asked at once', async () => {
    const random = numbers(SEED)
    road().sandbox.addFault({ path: '/cgi-bin/stable_token', delay_ms: 15, probability: 0.5 })
    road().sandbox.addFault({ path: '/cgi-bin/token', delay_ms: 15, probability: 0.5 })
    await Promise.all(
      road().accounts.map(async (account) => {
        const size = 2 + Math.floor(random() * 8)
        const plan = Array.from({ length: size }, () => ({
          gateway: road().gateways[random() < 0.5 ? 0 : 1]!,
          waitMs: Math.floor(random() * 40),
        }))
        const tokens = await Promise.all(
          plan.map(async ({ gateway, waitMs }) => {
            await pause(waitMs)
            return readToken(account, gateway)
          }),
        )
        expect(new Set(tokens).size).toBe(1)
      }),
    )
    expect(road().accounts.map(tokenRequests)).toEqual(road().accounts.map(() => 1))
    road().sandbox.clearFaults()
  })

  it('replaces a token that somebody else killed once, and sends everything with the new one', async () => {
    const losers = road()
      .accounts.filter((_, index) => index % 2 === 1)
      .slice(0, LOSERS)
    const people = new Map<RoadAccount, string[]>()
    for (const account of losers) {
      const openids = Array.from({ length: MESSAGES }, () => account.platform.newOpenid())
      await Promise.all(openids.map((openid) => account.platform.follow(openid)))
      people.set(account, openids)
    }
    // another system shares the AppID: its token retires ours after five minutes
    for (const account of losers) {
      const query = `grant_type=client_credential&appid=${account.appId}&secret=${account.secret}`
      await fetch(`${road().sandboxUrl}/cgi-bin/token?${query}`)
    }
    road().sandbox.advance(301)
    const before = losers.map(tokenRequests)

    await Promise.all(
      losers.flatMap((account) =>
        (people.get(account) ?? []).map((to, index) =>
          road().api('/v1/messages', {
            gateway: road().gateways[index % 2]!,
            body: {
              account: account.name,
              to,
              channel: 'template_message',
              content: { template_id: TEMPLATE, data: { thing1: { value: `order ${index}` } } },
            },
          }),
        ),
      ),
    )
    await waitUntil(() => losers.every((account) => account.platform.messages().length >= MESSAGES))

    expect(losers.map((account) => account.platform.messages().length)).toEqual(
      losers.map(() => MESSAGES),
    )
    expect(losers.map((account, index) => tokenRequests(account) - before[index]!)).toEqual(
      losers.map(() => 1),
    )
  })

  function tokenRequests(account: RoadAccount): number {
    const counts = road().sandbox.report().accounts[account.appId] ?? {}
    return (counts['token:stable'] ?? 0) + (counts['token:classic'] ?? 0)
  }

  async function readToken(account: RoadAccount, gateway: { url: string }): Promise<string> {
    const answer = await fetch(`${gateway.url}/v1/accounts/${account.name}/access-token`, {
      headers: { authorization: `Bearer ${road().key}` },
    })
    expect(answer.status).toBe(200)
    return ((await answer.json()) as { access_token: string }).access_token
  }
})

async function waitUntil(test: () => boolean): Promise<void> {
  for (let tries = 0; tries < 150 && !test(); tries += 1) await pause(100)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Numbers from 0 up to 1 that a seed decides (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
