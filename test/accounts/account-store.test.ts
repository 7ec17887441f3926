import { Client, type Notification } from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, type AccountKind } from '../../src/accounts/account.ts'
import type { NewAccount } from '../../src/accounts/account-input.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { ConflictError, InvalidInputError, NotFoundError } from '../../src/foundation/errors.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
  type MasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import type { Ticket } from '../../src/accounts/ticket-store.ts'
import { useTestDatabase } from '../support/database.ts'
import { keepTicket } from '../support/keep-ticket.ts'

const database = useTestDatabase()
const FIRST = masterKey()
const SECOND = masterKey()
const AES_KEY = 'k'.repeat(43)
const KEEP = { token: undefined, aesKey: undefined, secret: undefined }

function masterKey(): MasterKey {
  const key = parseMasterKey(newMasterKey())
  if (!key) throw new Error('a new master key does not parse')
  return key
}

function storeUnder(...keys: [MasterKey, ...MasterKey[]]) {
  return createAccountStore({ db: database().db, box: createSecretBox(keys) })
}

const newAccount = (changes: Partial<NewAccount> = {}): NewAccount => ({
  name: 'acme',
  kind: 'official_account',
  appId: 'wx1234567890abcdef',
  originalId: 'gh_0123456789ab',
  mode: 'safe',
  token: 'plainCallbackToken',
  aesKey: AES_KEY,
  secret: 'plainAppSecret',
  settings: {},
  ...changes,
})

const newKind = (kind: AccountKind, changes: Partial<NewAccount> = {}): NewAccount => ({
  ...newAccount(),
  ...{ name: kind.replaceAll('_', '-'), kind, originalId: null },
  ...changes,
})

const MERCHANT: Partial<NewAccount> = {
  ...{ name: 'merchant', appId: 'wxmerchant', originalId: 'gh_merchant', serves: 'mini_program' },
  ...{ token: null, aesKey: null, secret: null, moreSecrets: { refresh_token: 'plainRefresh' } },
}

beforeEach(async () => {
  for (const table of ['access_token', 'account_secret', 'account'])
    await database().db(table).delete()
})

async function everythingStored(): Promise<string> {
  const rows = await Promise.all(
    ['account', 'account_secret', 'access_token'].map((table) => database().db(table).select('*')),
  )
  return JSON.stringify(rows)
}

describe('add', () => {
  it('stores an account that can be found again, with its keys opened', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newAccount({ settings: { freshness_seconds: 0 } }))
    const account = await store.findByName('acme')
    expect(account).toEqual({
      id,
      name: 'acme',
      kind: 'official_account',
      appId: 'wx1234567890abcdef',
      originalId: 'gh_0123456789ab',
      agentId: null,
      providerCorpId: null,
      parentId: null,
      serves: null,
      mode: 'safe',
      bodyFormat: 'xml',
      callbackKey: { token: 'plainCallbackToken', aesKey: AES_KEY },
      previousCallbackKey: null,
      settings: { ...DEFAULT_SETTINGS, freshness_seconds: 0 },
    })
    expect(await store.findById(id)).toEqual(account)
    expect(await store.load()).toEqual([account])
    expect(await store.openAppSecret(id)).toBe('plainAppSecret')
    expect(await store.openCredentials(id)).toEqual({
      appId: 'wx1234567890abcdef',
      parentId: null,
      secret: 'plainAppSecret',
      ticket: null,
      previousTicket: null,
      refreshToken: null,
      permanentCode: null,
    })
    await expect(store.openCredentials(id + 1)).rejects.toThrow(NotFoundError)
  })

  it('leaves no secret readable in the database', async () => {
    await storeUnder(FIRST).add(newAccount())
    const stored = await everythingStored()
    expect(stored).toContain('wx1234567890abcdef')
    for (const secret of ['plainCallbackToken', AES_KEY, 'plainAppSecret']) {
      expect(stored).not.toContain(secret)
    }
  })

  it('stores only the settings that differ from the defaults', async () => {
    await storeUnder(FIRST).add(
      newAccount({ settings: { freshness_seconds: 600, token_kind: 'classic' } }),
    )
    const row: unknown = await database().db('account').first('settings')
    expect(row).toEqual({ settings: { token_kind: 'classic' } })
  })

  it('refuses a second account of the same name, or with the same app id, and says which', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    await expect(store.add(newAccount({ appId: 'wxother' }))).rejects.toMatchObject({
      code: 'account_name_taken',
      details: { field: 'NAME' },
    })
    const second = store.add(newAccount({ name: 'other' }))
    await expect(second).rejects.toThrow(ConflictError)
    await expect(second).rejects.toMatchObject({
      code: 'account_app_id_taken',
      details: { field: '--app-id', name: 'acme' },
    })
    expect(await store.list()).toHaveLength(1)
  })

  it('takes one of two that arrive at once', async () => {
    const store = storeUnder(FIRST)
    const outcomes = await Promise.allSettled([store.add(newAccount()), store.add(newAccount())])
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})

