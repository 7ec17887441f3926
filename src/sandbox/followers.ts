import type { WindowRule } from './options.ts'
import type { OptOut } from './opt-outs.ts'

/** What opens a customer-service window; `enter` is a Mini Program's session. No payments. */
export type InteractionKind = 'message' | 'menu' | 'follow' | 'scan' | 'enter'

/** What one person has granted or refused for one template. */
interface TemplateRights {
  credits: number
  /** A long-term template was accepted. */
  standing: boolean
  /** Refused in the chat: template messages with this id answer 43101. */
  refused: boolean
}

interface OpenWindow {
  openedAtMs: number
  used: number
}

/** One person as one account's platform knows them. */
export interface Follower {
  readonly openid: string
  follows: boolean
  followedAtSeconds: number
  /** The scene of the QR code they followed by, if they did. */
  scene: string | undefined
  /** The person switched off all messages of this account. */
  blocked: boolean
  /** The person's WeChat account is gone; the openid is no longer valid. */
  cancelled: boolean
  /** The account put the person on its blacklist. */
  blacklisted: boolean
  /** Scenes of one-time subscriptions that were confirmed and not used, by template. */
  scenes: Set<string> | undefined
  rights: Map<string, TemplateRights> | undefined
  windows: Map<InteractionKind, OpenWindow> | undefined
  optOuts: OptOut[] | undefined
}

/** A person the account has never met. */
export function newFollower(openid: string): Follower {
  return {
    openid,
    follows: false,
    followedAtSeconds: 0,
    scene: undefined,
    blocked: false,
    cancelled: false,
    blacklisted: false,
    scenes: undefined,
    rights: undefined,
    windows: undefined,
    optOuts: undefined,
  }
}

/** The rights of a person for a template, to read and to change. */
export function rightsOf(follower: Follower, templateId: string): TemplateRights {
  follower.rights ??= new Map()
  const rights = follower.rights.get(templateId)
  if (rights) return rights
  const none: TemplateRights = { credits: 0, standing: false, refused: false }
  follower.rights.set(templateId, none)
  return none
}

/** Takes one right to a subscription message; false when there is none. A standing right stays. */
export function spendRight(follower: Follower, templateId: string): boolean {
  const rights = follower.rights?.get(templateId)
  if (!rights || rights.refused) return false
  if (rights.standing) return true
  if (rights.credits === 0) return false
  rights.credits -= 1
  return true
}

/** What a confirmed one-time subscription is kept as: confirming it again adds nothing. */
export function sceneKey(templateId: string, scene: string): string {
  return JSON.stringify([templateId, scene])
}

/** A qualifying act: the window of its kind begins again, with its full count. */
export function openWindow(follower: Follower, kind: InteractionKind, nowMs: number): void {
  follower.windows ??= new Map()
  follower.windows.set(kind, { openedAtMs: nowMs, used: 0 })
}

/**
 * Takes one customer-service message out of the open windows.
 *
 * Whether windows of several kinds add up is not documented; here they do, and the one that closes
 * first is used first.
 *
 * @returns `closed` when no window is open (45015), `used_up` when all open ones are empty (45047).
 */
export function spendReply(
  follower: Follower,
  rules: Readonly<Record<InteractionKind, WindowRule>>,
  nowMs: number,
): 'spent' | 'closed' | 'used_up' {
  const open = [...(follower.windows ?? [])]
    .map(([kind, window]) => ({
      window,
      limit: rules[kind].messages,
      closesAtMs: window.openedAtMs + rules[kind].seconds * 1000,
    }))
    .filter(({ closesAtMs }) => nowMs < closesAtMs)
    .toSorted((a, b) => a.closesAtMs - b.closesAtMs)
  if (open.length === 0) return 'closed'
  const first = open.find(({ window, limit }) => window.used < limit)
  if (!first) return 'used_up'
  first.window.used += 1
  return 'spent'
}
