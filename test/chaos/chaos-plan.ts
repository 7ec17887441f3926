import type { Priority } from '../../src/messages/send-request.ts'
import { ROAD_CHANNELS, seeded, type RoadChannel } from '../support/send-road.ts'

/** The ways in which somebody says no, and the channels that each of them closes. */
export const OPT_OUTS = {
  unfollow: ROAD_CHANNELS,
  // nobody is told: the receipt of the next template message tells the gateway
  block: [],
  switch_off: ['subscription_message'],
  reject_popup: ['subscription_message'],
  refuse_notice: ['template_message'],
  keyword: ROAD_CHANNELS,
  revoke_authorization: ROAD_CHANNELS,
  api_everything: ROAD_CHANNELS,
  api_follow: ['template_message'],
  api_template: ['subscription_message'],
  api_conversation: ['customer_service_message'],
} as const satisfies Record<string, readonly RoadChannel[]>
export type OptOutWay = keyof typeof OPT_OUTS
const WAYS = Object.keys(OPT_OUTS) as OptOutWay[]

/** What one run is asked to do. Everything else follows from the seed. */
export interface ChaosSize {
  readonly messages: number
  readonly seed: number
  /** Gateways, each a process of its own with its own port. */
  readonly processes: number
  /** People who act at the same time. */
  readonly atOnce: number
  /**
   * Whether the run waits for leases, clock minutes and time limits as they are. If not, the leases of
   * a killed process are ended at once, no call hangs until its time limit, and a message that has to
   * wait for the next minute is cancelled.
   */
  readonly patient: boolean
}

/** One request of the application. */
export interface PlannedAsk {
  readonly channel: RoadChannel
  readonly atMs: number
  /** How often the same request is made, at once and of several processes. */
  readonly copies: number
  /** Whether the application changes its mind at once. */
  readonly cancels: boolean
  /** In which lane it waits for its turn. */
  readonly priority: Priority
}

/** The no of a person, and what is asked for around it. Times count from the same moment. */
interface PlannedOptOut {
  readonly way: OptOutWay
  readonly atMs: number
  readonly around: readonly PlannedAsk[]
  /** Asked for when the no has been acknowledged. */
  readonly after: readonly PlannedAsk[]
  /** Whether they come back, and what they are sent then. */
  readonly returns: readonly PlannedAsk[] | null
}

/** What happens to one person. */
export interface Story {
  /** Number of the account. */
  readonly account: number
  /** Popups that they accept, each worth one subscription message. */
  readonly credits: number
  readonly before: readonly PlannedAsk[]
  readonly optOut: PlannedOptOut | null
}

/** Something that strikes when so many messages have been asked for. */
interface Blow {
  readonly atAsked: number
}

export interface ChaosPlan {
  readonly stories: readonly Story[]
  /** `kill -9`, and a new start. */
  readonly kills: readonly (Blow & { readonly process: number })[]
  /** Another system forces a new token with the same AppSecret: ours is dead. */
  readonly tokenDeaths: readonly (Blow & { readonly account: number })[]
}

/**
 * The accounts: two that meet the usual weather, one whose minute is full now and then, and one whose
 * day is used up, which is blocked, and whose working token is refused once.
 */
export const ACCOUNT_ROLES = ['usual', 'usual', 'full_minute', 'resting'] as const
export type AccountRole = (typeof ACCOUNT_ROLES)[number]

/** Of the people, those of the two accounts that have to wait. */
const SHARE_OF_WAITING = 0.01
const SHARE_OF_OPT_OUTS = 0.55
const MESSAGES_PER_KILL = 5_000
const TOKEN_DEATHS = 3
const FIRST_ACCOUNTS = [0, 1, 2, 3]

/** The whole plan of a run: the same for the same size and seed. */
export function planChaos({ messages, seed, processes }: ChaosSize): ChaosPlan {
  const random = seeded(seed)
  const stories: Story[] = []
  for (let left = messages; left > 0;) {
    const planned = planStory(random, left)
    // however short the run, each account is heard of
    const story = { ...planned, account: FIRST_ACCOUNTS[stories.length] ?? planned.account }
    stories.push(story)
    left -= countAsks(story)
  }
  const kills = Math.max(2, Math.round(messages / MESSAGES_PER_KILL))
  const deaths = messages >= MESSAGES_PER_KILL ? TOKEN_DEATHS : 1
  return {
    stories,
    kills: blows(random, messages, kills).map((blow) => ({
      ...blow,
      process: Math.floor(random() * processes),
    })),
    tokenDeaths: [0, 1].flatMap((account) =>
      blows(random, messages, deaths).map((blow) => ({ ...blow, account })),
    ),
  }
}

/** How many messages are asked for in a story. */
function countAsks({ before, optOut }: Story): number {
  const later = optOut
    ? optOut.around.length + optOut.after.length + (optOut.returns?.length ?? 0)
    : 0
  return before.length + later
}

/** Evenly over the run, each at a random place of its part; none at the very beginning or end. */
function blows(random: () => number, messages: number, count: number): Blow[] {
  return Array.from({ length: count }, (_, index) => ({
    atAsked: Math.floor(messages * (0.1 + (0.75 * (index + random())) / count)),
  }))
}

function planStory(random: () => number, left: number): Story {
  let budget = left
  const asks = (most: number, atMs: () => number): PlannedAsk[] => {
    const count = Math.min(budget, 1 + Math.floor(random() * most))
    budget -= count
    return Array.from({ length: count }, () => planAsk(random, atMs()))
  }
  // far enough apart that few of them find another call to their person under way
  const before = asks(5, () => 800 * random())
  const account = planAccount(random)
  const credits = 1 + Math.floor(random() * 3)
  if (random() > SHARE_OF_OPT_OUTS) return { account, credits, before, optOut: null }

  const way = WAYS[Math.floor(random() * WAYS.length)] ?? 'unfollow'
  const atMs = 100 + 150 * random()
  // most of them so close to the no that neither side can know which of the two is first
  const around = asks(7, () => Math.max(0, atMs + 160 * (random() - 0.8)))
  const after = asks(3, () => 200 * random())
  const returns = mayReturn(way) && random() < 0.2 ? asks(2, () => 300 * random()) : null
  return { account, credits, before, optOut: { way, atMs, around, after, returns } }
}

/**
 * A word of the application is not taken back by a follow in every case. Who switched messages off may
 * be told of by a receipt that comes when they are back.
 */
function mayReturn(way: OptOutWay): boolean {
  return way !== 'block' && !way.startsWith('api_')
}

function planAccount(random: () => number): number {
  const draw = random()
  if (draw < SHARE_OF_WAITING) return draw < SHARE_OF_WAITING / 2 ? 2 : 3
  return draw < 0.5 ? 0 : 1
}

function planAsk(random: () => number, atMs: number): PlannedAsk {
  return {
    channel: ROAD_CHANNELS[Math.floor(random() * ROAD_CHANNELS.length)] ?? 'template_message',
    atMs,
    copies: random() < 0.05 ? 2 : 1,
    cancels: random() < 0.02,
    priority: random() < 0.3 ? 'marketing' : 'transactional',
  }
}