describe('add, by kind', () => {
  it('stores every kind with what it has, and finds it again', async () => {
    const store = storeUnder(FIRST)
    await store.add(
      newKind('mini_program', { originalId: 'gh_mini', bodyFormat: 'json', mode: 'compatible' }),
    )
    const { id: component } = await store.add(newKind('component'))
    const { id: suite } = await store.add(
      newKind('wecom_suite', {
        providerCorpId: 'wwprovider',
        moreSecrets: { provider_secret: 'plainProviderSecret' },
      }),
    )
    await store.add(newKind('wecom_app', { appId: 'wwcorp', agentId: '1000007' }))
    await store.add(newKind('wecom_kf', { appId: 'wwcorp' }))
    await store.add(newKind('authorizer', { ...MERCHANT, parentId: component }))
    await store.add(
      newKind('wecom_authorizer', {
        ...{ appId: 'wwcorp', parentId: suite, agentId: '1000008' },
        ...{ token: null, aesKey: null, secret: null },
        moreSecrets: { permanent_code: 'plainPermanentCode' },
      }),
    )
    const loaded = new Map((await store.load()).map((account) => [account.kind, account]))
    const none = {
      ...{ originalId: null, agentId: null, providerCorpId: null, parentId: null, serves: null },
      bodyFormat: 'xml',
    }
    const rows: [AccountKind, object][] = [
      ['mini_program', { ...none, originalId: 'gh_mini', bodyFormat: 'json', mode: 'compatible' }],
      ['component', none],
      ['wecom_suite', { ...none, providerCorpId: 'wwprovider' }],
      ['wecom_app', { ...none, agentId: '1000007' }],
      ['wecom_kf', none],
      [
        'authorizer',
        {
          ...{ ...none, originalId: 'gh_merchant', parentId: component, serves: 'mini_program' },
          callbackKey: null,
        },
      ],
      ['wecom_authorizer', { ...none, parentId: suite, agentId: '1000008', callbackKey: null }],
    ]
    for (const [kind, expected] of rows) expect(loaded.get(kind)).toMatchObject(expected)
    expect(loaded.size).toBe(rows.length)
    expect(await store.openSecret(suite, 'provider_secret')).toBe('plainProviderSecret')
    expect(await store.show('merchant')).toMatchObject({
      parent: 'component',
      secrets: ['refresh_token'],
    })
    const stored = await everythingStored()
    for (const secret of ['plainProviderSecret', 'plainPermanentCode', 'plainRefresh']) {
      expect(stored).not.toContain(secret)
    }
  })

  it('has the corps of a suite get their tokens as the suite says', async () => {
    const store = storeUnder(FIRST)
    const suite = { name: 'agency', appId: 'dkagency', providerCorpId: 'wwisv' }
    const { id: parentId } = await store.add(newKind('wecom_suite', suite))
    const corp = {
      name: 'corp',
      appId: 'wwcorp',
      parentId,
      token: null,
      aesKey: null,
      secret: null,
    }
    await store.add(newKind('wecom_authorizer', corp))
    const choice = async () => (await store.findByName('corp'))?.settings.corp_token_from
    expect(await choice()).toBe('gettoken')
    await store.updateSettings('agency', { corp_token_from: 'get_corp_token' })
    expect(await choice()).toBe('get_corp_token')
    expect((await store.load()).map(({ settings }) => settings.corp_token_from)).toEqual([
      'get_corp_token',
      'get_corp_token',
    ])
  })

  it('serves many applications of a corp, each once, and one kf account', async () => {
    const store = storeUnder(FIRST)
    const app = (name: string, agentId: string) =>
      store.add(newKind('wecom_app', { name, appId: 'wwcorp', agentId }))
    await app('first', '1000007')
    await app('second', '1000008')
    await expect(app('third', '1000007')).rejects.toMatchObject({
      code: 'account_app_id_taken',
      message: expect.stringMatching(/^--corp-id: account first has this corp id/) as string,
      details: { field: '--corp-id', name: 'first' },
    })
    await store.add(newKind('wecom_kf', { name: 'kf', appId: 'wwcorp' }))
    await expect(
      store.add(newKind('wecom_kf', { name: 'kf2', appId: 'wwcorp' })),
    ).rejects.toMatchObject({ details: { name: 'kf' } })
  })

  it('serves a merchant under each component that it has authorised, once', async () => {
    const store = storeUnder(FIRST)
    const { id: one } = await store.add(newKind('component', { name: 'one', appId: 'wxone' }))
    const { id: two } = await store.add(newKind('component', { name: 'two', appId: 'wxtwo' }))
    await store.add(newKind('authorizer', { ...MERCHANT, parentId: one }))
    await store.add(newKind('authorizer', { ...MERCHANT, name: 'again', parentId: two }))
    await expect(
      store.add(newKind('authorizer', { ...MERCHANT, name: 'third', parentId: two })),
    ).rejects.toMatchObject({ code: 'account_app_id_taken', details: { name: 'again' } })
  })

  it.each<[string, AccountKind, Partial<NewAccount>]>([
    ['original_id', 'official_account', { originalId: null }],
    ['original_id', 'component', { originalId: 'gh_x' }],
    ['agent_id', 'wecom_app', {}],
    ['agent_id', 'wecom_kf', { agentId: '1' }],
    ['provider_corp_id', 'wecom_suite', {}],
    ['provider_corp_id', 'component', { providerCorpId: 'ww' }],
    ['parent_id', 'authorizer', { originalId: 'gh_x', serves: 'official_account' }],
    ['serves', 'component', { serves: 'official_account' }],
    ['kind_mode', 'component', { mode: 'plain' }],
    ['kind_mode', 'wecom_app', { mode: 'compatible', agentId: '1' }],
    ['body_format', 'official_account', { originalId: 'gh_x', bodyFormat: 'json' }],
  ])('lets the database refuse by %s what no %s has', async (check, kind, changes) => {
    const added = storeUnder(FIRST).add(newKind(kind, changes))
    await expect(added).rejects.toMatchObject({ constraint: `account_${check}_check` })
  })

  it('leaves out an account whose callback pair is gone, and not one that needs none', async () => {
    const unreadable: string[] = []
    const store = createAccountStore({
      db: database().db,
      box: createSecretBox([FIRST]),
      onUnreadable: (name) => unreadable.push(name),
    })
    const { id } = await store.add(newKind('component'))
    await store.add(newKind('authorizer', { ...MERCHANT, parentId: id }))
    await database().db('account_secret').where({ account_id: id }).delete()
    expect((await store.load()).map((account) => account.name)).toEqual(['merchant'])
    expect(unreadable).toEqual(['component'])
  })
})

