import type { Knex } from 'knex'

/** One entry of the event log. */
export interface StoredEvent {
  readonly id: string
  readonly account: string
  readonly kind: string
  readonly name: string
  readonly subject: string | null
  readonly occurredAt: Date
  readonly receivedAt: Date
  /** The decrypted document; null when not asked for, '' when the person was erased. */
  readonly document: string | null
  readonly erasedAt: Date | null
}

export interface EventFilter {
  /** Only these accounts; an empty list finds nothing. */
  readonly accountIds: readonly number[]
  readonly kind?: string
  readonly subject?: string
  /** Only events recorded before (newest first) or after (oldest first) the one with this id. */
  readonly beforeId?: string
  readonly afterId?: string
  readonly withDocument: boolean
  readonly limit: number
}

/**
 * The events with these numbers, in any order, with their documents; one that is no longer on record is
 * left out. The times say in which months to look: served by event_id_idx.
 */
export async function findEvents(
  db: Knex,
  wanted: readonly { readonly id: string; readonly occurredAt: Date }[],
): Promise<StoredEvent[]> {
  const rows: EventRow[] = await db('event')
    .join('account', 'account.id', 'event.account_id')
    .whereIn('event.id', [...new Set(wanted.map(({ id }) => id))])
    .whereIn('event.occurred_at', [...new Set(wanted.map(({ occurredAt }) => occurredAt))])
    .select(
      'event.id',
      'account.name as account',
      'event.kind',
      'event.name',
      'event.subject',
      'event.occurred_at',
      'event.received_at',
      'event.erased_at',
      'event.document',
    )
  return rows.map(eventOf)
}

interface EventRow {
  readonly id: string
  readonly account: string
  readonly kind: string
  readonly name: string
  readonly subject: string | null
  readonly occurred_at: Date
  readonly received_at: Date
  readonly document: string | null
  readonly erased_at: Date | null
}

/**
 * Entries of the log: newest first, or oldest first when `afterId` is given. Served by event_id_idx,
 * and by event_subject_idx when a subject is named.
 */
export async function listEvents(db: Knex, filter: EventFilter): Promise<StoredEvent[]> {
  const query = db('event')
    .join('account', 'account.id', 'event.account_id')
    .whereIn('event.account_id', [...filter.accountIds])
    .limit(filter.limit)
    .select(
      'event.id',
      'account.name as account',
      'event.kind',
      'event.name',
      'event.subject',
      'event.occurred_at',
      'event.received_at',
      'event.erased_at',
      filter.withDocument ? 'event.document' : db.raw('null as document'),
    )
  if (filter.kind !== undefined) query.where('event.kind', filter.kind)
  if (filter.subject !== undefined) query.where('event.subject', filter.subject)
  if (filter.afterId !== undefined) {
    query.where('event.id', '>', filter.afterId).orderBy('event.id', 'asc')
  } else {
    if (filter.beforeId !== undefined) query.where('event.id', '<', filter.beforeId)
    query.orderBy('event.id', 'desc')
  }
  const rows = (await query) as EventRow[]
  return rows.map(eventOf)
}

function eventOf(row: EventRow): StoredEvent {
  return {
    id: row.id,
    account: row.account,
    kind: row.kind,
    name: row.name,
    subject: row.subject,
    occurredAt: row.occurred_at,
    receivedAt: row.received_at,
    document: row.document,
    erasedAt: row.erased_at,
  }
}
