import type { Knex } from 'knex'
import { placeOfSecret } from '../../src/accounts/secret-store.ts'
import type { Ticket } from '../../src/accounts/ticket-store.ts'
import type { SecretBox } from '../../src/foundation/sealed-secrets.ts'

/**
 * Keeps a ticket as the statement that records its push does, without the push.
 *
 * @returns whether this one is now the newest.
 */
export async function keepTicket(
  { db, box }: { readonly db: Knex; readonly box: SecretBox },
  accountId: number,
  { value, effectiveAt }: Ticket,
): Promise<boolean> {
  const { rows } = await db.raw<{ rows: { is_newest: boolean }[] }>(
    `select keep_ticket(?, ?, ?, ?) as is_newest`,
    [accountId, box.seal(value, placeOfSecret(accountId, 'ticket')), box.keyId, effectiveAt],
  )
  return rows[0]?.is_newest ?? false
}
