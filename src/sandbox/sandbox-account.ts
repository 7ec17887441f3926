import type { ActName } from './acts.ts'
import { accountPlace } from './components.ts'
import type { Follower } from './followers.ts'
import type { EventInput } from './inputs.ts'
import { eventSchema, followersSchema, readInput } from './inputs.ts'
import { readMessages } from './log.ts'
import { unixSeconds } from './movable-clock.ts'
import { performAct, type ActResult } from './perform-act.ts'
import type { HandshakeResult, Pusher } from './pushes.ts'
import type { PushPlace } from './push-place.ts'
import { readElement } from './raw-envelope.ts'
import type { MessageRecord, PushRecord } from './record.ts'
import { getAccount, makeOpenid, meetFollower, type Account, type World } from './world.ts'

/** `silent`: the state changes, but the push is lost. */
export interface ActOptions {
  readonly silent?: boolean
}

export interface PopupOptions extends ActOptions {
  /** Templates of the same popup that the person answers the other way. */
  readonly others?: readonly string[]
  readonly popupScene?: string
}

/** An act as the control API has it. */
export interface NamedAct extends ActOptions {
  readonly name: ActName
  readonly details?: unknown
}

/** What the platform knows of a person; keys as the control API answers them. */
export interface FollowerView {
  readonly openid: string
  readonly follows: boolean
  readonly blocked: boolean
  readonly cancelled: boolean
  readonly blacklisted: boolean
  readonly scene: string | null
  readonly refused_templates: readonly string[]
  readonly credits: Readonly<Record<string, number>>
  readonly standing: readonly string[]
  /** Milliseconds since 1970 of the last act that opened a window, by kind of act. */
  readonly interactions: Readonly<Record<string, number>>
}

/**
 * One account in a test's hands. Every act resolves when its push is acknowledged or given up, with
 * the push; with null where the platform pushes nothing or `silent` was asked for.
 */
export interface SandboxAccount {
  readonly appId: string
  /** An openid nobody has yet: `o` and 27 url-safe characters. */
  newOpenid(): string
  /** People who follow since before the test; nothing is pushed. Returns their openids. */
  addFollowers(count: number): readonly string[]
  follow(openid: string, options?: ActOptions & { readonly scene?: string }): Promise<ActResult>
  unfollow(
    openid: string,
    options?: ActOptions & { readonly eventKey?: string },
  ): Promise<ActResult>
  block(openid: string): Promise<ActResult>
  unblock(openid: string): Promise<ActResult>
  refuseTemplate(openid: string, templateId: string): Promise<ActResult>
  allowTemplate(openid: string, templateId: string): Promise<ActResult>
  accept(openid: string, templateIds: readonly string[], options?: PopupOptions): Promise<ActResult>
  reject(openid: string, templateIds: readonly string[], options?: PopupOptions): Promise<ActResult>
  switchOff(openid: string, templateId: string, options?: ActOptions): Promise<ActResult>
  say(openid: string, text: string, options?: ActOptions): Promise<ActResult>
  tapMenu(openid: string, key: string, options?: ActOptions): Promise<ActResult>
  scan(openid: string, scene: string, options?: ActOptions): Promise<ActResult>
  visitLocation(openid: string, options?: ActOptions): Promise<ActResult>
  revokeAuthorization(
    openid: string,
    options?: ActOptions & { readonly revokeInfo?: string },
  ): Promise<ActResult>
  cancelAccount(openid: string, options?: ActOptions): Promise<ActResult>
  /** Enters a Mini Program's customer service. */
  enterSession(openid: string, options?: ActOptions): Promise<ActResult>
  /** Confirms a one-time subscription on the platform's page; nothing is pushed. */
  confirmSubscription(openid: string, templateId: string, scene: string): Promise<ActResult>
  /** Any act by its name in the control API, with the details as they stand there. */
  act(openid: string, act: NamedAct): Promise<ActResult>
  /** Pushes a document of your own. */
  pushDocument(document: string, options?: Omit<EventInput, 'document'>): Promise<PushRecord>
  /** Makes the GET of the platform's page when the callback's address is saved there. */
  handshake(): Promise<HandshakeResult>
  /** What people really received, oldest first. */
  messages(openid?: string): readonly MessageRecord[]
  follower(openid: string): FollowerView | undefined
}

