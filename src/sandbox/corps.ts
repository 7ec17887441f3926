import { prepareKey, type EnvelopeKey } from '../receiver/message-crypto.ts'
import { corpSchema, readInput, type CorpConfig } from './inputs.ts'
import { createKfDesk, type KfDesk } from './kf-desk.ts'
import type { OptOutHolder } from './opt-outs.ts'
import type { PushPlace } from './push-place.ts'
import { createQuotaCounters, type QuotaCounters } from './quotas.ts'
import { createTokenBook, type TokenBook } from './tokens.ts'
import type { World } from './world.ts'

/** A member as one app sees them. */
export interface Seat extends OptOutHolder {
  /** Whether the member can see the app. */
  visible: boolean
  /** When messages of the app were delivered, for the limits of a minute and an hour. */
  readonly deliveredMs: number[]
}

/** One app of a corp: its own, or the agent of a suite. */
export interface CorpApp {
  /** Null for the customer service, which is no app. */
  readonly agentId: string | null
  secret: string | undefined
  /** Where its events go. */
  place: () => PushPlace
  /** The suite that owns it; its other notices are written in the suite's form. */
  readonly suiteId: string | null
  readonly tokens: TokenBook
  readonly seats: Map<string, Seat>
  /** Bodies of `message/send` that asked for the duplicate check. */
  readonly seen: Map<string, { readonly msgid: string; readonly atMs: number }>
}

/** What a member and a customer are to each other. */
export interface Relation extends OptOutHolder {
  readonly userid: string
  readonly externalUserid: string
  /** `left`: the customer deleted the member; `none`: the member deleted the customer. */
  state: 'friends' | 'left' | 'none'
  addedAtSeconds: number
  /** Group messages received, in which natural month of China. */
  month: string
  monthCount: number
  archive: 'Agree' | 'Disagree'
  archiveAtSeconds: number
}

/** A customer group: who of it is from outside, and what they said to the chat archive. */
export interface Room {
  readonly members: Map<
    string,
    { readonly archive: 'Agree' | 'Disagree' | 'Default_Agree'; readonly archiveAtSeconds: number }
  >
}

export interface WelcomeCode {
  readonly relation: Relation
  readonly expiresAtMs: number
  used: boolean
}

/** A group message that waits for members to send it. */
export interface GroupTask {
  readonly msgid: string
  readonly atSeconds: number
  readonly content: Readonly<Record<string, unknown>>
  readonly arrivedMs: number
  cancelled: boolean
  /** By member, then by customer. */
  readonly tasks: Map<string, GroupShare>
}

interface GroupShare {
  sentAtSeconds: number | undefined
  readonly customers: Map<string, { status: 0 | 1 | 2 | 3; sentAtSeconds: number | undefined }>
}

/** A corp of WeCom with everything the platform remembers about it. */
export interface Corp {
  config: CorpConfig
  readonly apps: CorpApp[]
  readonly members: Set<string>
  readonly relations: Map<string, Relation>
  /** Customer groups, by `ChatId`. */
  readonly rooms: Map<string, Room>
  /** The new ids of customers, since the corp agreed to them. */
  readonly newExternalUserids: Map<string, string>
  readonly welcomeCodes: Map<string, WelcomeCode>
  readonly groupTasks: Map<string, GroupTask>
  readonly kf: KfDesk
  readonly quotas: QuotaCounters
}

/**
 * Adds a corp, or gives a known one another configuration: its people stay.
 *
 * @throws InvalidInputError
 */
export function putCorp(world: World, input: unknown): Corp {
  const config = readInput(corpSchema, input)
  const known = world.corps.get(config.corp_id)
  const corp: Corp = known ?? {
    config,
    apps: [],
    members: new Set(),
    relations: new Map(),
    rooms: new Map(),
    newExternalUserids: new Map(),
    welcomeCodes: new Map(),
    groupTasks: new Map(),
    kf: createKfDesk(),
    quotas: createQuotaCounters(),
  }
  corp.config = config
  for (const member of config.members) corp.members.add(member)
  for (const account of config.kf_accounts) corp.kf.accounts.add(account)
  for (const app of config.apps) putApp(world, corp, { ...app, kind: 'wecom_app' })
  if (config.kf) putApp(world, corp, { ...config.kf, agent_id: null, kind: 'wecom_kf' })
  world.corps.set(config.corp_id, corp)
  return corp
}

