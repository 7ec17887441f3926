import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import type { TokenAccount } from '../../src/wechat/refresh-token.ts'
import type { TokenCredentials } from '../../src/wechat/token-sources.ts'
import { providerOf } from '../../src/wechat/provider-token.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import {
  createHandClock,
  openDesk,
  tokenOf,
  type Desk,
  type HandClock,
} from '../support/token-desk.ts'
import { startTokenWorld, type TokenWorld } from '../support/token-world.ts'

const COMPONENT_TOKEN = '/cgi-bin/component/api_component_token'
const AUTHORIZER_TOKEN = '/cgi-bin/component/api_authorizer_token'
const AUTHORIZER_LIST = '/cgi-bin/component/api_get_authorizer_list'
const SUITE_TOKEN = '/cgi-bin/service/get_suite_token'
const CORP_TOKEN = '/cgi-bin/service/get_corp_token'
const WECOM_TOKEN = '/cgi-bin/gettoken'
const PROVIDER_TOKEN = '/cgi-bin/service/get_provider_token'

type Kept = { -readonly [Key in keyof TokenCredentials]: TokenCredentials[Key] }
type TestAccount = TokenAccount & { readonly appId: string }

const database = useTestDatabase()
const undo: (() => Promise<void>)[] = []
let clock: HandClock
let world: TokenWorld
/** What the accounts room keeps: one place for all processes, as the database is. */
let vault: Map<number, Kept>
let accounts: Map<number, TestAccount>
let desk: Desk

async function add(
  kind: TokenAccount['kind'],
  credentials: TokenCredentials,
): Promise<TestAccount> {
  const id = await insertAccount(database().db)
  const account = {
    id,
    name: `${kind}-${id}`,
    kind,
    settings: DEFAULT_SETTINGS,
    appId: credentials.appId,
  }
  vault.set(id, { ...credentials })
  accounts.set(id, account)
  return account
}

function open(name: string, parts: Parameters<typeof openDesk>[0]['parts'] = {}): Desk {
  const opened = openDesk({
    db: database().openAnother(),
    endpoint: world,
    clock,
    name,
    leaseMs: 1_000,
    secrets: async (accountId) => ({ ...kept(accountId) }),
    parts: {
      findAccount: async (accountId) => accounts.get(accountId),
      replaceRefreshToken: async (accountId, { used, next }) => {
        if (kept(accountId).refreshToken !== used) return false
        kept(accountId).refreshToken = next
        return true
      },
      ...parts,
    },
  })
  undo.push(() => opened.close())
  return opened
}

function kept(accountId: number): Kept {
  const found = vault.get(accountId)
  if (!found) throw new Error(`no credentials of account ${accountId}`)
  return found
}

beforeEach(async () => {
  clock = createHandClock()
  world = await startTokenWorld(() => clock.now())
  undo.push(() => world.close())
  vault = new Map()
  accounts = new Map()
  desk = open('one')
})
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const addComponent = () =>
  add('component', {
    appId: 'wxcomponent',
    secret: 'component-secret',
    ticket: 'component-ticket-1',
  })

async function addMerchant(): Promise<{ component: TestAccount; merchant: TestAccount }> {
  const component = await addComponent()
  world.refreshTokens.set('wxmerchant', 'refresh-0')
  const merchant = await add('authorizer', {
    appId: 'wxmerchant',
    refreshToken: 'refresh-0',
    parentId: component.id,
  })
  return { component, merchant }
}

async function addCorp(): Promise<{ suite: TestAccount; corp: TestAccount }> {
  const suite = await add('wecom_suite', {
    appId: 'wwsuite',
    secret: 'suite-secret',
    ticket: 'suite-ticket-1',
  })
  const corp = await add('wecom_authorizer', {
    appId: 'wwcorp',
    permanentCode: 'permanent-code',
    parentId: suite.id,
  })
  return { suite, corp }
}

