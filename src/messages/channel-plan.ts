import type { Channel, Content } from '../wechat/channels.ts'
import type { DecideSend, SendDecision } from './check-send.ts'
import type { SendRequest } from './send-request.ts'

/** One way to send a message. */
export interface Way {
  readonly channel: Channel
  readonly templateId: string | null
  readonly content: Content
}

/** What a message with several channels goes by. */
export interface ChannelPlan {
  /** The channel that was planned when the message was accepted. */
  readonly planned: Channel
  /** All of them, in the order in which they are preferred. */
  readonly ways: readonly Way[]
}

/** What the gate would say of one channel. */
export interface Verdict extends SendDecision {
  readonly channel: Channel
}

/** A person on an account, and when they are to be written to. */
interface Occasion {
  readonly accountId: number
  readonly subject: string
  readonly at: Date
}

/**
 * Plans a message with several channels: the first that is allowed as far as is known now. Where none
 * is, the first of all, because consent may still come before the message is due.
 */
export async function planChannel<Request extends SendRequest>(
  decide: DecideSend,
  ways: readonly [Request, ...Request[]],
  occasion: Omit<Occasion, 'subject'>,
): Promise<{ readonly request: Request; readonly plan: ChannelPlan }> {
  const person = { ...occasion, subject: ways[0].to }
  const request = (await firstAllowed(decide, ways, person)) ?? ways[0]
  const plan = { planned: request.channel, ways: ways.map(wayOf) }
  return { request, plan }
}

async function firstAllowed<Request extends SendRequest>(
  decide: DecideSend,
  ways: readonly Request[],
  occasion: Occasion,
): Promise<Request | undefined> {
  for (const way of ways) {
    if ((await judge(decide, way, occasion)).allowed) return way
  }
  return undefined
}

/** What the gate says of a channel whose consent follows from the channel alone. */
export async function judge(
  decide: DecideSend,
  way: Pick<Way, 'channel' | 'templateId'>,
  occasion: Occasion,
): Promise<Verdict> {
  const { channel, templateId } = way
  return { ...(await decide({ ...occasion, channel, templateId, consentScope: null })), channel }
}

function wayOf({ channel, templateId, content }: SendRequest): Way {
  return { channel, templateId, content }
}

/** The verdicts with the best of them apart: the first that is allowed, else the first of all. */
export function bestOf<Judged extends Verdict>(
  verdicts: readonly [Judged, ...Judged[]],
): {
  readonly best: Judged
  readonly others: readonly Judged[]
} {
  const best = verdicts.find(({ allowed }) => allowed) ?? verdicts[0]
  return { best, others: verdicts.filter((one) => one !== best) }
}
