import type { Channel } from '../wechat/channels.ts'
import type { Verdict } from './channel-plan.ts'

/** Why a channel of an account rests, for everybody: by its day's quota, or by the platform's word. */
type RestReason = 'quota_margin' | 'quota_daily' | 'rate_minute' | 'blocked_account'

/** Why something is not sent at a moment although consent allows it. */
type LimitReason = 'quiet_hours' | 'person_cap' | 'recipient_pace' | RestReason

/** A channel of an account that rests, and until when. */
export interface ChannelRest {
  readonly reason: RestReason
  readonly until: Date
}

/** What stands against a send beside consent, and until when. */
export interface SendLimit {
  readonly reason: LimitReason
  readonly until: Date
}

/** Asks what stands against a send to a person through each of these channels. */
export type FindLimits = (question: {
  readonly accountId: number
  readonly subject: string
  readonly channels: readonly Channel[]
  readonly isMarketing: boolean
  readonly at: Date
}) => Promise<ReadonlyMap<Channel, readonly SendLimit[]>>

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
  limits: readonly SendLimit[],
  expiresAt: Date,
): LimitedVerdict {
  const limit = decisiveOf(limits)
  if (!verdict.allowed || !limit) return { ...verdict, until: null }
  const { reason, until } = limit
  return { ...verdict, allowed: reason !== 'person_cap' && until < expiresAt, reason, until }
}

/** Of several, the one that ends the message; else the one that lasts longest. */
function decisiveOf(limits: readonly SendLimit[]): SendLimit | undefined {
  const cap = limits.find(({ reason }) => reason === 'person_cap')
  return cap ?? limits.toSorted((one, other) => other.until.getTime() - one.until.getTime())[0]
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
  const quiet = limits.get(channel)?.find(({ reason }) => reason === 'quiet_hours')
  return quiet?.until ?? null
}
