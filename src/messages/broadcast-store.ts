import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import type { Channel } from '../wechat/channels.ts'
import {
  broadcastStatus,
  restOf,
  type BadLine,
  type Broadcast,
  type BroadcastPhase,
  type NewBroadcast,
} from './broadcast.ts'
import { joinRest, REST_COLUMNS, restOfRow, type RestRow } from './limit-store.ts'
import { MESSAGE_STATUSES, type MessageStatus } from './message.ts'

/** A broadcast with what only we need to know of it. */
export interface StoredBroadcast extends Broadcast {
  readonly phase: BroadcastPhase
  readonly headDigest: Buffer
  /** The number of the last line that was read; the head of a list is line 1. */
  readonly linesRead: number
  /** Recipients who were erased before their turn. */
  readonly erasedBefore: number
  readonly ratePerSecond: number | null
}

export interface BroadcastWithCallback {
  readonly broadcast: StoredBroadcast
  readonly callbackUrl: string | null
}

/** The next lines of a list, with where they begin and end. */
export interface LineBatch {
  readonly before: number
  readonly digestBefore: Buffer
  readonly after: number
  readonly digestAfter: Buffer
  readonly recipients: readonly {
    readonly line: number
    readonly recipient: string
    readonly data: Readonly<Record<string, unknown>> | null
  }[]
  readonly bad: readonly BadLine[]
  readonly isLast: boolean
}

/** See `add_broadcast_lines` in docs/schema.sql. */
export type LineBatchAnswer = 'stored' | 'known' | 'differs' | 'ended'

