import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { createAccountStore, type AccountStore } from '../../src/accounts/account-store.ts'
import type { AccountSettings, CallbackMode } from '../../src/accounts/account.ts'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { findConsents } from '../../src/consent/consent-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import type { SandboxOptions } from '../../src/sandbox/options.ts'
import type { SandboxAccount } from '../../src/sandbox/sandbox-account.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { startGatewayProcess, TEST_MASTER_KEY, type GatewayProcess } from './gateway-process.ts'
import {
  postPush,
  signPush,
  type PlatformSide,
  type PushAnswer,
  type PushChanges,
} from './sign-push.ts'

/** One account, as both sides know it. */
export interface RoadAccount extends PlatformSide {
  readonly id: number
  /** Our name for it. */
  readonly name: string
  readonly secret: string
  /** Its people, on the platform. */
  readonly platform: SandboxAccount
}

/** What differs from an account in safe mode with the default settings. */
export interface RoadAccountOptions {
  readonly mode?: CallbackMode
  readonly settings?: Partial<AccountSettings>
}

export interface RoadOptions {
  /** Gateway processes on the one database; 1 when absent. */
  readonly processes?: number
  /** Processes that each of these runs behind its one port; without it, it is the only one. */
  readonly behindOnePort?: number
  /** One in safe mode when absent. */
  readonly accounts?: readonly RoadAccountOptions[]
  readonly sandbox?: SandboxOptions
  /** Settings of every gateway process. */
  readonly env?: Readonly<Record<string, string>>
}

/** A platform, a database, gateways in processes of their own, and an application. */
export interface Road {
  readonly sandbox: Sandbox
  readonly sandboxUrl: string
  readonly database: TestDatabase
  /** The accounts as an operator changes them; a change reaches the processes by notification. */
  readonly store: AccountStore
  /** In the order of the options. */
  readonly accounts: readonly RoadAccount[]
  /** The first account. */
  readonly account: RoadAccount
  readonly people: SandboxAccount
  /** Those running; the platform pushes to the first. */
  readonly gateways: readonly GatewayProcess[]
  /** The key of the application `shop`, which may use every account. */
  readonly key: string
  /** Another gateway process on the same database, or by another way to it. */
  startGateway(options?: {
    readonly databaseUrl?: string
    readonly env?: Readonly<Record<string, string>>
  }): Promise<GatewayProcess>
  /** The callback address of an account at one of the gateways. */
  callbackUrl(gateway?: GatewayProcess, account?: RoadAccount): string
  /** Signs a document as the platform does and posts it to one of the gateways. */
  push(
    document: string,
    options?: PushChanges & { readonly gateway?: GatewayProcess; readonly account?: RoadAccount },
  ): Promise<PushAnswer>
  /** A request of the application to one of the gateways. */
  api(path: string, options?: ApiOptions): Promise<{ status: number; body: unknown }>
  /** What holds for a person of the first account, by scope. */
  consentsOf(openid: string): Promise<Readonly<Record<string, string>>>
  stop(): Promise<void>
}

export interface ApiOptions {
  readonly gateway?: GatewayProcess
  /** POST where there is a body, else GET. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Starts it all; the caller stops it. Most tests want `useRoad`. */
async function startRoad(options: RoadOptions = {}): Promise<Road> {
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await build(options, undo, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

/** Gives a test file, or one `describe`, a road for as long as it runs. */
export function useRoad(options: RoadOptions = {}): () => Road {
  let road: Road | undefined
  beforeAll(async () => {
    road = await startRoad(options)
  })
  afterAll(async () => {
    await road?.stop()
  })
  return () => {
    if (!road) throw new Error('the road exists only inside tests and hooks')
    return road
  }
}

async function build(
  options: RoadOptions,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<Road> {
  const database = await createTestDatabase()
  undo.push(() => database.drop())
  const sandbox = createSandbox(options.sandbox)
  undo.push(() => sandbox.close())
  const { url: sandboxUrl } = await sandbox.listen()

  const store = createAccountStore({ db: database.db, box: createSecretBox([testKey()]) })
  const added = []
  for (const one of options.accounts ?? [{}]) added.push(await addAccount(store, one))
  const application = await createApplicationStore({ db: database.db, clock: systemClock }).add({
    name: 'shop',
    accountNames: added.map(({ name }) => name),
  })

  const gateways: GatewayProcess[] = []
  const startGateway: Road['startGateway'] = async ({ databaseUrl, env } = {}) => {
    const gateway = await startGatewayProcess({
      databaseUrl: databaseUrl ?? database.url,
      platformUrl: sandboxUrl,
      ...(options.behindOnePort !== undefined && { processes: options.behindOnePort }),
      env: { ...options.env, ...env },
    })
    gateways.push(gateway)
    undo.push(() => gateway.end('SIGKILL'))
    return gateway
  }
  await Promise.all(Array.from({ length: options.processes ?? 1 }, () => startGateway()))

  const callbackUrlOf = (gateway: GatewayProcess | undefined, name: string) =>
    `${gateway?.url ?? ''}/callbacks/${name}`
  const accounts = added.map((one) => ({
    ...one,
    platform: sandbox.addAccount({
      app_id: one.appId,
      secret: one.secret,
      original_id: one.originalId,
      token: one.token,
      aes_key: one.aesKey,
      mode: one.mode,
      callback_url: callbackUrlOf(gateways[0], one.name),
    }),
  }))
  const account = accounts[0]
  if (!account) throw new Error('a road needs an account')

  const callbackUrl: Road['callbackUrl'] = (gateway = gateways[0], { name } = account) =>
    callbackUrlOf(gateway, name)
  return {
    sandbox,
    sandboxUrl,
    database,
    store,
    accounts,
    account,
    people: account.platform,
    gateways,
    key: application.key,
    startGateway,
    callbackUrl,
    push: (document, { gateway, account: to = account, ...changes } = {}) =>
      postPush(callbackUrl(gateway, to), signPush(to, document, changes)),
    api: (path, { gateway = gateways[0], ...request } = {}) =>
      ask(`${gateway?.url ?? ''}${path}`, { ...request, key: application.key }),
    consentsOf: async (openid) => {
      const held = await findConsents(database.db, account.id, openid)
      return Object.fromEntries(held.map(({ scope, state }) => [scope, state]))
    },
    stop,
  }
}

function testKey() {
  const key = parseMasterKey(TEST_MASTER_KEY)
  if (!key) throw new Error('the master key of the tests is none')
  return key
}

/** An account with ids and keys nobody has used before. */
async function addAccount(store: AccountStore, options: RoadAccountOptions) {
  const { mode = 'safe', settings = {} } = options
  const configuration = {
    name: `acme-${randomBytes(3).toString('hex')}`,
    mode,
    appId: `wx${randomBytes(8).toString('hex')}`,
    originalId: `gh_${randomBytes(6).toString('hex')}`,
    token: randomBytes(8).toString('hex'),
    aesKey: newAesKey(),
    secret: randomBytes(16).toString('hex'),
  }
  const { id } = await store.add({ ...configuration, kind: 'official_account', settings })
  return { ...configuration, id }
}

/** An EncodingAESKey as the platform's page makes them. */
export function newAesKey(): string {
  return randomBytes(32).toString('hex').slice(0, 43)
}

async function ask(url: string, { key, body, headers }: ApiOptions & { readonly key: string }) {
  const answer = await fetch(url, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  const read: unknown = text === '' ? null : JSON.parse(text)
  return { status: answer.status, body: read }
}
