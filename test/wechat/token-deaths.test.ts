import { afterEach, describe, expect, it } from 'vitest'
import type { TokenKind } from '../../src/accounts/account.ts'
import { drillToken, type DrillStep } from '../../src/wechat/drill-token.ts'
import type { TokenAccount } from '../../src/wechat/refresh-token.ts'
import { forgetOldDeaths, listDeaths } from '../../src/wechat/token-death-store.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import {
  accountOf,
  createHandClock,
  openDesk,
  tokenOf,
  type Desk,
  type HandClock,
} from '../support/token-desk.ts'
import { startTokenEndpoint, type TokenEndpoint } from '../support/token-endpoint.ts'

const database = useTestDatabase()
const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

interface World {
  readonly clock: HandClock
  readonly endpoint: TokenEndpoint
  readonly account: TokenAccount
  readonly desks: readonly [Desk, Desk]
}

/** The platform, one account, and two processes that serve it. */
async function start(kind: TokenKind = 'stable'): Promise<World> {
  const clock = createHandClock()
  const endpoint = await startTokenEndpoint(() => clock.now())
  undo.push(() => endpoint.close())
  const account = accountOf(await insertAccount(database().db), kind)
  const open = (name: string) => {
    const desk = openDesk({ db: database().db, endpoint, clock, name })
    undo.push(() => desk.close())
    return desk
  }
  return { clock, endpoint, account, desks: [open('one'), open('two')] }
}

const deathsOf = ({ account }: World) => listDeaths(database().db, account.id, new Date(0))

function linesOf({ desks }: World, name: string): Record<string, unknown>[] {
  return desks
    .flatMap(({ lines }) => lines)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === name)
}

describe('a token that dies before its time', () => {
  it('is recorded once, with the likely cause, however many callers in however many processes meet it', async () => {
    const world = await start()
    const { clock, endpoint, account, desks } = world
    const tokens = await Promise.all(desks.map(({ keeper }) => tokenOf(keeper.getToken(account))))
    clock.forward(1_800)
    endpoint.revoke()
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        desks[n % 2 === 0 ? 0 : 1].keeper.reportRejected(account, tokens[0]?.version ?? ''),
      ),
    )
    expect(await deathsOf(world)).toMatchObject([{ version: '1', cause: 'forced_elsewhere' }])
    expect(linesOf(world, 'token.died_early')).toMatchObject([
      { account: account.name, version: '1', cause: 'forced_elsewhere', level: 'warn' },
    ])
    const counted = await Promise.all(desks.map(({ metrics }) => metrics.tokenDeaths.get()))
    expect(counted.flatMap(({ values }) => values)).toMatchObject([
      { value: 1, labels: { account: account.name, cause: 'forced_elsewhere' } },
    ])
  })

  it('points at the classic endpoint when the account uses it', async () => {
    const world = await start('classic')
    const { version } = await tokenOf(world.desks[0].keeper.getToken(world.account))
    world.clock.forward(600)
    await world.desks[0].keeper.reportRejected(world.account, version)
    expect(await deathsOf(world)).toMatchObject([{ cause: 'classic_elsewhere' }])
  })

  it('is the AppSecret’s fault when the token endpoint says so', async () => {
    const world = await start()
    const { keeper } = world.desks[0]
    const { version } = await tokenOf(keeper.getToken(world.account))
    world.clock.forward(600)
    world.endpoint.refuseWith({ errcode: 40125, errmsg: 'invalid appsecret' })
    await keeper.reportRejected(world.account, version)
    expect(await keeper.getToken(world.account)).toMatchObject({ reason: 'config' })
    expect(await deathsOf(world)).toMatchObject([{ cause: 'secret_reset' }])
    expect(linesOf(world, 'token.died_early')).toHaveLength(1)
  })

  it('is none when it was at its end, or when we have replaced it ourselves', async () => {
    const world = await start()
    const { keeper } = world.desks[0]
    const first = await tokenOf(keeper.getToken(world.account))
    world.clock.forward(7_170)
    await keeper.reportRejected(world.account, first.version)
    const second = await tokenOf(keeper.getToken(world.account))
    await keeper.reportRejected(world.account, first.version)
    expect(second.version).not.toBe(first.version)
    expect(await deathsOf(world)).toEqual([])
    expect(linesOf(world, 'token.died_early')).toEqual([])
  })

  it('is forgotten after a hundred days', async () => {
    const world = await start()
    const { version } = await tokenOf(world.desks[0].keeper.getToken(world.account))
    await world.desks[0].keeper.reportRejected(world.account, version)
    await database()
      .db('token_death')
      .update({ died_at: new Date('2025-01-01T00:00:00Z') })
    await forgetOldDeaths(database().db)
    expect(await deathsOf(world)).toEqual([])
  })
})

