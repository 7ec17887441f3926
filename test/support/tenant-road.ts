import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { createAccountStore, type AccountStore } from '../../src/accounts/account-store.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import type { SandboxOptions } from '../../src/sandbox/options.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import type {
  SandboxComponent,
  SandboxCorp,
  SandboxSuite,
} from '../../src/sandbox/sandbox-owners.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { startGatewayProcess, TEST_MASTER_KEY, type GatewayProcess } from './gateway-process.ts'
import { newAesKey } from './road.ts'
import { until } from './send-road.ts'

export const MERCHANT = 'wx7f3a9c2e5b8d1046'
export const MERCHANT_ORIGINAL_ID = 'gh_5c1e8a2b7d90'
export const OTHER_MERCHANT = 'wx4c6e8a0b2d1f3579'
export const CORP = 'ww3c7e1a9b5d2f8064'
export const KF = 'wkT3pXBgAAmR8yLcVq2ZnKd5sHuE1oJf'
const COMPONENT = 'wx9e1c5a7b3d2f4068'
const SUITE = 'ww8a4c2e6b0d1f3957'
const PROVIDER = 'ww1f5d9b3a7c0e8264'

/** A component, a suite and a corp with customer service, on both sides, and one gateway process. */
export interface TenantRoad {
  readonly sandbox: Sandbox
  readonly platformUrl: string
  readonly database: TestDatabase
  readonly store: AccountStore
  readonly component: SandboxComponent
  readonly suite: SandboxSuite
  readonly corp: SandboxCorp
  /** Our ids. */
  readonly ids: { readonly component: number; readonly suite: number; readonly kf: number }
  readonly gateway: GatewayProcess
  readonly gateways: readonly GatewayProcess[]
  /** `kill -9`, and a new process at the same address. */
  restart(): Promise<void>
  kill(): Promise<void>
  /** The account that was made for a tenant; undefined while there is none. */
  tenant(parentId: number, appId: string): Promise<TenantRow | undefined>
  untilTenant(parentId: number, appId: string): Promise<TenantRow>
  /** The state of the scope `tenant`; undefined while the ledger knows nothing. */
  tenantState(parentId: number, appId: string): Promise<string | undefined>
  /**
   * The next call of a path hangs until the process that makes it is killed: `perform` causes it, and
   * when this returns the call is under way.
   */
  hangAt<Result>(path: string, perform: () => Promise<Result>): Promise<Result>
  /** Waits until no job is left to do at once. */
  untilJobsDone(): Promise<void>
}

export interface TenantRow {
  readonly id: number
  readonly name: string
  readonly kind: string
  readonly original_id: string | null
  readonly agent_id: string | null
  readonly serves: string | null
  readonly disabled_at: Date | null
}

