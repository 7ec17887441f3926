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
 * Keeps the two newest tickets by the platform's time, in whatever order they arrive. The one before
 * stays, because the platform goes on taking it until it expires.
 *
 * @returns whether this one is now the newest.
 */
export async function keepTicket(
  trx: Knex.Transaction,
  box: SecretBox,
  { accountId, ticket }: { readonly accountId: number; readonly ticket: Ticket },
): Promise<boolean> {
  // The account's lock, so that of two tickets at once the newer one stays.
  await trx('account').where({ id: accountId }).forUpdate().first('id')
  const known = await openTickets(trx, box, accountId)
  if (known.some((one) => timeOf(one) === timeOf(ticket))) return false
  const kept = [...known, ticket].sort((a, b) => timeOf(b) - timeOf(a)).slice(0, 2)
  const rows = kept.map(({ value, effectiveAt }, index) => {
    const name: TicketName = index === 0 ? 'ticket' : 'previous_ticket'
    const sealed = box.seal(value, placeOfSecret(accountId, name))
    return {
      ...{ account_id: accountId, name, sealed, key_id: box.keyId },
      ...{ effective_at: effectiveAt, updated_at: trx.fn.now() },
    }
  })
  await trx('account_secret').insert(rows).onConflict(['account_id', 'name']).merge()
  return kept[0] === ticket
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

function timeOf({ effectiveAt }: Ticket): number {
  return effectiveAt.getTime()
}
