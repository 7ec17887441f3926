import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { KIND_RULES } from './account-kinds.ts'
import { ACCOUNT_KINDS, type AccountKind } from './account.ts'
import { placeOfSecret } from './secret-store.ts'
import type { TicketHolder } from './ticket-age.ts'

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

const KINDS_WITH_TICKETS = ACCOUNT_KINDS.filter((kind) => KIND_RULES[kind].ticketAlarmMs !== null)

/** Every account in service that is sent tickets. The accounts are few and read as a whole. */
export async function listTicketHolders(db: Knex): Promise<TicketHolder[]> {
  const { rows } = await db
    .raw<{ rows: HolderRow[] }>(
      `select account.id, account.name, account.kind, account.app_id, account.created_at,
         newest.effective_at as ticket_at
       from account
       left join account_secret as newest
         on newest.account_id = account.id and newest.name = 'ticket'
       where account.kind = any (?) and account.disabled_at is null
       order by account.name`,
      [KINDS_WITH_TICKETS],
    )
    .timeout(QUICK_QUERY_MS)
  return rows.map((row) => ({
    ...{ id: row.id, name: row.name, kind: row.kind, appId: row.app_id },
    ...{ ticketAt: row.ticket_at, addedAt: row.created_at },
  }))
}

interface HolderRow {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly app_id: string
  readonly created_at: Date
  readonly ticket_at: Date | null
}