export interface BroadcastFilter {
  readonly accountIds: readonly number[]
  /** Only broadcasts older than this one. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** One recipient in the report. */
export interface ReportEntry {
  readonly line: number
  /** null once the person's data has been erased. */
  readonly recipient: string | null
  /** null when no message was made of it. */
  readonly messageId: string | null
  readonly status: MessageStatus | null
  readonly reason: string | null
  /** Of the last attempt. */
  readonly errcode: string | null
  readonly queuedAt: Date | null
  readonly finishedAt: Date | null
  readonly receiptAt: Date | null
}

/** What one step of the feeder did. */
export interface FedBroadcast {
  readonly id: string
  readonly accountId: number
  /** `resting`: in its account's quiet hours. */
  readonly state: 'running' | 'resting' | 'paused' | 'cancelled' | 'ended'
  readonly fed: number
  readonly accepted: number
  readonly reason: string | null
}

export interface ExpandedBroadcast {
  readonly id: string
  readonly accountId: number
  readonly accepted: number
  readonly done: boolean
}

/** The broadcasts in PostgreSQL. */
export interface BroadcastStore {
  /** @returns false when the application has used the Idempotency-Key before; nothing is stored then. */
  insert(broadcast: NewBroadcast): Promise<boolean>
  findByKey(applicationId: string, idempotencyKey: string): Promise<StoredBroadcast | undefined>
  find(id: string, accountIds: readonly number[]): Promise<StoredBroadcast | undefined>
  /** With where its end is posted; for whoever delivers it. */
  findWithCallback(id: string): Promise<BroadcastWithCallback | undefined>
  /** Newest first. */
  list(filter: BroadcastFilter): Promise<readonly Broadcast[]>
  /** Of all accounts, oldest first. */
  listUnfinished(): Promise<readonly StoredBroadcast[]>
  addLines(id: string, batch: LineBatch): Promise<LineBatchAnswer>
  /** The first bad lines of a list. */
  badLines(id: string, after: number, limit: number): Promise<readonly BadLine[]>
  countMessages(id: string): Promise<Readonly<Record<MessageStatus, number>>>
  /** The recipients behind a line, in the order of the list. */
  report(id: string, after: number, limit: number): Promise<readonly ReportEntry[]>
  /** Each changes nothing where there is nothing to change. @returns whether this call did. */
  pause(id: string): Promise<boolean>
  resume(id: string): Promise<boolean>
  cancel(id: string, reason: string | null): Promise<boolean>
  /** One step of the feeder; undefined when no broadcast is due for one. */
  feed(): Promise<FedBroadcast | undefined>
  /** One step of the expansion of an audience; undefined when there is none. */
  expand(limit: number): Promise<ExpandedBroadcast | undefined>
  /** Cancels lists that nobody has continued for a day. @returns their ids. */
  cancelInterrupted(): Promise<readonly string[]>
}

export function createBroadcastStore(db: Knex): BroadcastStore {
  return {
    insert: (broadcast) => insertBroadcast(db, broadcast),
    findByKey: (applicationId, key) =>
      findOne(db, { 'broadcast.application_id': applicationId, 'broadcast.idempotency_key': key }),
    find: (id, accountIds) => findOne(db, { 'broadcast.id': id }, accountIds),
    findWithCallback: (id) => findWithCallback(db, id),
    list: (filter) => listBroadcasts(db, filter),
    listUnfinished: () => listUnfinished(db),
    addLines: (id, batch) => addLines(db, id, batch),
    badLines: (id, after, limit) => findBadLines(db, { id, after, limit }),
    countMessages: (id) => countMessages(db, id),
    report: (id, after, limit) => findReport(db, { id, after, limit }),
    pause: (id) => pauseBroadcast(db, id),
    resume: (id) => resumeBroadcast(db, id),
    cancel: (id, reason) => cancelBroadcast(db, id, reason),
    feed: () => feedBroadcast(db),
    expand: (limit) => expandBroadcast(db, limit),
    cancelInterrupted: () => cancelInterrupted(db),
  }
}

/** One statement, so one transaction: see `insertMessage`. */
async function insertBroadcast(db: Knex, broadcast: NewBroadcast): Promise<boolean> {
  const result: { rows: unknown[] } = await db.raw(
    `with stored as (
       insert into broadcast (
         id, account_id, application_id, name, purpose, channel, template_id, template_alias,
         content, audience_scope, consent_scope, callback_url, tells_each, idempotency_key, head_digest,
         lines_digest, phase, send_at, expires_at, created_at, updated_at
       ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (application_id, idempotency_key) do nothing
       returning id
     )
     select pg_notify('broadcast_changed', '') from stored`,
    [
      broadcast.id,
      broadcast.account.id,
      broadcast.applicationId,
      broadcast.name,
      broadcast.purpose,
      broadcast.channel,
      broadcast.templateId,
      broadcast.templateAlias,
      JSON.stringify(broadcast.content),
      broadcast.audienceScope,
      broadcast.consentScope ?? null,
      broadcast.callbackUrl ?? null,
      broadcast.tellsEach ?? false,
      broadcast.idempotencyKey,
      broadcast.headDigest,
      broadcast.linesDigest,
      broadcast.audienceScope === null ? 'receiving' : 'expanding',
      broadcast.sendAt,
      broadcast.expiresAt,
      broadcast.createdAt,
      broadcast.createdAt,
    ],
  )
  return result.rows.length === 1
}

/** Served by the primary key or broadcast_application_id_idempotency_key_key. */
async function findOne(
  db: Knex,
  where: Readonly<Record<string, string>>,
  accountIds?: readonly number[],
): Promise<StoredBroadcast | undefined> {
  const query = broadcasts(db).where(where)
  if (accountIds) void query.whereIn('broadcast.account_id', accountIds)
  const row = await query.first()
  return row && storedOf(row)
}

async function findWithCallback(db: Knex, id: string): Promise<BroadcastWithCallback | undefined> {
  const row = await broadcasts(db)
    .select<(BroadcastRow & { callback_url: string | null })[]>('broadcast.callback_url')
    .where('broadcast.id', id)
    .first()
  return row && { broadcast: storedOf(row), callbackUrl: row.callback_url }
}

/** Served by broadcast_account_id_idx. */
async function listBroadcasts(db: Knex, filter: BroadcastFilter): Promise<readonly Broadcast[]> {
  const query = broadcasts(db)
    .whereIn('broadcast.account_id', filter.accountIds)
    .orderBy('broadcast.id', 'desc')
    .limit(filter.limit)
  if (filter.beforeId !== undefined) void query.where('broadcast.id', '<', filter.beforeId)
  const rows = await query
  return rows.map(storedOf)
}

/** Served by broadcast_unfinished_idx. */
async function listUnfinished(db: Knex): Promise<readonly StoredBroadcast[]> {
  const rows = await broadcasts(db).whereNull('broadcast.finished_at').orderBy('broadcast.id')
  return rows.map(storedOf)
}

async function addLines(db: Knex, id: string, batch: LineBatch): Promise<LineBatchAnswer> {
  const { rows } = await db.raw<{ rows: { answer: LineBatchAnswer }[] }>(
    `select add_broadcast_lines(?, ?, ?, ?, ?, ?::json, ?::json, ?) as answer`,
    [
      id,
      batch.before,
      batch.digestBefore,
      batch.after,
      batch.digestAfter,
      JSON.stringify(batch.recipients),
      JSON.stringify(batch.bad),
      batch.isLast,
    ],
  )
  return rows[0]?.answer ?? 'ended'
}

/** Where to go on in a list. */
interface Place {
  readonly id: string
  readonly after: number
  readonly limit: number
}

/** Served by the primary key. */
async function findBadLines(db: Knex, { id, after, limit }: Place): Promise<readonly BadLine[]> {
  const rows = await db('broadcast_bad_line')
    .select<{ line: string; reason: string }[]>('line', 'reason')
    .where({ broadcast_id: id })
    .andWhere('line', '>', after)
    .orderBy('line')
    .limit(limit)
  return rows.map(({ line, reason }) => ({ line: Number(line), reason }))
}

/**
 * Served by message_broadcast_queue_idx and message_broadcast_ended_idx, without a look at the rows
 * where they rest: each holds a part, and neither serves a condition that names no status.
 */
async function countMessages(db: Knex, id: string) {
  const { rows } = await db.raw<{ rows: { status: MessageStatus; count: string }[] }>(
    `select status, count(*) from message
     where broadcast_id = :id and status in ('scheduled', 'queued', 'sending')
     group by status
     union all
     select status, count(*) from message
     where broadcast_id = :id and status not in ('scheduled', 'queued', 'sending')
     group by status`,
    { id },
  )
  const counts = Object.fromEntries(MESSAGE_STATUSES.map((status) => [status, 0]))
  for (const { status, count } of rows) counts[status] = Number(count)
  return counts as Record<MessageStatus, number>
}

/**
 * Served by the primary key, message_broadcast_line_idx and attempt_message_id_number_key. A range of
 * one line, in order: asked for by its equality alone, a line may be looked for among all messages of
 * the broadcast when PostgreSQL does not know yet how many those are.
 */
async function findReport(db: Knex, { id, after, limit }: Place): Promise<readonly ReportEntry[]> {
  const { rows } = await db.raw<{ rows: ReportRow[] }>(
    `select
       listed.line, listed.recipient, made.id as message_id, made.status, made.reason,
       last.errcode, made.created_at as queued_at, made.finished_at, made.receipt_at
     from (
       select one.line, one.recipient
       from broadcast_recipient as one
       where one.broadcast_id = :id and one.line > :after
       order by one.line limit :limit
     ) as listed
     left join lateral (
       select * from message
       where message.broadcast_id = :id
         and message.broadcast_line between listed.line and listed.line
       order by message.broadcast_line limit 1
     ) as made on true
     left join lateral (
       select attempt.errcode from attempt
       where attempt.message_id = made.id and attempt.number = made.attempt_count
       limit 1
     ) as last on true
     order by listed.line`,
    { id, after, limit },
  )
  return rows.map(entryOf)
}

async function pauseBroadcast(db: Knex, id: string): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    const paused = await trx('broadcast')
      .where({ id })
      .whereIn('phase', ['receiving', 'expanding', 'running'])
      .whereNull('paused_at')
      .update({ paused_at: trx.raw('clock_timestamp()'), updated_at: trx.raw('clock_timestamp()') })
    await trx.raw(
      `select hold_broadcast_messages(id) from broadcast where id = ? and paused_at is not null`,
      [id],
    )
    return paused === 1
  })
}