const get = (account: TokenAccount, from = desk) => tokenOf(from.keeper.getToken(account))

describe('a WeCom application', () => {
  const addApp = () => add('wecom_app', { appId: 'wwcorp', secret: 'corp-secret' })

  it('asks gettoken once and then answers from memory', async () => {
    const app = await addApp()
    const first = await get(app)
    for (let call = 0; call < 20; call += 1) expect(await get(app)).toEqual(first)
    expect(world.calls).toEqual([
      {
        method: 'GET',
        path: WECOM_TOKEN,
        query: { corpid: 'wwcorp', corpsecret: 'corp-secret' },
        body: {},
      },
    ])
  })

  it('goes on with the token that WeCom hands out again until it is over', async () => {
    const app = await addApp()
    const first = await get(app)
    clock.forward(7_200 - 310)
    for (let second = 0; second < 300; second += 10) {
      clock.forward(10)
      expect(await get(app)).toMatchObject({ token: first.token, version: '1' })
      await desk.keeper.settle()
    }
    // Once a minute at most, also near the end, where what is left is less than a minute.
    expect(world.calls.length).toBeLessThanOrEqual(7)
    clock.forward(20)
    const second = await get(app)
    expect(second).toMatchObject({ version: '2' })
    expect(world.accepts(second.token)).toBe(true)
  })

  it('takes 40001 for a wrong secret, and asks again after minutes only', async () => {
    const app = await add('wecom_kf', { appId: 'wwcorp', secret: 'wrong' })
    for (let call = 0; call < 50; call += 1) {
      expect(await desk.keeper.getToken(app)).toMatchObject({
        kind: 'unavailable',
        reason: 'config',
      })
      clock.forward(2)
    }
    expect(world.calls).toHaveLength(1)
    expect(desk.lines.join('')).not.toContain('"wrong"')
  })

  it('replaces a token that died early, but never in a loop', async () => {
    const app = await addApp()
    const first = await get(app)
    world.revoke(first.token)
    await desk.keeper.reportRejected(app, first.version)
    const second = await get(app)
    expect(world.accepts(second.token)).toBe(true)
    // Refused, and yet handed out again: there is no force.
    await desk.keeper.reportRejected(app, second.version)
    clock.forward(31)
    expect(await desk.keeper.getToken(app)).toMatchObject({ reason: 'forced_refresh_budget' })
    for (let call = 0; call < 20; call += 1) await desk.keeper.getToken(app)
    expect(world.calls).toHaveLength(3)
  })

  it('asks one at a time, however many processes want a token', async () => {
    const app = await addApp()
    const desks = [desk, open('two'), open('three')]
    const answers = await Promise.all(
      desks.flatMap((one) => Array.from({ length: 20 }, () => get(app, one))),
    )
    expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
    expect(world.calls).toHaveLength(1)
  })
})

