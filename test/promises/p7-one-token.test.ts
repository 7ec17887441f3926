import fc from 'fast-check'
import type { Knex } from 'knex'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TokenKind } from '../../src/accounts/account.ts'
import type { TokenAccount } from '../../src/wechat/refresh-token.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import { accountOf, createHandClock, openDesk, tokenOf, type Desk } from '../support/token-desk.ts'
import { startTokenEndpoint, type TokenEndpoint } from '../support/token-endpoint.ts'

const database = useTestDatabase()
const PROCESSES = 3
let pools: readonly Knex[] = []
const undo: (() => Promise<void>)[] = []

beforeAll(() => {
  pools = Array.from({ length: PROCESSES }, () => database().openAnother())
})
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A platform with one account, and several processes with pools of their own. */
interface World {
  readonly account: TokenAccount
  readonly endpoint: TokenEndpoint
  readonly desks: readonly Desk[]
  forward(seconds: number): void
}

async function openWorld(kind: TokenKind, keepsRevoked = false): Promise<World> {
  const clock = createHandClock()
  const endpoint = await startTokenEndpoint(() => clock.now(), { keepsRevoked })
  undo.push(() => endpoint.close())
  const account = accountOf(await insertAccount(database().db), kind)
  const desks = pools.map((db, index) => {
    const desk = openDesk({ db, endpoint, clock, name: `process-${index}` })
    undo.push(() => desk.close())
    return desk
  })
  return { account, endpoint, desks, forward: (seconds) => clock.forward(seconds) }
}

/** Asks in all processes at once, so many times in each. */
async function askEverywhere({ desks, account }: World, times: number) {
  const asked = desks.flatMap((desk) =>
    Array.from({ length: times }, () => tokenOf(desk.keeper.getToken(account))),
  )
  return Promise.all(asked)
}

/** What can happen to an account's token, in any order. */
type Happening =
  | { readonly what: 'ask'; readonly times: number; readonly slowMs: number }
  /** The platform kills the token; some processes find out, several times each. */
  | { readonly what: 'revoke'; readonly finders: readonly number[]; readonly slowMs: number }
  /** A report that comes long after its token was replaced. */
  | { readonly what: 'late_report'; readonly process: number }
  | { readonly what: 'forward'; readonly seconds: number }

const process = fc.nat({ max: PROCESSES - 1 })
const slowMs = fc.constantFrom(0, 0, 5, 60)
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ what: fc.constant('ask' as const), times: fc.integer({ min: 1, max: 20 }), slowMs }),
  fc.record({
    what: fc.constant('revoke' as const),
    finders: fc.array(process, { minLength: 1, maxLength: 6 }),
    slowMs,
  }),
  fc.record({ what: fc.constant('late_report' as const), process }),
  fc.record({
    what: fc.constant('forward' as const),
    seconds: fc.constantFrom(1, 6, 600, 6920, 7300),
  }),
)

/** Plays one happening; returns the platform tokens that it entitled the gateway to. */
async function play(world: World, one: Happening, versions: string[]): Promise<number> {
  const { account, endpoint, desks } = world
  switch (one.what) {
    case 'ask': {
      endpoint.delayMs = one.slowMs
      versions.push(...(await askEverywhere(world, one.times)).map(({ version }) => version))
      return 0
    }
    case 'revoke': {
      // Everybody holds the current token, and no limit for early replacement is near.
      world.forward(31)
      const [held] = await askEverywhere(world, 1)
      await settle(desks)
      world.forward(6)
      const [current] = await askEverywhere(world, 1)
      endpoint.delayMs = one.slowMs
      endpoint.revoke()
      await Promise.all(
        one.finders.map(async (finder) => {
          const { keeper } = desks[finder]!
          await keeper.reportRejected(account, current!.version)
          const { token, version } = await tokenOf(keeper.getToken(account))
          expect(endpoint.accepts(token)).toBe(true)
          versions.push(held!.version, version)
        }),
      )
      // One for the token that was killed, one for the time that passed before.
      return 2
    }
    case 'late_report': {
      const newest = versions.reduce((most, version) => Math.max(most, Number(version)), 0)
      const { keeper } = desks[one.process]!
      if (newest > 1) await keeper.reportRejected(account, String(newest - 1))
      return 0
    }
    case 'forward': {
      world.forward(one.seconds)
      return 1
    }
  }
}

async function settle(desks: readonly Desk[]): Promise<void> {
  await Promise.all(desks.map((desk) => desk.keeper.settle()))
}