async function resumeBroadcast(db: Knex, id: string): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    const resumed = await trx('broadcast')
      .where({ id })
      .whereIn('phase', ['receiving', 'expanding', 'running'])
      .whereNotNull('paused_at')
      .update({ paused_at: null, updated_at: trx.raw('clock_timestamp()') })
    if (resumed === 0) return false
    await trx.raw(
      `select resume_broadcast_messages(?), pg_notify('message_queued', ''),
         pg_notify('broadcast_changed', '')`,
      [id],
    )
    return true
  })
}

async function cancelBroadcast(db: Knex, id: string, reason: string | null): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    const cancelled = await trx('broadcast')
      .where({ id })
      .whereIn('phase', ['receiving', 'expanding', 'running'])
      .update({
        phase: 'cancelled',
        reason,
        paused_at: null,
        fed_at: null,
        updated_at: trx.raw('clock_timestamp()'),
      })
    if (cancelled === 0) return false
    await trx.raw(`select cancel_broadcast_messages(?), pg_notify('broadcast_changed', '')`, [id])
    return true
  })
}

async function feedBroadcast(db: Knex): Promise<FedBroadcast | undefined> {
  const { rows } = await db.raw<{ rows: FedRow[] }>(
    `select broadcast_id, account_id, state, fed, accepted, reason from feed_broadcast()`,
  )
  const row = rows[0]
  return (
    row && {
      id: row.broadcast_id,
      accountId: row.account_id,
      state: row.state,
      fed: Number(row.fed),
      accepted: Number(row.accepted),
      reason: row.reason,
    }
  )
}

async function expandBroadcast(db: Knex, limit: number): Promise<ExpandedBroadcast | undefined> {
  const { rows } = await db.raw<{ rows: ExpandedRow[] }>(
    `select broadcast_id, account_id, accepted, done from expand_broadcast(?)`,
    [limit],
  )
  const row = rows[0]
  return (
    row && {
      id: row.broadcast_id,
      accountId: row.account_id,
      accepted: Number(row.accepted),
      done: row.done,
    }
  )
}

