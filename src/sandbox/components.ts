import { prepareKey, type EnvelopeKey } from '../receiver/message-crypto.ts'
import { componentSchema, readInput, type ComponentConfig } from './inputs.ts'
import type { OptOutHolder } from './opt-outs.ts'
import { fillPath, type PushPlace } from './push-place.ts'
import { createTokenBook, type TokenBook } from './tokens.ts'
import type { Account, World } from './world.ts'

/** What a merchant granted to a component. */
export interface Authorizer extends OptOutHolder {
  readonly appId: string
  authorized: boolean
  refreshToken: string
  authorizedAtSeconds: number
  /** Ids of the permission sets. */
  scopes: readonly number[]
  readonly tokens: TokenBook
}

/** A code that can be exchanged once, until a time. */
export interface OneTimeCode {
  readonly appId: string
  readonly expiresAtMs: number
  used: boolean
}

/** An Open Platform component with everything the platform remembers about it. */
export interface Component {
  config: ComponentConfig
  key: EnvelopeKey
  readonly tokens: TokenBook
  /** Verify tickets by value, with the time they were pushed. */
  readonly tickets: Map<string, number>
  lastTicketMs: number
  /** Whether `api_start_push_ticket` found the pushes on. */
  ticketsOn: boolean
  readonly preAuthCodes: Map<string, number>
  readonly codes: Map<string, OneTimeCode>
  readonly authorizers: Map<string, Authorizer>
}

/**
 * Adds a component, or gives a known one another configuration.
 *
 * @throws InvalidInputError
 */
export function putComponent(world: World, input: unknown): Component {
  const config = readInput(componentSchema, input)
  const key = prepareKey(config.aes_key)
  const known = world.components.get(config.app_id)
  if (known) return Object.assign(known, { config, key })
  const component: Component = {
    config,
    key,
    tokens: createBook(world),
    tickets: new Map(),
    lastTicketMs: -Infinity,
    ticketsOn: true,
    preAuthCodes: new Map(),
    codes: new Map(),
    authorizers: new Map(),
  }
  world.components.set(config.app_id, component)
  return component
}

function createBook(world: World): TokenBook {
  const { tokenLifetimeSeconds, tokenOverlapSeconds } = world.platform
  return createTokenBook(world.random, {
    lifetimeSeconds: tokenLifetimeSeconds,
    overlapSeconds: tokenOverlapSeconds,
  })
}

/** The grant of a merchant, which is none until an authorisation is finished. */
export function authorizerOf(world: World, component: Component, appId: string): Authorizer {
  const known = component.authorizers.get(appId)
  if (known) return known
  const authorizer: Authorizer = {
    appId,
    authorized: false,
    refreshToken: '',
    authorizedAtSeconds: 0,
    scopes: [],
    tokens: createBook(world),
    optOuts: undefined,
  }
  component.authorizers.set(appId, authorizer)
  return authorizer
}

/** Permission sets of which a send needs any one, by kind of account and channel (权限集). */
const SEND_SETS: ReadonlyMap<string, readonly number[]> = new Map([
  ['official_account template_message', [7, 100, 101]],
  ['official_account subscription_message', [89]],
  ['official_account customer_service_message', [1, 6, 19, 100, 101]],
  ['official_account one_time_subscription', [7]],
  ['mini_program subscription_message', [18, 89]],
  ['mini_program customer_service_message', [1, 6, 19, 100, 101]],
  ['mini_program device_message', [118]],
])

/** Whether an account may send through a channel: a merchant's only by what it gave its component. */
export function isPermitted(world: World, account: Account, channel: string | undefined): boolean {
  const grant = grantOf(world, account)
  const sets = SEND_SETS.get(`${account.config.kind} ${channel ?? ''}`)
  return !grant || !sets || sets.some((id) => grant.scopes.includes(id))
}

/** The grant that an account rests on; undefined for one that stands for itself. */
function grantOf(world: World, account: Account): Authorizer | undefined {
  const { component_app_id, app_id } = account.config
  if (component_app_id === undefined) return undefined
  return world.components.get(component_app_id)?.authorizers.get(app_id)
}

/** The component's 授权事件 URL (callbacks.md §3.2). */
export function componentPlace({ config, key, authorizers }: Component): PushPlace {
  return {
    kind: 'component',
    ownerId: config.app_id,
    url: config.callback_url ?? null,
    otherUrl: null,
    mode: 'safe',
    format: 'xml',
    query: 'official',
    token: config.token,
    key,
    receiveId: config.app_id,
    relatedReceiveId: [...authorizers.keys()][0] ?? config.token,
    outer: [['AppId', config.app_id]],
    answer: 'success',
  }
}

/** Where an account's pushes go: to itself, or to its component's message URL. */
export function accountPlace(world: World, account: Account): PushPlace {
  const { config, key } = account
  const outer = [['ToUserName', config.original_id]] as const
  const component = world.components.get(config.component_app_id ?? '')
  const base = {
    ownerId: config.app_id,
    query: 'official',
    outer,
    answer: 'success_or_empty',
  } as const
  if (config.component_app_id === undefined) {
    return {
      ...base,
      kind: config.kind,
      url: config.callback_url ?? null,
      otherUrl: null,
      mode: config.mode,
      format: config.body_format,
      token: config.token,
      key,
      receiveId: config.app_id,
      relatedReceiveId: config.original_id,
    }
  }
  const url = component?.config.message_url
  const authorized = grantOf(world, account)?.authorized === true
  const others = [...(component?.authorizers.keys() ?? [])]
  const other = others.find((appId) => appId !== config.app_id) ?? 'wx0000000000000000'
  return {
    ...base,
    kind: 'authorizer',
    url: url && authorized ? fillPath(url, '$APPID$', config.app_id) : null,
    otherUrl: url?.includes('APPID') ? fillPath(url, '$APPID$', other) : null,
    mode: 'safe',
    format: 'xml',
    token: component?.config.token ?? '',
    key: component?.key ?? null,
    // The component's, not the merchant's: its pair is the component's, too.
    receiveId: config.component_app_id,
    relatedReceiveId: config.app_id,
  }
}
