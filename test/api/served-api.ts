import { randomBytes } from 'node:crypto'
import express, { type Express } from 'express'
import type { Knex } from 'knex'
import request from 'supertest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import { createApi } from '../../src/api/api.ts'
import type { ProviderReading, TokenReading } from '../../src/api/token-routes.ts'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { createRequestSigning } from '../../src/applications/request-signing.ts'
import { decideSend, findLiveTemplate } from '../../src/consent/consent-store.ts'
import { createConsents } from '../../src/consent/consents.ts'
import { createEndpoints } from '../../src/delivery/manage-endpoints.ts'
import { listEvents } from '../../src/events/event-store.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { createMetrics, type Metrics } from '../../src/foundation/metrics.ts'
import { createBroadcastStore } from '../../src/messages/broadcast-store.ts'
import { findLimits } from '../../src/messages/limit-store.ts'
import { createMessageStore } from '../../src/messages/message-store.ts'
import type { AccountKind } from '../../src/accounts/account.ts'
import { indexOf } from '../../src/templates/registry.ts'
import { createTemplateDesk } from '../../src/templates/template-desk.ts'
import { listOverrides } from '../../src/wechat/code-override-store.ts'
import { countClears, readTallies } from '../../src/wechat/quota-store.ts'
import { createQuotas } from '../../src/wechat/quotas.ts'

/** The API on a real database, as compose builds it, with its log lines and a clock to move. */
export interface ServedApi {
  readonly app: Express
  readonly lines: () => readonly Record<string, unknown>[]
  readonly metrics: Metrics
  readonly applications: ReturnType<typeof createApplicationStore>
  readonly signing: ReturnType<typeof createRequestSigning>
  /** Moves the clock of this process ahead. */
  passSeconds(seconds: number): void
  /** Whether the accounts take templates alone that are known. */
  setStrictTemplates(on: boolean): void
  /** What the account's token is; the platform client has its own tests. */
  setToken(reading: TokenReading): void
  /** The same of the provider behind it. */
  setProviderToken(reading: ProviderReading): void
}

export function serveApi(db: Knex): ServedApi {
  const lines: string[] = []
  const log = createLog('debug', { write: (line: string) => void lines.push(line) })
  const metrics = createMetrics()
  let aheadMs = 0
  const clock: Clock = {
    now: () => new Date(Date.now() + aheadMs),
    monotonicMs: () => performance.now() + aheadMs,
  }
  let providerToken: ProviderReading = { kind: 'none' }
  let token: TokenReading = { kind: 'unavailable', reason: 'not_fetched', retryAt: null }
  const applications = createApplicationStore({ db, clock })
  const unused = () => Promise.reject(new Error('the platform is not asked here'))
  const quotas = createQuotas({
    call: unused,
    tokens: { getToken: unused, reportRejected: unused },
    readTallies: (accountId, day) => readTallies(db, accountId, day),
    keepQuota: unused,
    keepClear: unused,
    countClears: (accountId, since) => countClears(db, accountId, since),
    openAppSecret: unused,
    endRests: unused,
    clock,
  })
  const masterKey = parseMasterKey('42'.repeat(32))
  if (!masterKey) throw new Error('the master key of the tests is none')
  const box = createSecretBox([masterKey])
  const signing = createRequestSigning({ db, box, clock })
  const endpoints = createEndpoints({
    db,
    box,
    clock,
    randomBytes,
    privateAddresses: 'loopback',
  })
  const templates = createTemplateDesk({ db, clock, sync: unused, onChanged: () => {} })
  let isStrict = false
  const app = express()
  app.use(
    createApi({
      authenticate: async (key) => {
        const found = await applications.authenticate(key)
        if (!found) return undefined
        const accounts = found.accountIds.map((id, at) => ({
          id,
          name: found.accountNames[at] ?? '',
        }))
        return { id: found.id, name: found.name, signatures: found.signatures, accounts }
      },
      checkSignature: (id, signed) => signing.check(id, signed),
      messages: createMessageStore(db),
      broadcasts: createBroadcastStore(db),
      endpoints,
      callbacks: endpoints,
      findTemplates: async (id) => ({ strict: isStrict, ...indexOf(await templates.show(id)) }),
      templates,
      findSender: async (id) => {
        const row = await db('account').where({ id }).first<{ kind: AccountKind }>('kind')
        return row && { ...row, agentId: '1000007' }
      },
      createLink: () => Promise.reject(new Error('the links have their own test')),
      findLinked: () => Promise.resolve(undefined),
      longTermTemplates: () => Promise.resolve(['LONG']),
      seal: (text, place) => `sealed ${place} ${text.length}`,
      decide: (question) => decideSend(db, question),
      findLimits: (question) => findLimits(db, question),
      findWelcomeCode: () => Promise.resolve(undefined),
      findLiveTemplate: (person) => findLiveTemplate(db, person),
      consents: createConsents({ db, clock, settle: () => Promise.resolve() }),
      listEvents: (filter) => listEvents(db, filter),
      readToken: () => Promise.resolve(token),
      readProviderToken: () => Promise.resolve(providerToken),
      readQuotas: ({ id }) => quotas.show({ id, settings: DEFAULT_SETTINGS }),
      quotas,
      findQuotaAccount: () => Promise.resolve(undefined),
      readCodeFacts: async ({ id }) => {
        const recorded = await listOverrides(db, id)
        return { space: 'oa', overrides: recorded.filter((one) => one.removedAt === null) }
      },
      lifetimeHours: 24,
      metrics,
      clock,
      log,
    }),
  )
  return {
    app,
    lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    metrics,
    applications,
    signing,
    passSeconds: (seconds) => {
      aheadMs += seconds * 1000
    },
    setStrictTemplates: (on) => {
      isStrict = on
    },
    setToken: (reading) => {
      token = reading
    },
    setProviderToken: (reading) => {
      providerToken = reading
    },
  }
}

/** An account's row; its secrets play no part here. */
export async function addAccount(db: Knex, name: string): Promise<{ id: number; name: string }> {
  const [row] = await db('account')
    .insert({
      name,
      kind: 'official_account',
      app_id: `wx${name}`,
      original_id: `gh_${name}`,
      mode: 'safe',
      created_at: new Date(),
      updated_at: new Date(),
    })
    .returning<{ id: number }[]>('id')
  if (!row) throw new Error('no account was inserted')
  return { id: row.id, name }
}

/** A valid send; break one thing at a time. */
export function templateSend(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    account: 'acme',
    to: 'o_invented_openid_1',
    channel: 'template_message',
    content: { template_id: 'T1', data: { thing1: { value: 'Tea' } } },
    ...changes,
  }
}

/** Requests of one application. */
export function clientOf(app: Express, key: string) {
  const authorization = `Bearer ${key}`
  return {
    get: (path: string) => request(app).get(path).set('authorization', authorization),
    post: (path: string) => request(app).post(path).set('authorization', authorization),
    patch: (path: string) => request(app).patch(path).set('authorization', authorization),
    delete: (path: string) => request(app).delete(path).set('authorization', authorization),
  }
}