async function cancelInterrupted(db: Knex): Promise<readonly string[]> {
  const rows = await db('broadcast')
    .where({ phase: 'receiving' })
    .whereNull('finished_at')
    .whereRaw(`updated_at < clock_timestamp() - interval '1 day'`)
    .update({
      phase: 'cancelled',
      reason: 'interrupted',
      paused_at: null,
      updated_at: db.raw('clock_timestamp()'),
    })
    .returning<{ id: string }[]>('id')
  return rows.map(({ id }) => id)
}

function broadcasts(db: Knex) {
  return db('broadcast')
    .join('account', 'account.id', 'broadcast.account_id')
    .leftJoin('send_policy as policy', 'policy.account_id', 'broadcast.account_id')
    .joinRaw(joinRest('broadcast'))
    .select<BroadcastRow[]>(
      'broadcast.id',
      'account.name as account',
      'broadcast.name',
      'broadcast.purpose',
      'broadcast.channel',
      'broadcast.template_id',
      'broadcast.audience_scope',
      'broadcast.head_digest',
      'broadcast.phase',
      'broadcast.reason',
      'broadcast.send_at',
      'broadcast.expires_at',
      'broadcast.lines_read',
      'broadcast.accepted',
      'broadcast.duplicates',
      'broadcast.bad',
      'broadcast.received_at',
      'broadcast.skipped',
      'broadcast.rate',
      'broadcast.paused_at',
      'broadcast.started_at',
      'broadcast.finished_at',
      'broadcast.created_at',
      ...REST_COLUMNS,
      db.raw('clock_timestamp() as now'),
      db.raw(
        'quiet_until(policy.quiet_begins, policy.quiet_ends, clock_timestamp()) as quiet_until',
      ),
    )
}

interface BroadcastRow extends RestRow {
  readonly id: string
  readonly account: string
  readonly name: string | null
  readonly purpose: string | null
  readonly channel: Channel
  readonly template_id: string | null
  readonly audience_scope: string | null
  readonly head_digest: Buffer
  readonly phase: BroadcastPhase
  readonly reason: string | null
  readonly send_at: Date
  readonly expires_at: Date
  readonly lines_read: string
  readonly accepted: string
  readonly duplicates: string
  readonly bad: string
  readonly received_at: Date | null
  readonly skipped: string
  readonly rate: number | null
  readonly paused_at: Date | null
  readonly started_at: Date | null
  readonly finished_at: Date | null
  readonly created_at: Date
  readonly now: Date
  readonly quiet_until: Date | null
}

function storedOf(row: BroadcastRow): StoredBroadcast {
  const { expires_at: expiresAt, now } = row
  const times = { pausedAt: row.paused_at, startedAt: row.started_at, sendAt: row.send_at }
  const status = broadcastStatus({ phase: row.phase, ...times }, now)
  return {
    id: row.id,
    account: row.account,
    name: row.name,
    purpose: row.purpose,
    channel: row.channel,
    templateId: row.template_id,
    audienceScope: row.audience_scope,
    phase: row.phase,
    status,
    ...restOf(
      { status, reason: row.reason, expiresAt },
      { quietUntil: row.quiet_until, channel: restOfRow(row) },
      now,
    ),
    sendAt: row.send_at,
    expiresAt,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    lines: {
      accepted: Number(row.accepted),
      duplicate: Number(row.duplicates),
      bad: Number(row.bad),
      complete: row.received_at !== null,
    },
    headDigest: row.head_digest,
    linesRead: Number(row.lines_read),
    erasedBefore: Number(row.skipped),
    ratePerSecond: row.rate,
  }
}

interface ReportRow {
  readonly line: string
  readonly recipient: string | null
  readonly message_id: string | null
  readonly status: MessageStatus | null
  readonly reason: string | null
  readonly errcode: string | null
  readonly queued_at: Date | null
  readonly finished_at: Date | null
  readonly receipt_at: Date | null
}

function entryOf(row: ReportRow): ReportEntry {
  return {
    line: Number(row.line),
    recipient: row.recipient,
    messageId: row.message_id,
    status: row.status,
    reason: row.reason,
    errcode: row.errcode,
    queuedAt: row.queued_at,
    finishedAt: row.finished_at,
    receiptAt: row.receipt_at,
  }
}

interface FedRow {
  readonly broadcast_id: string
  readonly account_id: number
  readonly state: FedBroadcast['state']
  readonly fed: string
  readonly accepted: string
  readonly reason: string | null
}

interface ExpandedRow {
  readonly broadcast_id: string
  readonly account_id: number
  readonly accepted: string
  readonly done: boolean
}
