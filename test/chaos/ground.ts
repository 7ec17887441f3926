import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { Agent, request } from 'undici'
import { MASTER_KEY, type Children } from '../../bench/children.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { sleep, systemClock } from '../../src/foundation/clock.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import type { SandboxAccount } from '../../src/sandbox/sandbox-account.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { ACCOUNT_ROLES, type AccountRole, type ChaosSize } from './chaos-plan.ts'
import { startFleet, type Fleet } from './fleet.ts'
import { weatherOf } from './weather.ts'

/** An account of the run, as both sides know it. */
export interface ChaosAccount {
  readonly id: number
  readonly name: string
  readonly role: AccountRole
  readonly appId: string
  readonly secret: string
  readonly people: SandboxAccount
}

/** The answer to a request of the application. */
export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
  /** When it had arrived, on the clock of the sandbox's record. */
  readonly arrivedMs: number
}

/** Platform, gateways and database of one run, and an application that may use every account. */
export interface Ground {
  readonly db: Knex
  readonly sandbox: Sandbox
  readonly sandboxUrl: string
  readonly accounts: readonly ChaosAccount[]
  readonly fleet: Fleet
  /**
   * A request to one of the gateways; made again, also of others, while there is no answer or one
   * that says 503, as applications do.
   */
  readonly ask: (path: string, options?: AskOptions) => Promise<ApiAnswer>
  readonly close: () => Promise<void>
}

export interface AskOptions {
  /** POST with it; GET when absent. */
  readonly body?: unknown
  readonly key?: string
}

/** What is started for a run, and where. */
export interface GroundParts {
  readonly children: Pick<Children, 'startGateway'>
  /** Migrated, without accounts of these names. */
  readonly database: { readonly url: string; readonly db: Knex }
}

/** Longer than a killed gateway takes to start again on the busiest machine. */
const NO_ANSWER_MS = 180_000
const REQUEST_MS = 10_000
/** More than a message makes on average, by far; older calls would be forgotten. */
const CALLS_PER_MESSAGE = 4
/** The platform tries again soon: its own pause of 5 s would only make the run long. */
const PATIENT_PLATFORM = {
  repeats: 200,
  repeatAfterNoConnectionMs: 250,
  repeatAfterWrongAnswerMs: 100,
}

export async function layGround(parts: GroundParts, size: ChaosSize): Promise<Ground> {
  const { db, url: databaseUrl } = parts.database
  const sandbox = createSandbox({
    seed: `chaos ${size.seed}`,
    push: PATIENT_PLATFORM,
    recordLimit: Math.max(10_000, size.messages * CALLS_PER_MESSAGE),
    // a repeated client_msg_id is answered so by some of the platform's servers
    platform: { repeatedClientMsgId: 45065 },
  })
  const { url: sandboxUrl } = await sandbox.listen()
  const fleet = await startFleet(parts.children, size.processes, {
    databaseUrl,
    platformUrl: sandboxUrl,
    env: gatewayEnv(size),
  })
  const accounts: ChaosAccount[] = []
  for (const [index, role] of ACCOUNT_ROLES.entries()) {
    const gatewayUrl = fleet.urls[index % fleet.urls.length] ?? ''
    accounts.push(await addAccount(db, sandbox, { role, gatewayUrl }))
  }
  const { key } = await createApplicationStore({ db, clock: systemClock }).add({
    name: `shop-${randomBytes(3).toString('hex')}`,
    accountNames: accounts.map(({ name }) => name),
  })
  for (const account of accounts) {
    for (const fault of weatherOf(account, size)) sandbox.addFault(fault)
  }
  const agent = new Agent({ connections: size.atOnce })
  return {
    db,
    sandbox,
    sandboxUrl,
    accounts,
    fleet,
    ask: createAsk(agent, { urls: fleet.urls, key }),
    async close() {
      await agent.destroy()
      await sandbox.close()
    },
  }
}

function gatewayEnv({ patient }: ChaosSize): Record<string, string> {
  const { NODE_COMPILE_CACHE: compiled } = process.env
  return {
    WCG_LEASE_SECONDS: patient ? '20' : '10',
    WCG_DISPATCH_CONCURRENCY: '32',
    ...(compiled !== undefined && { NODE_COMPILE_CACHE: compiled }),
  }
}

async function addAccount(
  db: Knex,
  sandbox: Sandbox,
  { role, gatewayUrl }: { readonly role: AccountRole; readonly gatewayUrl: string },
): Promise<ChaosAccount> {
  const masterKey = parseMasterKey(MASTER_KEY.toString('hex'))
  if (!masterKey) throw new Error('the master key of the run has 32 bytes')
  const told = {
    name: `chaos-${role.replaceAll('_', '-')}-${randomBytes(3).toString('hex')}`,
    mode: 'safe',
    appId: `wx${randomBytes(8).toString('hex')}`,
    originalId: `gh_${randomBytes(6).toString('hex')}`,
    token: randomBytes(8).toString('hex'),
    aesKey: randomBytes(32).toString('hex').slice(0, 43),
    secret: randomBytes(16).toString('hex'),
  } as const
  const store = createAccountStore({ db, box: createSecretBox([masterKey]) })
  const { id } = await store.add({ ...told, kind: 'official_account', settings: {} })
  const people = sandbox.addAccount({
    app_id: told.appId,
    secret: told.secret,
    original_id: told.originalId,
    token: told.token,
    aes_key: told.aesKey,
    callback_url: `${gatewayUrl}/callbacks/${told.name}`,
  })
  return { id, role, people, name: told.name, appId: told.appId, secret: told.secret }
}

function createAsk(
  agent: Agent,
  { urls, key }: { readonly urls: readonly string[]; readonly key: string },
): Ground['ask'] {
  let turn = 0

  async function once(path: string, options: AskOptions): Promise<ApiAnswer> {
    turn += 1
    const { body, key: idempotencyKey } = options
    const answer = await request(`${urls[turn % urls.length] ?? ''}${path}`, {
      dispatcher: agent,
      method: body === undefined ? 'GET' : 'POST',
      signal: AbortSignal.timeout(REQUEST_MS),
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const read: unknown = await answer.body.json()
    return { status: answer.statusCode, body: read, arrivedMs: performance.now() }
  }

  return async (path, options = {}) => {
    const untilMs = performance.now() + NO_ANSWER_MS
    for (;;) {
      const answer = await once(path, options).catch((error: unknown) => {
        if (performance.now() > untilMs) throw error
        return null // a gateway that has just been killed
      })
      if (answer && answer.status !== 503) return answer
      await sleep(50)
    }
  }
}
