import type { Knex } from 'knex'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { placeOfSecret } from './secret-store.ts'

/** A component_verify_ticket or suite_ticket: what a token of a component or suite is asked with. */
export interface Ticket {
  readonly value: string
  /** When the platform made it, by its own clock. */
  readonly effectiveAt: Date
}

type TicketName = 'ticket' | 'previous_ticket'

interface TicketRow {
  readonly account_id: number
  readonly name: TicketName
  readonly sealed: string
  readonly effective_at: Date
}

/** The tickets of an account, the newest first; none before the platform has sent one. */
export async function openTickets(db: Knex, box: SecretBox, accountId: number): Promise<Ticket[]> {
  const rows = await db<TicketRow>('account_secret')
    .select('name', 'sealed', 'effective_at')
    .where({ account_id: accountId })
    .whereIn('name', ['ticket', 'previous_ticket'])
    .orderBy('effective_at', 'desc')
  return rows.map(({ name, sealed, effective_at }) => ({
    value: box.open(sealed, placeOfSecret(accountId, name)),
    effectiveAt: effective_at,
  }))
}
