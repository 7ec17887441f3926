import { KIND_RULES } from './account-kinds.ts'
import type { AccountKind } from './account.ts'

/** A component or suite in service, and when the platform made its newest ticket. */
export interface TicketHolder {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  /** Null: none has come yet. */
  readonly ticketAt: Date | null
  readonly addedAt: Date
}

/** How old the newest ticket is; where none has come, how long the account has waited for it. */
export function ticketAgeMs({ ticketAt, addedAt }: TicketHolder, now: Date): number {
  return Math.max(0, now.getTime() - (ticketAt ?? addedAt).getTime())
}

/** Whether a ticket should have come long ago: tickets are pushed every ten minutes. */
export function isTicketOverdue(holder: TicketHolder, now: Date): boolean {
  const { ticketAlarmMs } = KIND_RULES[holder.kind]
  return ticketAlarmMs !== null && ticketAgeMs(holder, now) > ticketAlarmMs
}
