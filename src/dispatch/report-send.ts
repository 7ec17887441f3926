import { scopeFamily } from '../consent/consent.ts'
import type { Account } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import { personMark } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { BeginDecision, ClaimedMessage } from './dispatch-store.ts'
import type { AttemptEnd } from './outcome.ts'
import type { UnknownCode } from './unknown-codes.ts'

/** Where the outcome of a send is told: one log line and its counters. */
export interface ReportParts {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Told of each answer with a code that is in no table. */
  readonly unknownCode: (seen: UnknownCode) => void
}

/** A claimed message with its account. */
export interface Send {
  readonly message: ClaimedMessage
  readonly account: Account
}

/** A message that was not tried: its consent was missing, it had expired, or it was not ours. */
export function reportNotBegun(
  { log, metrics }: ReportParts,
  { message, account }: Send,
  decision: Extract<BeginDecision, { kind: 'blocked' | 'expired' | 'lost' }>,
): void {
  const reason = decision.kind === 'blocked' ? decision.reason : decision.kind
  if (decision.kind !== 'lost') {
    const labels = { account: account.name, channel: message.channel }
    metrics.messages.inc({ ...labels, status: decision.kind, reason })
  }
  log.info(
    { ...fieldsOf({ message, account }), outcome: decision.kind, reason },
    'dispatch.not_begun',
  )
}

/** A message that is not to be sent at this time; the gate has given it back. */
export function reportLater(
  { log }: ReportParts,
  send: Send,
  { reason, until }: Extract<BeginDecision, { kind: 'later' }>,
): void {
  log.info({ ...fieldsOf(send), reason, due_at: until }, 'dispatch.put_off')
}

/** A message that goes on through another of its channels. */
export function reportReplanned(
  { log }: ReportParts,
  send: Send,
  { reason, scope, channel }: Extract<BeginDecision, { kind: 'replanned' }>,
): void {
  log.info({ ...fieldsOf(send), reason, scope, next_channel: channel }, 'dispatch.replanned')
}

/** An attempt that is over; `status` is what the message has become. */
export function reportAttempt(
  { clock, log, metrics, unknownCode }: ReportParts,
  { message, account }: Send,
  attempt: {
    readonly id: string
    readonly number: number
    readonly end: AttemptEnd
    readonly status: string
    readonly startedAt: Date
  },
): void {
  const { end, status } = attempt
  const labels = { account: account.name, channel: message.channel }
  metrics.attempts.inc({ ...labels, outcome: end.outcome })
  if (end.errcode !== null) {
    const errcode = end.isUnknownCode ? 'unlisted' : String(end.errcode)
    metrics.errcodes.inc({ account: account.name, errcode })
    const { errcode: unknown, rid } = end
    if (end.isUnknownCode) unknownCode({ ...labels, message_id: message.id, errcode: unknown, rid })
  }
  if (status !== 'queued') {
    metrics.messages.inc({ ...labels, status, reason: end.reason ?? '' })
  }
  for (const { scope, change } of end.changes) {
    metrics.consentChanges.inc({ account: account.name, scope: scopeFamily(scope), change })
  }
  log.info(
    {
      ...fieldsOf({ message, account }),
      attempt_id: attempt.id,
      attempt: attempt.number,
      outcome: end.outcome,
      status,
      reason: end.reason,
      errcode: end.errcode,
      rid: end.rid,
      due_at: end.dueAt,
      duration_ms: clock.now().getTime() - attempt.startedAt.getTime(),
    },
    'dispatch.attempted',
  )
}

/** What every line about a send says of it. */
export function fieldsOf({ message, account }: Send) {
  return {
    account: account.name,
    message_id: message.id,
    channel: message.channel,
    openid_hash: personMark(message.recipient),
  }
}