interface OwnApp {
  readonly agent_id: string | null
  readonly kind: 'wecom_app' | 'wecom_kf'
  readonly secret: string
  readonly token: string
  readonly aes_key: string
  readonly callback_url?: string | null | undefined
}

function putApp(world: World, corp: Corp, app: OwnApp): void {
  const key = prepareKey(app.aes_key)
  const place = () => ownPlace(corp, app, key)
  const known = corp.apps.find(({ agentId }) => agentId === app.agent_id)
  if (known) Object.assign(known, { secret: app.secret, place })
  else corp.apps.push(newApp(world, { agentId: app.agent_id, secret: app.secret, place }))
}

/** An app without a history. */
export function newApp(
  world: World,
  app: Pick<CorpApp, 'agentId' | 'secret' | 'place'> & { readonly suiteId?: string },
): CorpApp {
  return {
    ...app,
    suiteId: app.suiteId ?? null,
    // WeCom gives the same token again until it ends (sending.md §1.5).
    tokens: createTokenBook(world.random, {
      lifetimeSeconds: world.platform.tokenLifetimeSeconds,
      overlapSeconds: 0,
    }),
    seats: new Map(),
    seen: new Map(),
  }
}

function ownPlace({ config }: Corp, app: OwnApp, key: EnvelopeKey): PushPlace {
  return {
    ...wecomPlace(app, key),
    kind: app.kind,
    ownerId: config.corp_id,
    url: app.callback_url ?? null,
    otherUrl: null,
    receiveId: config.corp_id,
    relatedReceiveId: app.agent_id ?? '2000004',
    outer: [
      ['ToUserName', config.corp_id],
      ['AgentID', app.agent_id ?? ''],
    ],
    answer: 'any',
  }
}

/** What all callbacks of WeCom have in common (callbacks.md §3.3). */
export function wecomPlace(pair: { readonly token: string }, key: EnvelopeKey) {
  return { mode: 'safe', format: 'xml', query: 'wecom', token: pair.token, key } as const
}

/** The member's seat at an app; userids are the same in any case (sending.md §5.1). */
export function seatOf(app: CorpApp, userid: string): Seat {
  const name = userid.toLowerCase()
  const seat = app.seats.get(name) ?? { visible: true, deliveredMs: [], optOuts: undefined }
  app.seats.set(name, seat)
  return seat
}

/** The member as written when they joined; undefined for somebody the corp does not have. */
export function findMember(corp: Corp, userid: string): string | undefined {
  const name = userid.toLowerCase()
  return [...corp.members].find((member) => member.toLowerCase() === name)
}

/** The relation of a pair; undefined when they never met. */
export function findRelation(
  corp: Corp,
  userid: string,
  externalUserid: string,
): Relation | undefined {
  return corp.relations.get(relationKey(userid, externalUserid))
}

/** The relation of a pair, from now on if there was none. */
export function meetCustomer(corp: Corp, userid: string, externalUserid: string): Relation {
  const key = relationKey(userid, externalUserid)
  const relation = corp.relations.get(key) ?? {
    userid,
    externalUserid,
    state: 'none' as const,
    addedAtSeconds: 0,
    month: '',
    monthCount: 0,
    archive: 'Disagree' as const,
    archiveAtSeconds: 0,
    optOuts: undefined,
  }
  corp.relations.set(key, relation)
  return relation
}

function relationKey(userid: string, externalUserid: string): string {
  return JSON.stringify([userid.toLowerCase(), externalUserid])
}

/** An external_userid nobody has: `wm` and 30 url-safe characters. */
export function makeExternalUserid(world: World): string {
  return `wm${world.random.urlSafe(30)}`
}