/** One account's half of the JavaScript API; it stays good after the sandbox is reset. */
export function createSandboxAccount(world: World, pusher: Pusher, appId: string): SandboxAccount {
  const account = () => getAccount(world, appId)
  const act: SandboxAccount['act'] = (openid, { name, details = {}, silent = false }) =>
    performAct(world, pusher, { account: account(), openid, name, details, silent })
  const popup =
    (name: 'accept' | 'reject') =>
    (openid: string, templateIds: readonly string[], options: PopupOptions = {}) => {
      const { others = [], popupScene: popup_scene } = options
      return act(openid, {
        ...options,
        name,
        details: { template_ids: templateIds, others, popup_scene },
      })
    }

  return {
    appId,
    act,
    newOpenid: () => makeOpenid(world),
    addFollowers: (count) => addFollowers(world, account(), { count }),
    follow: (openid, options = {}) =>
      act(openid, { ...options, name: 'follow', details: { scene: options.scene } }),
    unfollow: (openid, options = {}) =>
      act(openid, { ...options, name: 'unfollow', details: { event_key: options.eventKey } }),
    block: (openid) => act(openid, { name: 'block', details: {} }),
    unblock: (openid) => act(openid, { name: 'unblock', details: {} }),
    refuseTemplate: (openid, template_id) =>
      act(openid, { name: 'refuse_template', details: { template_id } }),
    allowTemplate: (openid, template_id) =>
      act(openid, { name: 'allow_template', details: { template_id } }),
    accept: popup('accept'),
    reject: popup('reject'),
    switchOff: (openid, template_id, options) =>
      act(openid, { ...options, name: 'switch_off', details: { template_id } }),
    say: (openid, text, options) => act(openid, { ...options, name: 'say', details: { text } }),
    tapMenu: (openid, key, options) =>
      act(openid, { ...options, name: 'tap_menu', details: { key } }),
    scan: (openid, scene, options) => act(openid, { ...options, name: 'scan', details: { scene } }),
    visitLocation: (openid, options) =>
      act(openid, { ...options, name: 'visit_location', details: {} }),
    revokeAuthorization: (openid, options = {}) =>
      act(openid, {
        ...options,
        name: 'revoke_authorization',
        details: { revoke_info: options.revokeInfo },
      }),
    cancelAccount: (openid, options) =>
      act(openid, { ...options, name: 'cancel_account', details: {} }),
    enterSession: (openid, options) =>
      act(openid, { ...options, name: 'enter_session', details: {} }),
    confirmSubscription: (openid, template_id, scene) =>
      act(openid, { name: 'confirm_subscription', details: { template_id, scene } }),
    pushDocument: (document, options = {}) =>
      pushDocument(pusher, () => accountPlace(world, account()), { ...options, document }),
    handshake: () => pusher.handshake(accountPlace(world, account())),
    messages: (openid) => readMessages(world.record, { appId, openid }),
    follower: (openid) => {
      const follower = account().followers.get(openid)
      return follower && viewFollower(follower)
    },
  }
}

/** Adds people without a push: `count` new ones and those named. Returns their openids. */
export function addFollowers(world: World, account: Account, input: unknown): readonly string[] {
  const { count = 0, openids: named = [], follows } = readInput(followersSchema, input)
  const openids = [...named, ...Array.from({ length: count }, () => makeOpenid(world))]
  const followedAtSeconds = unixSeconds(world.clock.now())
  for (const openid of openids) {
    Object.assign(meetFollower(account, openid), { follows, followedAtSeconds })
  }
  return openids
}

/** Pushes a document as it is; person and event are read from it for the record. */
export function pushDocument(
  pusher: Pusher,
  place: () => PushPlace,
  input: unknown,
): Promise<PushRecord> {
  const { document, openid, ...options } = readInput(eventSchema, input)
  const read = (name: string) => readElement(document, name) ?? readJsonText(document, name)
  return pusher.push({
    place,
    document,
    openid: openid ?? read('FromUserName'),
    event: read('InfoType') ?? read('Event') ?? read('MsgType') ?? 'document',
    options,
  })
}

function readJsonText(document: string, name: string): string | undefined {
  return new RegExp(`"${name}"\\s*:\\s*"([^"]*)"`).exec(document)?.[1]
}

/** A person's state without what only the sandbox needs. */
export function viewFollower(follower: Follower): FollowerView {
  const { openid, follows, blocked, cancelled, blacklisted } = follower
  const rights = [...(follower.rights ?? [])]
  const windows = [...(follower.windows ?? [])]
  return {
    openid,
    follows,
    blocked,
    cancelled,
    blacklisted,
    scene: follower.scene ?? null,
    refused_templates: rights.filter(([, { refused }]) => refused).map(([id]) => id),
    credits: Object.fromEntries(rights.map(([id, { credits }]) => [id, credits])),
    standing: rights.filter(([, { standing }]) => standing).map(([id]) => id),
    interactions: Object.fromEntries(windows.map(([kind, { openedAtMs }]) => [kind, openedAtMs])),
  }
}