describe('a component', () => {
  it('asks with the newest ticket', async () => {
    const { token } = await get(await addComponent())
    expect(world.accepts(token)).toBe(true)
    expect(world.calls).toEqual([
      {
        method: 'POST',
        path: COMPONENT_TOKEN,
        query: {},
        body: {
          component_appid: 'wxcomponent',
          component_appsecret: 'component-secret',
          component_verify_ticket: 'component-ticket-1',
        },
      },
    ])
  })

  it('is refreshed at 1 h 50 min, in the background', async () => {
    const component = await addComponent()
    const first = await get(component)
    clock.forward(6_590)
    expect(await get(component)).toMatchObject(first)
    expect(world.calls).toHaveLength(1)
    clock.forward(15)
    expect(await get(component)).toMatchObject(first)
    await desk.keeper.settle()
    clock.forward(1)
    expect(await get(component)).toMatchObject({ version: '2' })
  })

  it('waits for its first ticket, asks nobody meanwhile, and begins when it arrives', async () => {
    const component = await addComponent()
    kept(component.id).ticket = null
    const two = open('two')
    for (let call = 0; call < 10; call += 1) {
      for (const one of [desk, two]) {
        const answer = await one.keeper.getToken(component)
        expect(answer).toMatchObject({ kind: 'unavailable', reason: 'no_ticket' })
      }
      clock.forward(2)
    }
    expect(world.calls).toHaveLength(0)

    kept(component.id).ticket = 'component-ticket-1'
    await desk.keeper.ticketArrived(component)
    const { token } = await get(component)
    clock.forward(5)
    expect(await get(component, two)).toMatchObject({ token })
    expect(world.calls).toHaveLength(1)
  })

  it('uses the next ticket when the one before is over', async () => {
    const component = await addComponent()
    world.tickets.component = 'component-ticket-2'
    expect(await desk.keeper.getToken(component)).toMatchObject({ reason: 'no_ticket' })
    await desk.keeper.getToken(component)
    expect(world.calls).toHaveLength(1)

    kept(component.id).ticket = 'component-ticket-2'
    await desk.keeper.ticketArrived(component)
    expect(world.accepts((await get(component)).token)).toBe(true)
    expect(world.calls.map(({ body }) => body['component_verify_ticket'])).toEqual([
      'component-ticket-1',
      'component-ticket-2',
    ])
  })

  it('asks once more with the ticket before, where the newest is refused', async () => {
    const component = await addComponent()
    kept(component.id).ticket = 'component-ticket-2'
    kept(component.id).previousTicket = 'component-ticket-1'
    expect(world.accepts((await get(component)).token)).toBe(true)
    expect(world.calls.map(({ body }) => body['component_verify_ticket'])).toEqual([
      'component-ticket-2',
      'component-ticket-1',
    ])
    expect(desk.lines.join()).toContain('token.previous_ticket_used')
    expect(desk.lines.join()).not.toContain('component-ticket')
  })

  it('asks with neither twice when both are over, or another thing is wrong', async () => {
    const component = await addComponent()
    kept(component.id).previousTicket = 'component-ticket-0'
    world.tickets.component = 'component-ticket-9'
    expect(await desk.keeper.getToken(component)).toMatchObject({ reason: 'no_ticket' })
    expect(world.calls).toHaveLength(2)

    const other = await addComponent()
    Object.assign(kept(other.id), { secret: 'wrong', previousTicket: 'component-ticket-9' })
    expect(await desk.keeper.getToken(other)).toMatchObject({ reason: 'config' })
    expect(world.calls).toHaveLength(3)
  })

  it('does not end another pause when a ticket arrives', async () => {
    const component = await addComponent()
    kept(component.id).secret = 'wrong'
    expect(await desk.keeper.getToken(component)).toMatchObject({ reason: 'config' })
    await desk.keeper.ticketArrived(component)
    clock.forward(6)
    expect(await desk.keeper.getToken(component)).toMatchObject({ reason: 'config' })
    expect(world.calls).toHaveLength(1)
  })
})

