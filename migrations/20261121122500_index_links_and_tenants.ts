import type { Knex } from 'knex'

/** The ledger is large: built without holding up those who write to it. */
export const config = { transaction: false }

const INDEXES = {
  /** An erasure forgets the links of its person: it hashed each link there was to find them. */
  one_time_link_person_idx: `one_time_link (subject_hash(account_id, subject))
    where subject is not null`,
  /** Whether an authorisation has admitted a tenant: it read all that the suite ever heard of tenants. */
  consent_ledger_tenant_idx: `consent_ledger (account_id, event_id)
    where scope = 'tenant' and event_id is not null`,
}

export async function up(db: Knex): Promise<void> {
  for (const [name, on] of Object.entries(INDEXES)) {
    // what an interrupted attempt left is there but not used
    await db.raw(`drop index if exists ${name}`)
    await db.raw(`create index concurrently ${name} on ${on}`)
  }
}

export async function down(db: Knex): Promise<void> {
  for (const name of Object.keys(INDEXES)) await db.raw(`drop index if exists ${name}`)
}
