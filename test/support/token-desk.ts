import type { Knex } from 'knex'
import { DEFAULT_SETTINGS, type TokenKind } from '../../src/accounts/account.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics, type Metrics } from '../../src/foundation/metrics.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { createPlatformClient } from '../../src/wechat/platform-client.ts'
import type { TokenAccount } from '../../src/wechat/refresh-token.ts'
import {
  createTokenKeeper,
  type TokenKeeper,
  type TokenKeeperParts,
} from '../../src/wechat/token-keeper.ts'
import { createTokenStore, type TokenStore } from '../../src/wechat/token-store.ts'
import type { TokenCredentials } from '../../src/wechat/token-sources.ts'
import type { TokenEndpoint } from './token-endpoint.ts'

/** A clock whose wall time a test moves; both hands move together. */
export interface HandClock extends Clock {
  forward(seconds: number): void
}

export function createHandClock(start = new Date('2026-01-31T04:00:00Z')): HandClock {
  let aheadMs = 0
  const startedMs = systemClock.monotonicMs()
  return {
    now: () => new Date(start.getTime() + aheadMs + systemClock.monotonicMs() - startedMs),
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    forward(seconds) {
      aheadMs += seconds * 1000
    },
  }
}

const masterKey = parseMasterKey('ab'.repeat(32))
if (!masterKey) throw new Error('the key of the tests is no key')
export const BOX = createSecretBox([masterKey])

export function accountOf(id: number, kind: TokenKind = 'stable'): TokenAccount {
  return {
    id,
    name: `account-${id}`,
    kind: 'official_account',
    settings: { ...DEFAULT_SETTINGS, token_kind: kind },
  }
}

/** What one gateway process has: a pool of its own, a store, a client and a keeper. */
export interface Desk {
  readonly keeper: TokenKeeper
  readonly store: TokenStore
  readonly metrics: Metrics
  /** What it wrote to its log, line by line. */
  readonly lines: readonly string[]
  close(): Promise<void>
}

export function openDesk(options: {
  readonly db: Knex
  readonly endpoint: Pick<TokenEndpoint, 'url'>
  readonly clock: Clock
  readonly name?: string
  readonly leaseMs?: number
  readonly secrets?: (accountId: number) => Promise<TokenCredentials>
  readonly parts?: Partial<TokenKeeperParts>
  readonly table?: Parameters<typeof createTokenStore>[2]
}): Desk {
  const { db, endpoint, clock, name = 'desk' } = options
  const lines: string[] = []
  const log = createLog('debug', { write: (line) => void lines.push(line) })
  const metrics = createMetrics()
  const client = createPlatformClient({ baseUrl: endpoint.url, clock, log })
  const store = createTokenStore(db, BOX, options.table)
  const keeper = createTokenKeeper({
    store,
    call: (call) => client.call(call),
    secrets: options.secrets ?? (async () => ({ appId: 'wx1', secret: 'invented-secret' })),
    findAccount: async () => undefined,
    replaceRefreshToken: async () => false,
    clock,
    log,
    metrics,
    random: Math.random,
    process: name,
    ...(options.leaseMs !== undefined && { leaseMs: options.leaseMs }),
    ...options.parts,
  })
  const close = async () => {
    await keeper.settle()
    await client.close()
  }
  return { keeper, store, metrics, lines, close }
}

/** The token of an answer; anything else fails the test. */
export async function tokenOf(
  answer: Promise<Awaited<ReturnType<TokenKeeper['getToken']>>>,
): Promise<{ readonly token: string; readonly version: string }> {
  const found = await answer
  if (found.kind !== 'token') throw new Error(`no token: ${found.reason}`)
  return found
}
