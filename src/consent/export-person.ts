import type { Knex } from 'knex'
import { findConsents, findHistory, type HeldConsent, type LedgerEntry } from './consent-store.ts'
import { findPersonBroadcasts, findPersonEvents, findPersonMessages } from './person-store.ts'

/** Everything held about one person on one account. */
interface HeldData {
  readonly subject: string
  readonly consents: readonly HeldConsent[]
  readonly ledger: readonly LedgerEntry[]
  readonly events: readonly unknown[]
  readonly messages: readonly unknown[]
  readonly broadcasts: readonly unknown[]
}

/** Collects a person's data; nothing is left out, nothing is shortened. */
export async function exportPerson(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<HeldData> {
  const [consents, ledger, events, messages, broadcasts] = await Promise.all([
    findConsents(db, accountId, subject),
    findHistory(db, { accountId, subject }, null),
    findPersonEvents(db, accountId, subject),
    findPersonMessages(db, accountId, subject),
    findPersonBroadcasts(db, accountId, subject),
  ])
  return { subject, consents, ledger, events, messages, broadcasts }
}
