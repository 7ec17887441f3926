import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import type { PausedReason } from './endpoint-health.ts'
import type { DisabledReason, Endpoint, EndpointPurpose } from './endpoint.ts'

/** An endpoint that is to be stored, with its secret sealed for `placeOfSecret`. */
export interface EndpointToStore {
  readonly id: string
  readonly applicationId: string
  readonly accountId: number | null
  readonly purpose: EndpointPurpose
  readonly url: string | null
  readonly events: readonly string[]
  readonly sealedSecret: string
}

/** What a delivery needs of its endpoint. */
export interface Receiver {
  readonly id: string
  readonly purpose: EndpointPurpose
  readonly application: string
  readonly url: string | null
  readonly sealedSecret: string
  /** Null where none signs beside the current one at this moment. */
  readonly previousSecret: string | null
  readonly disabled: boolean
  readonly paused: boolean
  readonly failingSince: Date | null
}

/** An endpoint that is asked for the replies of an account. */
export interface ReplyEndpoint extends Receiver {
  readonly accountId: number
  readonly events: readonly string[]
}

/** Which endpoints may be seen: those of one application, or all. */
export interface EndpointScope {
  /** Null for an operator. */
  readonly applicationId: string | null
}

export interface EndpointFilter extends EndpointScope {
  readonly accountId?: number | undefined
  /** Only endpoints made before this one. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** Where the secrets of an endpoint rest; both, so that a rotation moves one as it is. */
export function placeOfSecret(endpointId: string): string {
  return `endpoint/${endpointId}`
}

/**
 * Stores an endpoint.
 *
 * @returns false when there may be only one of its purpose, and there is.
 */
export async function insertEndpoint(db: Knex, endpoint: EndpointToStore): Promise<boolean> {
  const inserted = await db('endpoint')
    .insert({
      id: endpoint.id,
      application_id: endpoint.applicationId,
      account_id: endpoint.accountId,
      purpose: endpoint.purpose,
      url: endpoint.url,
      kinds: endpoint.events,
      sealed_secret: endpoint.sealedSecret,
    })
    .onConflict()
    .ignore()
    .returning('id')
  return inserted.length === 1
}

/** Served by endpoint_callbacks_key. */
export async function hasCallbackEndpoint(db: Knex, applicationId: string): Promise<boolean> {
  const found = await db('endpoint')
    .where({ application_id: applicationId, purpose: 'callbacks', removed_at: null })
    .first<{ id: string } | undefined>('id')
  return found !== undefined
}

export async function findEndpoint(
  db: Knex,
  id: string,
  { applicationId }: EndpointScope,
): Promise<Endpoint | undefined> {
  const query = endpoints(db).where('endpoint.id', id)
  if (applicationId !== null) void query.where('endpoint.application_id', applicationId)
  const row = await query.first()
  return row && endpointOf(row)
}

/** Newest first. Served by endpoint_application_id_idx. */
export async function listEndpoints(db: Knex, filter: EndpointFilter): Promise<Endpoint[]> {
  const query = endpoints(db).orderBy('endpoint.id', 'desc').limit(filter.limit)
  if (filter.applicationId !== null) {
    void query.where('endpoint.application_id', filter.applicationId)
  }
  if (filter.accountId !== undefined) void query.where('endpoint.account_id', filter.accountId)
  if (filter.beforeId !== undefined) void query.where('endpoint.id', '<', filter.beforeId)
  return (await query).map(endpointOf)
}

/** What is changed; what is absent stays. */
export interface EndpointChange {
  readonly url?: string
  readonly events?: readonly string[]
  /** Null: it takes deliveries again. */
  readonly disabledReason?: DisabledReason | null
}

export async function changeEndpoint(db: Knex, id: string, change: EndpointChange): Promise<void> {
  const { url, events, disabledReason } = change
  await db('endpoint')
    .where({ id })
    .update({
      ...(url !== undefined && { url }),
      ...(events !== undefined && { kinds: events }),
      ...(disabledReason !== undefined && {
        disabled_at:
          disabledReason === null ? null : db.raw('coalesce(disabled_at, clock_timestamp())'),
        disabled_reason: disabledReason,
      }),
      updated_at: db.raw('clock_timestamp()'),
    })
}

/** Nothing of it is kept but what was delivered, until that is forgotten too. */
export async function removeEndpoint(db: Knex, id: string): Promise<void> {
  const now = db.raw('clock_timestamp()')
  await db('endpoint')
    .where({ id })
    .update({
      removed_at: now,
      disabled_at: db.raw('coalesce(disabled_at, clock_timestamp())'),
      previous_secret: null,
      previous_until: null,
      updated_at: now,
    })
}

/**
 * The secret of now goes on signing until a moment, beside the new one; not one that none of the held
 * master keys opens: every delivery would fail on it.
 */
export async function replaceSecret(
  db: Knex,
  id: string,
  next: {
    readonly sealedSecret: string
    readonly until: Date
    readonly keyIds: readonly string[]
  },
): Promise<void> {
  const { sealedSecret, until, keyIds } = next
  const opens = `split_part(sealed_secret, '.', 2) = any(?)`
  await db('endpoint')
    .where({ id })
    .update({
      previous_secret: db.raw(`case when ${opens} then sealed_secret end`, [[...keyIds]]),
      previous_until: db.raw(`case when ${opens} then ?::timestamptz end`, [[...keyIds], until]),
      sealed_secret: sealedSecret,
      updated_at: db.raw('clock_timestamp()'),
    })
}

/** What kind of account it is, as far as that decides about replies. */
export async function findReplyingAccount(
  db: Knex,
  accountId: number,
): Promise<Pick<Account, 'kind' | 'serves'> | undefined> {
  return db<Pick<Account, 'id' | 'kind' | 'serves'>>('account')
    .where({ id: accountId })
    .first('kind', 'serves')
}

/** Endpoints that are asked for replies; a handful. */
export async function loadReplyEndpoints(db: Knex): Promise<ReplyEndpoint[]> {
  const rows = await receivers(db)
    .where({ purpose: 'reply', disabled_at: null, paused_at: null })
    .select<ReplyRow[]>('endpoint.account_id', 'endpoint.kinds')
  return rows.map((row) => ({
    ...receiverOf(row),
    accountId: row.account_id,
    events: row.kinds,
  }))
}

export async function findReceiver(db: Knex, id: string): Promise<Receiver | undefined> {
  const row = await receivers(db).where('endpoint.id', id).first<ReceiverRow | undefined>()
  return row && receiverOf(row)
}

function endpoints(db: Knex) {
  return db('endpoint')
    .join('application', 'application.id', 'endpoint.application_id')
    .leftJoin('account', 'account.id', 'endpoint.account_id')
    .whereNull('endpoint.removed_at')
    .select<EndpointRow[]>(
      'endpoint.id',
      'application.name as application',
      'account.name as account',
      'endpoint.purpose',
      'endpoint.url',
      'endpoint.kinds',
      'endpoint.created_at',
      'endpoint.updated_at',
      'endpoint.disabled_at',
      'endpoint.disabled_reason',
      'endpoint.paused_at',
      'endpoint.paused_reason',
      'endpoint.failing_since',
      db.raw(
        'case when endpoint.previous_until > now() then endpoint.previous_until end as previous_until',
      ),
    )
}

function receivers(db: Knex) {
  return db('endpoint')
    .join('application', 'application.id', 'endpoint.application_id')
    .select<ReceiverRow[]>(
      'endpoint.id',
      'endpoint.purpose',
      'application.name as application',
      'endpoint.url',
      'endpoint.sealed_secret',
      db.raw(
        'case when endpoint.previous_until > now() then endpoint.previous_secret end as previous_secret',
      ),
      'endpoint.disabled_at',
      'endpoint.paused_at',
      'endpoint.failing_since',
    )
}

interface EndpointRow {
  readonly id: string
  readonly application: string
  readonly account: string | null
  readonly purpose: EndpointPurpose
  readonly url: string | null
  readonly kinds: string[]
  readonly created_at: Date
  readonly updated_at: Date
  readonly disabled_at: Date | null
  readonly disabled_reason: DisabledReason | null
  readonly paused_at: Date | null
  readonly paused_reason: PausedReason | null
  readonly failing_since: Date | null
  readonly previous_until: Date | null
}

interface ReceiverRow {
  readonly id: string
  readonly purpose: EndpointPurpose
  readonly application: string
  readonly url: string | null
  readonly sealed_secret: string
  readonly previous_secret: string | null
  readonly disabled_at: Date | null
  readonly paused_at: Date | null
  readonly failing_since: Date | null
}

interface ReplyRow extends ReceiverRow {
  readonly account_id: number
  readonly kinds: string[]
}

function endpointOf(row: EndpointRow): Endpoint {
  return {
    id: row.id,
    application: row.application,
    account: row.account,
    purpose: row.purpose,
    url: row.url,
    events: row.kinds,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    pausedAt: row.paused_at,
    pausedReason: row.paused_reason,
    failingSince: row.failing_since,
    previousSecretUntil: row.previous_until,
  }
}

function receiverOf(row: ReceiverRow): Receiver {
  return {
    id: row.id,
    purpose: row.purpose,
    application: row.application,
    url: row.url,
    sealedSecret: row.sealed_secret,
    previousSecret: row.previous_secret,
    disabled: row.disabled_at !== null,
    paused: row.paused_at !== null,
    failingSince: row.failing_since,
  }
}
