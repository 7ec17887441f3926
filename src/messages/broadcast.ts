import type { Channel, Content } from '../wechat/channels.ts'
import type { AccountRef, MessageStatus } from './message.ts'
import type { ChannelRest } from './send-limit.ts'

/** What can be said of a broadcast; docs/api.md says what each one means to an application. */
export const BROADCAST_STATUSES = [
  'receiving',
  'expanding',
  'scheduled',
  'running',
  'paused',
  'cancelled',
  'completed',
] as const
export type BroadcastStatus = (typeof BROADCAST_STATUSES)[number]

/** Where a broadcast's list and messages are, whether or not it is paused. */
export type BroadcastPhase = 'receiving' | 'expanding' | 'running' | 'completed' | 'cancelled'

/** A broadcast that is to be stored; its recipients follow. */
export interface NewBroadcast {
  readonly id: string
  readonly account: AccountRef
  /** null when an operator sends from the command line. */
  readonly applicationId: string | null
  readonly name: string | null
  readonly purpose: string | null
  readonly channel: Channel
  readonly templateId: string | null
  /** The alias whose fallbacks its messages may have; null: none. */
  readonly templateAlias: string | null
  readonly content: Content
  /** The consent that everybody of the audience has; null when the recipients are listed. */
  readonly audienceScope: string | null
  /** The consent that its messages rely on, where the channel alone does not say it. */
  readonly consentScope?: string | null
  /** Where its end is posted, where somebody asked for that. */
  readonly callbackUrl?: string | null
  /** Whether the result of each of its messages is posted there too. */
  readonly tellsEach?: boolean
  readonly idempotencyKey: string | null
  /** SHA-256 of the head, to tell a repeat from another request under the same key. */
  readonly headDigest: Buffer
  /** Digest of a list without lines. */
  readonly linesDigest: Buffer
  readonly sendAt: Date
  readonly expiresAt: Date
  readonly createdAt: Date
}

/** A stored broadcast, as applications may see it. */
export interface Broadcast {
  readonly id: string
  /** The account's name. */
  readonly account: string
  readonly name: string | null
  readonly purpose: string | null
  readonly channel: Channel
  readonly templateId: string | null
  readonly audienceScope: string | null
  readonly status: BroadcastStatus
  /** Why it ended before its time: `expired`, `interrupted`; why it rests, if it does; else null. */
  readonly reason: string | null
  /** Of one that rests, in the account's quiet hours or with its channel: until when. */
  readonly until: Date | null
  readonly sendAt: Date
  readonly expiresAt: Date
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly lines: LineCounts
}

/** What became of the lines of a list; an audience has accepted ones only. */
export interface LineCounts {
  readonly accepted: number
  readonly duplicate: number
  readonly bad: number
  /** Whether the list is complete; nothing is sent before. */
  readonly complete: boolean
}

export interface BadLine {
  readonly line: number
  readonly reason: string
}

/** How far a broadcast has come, at one moment. */
export interface BroadcastProgress extends Broadcast {
  /** Recipients by what has become of their message; `waiting` have none yet. */
  readonly messages: Readonly<Record<MessageStatus | 'waiting', number>>
  /** Recipients per second that the workers took lately; null while nothing can be said. */
  readonly ratePerSecond: number | null
  readonly estimatedEndAt: Date | null
}

/** The status of a broadcast, from what is stored of it. */
export function broadcastStatus(
  stored: {
    readonly phase: BroadcastPhase
    readonly pausedAt: Date | null
    readonly startedAt: Date | null
    readonly sendAt: Date
  },
  now: Date,
): BroadcastStatus {
  if (stored.phase === 'completed' || stored.phase === 'cancelled') return stored.phase
  if (stored.pausedAt) return 'paused'
  if (stored.phase !== 'running') return stored.phase
  return stored.startedAt === null && stored.sendAt > now ? 'scheduled' : 'running'
}

/**
 * Of a broadcast that runs, whether it rests, why and until when: in its account's quiet hours, or
 * because its channel rests. Of both, what lasts longer.
 */
export function restOf(
  broadcast: Pick<Broadcast, 'status' | 'reason' | 'expiresAt'>,
  rests: { readonly quietUntil: Date | null; readonly channel: ChannelRest | null },
  now: Date,
): Pick<Broadcast, 'reason' | 'until'> {
  const isResting = broadcast.status === 'running' && now < broadcast.expiresAt
  if (!isResting) return { reason: broadcast.reason, until: null }
  const { quietUntil, channel } = rests
  if (channel && (quietUntil === null || quietUntil < channel.until)) return channel
  const reason = quietUntil === null ? broadcast.reason : 'quiet_hours'
  return { reason, until: quietUntil }
}

/**
 * What becomes of those recipients of whom no message was made: they wait while the broadcast goes
 * on; afterwards it was cancelled, or expired, before their turn. The erased count as cancelled.
 */
export function countRecipients(
  broadcast: Pick<Broadcast, 'status' | 'lines'>,
  made: Readonly<Record<MessageStatus, number>>,
  erasedBefore: number,
): Readonly<Record<MessageStatus | 'waiting', number>> {
  const withMessage = Object.values(made).reduce((sum, count) => sum + count, 0)
  const rest = Math.max(0, broadcast.lines.accepted - withMessage - erasedBefore)
  const fate = fateOfTheRest(broadcast.status)
  const counts = { waiting: 0, ...made }
  counts.cancelled += erasedBefore
  counts[fate] += rest
  return counts
}

/** What is said of a recipient without a message. */
export function fateOfTheRest(status: BroadcastStatus): 'waiting' | 'cancelled' | 'expired' {
  if (status === 'cancelled') return 'cancelled'
  return status === 'completed' ? 'expired' : 'waiting'
}

/** When the last message will have left the queue at this rate; null where that cannot be said. */
export function estimateEnd(
  progress: {
    readonly status: BroadcastStatus
    readonly messages: BroadcastProgress['messages']
    readonly ratePerSecond: number | null
  },
  now: Date,
): Date | null {
  const { status, messages, ratePerSecond } = progress
  if (status !== 'running' || ratePerSecond === null || ratePerSecond < 0.01) return null
  const left = messages.waiting + messages.scheduled + messages.queued
  return new Date(now.getTime() + (left / ratePerSecond) * 1000)
}
