import type { UsedAlias } from '../templates/resolve-template.ts'
import type { Channel, Content } from '../wechat/channels.ts'
import type { ChannelPlan } from './channel-plan.ts'
import type { ChannelRest } from './send-limit.ts'

/** What can have become of a message; docs/api.md says what each one means to an application. */
export const MESSAGE_STATUSES = [
  'scheduled',
  'queued',
  'sending',
  'sent',
  'delivered',
  'not_delivered',
  'blocked',
  'refused',
  'failed',
  'expired',
  'cancelled',
  'unknown',
] as const
export type MessageStatus = (typeof MESSAGE_STATUSES)[number]

/** Nothing more is done for a message in one of these; only a receipt may still say more. */
const UNDER_WAY: ReadonlySet<MessageStatus> = new Set(['scheduled', 'queued', 'sending'])

/** Whether the gateway has finished with a message of this status. */
export function isFinal(status: MessageStatus): boolean {
  return !UNDER_WAY.has(status)
}

/** An account as an application sees it. */
export interface AccountRef {
  readonly id: number
  readonly name: string
}

/** A message that is to be stored. Times are instants; `sendAt` is never before `createdAt`. */
export interface NewMessage {
  readonly id: string
  readonly account: AccountRef
  /** null when an operator sends from the command line. */
  readonly applicationId: string | null
  readonly to: string
  readonly channel: Channel
  readonly templateId: string | null
  readonly content: Content
  /** The alias that the application named instead of a template; null: none. */
  readonly alias: UsedAlias | null
  /** The consent it relies on, where the channel alone does not say it. */
  readonly consentScope: string | null
  /** The credential it brings with it, sealed. */
  readonly sealedSecret: string | null
  /** Of a group robot: by what the robot is known, because its pace is that of its key. */
  readonly robot?: Buffer | null
  /** The channels it may choose from; null when it has one. */
  readonly plan: ChannelPlan | null
  readonly purpose: string | null
  /** Goes behind what people wait for, as a broadcast does. */
  readonly isMarketing?: boolean
  /** The end of the quiet hours that it is accepted for, where there are any. */
  readonly quietUntil?: Date | null
  /** Where the results are posted, where somebody asked for that. */
  readonly callbackUrl?: string | null
  readonly idempotencyKey: string | null
  /** SHA-256 of the request, to tell a repeat from another request under the same key. */
  readonly requestDigest: Buffer
  readonly sendAt: Date
  readonly expiresAt: Date
  readonly createdAt: Date
}

/** What the platform reported later about a message it had accepted. */
export interface Receipt {
  readonly status: 'delivered' | 'not_delivered'
  readonly reason: string | null
  readonly at: Date
}

/** A stored message, as applications may see it. */
export interface Message {
  readonly id: string
  /** The account's name. */
  readonly account: string
  /** null once the person's data has been erased. */
  readonly to: string | null
  /** Of several, the one that it goes through now. */
  readonly channel: Channel
  /** All that it may choose from, in their order; null when it has one, or was erased. */
  readonly channels: readonly Channel[] | null
  /** Of several, the one that was planned when it was accepted. */
  readonly plannedChannel: Channel | null
  readonly templateId: string | null
  readonly purpose: string | null
  readonly status: MessageStatus
  readonly reason: string | null
  /** Of a blocked message: the consent that was not there. */
  readonly missingScope: string | null
  readonly sendAt: Date
  readonly expiresAt: Date
  /** When a worker may next take it. */
  readonly dueAt: Date
  /** How long its account's channel rests; null: it does not. */
  readonly rest: ChannelRest | null
  /** The end of the quiet hours that it was accepted for; null: none. */
  readonly quietUntil: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly finishedAt: Date | null
  readonly attemptCount: number
  /** The platform's id, all digits; null where the channel gives none. */
  readonly msgid: string | null
  readonly receipt: Receipt | null
}

export type AttemptOutcome = 'sent' | 'refused' | 'retry' | 'failed' | 'unknown'

/** One call to the platform for a message. */
export interface Attempt {
  readonly number: number
  readonly startedAt: Date
  /** null while the call is under way. */
  readonly finishedAt: Date | null
  readonly outcome: AttemptOutcome | null
  readonly errcode: number | null
  readonly errmsg: string | null
  readonly httpStatus: number | null
  /** The platform's request id, which its own tools explain for seven days. */
  readonly rid: string | null
  readonly msgid: string | null
  /** Ids of the ledger rows that allowed it. */
  readonly evidence: readonly string[]
}

/**
 * The reason of a message, and of one that waits for a reason until when. While its channel rests it
 * is not taken though it is due, so the rest is the reason wherever it lasts longer.
 */
export function waitOf({
  status,
  reason,
  dueAt,
  rest,
}: Pick<Message, 'status' | 'reason' | 'dueAt' | 'rest'>): {
  readonly reason: string | null
  readonly until: Date | null
} {
  const isWaiting = status === 'scheduled' || status === 'queued'
  if (!isWaiting) return { reason, until: null }
  if (rest && dueAt < rest.until) return { reason: rest.reason, until: rest.until }
  return { reason, until: reason === null ? null : dueAt }
}

/** The status a message begins with. */
export function firstStatus(times: {
  readonly sendAt: Date
  readonly createdAt: Date
}): 'scheduled' | 'queued' {
  return times.sendAt > times.createdAt ? 'scheduled' : 'queued'
}
