import type { Channel } from '../wechat/channels.ts'
import type { Verdict } from './channel-plan.ts'

/** Why something is not sent at a moment although consent allows it. */
export const LIMIT_REASONS = ['quiet_hours', 'person_cap', 'recipient_pace'] as const

/** What stands against a send beside consent, and until when. */
export interface SendLimit {
  readonly reason: (typeof LIMIT_REASONS)[number]
  readonly until: Date
}

/** Asks what stands against a send to a person through each of these channels. */
export type FindLimits = (question: {
  readonly accountId: number
  readonly subject: string
  readonly channels: readonly Channel[]
  readonly isMarketing: boolean
  readonly at: Date
}) => Promise<ReadonlyMap<Channel, SendLimit>>

/** What would become of a message: as the gate would say, and until when it would wait. */
export interface LimitedVerdict extends Verdict {
  readonly until: Date | null
}

/**
 * A verdict with what stands against it beside consent. What only waits is allowed, unless it expires
 * before; a person who has had enough for the day is not written to at all.
 */
export function limitVerdict(
  verdict: Verdict,
  limit: SendLimit | undefined,
  expiresAt: Date,
): LimitedVerdict {
  if (!verdict.allowed || !limit) return { ...verdict, until: null }
  const { reason, until } = limit
  return { ...verdict, allowed: reason !== 'person_cap' && until < expiresAt, reason, until }
}

/** The end of the quiet hours that a marketing message was asked for in; null for any other. */
export async function findQuietEnd(
  findLimits: FindLimits,
  message: {
    readonly accountId: number
    readonly to: string
    readonly channel: Channel
    readonly isMarketing: boolean
    readonly sendAt: Date
  },
): Promise<Date | null> {
  // nothing is asked about what people wait for
  if (!message.isMarketing) return null
  const { accountId, to: subject, channel, isMarketing, sendAt: at } = message
  const limits = await findLimits({ accountId, subject, channels: [channel], isMarketing, at })
  const limit = limits.get(channel)
  return limit?.reason === 'quiet_hours' ? limit.until : null
}