describe('what the kind forbids', () => {
  it('keeps a merchant’s pushes under the pair of its component', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newKind('component'))
    await store.add(newKind('authorizer', { ...MERCHANT, parentId: id }))
    const rotated = store.rotate('merchant', { ...KEEP, token: 'newToken', secret: 'x' })
    await expect(rotated).rejects.toMatchObject({
      faults: [
        { field: '--token', code: 'rotate_parent' },
        { field: '--secret', code: 'not_for_kind' },
      ],
    })
    expect((await store.findByName('merchant'))?.callbackKey).toBeNull()
  })

  it('holds a rotated Token to the rule of its platform', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    await store.add(newKind('wecom_app', { agentId: '1' }))
    await expect(store.rotate('acme', { ...KEEP, token: 'ab' })).rejects.toMatchObject({
      faults: [{ field: '--token', code: 'bad_token' }],
    })
    await store.rotate('wecom-app', { ...KEEP, token: 'ab' })
    expect((await store.findByName('wecom-app'))?.callbackKey?.token).toBe('ab')
    await expect(store.rotate('wecom-app', { ...KEEP, token: 'a-b' })).rejects.toMatchObject({
      faults: [{ code: 'bad_wecom_token' }],
    })
  })

  it('replaces a ProviderSecret of a suite, and of nothing else', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newKind('wecom_suite', { providerCorpId: 'ww1' }))
    const next = { ...KEEP, providerSecret: 'newProviderSecret' }
    expect(await store.rotate('wecom-suite', next)).toEqual({
      callbackKey: false,
      previousLost: false,
      secret: false,
      providerSecret: true,
    })
    expect(await store.openSecret(id, 'provider_secret')).toBe('newProviderSecret')
    await store.add(newAccount())
    await expect(store.rotate('acme', next)).rejects.toThrow('--provider-secret')
  })

  it('changes mode, data format and receive id only where there is a choice', async () => {
    const store = storeUnder(FIRST)
    await store.add(newKind('component'))
    await store.add(newKind('mini_program', { originalId: 'gh_mini', appId: 'wxmini' }))
    await store.add(newKind('wecom_suite', { providerCorpId: 'ww1' }))
    await expect(store.setMode('component', 'plain')).rejects.toThrow('always encrypts')
    await expect(store.setBodyFormat('component', 'json')).rejects.toThrow('--data-format')
    await store.setBodyFormat('mini-program', 'json')
    expect((await store.show('mini-program')).bodyFormat).toBe('json')
    const empty = { empty_receive_id: true }
    await expect(store.updateSettings('component', empty)).rejects.toThrow('--empty-receive-id')
    expect(await store.updateSettings('wecom-suite', empty)).toMatchObject(empty)
  })
})

