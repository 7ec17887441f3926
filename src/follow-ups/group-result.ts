import { externalContactScope, type ConsentChange } from '../consent/consent.ts'
import type { GroupResult, GroupTask } from '../wechat/group-message.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Pauses after the first, second … question; the first one is asked a minute after the send. */
const PAUSES_MS = [4 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS]

/** A member who has not confirmed by then hardly ever will; our own limit. */
const ASKED_FOR_MS = 30 * DAY_MS

/** What became of one group message, in the words of a receipt. */
export interface GroupOutcome {
  readonly status: 'delivered' | 'not_delivered'
  readonly reason: 'group_message_sent' | 'not_friends' | 'monthly_limit'
  readonly at: Date
}

/**
 * When to ask again what became of a group message; null: never.
 *
 * @param asked how often the platform has been asked, this time included.
 */
export function nextQuestion(times: {
  readonly asked: number
  readonly sentAt: Date
  readonly now: Date
}): Date | null {
  const next = new Date(times.now.getTime() + (PAUSES_MS[times.asked - 1] ?? DAY_MS))
  return next.getTime() - times.sentAt.getTime() > ASKED_FOR_MS ? null : next
}

/**
 * What an answer says is final; null while the member has not sent, and for a state that the
 * platform's page does not have.
 *
 * @param told.task the member's share; its time stands in for one that the customer's entry lacks.
 * @param told.answeredAt when the platform said so; only where it named no time at all.
 */
export function outcomeOfGroup(told: {
  readonly task: GroupTask
  readonly result: GroupResult
  readonly answeredAt: Date
}): GroupOutcome | null {
  const { task, result, answeredAt } = told
  const at = result.sentAt ?? task.sentAt ?? answeredAt
  switch (result.state) {
    case 'sent':
      return { status: 'delivered', reason: 'group_message_sent', at }
    case 'not_friends':
      return { status: 'not_delivered', reason: 'not_friends', at }
    case 'monthly_limit':
      return { status: 'not_delivered', reason: 'monthly_limit', at }
    case 'not_sent':
    case null:
      return null
  }
}

/**
 * A customer who is no friend of the member any more has ended this relation, at the latest when the
 * member's client tried to send. A full month is nobody's refusal.
 */
export function groupChanges(outcome: GroupOutcome, sender: string): ConsentChange[] {
  if (outcome.reason !== 'not_friends') return []
  return [
    {
      scope: externalContactScope(sender),
      change: 'revoked',
      effectiveAt: outcome.at,
      reason: 'group_message:not_friends',
      credits: null,
      expiresAt: null,
    },
  ]
}