describe('an authorizer', () => {
  it("asks with the component's token and its own refresh token", async () => {
    const { component, merchant } = await addMerchant()
    const { token } = await get(merchant)
    const parent = await get(component)
    expect(world.accepts(token)).toBe(true)
    expect(world.calls.map(({ path }) => path)).toEqual([COMPONENT_TOKEN, AUTHORIZER_TOKEN])
    expect(world.calls[1]).toEqual({
      method: 'POST',
      path: AUTHORIZER_TOKEN,
      query: { component_access_token: parent.token },
      body: {
        component_appid: 'wxcomponent',
        authorizer_appid: 'wxmerchant',
        authorizer_refresh_token: 'refresh-0',
      },
    })
  })

  it.each([
    ['new', true],
    ['empty', false],
    ['same', false],
  ] as const)('with a refresh token that comes back %s', async (rotation, changes) => {
    const { merchant } = await addMerchant()
    world.rotation = rotation
    await get(merchant)
    expect(kept(merchant.id).refreshToken !== 'refresh-0').toBe(changes)
    expect(kept(merchant.id).refreshToken).toBe(world.refreshTokens.get('wxmerchant'))
    clock.forward(7_300)
    expect(world.accepts((await get(merchant)).token)).toBe(true)
    expect(world.callsOf(AUTHORIZER_LIST)).toHaveLength(0)
  })

  it('stores the refresh token before the token, and so survives a death in between', async () => {
    const { merchant } = await addMerchant()
    const order: string[] = []
    const dying = open('dying', {
      replaceRefreshToken: async (accountId, { next }) => {
        order.push('refresh token')
        expect((await desk.store.read(merchant.id)).token).toBeNull()
        kept(accountId).refreshToken = next
        return true
      },
      store: {
        ...desk.store,
        keep: async (lease, token, isNew) => {
          order.push('token')
          if (lease.accountId === merchant.id) throw new Error('the process is gone')
          return desk.store.keep(lease, token, isNew)
        },
      },
    })
    expect(await dying.keeper.getToken(merchant)).toMatchObject({ kind: 'unavailable' })
    expect(order).toEqual(['token', 'refresh token', 'token'])
    expect((await desk.store.read(merchant.id)).token).toBeNull()

    // The dead one's lease ends; the next process goes on from what was stored.
    const { token } = await get(merchant)
    expect(world.accepts(token)).toBe(true)
    expect(world.callsOf(AUTHORIZER_LIST)).toHaveLength(0)
    expect(
      world.callsOf(AUTHORIZER_TOKEN).map(({ body }) => body['authorizer_refresh_token']),
    ).toEqual(['refresh-0', 'refresh-wxmerchant-2'])
  })

  it('keeps no token whose refresh token could not be stored', async () => {
    const { merchant } = await addMerchant()
    const cut = open('cut', {
      replaceRefreshToken: () => Promise.reject(new Error('the database is away')),
    })
    expect(await cut.keeper.getToken(merchant)).toMatchObject({ kind: 'unavailable' })
    expect((await desk.store.read(merchant.id)).token).toBeNull()
    // The platform has a new one that we never stored: it is read back.
    expect(world.accepts((await get(merchant)).token)).toBe(true)
    expect(world.callsOf(AUTHORIZER_LIST)).toHaveLength(1)
  })

  it('does not put a late refresh token over that of a new authorisation', async () => {
    const { merchant } = await addMerchant()
    world.onCall = ({ path }) => {
      if (path !== AUTHORIZER_TOKEN || kept(merchant.id).refreshToken !== 'refresh-0') return
      kept(merchant.id).refreshToken = 'refresh-of-the-new-authorisation'
    }
    expect(await desk.keeper.getToken(merchant)).toMatchObject({ reason: 'transient' })
    expect(kept(merchant.id).refreshToken).toBe('refresh-of-the-new-authorisation')
    world.refreshTokens.set('wxmerchant', 'refresh-of-the-new-authorisation')
    clock.forward(2)
    expect(world.accepts((await get(merchant)).token)).toBe(true)
  })

  it('reads a lost refresh token back from the list, on whatever page it is', async () => {
    const { component, merchant } = await addMerchant()
    world.refreshTokens.set('wxmerchant', 'refresh-lost')
    world.listedBefore = 1_100
    const { token } = await get(merchant)
    expect(world.accepts(token)).toBe(true)
    const parent = await get(component)
    expect(world.callsOf(AUTHORIZER_LIST)).toEqual(
      [0, 500, 1_000].map((offset) => ({
        method: 'POST',
        path: AUTHORIZER_LIST,
        query: { component_access_token: parent.token },
        body: { component_appid: 'wxcomponent', offset, count: 500 },
      })),
    )
    expect(desk.lines.join('')).toContain('token.authorization_recovered')
    expect(desk.lines.join('')).not.toContain('refresh-lost')
  })

  it('waits for a new authorisation when it is not listed any more', async () => {
    const { merchant } = await addMerchant()
    world.refreshTokens.delete('wxmerchant')
    for (let call = 0; call < 20; call += 1) {
      const answer = await desk.keeper.getToken(merchant)
      expect(answer).toMatchObject({ kind: 'unavailable', reason: 'not_authorized' })
      clock.forward(2)
    }
    expect(world.callsOf(AUTHORIZER_TOKEN)).toHaveLength(1)
    expect(world.callsOf(AUTHORIZER_LIST)).toHaveLength(1)
  })

  it('gives up the recovery, not the merchant, when the list cannot be read', async () => {
    const { merchant } = await addMerchant()
    world.refreshTokens.set('wxmerchant', 'refresh-lost')
    world.refuse(AUTHORIZER_LIST, { errcode: -1, errmsg: 'system error' })
    expect(await desk.keeper.getToken(merchant)).toMatchObject({ reason: 'transient' })
    world.refuse(AUTHORIZER_LIST, undefined)
    clock.forward(2)
    expect(world.accepts((await get(merchant)).token)).toBe(true)
  })

  it("has the component's token replaced when the platform refuses it, and asks once more", async () => {
    const { component, merchant } = await addMerchant()
    const parent = await get(component)
    world.revoke(parent.token)
    expect(world.accepts((await get(merchant)).token)).toBe(true)
    expect(world.callsOf(COMPONENT_TOKEN)).toHaveLength(2)
    expect(world.callsOf(AUTHORIZER_TOKEN)).toHaveLength(2)
  })

  it("does not loop when every component's token is refused", async () => {
    const { merchant } = await addMerchant()
    world.refuse(AUTHORIZER_TOKEN, { errcode: 42001, errmsg: 'access_token expired' })
    for (let second = 0; second < 60; second += 1) {
      expect(await desk.keeper.getToken(merchant)).toMatchObject({ kind: 'unavailable' })
      clock.forward(1)
    }
    expect(world.callsOf(COMPONENT_TOKEN).length).toBeLessThanOrEqual(4)
    expect(world.callsOf(AUTHORIZER_TOKEN).length).toBeLessThanOrEqual(4)
  })

  it('waits with the component, and goes on within a minute of its ticket', async () => {
    const { component, merchant } = await addMerchant()
    kept(component.id).ticket = null
    expect(await desk.keeper.getToken(merchant)).toMatchObject({ reason: 'parent_unavailable' })
    expect(world.calls).toHaveLength(0)
    kept(component.id).ticket = 'component-ticket-1'
    await desk.keeper.ticketArrived(component)
    clock.forward(61)
    expect(world.accepts((await get(merchant)).token)).toBe(true)
  })

  it.each([
    ['no parent', { appId: 'wxm', refreshToken: 'r' }, 'transient'],
    ['no refresh token', { appId: 'wxm', parentId: 1 }, 'not_authorized'],
  ])('with %s asks nobody', async (_name, credentials, reason) => {
    const merchant = await add('authorizer', credentials)
    expect(await desk.keeper.getToken(merchant)).toMatchObject({ kind: 'unavailable', reason })
    expect(world.calls).toHaveLength(0)
  })

  it('takes no account for a parent that is none', async () => {
    const app = await add('wecom_app', { appId: 'wwcorp', secret: 'corp-secret' })
    const merchant = await add('authorizer', {
      appId: 'wxm',
      refreshToken: 'r',
      parentId: app.id,
    })
    expect(await desk.keeper.getToken(merchant)).toMatchObject({ kind: 'unavailable' })
    expect(world.calls).toHaveLength(0)
    expect(desk.lines.join('')).toContain('no_parent')
  })

  it('asks one at a time for each account, however many processes and merchants', async () => {
    const { component } = await addMerchant()
    const merchants: TestAccount[] = []
    for (const name of ['a', 'b', 'c']) {
      world.refreshTokens.set(`wx${name}`, `refresh-${name}`)
      const credentials = { refreshToken: `refresh-${name}`, parentId: component.id }
      merchants.push(await add('authorizer', { appId: `wx${name}`, ...credentials }))
    }
    const desks = [desk, open('two'), open('three')]
    const asked = desks.flatMap((one) =>
      merchants.flatMap((merchant) => Array.from({ length: 10 }, () => get(merchant, one))),
    )
    const tokens = new Set((await Promise.all(asked)).map(({ token }) => token))
    expect(tokens.size).toBe(3)
    expect(world.callsOf(COMPONENT_TOKEN)).toHaveLength(1)
    expect(world.callsOf(AUTHORIZER_TOKEN)).toHaveLength(3)
    expect(world.callsOf(AUTHORIZER_LIST)).toHaveLength(0)
  })
})