/** Gives a test file, or one `describe`, such a road for as long as it runs. */
export function useTenantRoad(options: SandboxOptions = {}): () => TenantRoad {
  const undo: (() => Promise<unknown>)[] = []
  let road: TenantRoad | undefined
  beforeAll(async () => {
    road = await build(options, undo)
  })
  afterAll(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  return () => {
    if (!road) throw new Error('the road exists only inside tests and hooks')
    return road
  }
}

async function build(
  options: SandboxOptions,
  undo: (() => Promise<unknown>)[],
): Promise<TenantRoad> {
  const database = await createTestDatabase()
  undo.push(() => database.drop())
  const { db } = database
  const sandbox = createSandbox(options)
  undo.push(() => sandbox.close())
  const { url: platformUrl } = await sandbox.listen()
  const key = parseMasterKey(TEST_MASTER_KEY)
  if (!key) throw new Error('the master key of the tests is none')
  const store = createAccountStore({ db, box: createSecretBox([key]) })
  const pair = () => ({ token: randomBytes(8).toString('hex'), aesKey: newAesKey() })
  const pairs = { component: pair(), suite: pair(), kf: pair() }
  const base = { mode: 'safe', settings: {} } as const
  const component = await store.add({
    ...base,
    ...pairs.component,
    ...{ name: 'platform', kind: 'component', appId: COMPONENT, secret: 'component secret' },
  })
  const suite = await store.add({
    ...base,
    ...pairs.suite,
    ...{ name: 'suite', kind: 'wecom_suite', appId: SUITE, secret: 'suite secret' },
    ...{ providerCorpId: PROVIDER, moreSecrets: { provider_secret: 'provider secret' } },
  })
  const kf = await store.add({
    ...base,
    ...pairs.kf,
    ...{ name: 'service', kind: 'wecom_kf', appId: CORP, secret: 'kf secret' },
  })

  const gateways: GatewayProcess[] = []
  const start = async (port?: string) => {
    const gateway = await startGatewayProcess({
      databaseUrl: database.url,
      platformUrl,
      env: {
        WECOM_API_BASE_URL: platformUrl,
        LOG_LEVEL: 'debug',
        ...(port !== undefined && { PORT: port }),
      },
    })
    gateways.push(gateway)
    undo.push(() => gateway.end('SIGKILL'))
    return gateway
  }
  let gateway = await start()
  const callback = (name: string) => `${gateway.url}/callbacks/${name}`
  const sealed = ({ token, aesKey }: { token: string; aesKey: string }) => {
    return { token, aes_key: aesKey }
  }
  const sandboxComponent = sandbox.addComponent({
    ...sealed(pairs.component),
    app_id: COMPONENT,
    secret: 'component secret',
    callback_url: callback('platform'),
    message_url: `${callback('platform')}/$APPID$`,
  })
  const merchant = { component_app_id: COMPONENT }
  sandbox.addAccount({ ...merchant, app_id: MERCHANT, original_id: MERCHANT_ORIGINAL_ID })
  sandbox.addAccount({ ...merchant, app_id: OTHER_MERCHANT, original_id: 'gh_0b8d6f4a2c1e' })
  const sandboxCorp = sandbox.addCorp({
    corp_id: CORP,
    kf: { ...sealed(pairs.kf), secret: 'kf secret', callback_url: callback('service') },
    kf_accounts: [KF],
    members: ['LiXiaoMing', 'WangFang'],
  })
  const sandboxSuite = sandbox.addSuite({
    ...sealed(pairs.suite),
    suite_id: SUITE,
    secret: 'suite secret',
    ...{ provider_corp_id: PROVIDER, provider_secret: 'provider secret' },
    callback_url: callback('suite'),
    data_url: `${callback('suite')}/$CORPID$`,
  })

  const tenant = (parentId: number, appId: string) =>
    db<TenantRow & { parent_id: number; app_id: string }>('account')
      .where({ parent_id: parentId, app_id: appId })
      .first()
  return {
    sandbox,
    platformUrl,
    database,
    store,
    component: sandboxComponent,
    suite: sandboxSuite,
    corp: sandboxCorp,
    ids: { component: component.id, suite: suite.id, kf: kf.id },
    get gateway() {
      return gateway
    },
    gateways,
    async kill() {
      await gateway.end('SIGKILL')
    },
    async restart() {
      await gateway.end('SIGKILL')
      gateway = await start(new URL(gateway.url).port)
    },
    tenant,
    async untilTenant(parentId, appId) {
      const found = await until(() => tenant(parentId, appId), Boolean, 25_000)
      if (!found) throw new Error('the tenant was found and is gone')
      return found
    },
    async tenantState(parentId, appId) {
      const row = await db<{ account_id: number; subject: string; scope: string; state: string }>(
        'consent',
      )
        .where({ account_id: parentId, subject: appId, scope: 'tenant' })
        .first('state')
      return row?.state
    },
    async hangAt(path, perform) {
      sandbox.addFault({ path, delay_ms: 60_000, times: 1 })
      const result = await perform()
      await until(
        () => sandbox.log({ kind: 'call' }).entries,
        (calls) => calls.some((call) => 'path' in call && call.path === path),
        10_000,
      )
      return result
    },
    async untilJobsDone() {
      await until(
        async () => {
          const { rows } = await db.raw<{
            rows: { task_identifier: string; last_error: string }[]
          }>(
            `select task_identifier, last_error from graphile_worker.jobs
             where run_at <= now() + interval '30 seconds'
               -- who follows a merchant is asked again when a token is to be had
               and coalesce(last_error, '') not like 'no_token: % forced_refresh_budget'`,
          )
          return rows
        },
        (rows) => rows.length === 0,
        20_000,
      )
    },
  }
}