describe('P7 one-token', () => {
  it.each(['stable', 'classic'] as const)(
    'makes one %s token request for hundreds of callers in several processes',
    async (kind) => {
      const world = await openWorld(kind)
      world.endpoint.delayMs = 120
      const answers = await askEverywhere(world, 200)
      expect(answers).toHaveLength(600)
      expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
      expect(world.endpoint.requests).toHaveLength(1)
    },
  )

  it.each(['stable', 'classic'] as const)(
    'replaces a refused %s token once, however many callers find out',
    async (kind) => {
      const world = await openWorld(kind)
      const [first] = await askEverywhere(world, 1)
      world.endpoint.revoke()
      world.endpoint.delayMs = 60
      const answers = await Promise.all(
        world.desks.flatMap(({ keeper }) =>
          Array.from({ length: 100 }, async () => {
            await keeper.reportRejected(world.account, first!.version)
            return tokenOf(keeper.getToken(world.account))
          }),
        ),
      )
      expect(new Set(answers.map(({ version }) => version))).toEqual(new Set(['2']))
      expect(world.endpoint.accepts(answers[0]!.token)).toBe(true)
      expect(world.endpoint.requests).toHaveLength(2)
    },
  )

  it.each([
    ['stable', false],
    ['stable', true],
    ['classic', false],
  ] as const)(
    'holds in any order of asking, refusals and time: %s, hands a refused one out again: %s',
    async (kind, keepsRevoked) => {
      await fc.assert(
        fc.asyncProperty(fc.array(happening, { minLength: 3, maxLength: 12 }), async (story) => {
          const world = await openWorld(kind, keepsRevoked)
          const { endpoint, desks } = world
          const versions: string[] = []
          // The first token, one for each reason that came since, one for the last seconds.
          let entitled = 2
          for (const one of story) {
            entitled += await play(world, one, versions)
            await settle(desks)
          }
          // Long enough for a refusal to reach the processes that did not see it.
          world.forward(6)
          const answers = await askEverywhere(world, 5)
          await settle(desks)

          for (const { token } of answers) expect(endpoint.accepts(token)).toBe(true)
          expect(endpoint.mostAtOnce()).toBe(1)
          expect(endpoint.made()).toBeLessThanOrEqual(entitled)
          // A normal call and a forced one for each token, at most.
          expect(endpoint.requests.length).toBeLessThanOrEqual(2 * entitled)
        }),
        { numRuns: 15 },
      )
    },
    60_000,
  )

  it('burns no quota in a loop when the platform gives no token', async () => {
    const world = await openWorld('stable')
    world.endpoint.refuseWith({ errcode: 40125, errmsg: 'invalid appsecret' })
    for (let minute = 0; minute < 60; minute += 1) {
      for (const { keeper } of world.desks) {
        const asked = Array.from({ length: 20 }, () => keeper.getToken(world.account))
        for (const answer of await Promise.all(asked)) expect(answer.kind).toBe('unavailable')
      }
      world.forward(60)
    }
    // At 0, 5, 15 and 35 minutes.
    expect(world.endpoint.requests).toHaveLength(4)
  })

  it.each(['stable', 'classic'] as const)(
    'asks nobody while the database is away, and once when it is back: %s',
    async (kind) => {
      const world = await openWorld(kind)
      const { endpoint, desks, account } = world
      const held = await askEverywhere(world, 1)
      const requests = endpoint.requests.length
      await database().db.raw('alter table access_token rename to away')
      try {
        // the token dies, everybody notices, and for three hours everybody asks again and again
        endpoint.revoke()
        for (let minute = 0; minute < 180; minute += 10) {
          for (const [index, { keeper }] of desks.entries()) {
            await keeper.reportRejected(account, held[index]!.version)
            const asked = Array.from({ length: 20 }, () => keeper.getToken(account))
            for (const answer of await Promise.all(asked)) {
              expect(answer).toMatchObject({ kind: 'unavailable', reason: 'database_unavailable' })
            }
          }
          world.forward(600)
        }
        expect(endpoint.requests).toHaveLength(requests)
      } finally {
        await database().db.raw('alter table away rename to access_token')
      }
      const answers = await askEverywhere(world, 20)
      expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
      expect(endpoint.accepts(answers[0]!.token)).toBe(true)
      expect(endpoint.requests).toHaveLength(requests + 1)
    },
  )
})