describe('a suite and its corps', () => {
  it("ask with ticket and permanent code, the corp with the suite's token", async () => {
    const { suite, corp } = await addCorp()
    const { token } = await get(corp)
    const parent = await get(suite)
    expect(world.accepts(token)).toBe(true)
    expect(world.calls).toEqual([
      {
        method: 'POST',
        path: SUITE_TOKEN,
        query: {},
        body: {
          suite_id: 'wwsuite',
          suite_secret: 'suite-secret',
          suite_ticket: 'suite-ticket-1',
        },
      },
      {
        method: 'POST',
        path: CORP_TOKEN,
        query: { suite_access_token: parent.token },
        body: { auth_corpid: 'wwcorp', permanent_code: 'permanent-code' },
      },
    ])
  })

  it('replace a suite token that is over for the platform (42009)', async () => {
    const { suite, corp } = await addCorp()
    world.revoke((await get(suite)).token)
    expect(world.accepts((await get(corp)).token)).toBe(true)
    expect(world.callsOf(SUITE_TOKEN)).toHaveLength(2)
  })

  it('fall back on the ticket before, too', async () => {
    const { suite } = await addCorp()
    kept(suite.id).ticket = 'suite-ticket-2'
    kept(suite.id).previousTicket = 'suite-ticket-1'
    expect(world.accepts((await get(suite)).token)).toBe(true)
    expect(world.callsOf(SUITE_TOKEN)).toHaveLength(2)
  })

  it('need a new ticket for a new token only', async () => {
    const { suite } = await addCorp()
    const first = await get(suite)
    world.tickets.suite = 'suite-ticket-2'
    clock.forward(3_600)
    expect(await get(suite)).toMatchObject(first)
    clock.forward(3_700)
    expect(await desk.keeper.getToken(suite)).toMatchObject({ reason: 'no_ticket' })
    kept(suite.id).ticket = 'suite-ticket-2'
    await desk.keeper.ticketArrived(suite)
    expect(world.accepts((await get(suite)).token)).toBe(true)
  })

  it('are left alone by the app of an agency, whose permanent code is a secret', async () => {
    const { corp } = await addCorp()
    const agency = { ...corp, settings: { ...corp.settings, corp_token_from: 'gettoken' as const } }
    kept(corp.id).permanentCode = 'corp-secret'
    expect(world.accepts((await get(agency)).token)).toBe(true)
    expect(world.calls).toEqual([
      {
        ...{ method: 'GET', path: WECOM_TOKEN, body: {} },
        query: { corpid: 'wwcorp', corpsecret: 'corp-secret' },
      },
    ])
  })

  it('stop for a corp that has cancelled', async () => {
    const { corp } = await addCorp()
    kept(corp.id).permanentCode = 'cancelled'
    for (let call = 0; call < 10; call += 1) {
      expect(await desk.keeper.getToken(corp)).toMatchObject({ reason: 'not_authorized' })
      clock.forward(10)
    }
    expect(world.callsOf(CORP_TOKEN)).toHaveLength(1)
  })
})

