import { createApiFaults, type ApiFaults } from './api-faults.ts'
import type { Component } from './components.ts'
import type { Corp } from './corps.ts'
import type { Follower } from './followers.ts'
import { newFollower } from './followers.ts'
import { accountSchema, readInput, type AccountConfig, type Template } from './inputs.ts'
import type { MovableClock } from './movable-clock.ts'
import type { PlatformRules, PushRules } from './options.ts'
import { createPushFaults, type PushFaults } from './push-faults.ts'
import { createQuotaCounters, type QuotaCounters } from './quotas.ts'
import type { Randomness } from './randomness.ts'
import type { SandboxRecord } from './record.ts'
import { createRidBook, type RidBook } from './rids.ts'
import type { Suite } from './suites.ts'
import { createTokenBook, type TokenBook } from './tokens.ts'
import { NotFoundError } from '../foundation/errors.ts'
import { prepareKey, type EnvelopeKey } from '../receiver/message-crypto.ts'

/** One account with everything the platform remembers about it. */
export interface Account {
  config: AccountConfig
  /** The EncodingAESKey ready for use; null in plain mode without one. */
  key: EnvelopeKey | null
  readonly tokens: TokenBook
  readonly quotas: QuotaCounters
  /** Every openid the account ever met, in that order. */
  readonly followers: Map<string, Follower>
  /** Sends by openid and `client_msg_id`, oldest first. */
  readonly seen: Map<string, { readonly msgid: string; readonly atMs: number }>
  lastForcedMs: number
  quotaClears: { month: string; count: number }
}

/** All state of one sandbox; no part of it is shared with another. */
export interface World {
  readonly clock: MovableClock
  readonly random: Randomness
  readonly platform: PlatformRules
  readonly push: PushRules
  readonly record: SandboxRecord
  readonly apiFaults: ApiFaults
  readonly pushFaults: PushFaults
  readonly rids: RidBook
  /** Official Accounts and Mini Programs by appid, those of a component among them. */
  readonly accounts: Map<string, Account>
  readonly components: Map<string, Component>
  readonly corps: Map<string, Corp>
  readonly suites: Map<string, Suite>
}

/** A world without accounts. */
export function createWorld(
  parts: Pick<World, 'clock' | 'random' | 'platform' | 'push' | 'record'>,
): World {
  return {
    ...parts,
    apiFaults: createApiFaults(() => parts.random.fraction()),
    pushFaults: createPushFaults(),
    rids: createRidBook(),
    accounts: new Map(),
    components: new Map(),
    corps: new Map(),
    suites: new Map(),
  }
}

/**
 * Adds an account, or gives a known one another configuration: its followers, tokens and counters
 * stay, as when somebody changes the callback's address or key on the platform's page.
 *
 * @throws InvalidInputError
 */
export function putAccount(world: World, input: unknown): Account {
  const config = readInput(accountSchema, input)
  const key = config.aes_key ? prepareKey(config.aes_key) : null
  const known = world.accounts.get(config.app_id)
  if (known) return Object.assign(known, { config, key })
  const account: Account = {
    config,
    key,
    tokens: createTokenBook(world.random, {
      lifetimeSeconds: world.platform.tokenLifetimeSeconds,
      overlapSeconds: world.platform.tokenOverlapSeconds,
    }),
    quotas: createQuotaCounters(),
    followers: new Map(),
    seen: new Map(),
    lastForcedMs: -Infinity,
    quotaClears: { month: '', count: 0 },
  }
  world.accounts.set(config.app_id, account)
  return account
}

/** @throws NotFoundError naming the accounts there are. */
export function getAccount(world: World, appId: string): Account {
  const account = world.accounts.get(appId)
  if (account) return account
  const known = [...world.accounts.keys()].join(', ') || 'none'
  throw new NotFoundError(
    'unknown_sandbox_account',
    `No account ${appId} in the sandbox (known: ${known}); add it with POST /sandbox/accounts.`,
  )
}

/** The owner under an id. @throws NotFoundError naming those there are. */
export function getOwner<Owner>(
  owners: ReadonlyMap<string, Owner>,
  kind: 'components' | 'corps' | 'suites',
  id: string,
): Owner {
  const owner = owners.get(id)
  if (owner) return owner
  const known = [...owners.keys()].join(', ') || 'none'
  throw new NotFoundError(
    'unknown_sandbox_account',
    `No ${id} among the ${kind} of the sandbox (known: ${known}); add it with POST /sandbox/${kind}.`,
  )
}

/** An openid nobody has: `o` and 27 url-safe characters. */
export function makeOpenid(world: World): string {
  return `o${world.random.urlSafe(27)}`
}

/** The person, known from now on if they were not. */
export function meetFollower(account: Account, openid: string): Follower {
  const follower = account.followers.get(openid) ?? newFollower(openid)
  account.followers.set(openid, follower)
  return follower
}

/**
 * The template under an id; undefined when the account does not have it. An account with no template
 * listed has every template, so that a test need not list them.
 */
export function findTemplate(account: Account, templateId: string): Template | undefined {
  const { templates } = account.config
  if (templates.length === 0) {
    const nothing = { title: '', content: '', long_term: false, for_devices: false, choices: {} }
    return { template_id: templateId, ...nothing, status: 'live' }
  }
  return templates.find((template) => template.template_id === templateId)
}
