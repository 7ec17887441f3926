import type { Clock } from '../foundation/clock.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import { resolveTemplate, type FindTemplates } from '../templates/resolve-template.ts'
import type { Channel } from '../wechat/channels.ts'
import { refuseMisfit, type FindSender } from './account-fit.ts'
import { accountOf, type Caller } from './caller.ts'
import { consentScopeOf } from './consent-scope.ts'
import { planSchedule, readSendRequest } from './send-request.ts'

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

export interface CheckDeps {
  readonly decide: DecideSend
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  readonly clock: Clock
  readonly lifetimeHours: number
}

/**
 * Whether this send would be allowed when it is due, as far as is known now. Nothing is stored and
 * no credit is reserved, so the answer can change before a real send.
 *
 * @throws InvalidInputError `invalid_request`, `channel_not_available`; NotFoundError `account_not_found`
 */
export async function checkSend(
  deps: CheckDeps,
  question: { readonly caller: Caller; readonly body: unknown },
): Promise<SendDecision> {
  const request = readSendRequest(question.body)
  const account = accountOf(question.caller, request.account)
  refuseMisfit(request, await deps.findSender(account.id))
  const known = await deps.findTemplates(account.id)
  const { templateId, content } = resolveTemplate(known, request, { data: 'complete' })
  const consentScope = consentScopeOf({ ...request, content })
  const now = deps.clock.now()
  const schedule = planSchedule(request, { now, lifetimeHours: deps.lifetimeHours })
  if (schedule.kind === 'impossible') {
    throw new InvalidInputError('invalid_request', schedule.faults)
  }
  return deps.decide({
    accountId: account.id,
    subject: request.to,
    channel: request.channel,
    templateId,
    consentScope,
    at: schedule.sendAt,
  })
}