describe('what is written', () => {
  it('holds no token, ticket, code or refresh token, in log and row', async () => {
    const { component, merchant } = await addMerchant()
    const { suite, corp } = await addCorp()
    const tokens = []
    for (const account of [component, merchant, suite, corp]) tokens.push(await get(account))
    world.tickets.component = 'component-ticket-2'
    world.revoke(tokens[0]!.token)
    await desk.keeper.reportRejected(component, tokens[0]!.version)
    await desk.keeper.getToken(component)
    const rows: unknown[] = await database().db('access_token').select()
    const written = desk.lines.join('') + JSON.stringify(rows)
    expect(written).toContain('token.refused')
    const secrets = [...vault.values()].flatMap((one) => [
      one.secret,
      one.ticket,
      one.refreshToken,
      one.permanentCode,
    ])
    for (const secret of [...tokens.map(({ token }) => token), ...secrets]) {
      if (secret) expect(written).not.toContain(secret)
    }
  })
})

describe('the provider behind a suite', () => {
  let secret: string | null
  let suite: TestAccount
  let provider: TokenAccount
  beforeEach(async () => {
    secret = 'provider-secret'
    suite = await add('wecom_suite', {
      ...{ appId: 'wwsuite', secret: 'suite-secret', ticket: 'suite-ticket-1' },
    })
    const found = providerOf(suite)
    if (!found) throw new Error('a suite has a provider')
    provider = found
  })

  function openProvider(name: string): Desk {
    const opened = openDesk({
      ...{ db: database().openAnother(), endpoint: world, clock, name, leaseMs: 1_000 },
      ...{ table: 'provider_token', secrets: async () => ({ appId: 'wwprovider', secret }) },
    })
    undo.push(() => opened.close())
    return opened
  }

  it('has a token of its own beside the suite’s, asked for once by all processes, and sealed', async () => {
    const own = await get(suite)
    const desks = [openProvider('p1'), openProvider('p2')]
    const answers = await Promise.all(
      desks.flatMap((one) => Array.from({ length: 10 }, () => get(provider, one))),
    )
    const [first] = answers
    expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
    expect(first?.token).not.toBe(own.token)
    expect(world.callsOf(PROVIDER_TOKEN)).toEqual([
      {
        ...{ method: 'POST', path: PROVIDER_TOKEN, query: {} },
        body: { corpid: 'wwprovider', provider_secret: 'provider-secret' },
      },
    ])
    const rows = JSON.stringify(
      await database().db('provider_token').where({ account_id: suite.id }),
    )
    expect(rows).not.toContain(first?.token)
    expect(await get(suite)).toEqual(own)
  })

  it('replaces a token that was refused, without blaming anybody', async () => {
    const one = openProvider('p1')
    const first = await get(provider, one)
    world.revoke(first.token)
    await one.keeper.reportRejected(provider, first.version)
    expect((await get(provider, one)).token).not.toBe(first.token)
    expect(await database().db('token_death').where({ account_id: suite.id })).toEqual([])
  })

  it('asks nobody without a secret, and for minutes after a wrong one', async () => {
    const one = openProvider('p1')
    secret = null
    const answer = () => one.keeper.getToken(provider)
    expect(await answer()).toMatchObject({ kind: 'unavailable', reason: 'config' })
    expect(world.callsOf(PROVIDER_TOKEN)).toEqual([])
    secret = 'wrong'
    clock.forward(61)
    for (let call = 0; call < 5; call += 1) {
      expect(await answer()).toMatchObject({ kind: 'unavailable', reason: 'config' })
    }
    expect(world.callsOf(PROVIDER_TOKEN)).toHaveLength(1)
    expect(one.lines.join('')).not.toContain('"wrong"')
  })

  it('is nobody behind other accounts', async () => {
    expect(
      providerOf(await add('wecom_app', { appId: 'wwcorp', secret: 'corp-secret' })),
    ).toBeNull()
  })
})