describe('a ticket', () => {
  const at = (second: number) => new Date(Date.UTC(2026, 0, 2, 0, 0, second))
  const ticket = (value: string, second: number) => ({ value, effectiveAt: at(second) })
  const keep = (id: number, one: Ticket) =>
    keepTicket({ db: database().db, box: createSecretBox([FIRST]) }, id, one)

  it('is kept beside the one before it by the platform’s time, in whatever order they come', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newKind('component'))
    expect(await store.openTickets(id)).toEqual([])
    const answers = []
    for (const one of [
      ...[ticket('b', 20), ticket('d', 40), ticket('a', 10), ticket('c', 30), ticket('d', 40)],
    ]) {
      answers.push(await keep(id, one))
    }
    expect(answers).toEqual([true, true, false, false, false])
    expect(await store.openTickets(id)).toEqual([ticket('d', 40), ticket('c', 30)])
    expect((await store.show('component')).secrets).toContain('previous_ticket')
    expect(await everythingStored()).not.toMatch(/"sealed":"[abcd]"/)
  })

  it('that is the newest of many that come at once is kept', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newKind('component'))
    const tickets = Array.from({ length: 8 }, (_, second) => ticket(`t${second}`, second))
    await Promise.all(tickets.map((one) => keep(id, one)))
    expect(await store.openTickets(id)).toEqual([ticket('t7', 7), ticket('t6', 6)])
  })

  it('that does not open goes with the lost pair beside it', async () => {
    const { id } = await storeUnder(FIRST).add(newKind('component'))
    await keep(id, ticket('a', 1))
    await keep(id, ticket('b', 2))
    const store = storeUnder(SECOND)
    await expect(store.openTickets(id)).rejects.toMatchObject({ code: 'unknown_master_key' })
    await store.rotate('component', { token: 'newToken', aesKey: AES_KEY, secret: 'newSecret' })
    expect(await store.openTickets(id)).toEqual([])
    expect((await store.checkSeals()).unreadableAccountIds).toEqual([])
  })

  it('survives a new master key', async () => {
    const { id } = await storeUnder(FIRST).add(newKind('component'))
    await keep(id, ticket('a', 1))
    await storeUnder(SECOND, FIRST).resealAll()
    expect(await storeUnder(SECOND).openTickets(id)).toEqual([ticket('a', 1)])
  })

  it('has a time, and nothing else has', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newKind('component'))
    await expect(store.putSecrets(id, { ticket: 'a' })).rejects.toMatchObject({
      constraint: 'account_secret_effective_at_check',
    })
    await store.putSecrets(id, { refresh_token: 'plainRefresh' })
    expect(await store.openSecret(id, 'refresh_token')).toBe('plainRefresh')
  })
})