describe('drillToken', () => {
  /** The drill as the command makes it; time passes where it waits. */
  async function drill({ desks, account, clock }: World, asleep = (ms: number) => ms) {
    const steps: DrillStep[] = []
    const tokens = desks[0].keeper
    const sleep = async (ms: number) => clock.forward(asleep(ms) / 1000)
    for await (const step of drillToken({ tokens, sleep }, account)) steps.push(step)
    return steps
  }

  it('forces twice with the platform’s 30 s between, and kills every token from before', async () => {
    const world = await start()
    const { endpoint, account, desks } = world
    const leaked = await tokenOf(desks[1].keeper.getToken(account))
    expect(await drill(world)).toEqual([
      { step: 'forced', number: 1, version: '2' },
      { step: 'waiting', seconds: 31 },
      { step: 'forced', number: 2, version: '3' },
    ])
    expect(endpoint.requests.filter(({ force }) => force)).toHaveLength(2)
    expect(endpoint.accepts(leaked.token)).toBe(false)
    const now = await tokenOf(desks[0].keeper.getToken(account))
    expect(endpoint.accepts(now.token)).toBe(true)
  })

  it('does not look like somebody else’s doing to the other processes', async () => {
    const world = await start()
    const { account, desks, endpoint } = world
    const { version } = await tokenOf(desks[1].keeper.getToken(account))
    endpoint.delayMs = 50
    const forcing = desks[0].keeper.forceRefresh(account)
    while (endpoint.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
    // The old token is dead at the platform, and the new one has not arrived here.
    await desks[1].keeper.reportRejected(account, version)
    expect(await forcing).toEqual({ kind: 'refreshed', version: '2' })
    expect(await deathsOf(world)).toEqual([])
    expect((await tokenOf(desks[1].keeper.getToken(account))).version).toBe('2')
  })

  it('stops, and breaks nothing, inside the 30 s and beyond the twenty of a day', async () => {
    const world = await start()
    const { account, desks } = world
    expect(await drill(world, () => 10_000)).toMatchObject([
      { step: 'forced' },
      { step: 'waiting' },
      { step: 'stopped', number: 2, reason: 'forced_refresh_budget' },
    ])
    expect((await desks[0].keeper.getToken(account)).kind).toBe('token')
    await database().db('access_token').where({ account_id: account.id }).update({
      forced_count: 20,
    })
    world.clock.forward(60)
    const steps = await drill(world)
    expect(steps).toMatchObject([{ step: 'stopped', number: 1 }])
    expect(steps[0]).toHaveProperty('until', new Date('2026-01-31T16:00:00Z'))
  })

  it('is refused where nothing can be forced', async () => {
    const world = await start('classic')
    await expect(drill(world)).rejects.toMatchObject({ code: 'drill_needs_stable' })
    expect(world.endpoint.requests).toEqual([])
  })
})

describe('a database that is away', () => {
  it('never makes a process ask for a token, however often it is asked for one', async () => {
    const world = await start()
    const pool = database().openAnother()
    const cold = openDesk({ db: pool, endpoint: world.endpoint, clock: world.clock, name: 'cold' })
    undo.push(() => cold.close())
    await pool.destroy()
    for (let n = 0; n < 300; n += 1) {
      const answer = await cold.keeper.getToken(world.account, { reread: n % 2 === 0 })
      expect(answer).toMatchObject({ kind: 'unavailable', reason: 'database_unavailable' })
      await cold.keeper.reportRejected(world.account, String(n))
      world.clock.forward(7)
    }
    expect(world.endpoint.requests).toEqual([])
  })

  it('costs one request per lease when it goes away while the platform answers', async () => {
    const world = await start()
    const leaseMs = 300
    const store = { ...world.desks[0].store, keep: () => Promise.reject(new Error('away')) }
    const { db } = database()
    const torn = openDesk({
      db,
      endpoint: world.endpoint,
      clock: world.clock,
      leaseMs,
      parts: { store },
    })
    undo.push(() => torn.close())
    const startedMs = performance.now()
    for (let n = 0; n < 4; n += 1) {
      expect(await torn.keeper.getToken(world.account)).toMatchObject({ kind: 'unavailable' })
    }
    const leases = 1 + Math.floor((performance.now() - startedMs) / leaseMs)
    expect(world.endpoint.requests.length).toBeLessThanOrEqual(leases)
    expect(world.endpoint.requests.length).toBeGreaterThan(1)
  })
})
