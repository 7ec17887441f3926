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

/**
 * Keeps a ticket, unless two newer ones are known; see `keep_ticket` in docs/schema.sql. A ticket that
 * is pushed is kept by the statement that records its push, in the same way.
 *
 * @returns whether this one is now the newest.
 */
export async function keepTicket(
  db: Knex,
  box: SecretBox,
  { accountId, ticket }: { readonly accountId: number; readonly ticket: Ticket },
): Promise<boolean> {
  const { rows } = await db.raw<{ rows: { is_newest: boolean }[] }>(
    `select keep_ticket(?, ?, ?, ?) as is_newest`,
    [accountId, ...sealTicket(box, accountId, ticket.value), ticket.effectiveAt],
  )
  return rows[0]?.is_newest ?? false
}

/** A ticket as its row holds it: sealed text and the id of the key. */
function sealTicket(box: SecretBox, accountId: number, value: string): [string, string] {
  return [box.seal(value, placeOfSecret(accountId, 'ticket')), box.keyId]
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