describe('list and show', () => {
  it('shows which secrets are stored and opens none, even under another master key', async () => {
    await storeUnder(FIRST).add(
      newAccount({ name: 'b', appId: 'wxb', mode: 'plain', aesKey: null }),
    )
    await storeUnder(FIRST).add(newAccount({ name: 'a' }))
    const store = storeUnder(SECOND)
    expect((await store.list()).map((account) => [account.name, account.secrets])).toEqual([
      ['a', ['app_secret', 'callback_aes_key', 'callback_token']],
      ['b', ['app_secret', 'callback_token']],
    ])
    expect((await store.show('a')).disabledAt).toBeNull()
    await expect(store.show('c')).rejects.toThrow(NotFoundError)
  })
})

describe('load', () => {
  it('leaves out an account whose secrets do not open, says so, and serves the others', async () => {
    await storeUnder(FIRST).add(newAccount())
    await storeUnder(SECOND).add(newAccount({ name: 'other', appId: 'wxother' }))
    const unreadable: string[] = []
    const store = createAccountStore({
      db: database().db,
      box: createSecretBox([FIRST]),
      onUnreadable: (name) => unreadable.push(name),
    })
    expect((await store.load()).map((account) => account.name)).toEqual(['acme'])
    expect(unreadable).toEqual(['other'])
    await expect(storeUnder(FIRST).load()).rejects.toMatchObject({ code: 'unknown_master_key' })
  })

  it('leaves out a disabled account until it is enabled', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    await store.disable('acme')
    expect(await store.load()).toEqual([])
    expect(await store.findByName('acme')).toBeUndefined()
    expect((await store.show('acme')).disabledAt).toBeInstanceOf(Date)
    await store.enable('acme')
    expect(await store.load()).toHaveLength(1)
  })
})

