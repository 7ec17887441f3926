import type { Knex } from 'knex'

/** What is in the database about one person. */
export interface Recorded {
  /** The documents of the event log, oldest first. */
  readonly documents: readonly string[]
  /** The ledger as `scope change` lines, in alphabetical order. */
  readonly ledger: readonly string[]
  /** The scopes that have a consent. */
  readonly scopes: readonly string[]
}

/** Reads everything that pushes have left about a person of one account. */
export async function recordedAbout(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<Recorded> {
  const person = { account_id: accountId, subject }
  const events: { document: string }[] = await db('event')
    .where(person)
    .orderBy('id')
    .select('document')
  const ledger: { scope: string; change: string }[] = await db('consent_ledger')
    .where(person)
    .select('scope', 'change')
  const consents: { scope: string }[] = await db('consent')
    .where(person)
    .orderBy('scope')
    .select('scope')
  return {
    documents: events.map(({ document }) => document),
    ledger: ledger.map(({ scope, change }) => `${scope} ${change}`).sort(),
    scopes: consents.map(({ scope }) => scope),
  }
}

/** Every document of an account's event log. */
export async function recordedDocuments(db: Knex, accountId: number): Promise<string[]> {
  const rows: { document: string }[] = await db('event')
    .where({ account_id: accountId })
    .select('document')
  return rows.map(({ document }) => document)
}
