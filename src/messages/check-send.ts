import type { Clock } from '../foundation/clock.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import type { FindTemplates } from '../templates/resolve-template.ts'
import {
  AUTO_CHANNELS,
  contentSchemaOf,
  type AutoChannel,
  type Channel,
  type Sender,
} from '../wechat/channels.ts'
import { refuseMisfits, type FindSender } from './account-fit.ts'
import { accountOf, type Caller } from './caller.ts'
import { bestOf, judge, type Verdict } from './channel-plan.ts'
import { consentScopeOf } from './consent-scope.ts'
import { resolveWays } from './resolve-ways.ts'
import { limitVerdict, type FindLimits, type LimitedVerdict } from './send-limit.ts'
import { AUTO, planSchedule, readSendRequest, type SendRequest } from './send-request.ts'
import { useWelcomeCode, type FindWelcomeCode } from './use-welcome-code.ts'

/** Whether a send is allowed, why not, and what says so. */
export interface SendDecision {
  readonly allowed: boolean
  /** null when it is allowed. */
  readonly reason: string | null
  /** The consent relied on, or the one that is missing. */
  readonly scope: string | null
  /** Ids of the ledger rows that decided; empty when nothing is known. */
  readonly evidence: readonly string[]
}

/** Asks the one place of the send decision; consent answers it (compose passes it in). */
export type DecideSend = (question: {
  readonly accountId: number
  readonly subject: string
  readonly channel: Channel
  readonly templateId: string | null
  /** The consent it relies on, where the channel alone does not say it. */
  readonly consentScope: string | null
  readonly at: Date
}) => Promise<SendDecision>

/** Finds a template that a person may be sent now; consent answers it (compose passes it in). */
export type FindLiveTemplate = (person: {
  readonly accountId: number
  readonly subject: string
}) => Promise<string | null>

export interface CheckDeps {
  readonly decide: DecideSend
  readonly findLiveTemplate: FindLiveTemplate
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  readonly findLimits: FindLimits
  readonly findWelcomeCode: FindWelcomeCode
  readonly clock: Clock
  readonly lifetimeHours: number
}

/** The answer about the channel that was asked for, or that would be chosen, and about the others. */
export interface CheckedSend extends LimitedVerdict {
  /** The first allowed one; null when none is. */
  readonly bestChannel: Channel | null
  readonly alternatives: readonly LimitedVerdict[]
}

/**
 * Whether this send would be allowed when it is due, as far as is known now, and through which other
 * channel of the account the person can be reached. Nothing is stored and no credit is reserved, so
 * the answer can change before a real send.
 *
 * @throws InvalidInputError `invalid_request`, `channel_not_available`; NotFoundError `account_not_found`
 */
export async function checkSend(
  deps: CheckDeps,
  question: { readonly caller: Caller; readonly body: unknown },
): Promise<CheckedSend> {
  const body = readSendRequest(question.body)
  const { id: accountId } = accountOf(question.caller, body.account)
  const sender = await deps.findSender(accountId)
  refuseMisfits(body, sender)
  const now = deps.clock.now()
  const { request } = await useWelcomeCode({ ...deps, now }, accountId, body)
  const [first, ...rest] = resolveWays(await deps.findTemplates(accountId), request)
  const scope = consentScopeOf(first)
  const schedule = planSchedule(first, {
    now,
    lifetimeHours: deps.lifetimeHours,
  })
  if (schedule.kind === 'impossible') {
    throw new InvalidInputError('invalid_request', schedule.faults)
  }
  const occasion = { accountId, subject: first.to, at: schedule.sendAt }
  const verdicts = await Promise.all([
    judgeAsked(deps.decide, first, { ...occasion, scope }),
    ...rest.map((way) => judge(deps.decide, way, occasion)),
    ...(request.channel === AUTO ? [] : judgeOthers(deps, first.channel, { ...occasion, sender })),
  ])
  const isMarketing = first.priority === 'marketing'
  const [asked, ...others] = await limitAll(deps, verdicts, {
    ...occasion,
    ...schedule,
    isMarketing,
  })
  const { best, others: notBest } = bestOf([asked, ...others])
  const bestChannel = best.allowed ? best.channel : null
  return request.channel === AUTO
    ? { ...best, bestChannel, alternatives: notBest }
    : { ...asked, bestChannel, alternatives: others }
}

/** What stands against each of them beside consent. */
async function limitAll(
  { findLimits }: CheckDeps,
  verdicts: readonly [Verdict, ...Verdict[]],
  occasion: Occasion & { readonly expiresAt: Date; readonly isMarketing: boolean },
): Promise<[LimitedVerdict, ...LimitedVerdict[]]> {
  const { accountId, subject, at, isMarketing, expiresAt } = occasion
  const channels = verdicts.map(({ channel }) => channel)
  const limits = await findLimits({ accountId, subject, channels, isMarketing, at })
  const limit = (verdict: Verdict) =>
    limitVerdict(verdict, limits.get(verdict.channel) ?? [], expiresAt)
  const [first, ...rest] = verdicts
  return [limit(first), ...rest.map(limit)]
}

interface Occasion {
  readonly accountId: number
  readonly subject: string
  readonly at: Date
}

async function judgeAsked(
  decide: DecideSend,
  { channel, templateId }: SendRequest,
  { scope, ...occasion }: Occasion & { readonly scope: string | null },
): Promise<Verdict> {
  const decision = await decide({ ...occasion, channel, templateId, consentScope: scope })
  return { ...decision, channel }
}

/** The account's other channels whose consent does not depend on what is sent. */
function judgeOthers(
  deps: CheckDeps,
  asked: Channel,
  { sender, ...occasion }: Occasion & { readonly sender: Sender | undefined },
): Promise<Verdict>[] {
  return AUTO_CHANNELS.filter(
    (channel) => channel !== asked && sender && contentSchemaOf(channel, sender) !== null,
  ).map(async (channel) => {
    const templateId = await templateFor(deps, channel, occasion)
    return judge(deps.decide, { channel, templateId }, occasion)
  })
}

/** A subscription message rests on its template: the one that the person would accept stands in. */
function templateFor(
  { findLiveTemplate }: CheckDeps,
  channel: AutoChannel,
  person: Occasion,
): Promise<string | null> {
  return channel === 'subscription_message' ? findLiveTemplate(person) : Promise.resolve(null)
}