describe('rotate', () => {
  it('keeps the pair before, and both open', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    const result = await store.rotate('acme', { ...KEEP, token: 'newToken' })
    expect(result).toEqual({
      callbackKey: true,
      previousLost: false,
      secret: false,
      providerSecret: false,
    })
    expect(await store.findByName('acme')).toMatchObject({
      callbackKey: { token: 'newToken', aesKey: AES_KEY },
      previousCallbackKey: { token: 'plainCallbackToken', aesKey: AES_KEY },
    })
  })

  it('changes nothing when the same pair is typed again', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    await store.rotate('acme', { ...KEEP, token: 'newToken' })
    const repeated = await store.rotate('acme', { ...KEEP, token: 'newToken' })
    expect(repeated.callbackKey).toBe(false)
    expect((await store.findByName('acme'))?.previousCallbackKey?.token).toBe('plainCallbackToken')
  })

  it('forgets an AES key of two rotations ago', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount({ mode: 'plain', aesKey: null }))
    await store.rotate('acme', { ...KEEP, aesKey: AES_KEY })
    expect((await store.findByName('acme'))?.previousCallbackKey?.aesKey).toBeNull()
    await store.rotate('acme', { ...KEEP, token: 'third' })
    expect((await store.findByName('acme'))?.previousCallbackKey).toEqual({
      token: 'plainCallbackToken',
      aesKey: AES_KEY,
    })
  })

  it('puts a whole new pair in the place of one whose master key is lost', async () => {
    await storeUnder(FIRST).add(newAccount())
    await storeUnder(FIRST).rotate('acme', { ...KEEP, token: 'second' })
    const store = storeUnder(SECOND)
    await expect(store.rotate('acme', { ...KEEP, token: 'third' })).rejects.toMatchObject({
      faults: [{ field: '--aes-key', code: 'pair_lost' }],
    })
    await expect(store.rotate('acme', { ...KEEP, aesKey: AES_KEY })).rejects.toMatchObject({
      faults: [{ field: '--token', code: 'pair_lost' }],
    })
    const next = { token: 'third', aesKey: 'n'.repeat(43), secret: 'newAppSecret' }
    expect(await store.rotate('acme', next)).toMatchObject({
      callbackKey: true,
      previousLost: true,
    })
    expect(await store.findByName('acme')).toMatchObject({
      callbackKey: { token: 'third', aesKey: 'n'.repeat(43) },
      previousCallbackKey: null,
    })
    expect(await store.checkSeals()).toEqual({
      ...{ total: 3, underOldKeys: 0, unreadableAccountIds: [] },
    })
    const after = await store.rotate('acme', { ...KEEP, token: 'fourth' })
    expect(after).toMatchObject({ callbackKey: true, previousLost: false })
  })

  it('forgets the previous pair on request', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    await store.rotate('acme', { ...KEEP, token: 'newToken' })
    expect(await store.dropPrevious('acme')).toBe(true)
    expect(await store.dropPrevious('acme')).toBe(false)
    expect((await store.findByName('acme'))?.previousCallbackKey).toBeNull()
  })

  it('replaces the AppSecret and closes the breaker of the token endpoint', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newAccount())
    await database()
      .db('access_token')
      .insert({
        account_id: id,
        kind: 'stable',
        version: 4,
        breaker_until: new Date(Date.now() + 60_000),
        breaker_errcode: 40125,
        breaker_reason: 'invalid appsecret',
        failures: 3,
      })
    await store.rotate('acme', { ...KEEP, secret: 'newAppSecret' })
    expect(await store.openAppSecret(id)).toBe('newAppSecret')
    expect(await database().db('access_token').first()).toMatchObject({
      breaker_until: null,
      breaker_errcode: null,
      breaker_reason: null,
      failures: 0,
      rejected_version: '4',
    })
  })

  it('tells every process, once the change is committed', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount())
    const client = new Client({ connectionString: database().url })
    await client.connect()
    const heard = new Promise<string | undefined>((resolve) => {
      client.once('notification', ({ payload }: Notification) => resolve(payload))
    })
    await client.query('listen account_changed')
    await store.rotate('acme', { ...KEEP, token: 'newToken' })
    expect(await heard).toBe('acme')
    await client.end()
  })

  it('refuses an account that does not exist', async () => {
    await expect(storeUnder(FIRST).rotate('nobody', KEEP)).rejects.toThrow(NotFoundError)
  })
})

