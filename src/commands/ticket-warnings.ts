import { KIND_RULES } from '../accounts/account-kinds.ts'
import { readAccountState } from '../accounts/account-state-store.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import { isTicketOverdue, ticketAgeMs } from '../accounts/ticket-age.ts'
import type { Gateway } from '../compose.ts'
import type { Say } from './words.ts'

export function hasTickets({ kind }: Pick<AccountOverview, 'kind'>): boolean {
  return KIND_RULES[kind].ticketAlarmMs !== null
}

/** What is wrong with the tickets of an account in service, and what may help. */
export function ticketWarnings(
  account: AccountOverview,
  ticketAt: Date | null,
  say: Say,
): string[] {
  if (!hasTickets(account) || account.disabledAt !== null) return []
  const { name, createdAt: addedAt } = account
  const holder = { ...account, ticketAt, addedAt }
  const now = new Date()
  if (ticketAt !== null && !isTicketOverdue(holder, now)) return []
  const minutes = Math.floor(ticketAgeMs(holder, now) / 60_000)
  const wrong = ticketAt ? say('old_ticket', { name, minutes }) : say('no_ticket', { name })
  return [account.kind === 'component' ? `${wrong} ${say('start_tickets_hint', { name })}` : wrong]
}

/** The same, of what the database has. */
export async function findTicketWarnings(
  { db }: Pick<Gateway['parts'], 'db'>,
  account: AccountOverview,
  say: Say,
): Promise<string[]> {
  if (!hasTickets(account)) return []
  const { ticketAt } = await readAccountState(db, account.id)
  return ticketWarnings(account, ticketAt, say)
}