describe('setMode', () => {
  it('changes the mode, but not to one that needs a key the account lacks', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount({ mode: 'plain', aesKey: null }))
    await expect(store.setMode('acme', 'safe')).rejects.toThrow(InvalidInputError)
    await store.rotate('acme', { ...KEEP, aesKey: AES_KEY })
    await store.setMode('acme', 'compatible')
    expect((await store.show('acme')).mode).toBe('compatible')
  })
})

describe('updateSettings', () => {
  it('changes what is named and keeps the rest', async () => {
    const store = storeUnder(FIRST)
    await store.add(newAccount({ settings: { token_kind: 'classic' } }))
    await store.updateSettings('acme', { freshness_seconds: 30 })
    await store.updateSettings('acme', { token_kind: 'stable' })
    expect((await store.show('acme')).settings).toEqual({
      ...DEFAULT_SETTINGS,
      freshness_seconds: 30,
    })
    expect(await database().db('account').first('settings')).toEqual({
      settings: { freshness_seconds: 30 },
    })
  })
})

describe('resealAll', () => {
  it('puts every sealed text under the new master key, once', async () => {
    const before = storeUnder(FIRST)
    const { id } = await before.add(newAccount())
    const sealed = createSecretBox([FIRST]).seal('plainAccessToken', `access_token/${id}`)
    await database()
      .db('access_token')
      .insert({ account_id: id, kind: 'stable', sealed, key_id: FIRST.id })

    const both = storeUnder(SECOND, FIRST)
    expect(await both.resealAll()).toEqual({ secrets: 3, tokens: 1 })
    expect(await both.resealAll()).toEqual({ secrets: 0, tokens: 0 })

    const after = storeUnder(SECOND)
    expect(await after.openAppSecret(id)).toBe('plainAppSecret')
    expect((await after.findByName('acme'))?.callbackKey?.aesKey).toBe(AES_KEY)
    const token = await database().db<{ sealed: string }>('access_token').first('sealed')
    expect(createSecretBox([SECOND]).open(token?.sealed ?? '', `access_token/${id}`)).toBe(
      'plainAccessToken',
    )
    await expect(before.load()).rejects.toMatchObject({ code: 'unknown_master_key' })
  })
})

describe('checkSeals', () => {
  it('counts what older keys sealed, and names whose secrets do not open', async () => {
    const { id } = await storeUnder(FIRST).add(newAccount())
    expect(await storeUnder(FIRST).checkSeals()).toEqual({
      total: 3,
      underOldKeys: 0,
      unreadableAccountIds: [],
    })
    expect(await storeUnder(SECOND, FIRST).checkSeals()).toMatchObject({ underOldKeys: 3 })
    expect(await storeUnder(SECOND).checkSeals()).toEqual({
      ...{ total: 3, underOldKeys: 0, unreadableAccountIds: [id] },
      lost: { count: 3, place: `account/${id}/app_secret`, keyId: FIRST.id },
    })
  })

  it('passes over a token whose key is gone: the next refresh replaces it', async () => {
    const { id } = await storeUnder(SECOND).add(newAccount())
    const sealed = createSecretBox([FIRST]).seal('plainAccessToken', `access_token/${id}`)
    await database()
      .db('access_token')
      .insert({ account_id: id, kind: 'stable', sealed, key_id: FIRST.id })
    const found = await storeUnder(SECOND).checkSeals()
    expect(found).toEqual({ total: 3, underOldKeys: 0, unreadableAccountIds: [] })
    expect(await storeUnder(SECOND).resealAll()).toEqual({ secrets: 0, tokens: 0 })
  })
})

describe('a sealed text', () => {
  it('does not open in the place of another secret', async () => {
    const store = storeUnder(FIRST)
    const { id } = await store.add(newAccount())
    await database().db.raw(
      `update account_secret
       set sealed = (select sealed from account_secret where name = 'callback_token')
       where name = 'app_secret'`,
    )
    await expect(store.openAppSecret(id)).rejects.toMatchObject({ code: 'broken_seal' })
  })
})
