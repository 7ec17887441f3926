import type { Knex } from 'knex'
import { lowestId } from '../foundation/ids.ts'
import type { Channel } from '../wechat/channels.ts'
import { findAliasRecord, type AliasRecord } from './fallback-store.ts'
import type { ChannelPlan } from './channel-plan.ts'
import { joinRest, REST_COLUMNS, restOfRow, type RestRow } from './limit-store.ts'
import {
  firstStatus,
  type Attempt,
  type AttemptOutcome,
  type Message,
  type MessageStatus,
  type NewMessage,
} from './message.ts'

/** A welcome's id tells when the platform says that it happened, not when the message was made. */
const ID_SLACK_MS = 600_000

/** What an earlier request under the same Idempotency-Key asked for. */
export interface EarlierRequest {
  readonly message: Message
  readonly requestDigest: Buffer
}

/** A message, and where its results are posted. */
export interface MessageWithCallback {
  readonly message: Message
  readonly callbackUrl: string | null
}

/** What to list. Every field narrows; `accountIds` is what the caller may see at all. */
export interface MessageFilter {
  readonly accountIds: readonly number[]
  readonly to?: string | undefined
  readonly status?: MessageStatus | undefined
  readonly channel?: Channel | undefined
  readonly createdAfter?: Date | undefined
  readonly createdBefore?: Date | undefined
  /** Only messages older than this one. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** The messages in PostgreSQL, as far as applications ask for and about them. */
export interface MessageStore {
  /**
   * Stores a message and wakes the workers, both or neither.
   *
   * @returns false when the application has used the Idempotency-Key before, or the event of a welcome
   *   has its message; nothing is stored then.
   */
  insert(message: NewMessage): Promise<boolean>
  findByKey(applicationId: string, idempotencyKey: string): Promise<EarlierRequest | undefined>
  find(id: string, accountIds: readonly number[]): Promise<Message | undefined>
  /** Whoever may see it: for what is posted to the address that its own application named. */
  findWithCallback(id: string): Promise<MessageWithCallback | undefined>
  /** The calls made for a message, oldest first. */
  attemptsOf(id: string): Promise<readonly Attempt[]>
  /** What an alias had to do with a message; undefined when it was sent without one. */
  aliasOf(id: string): Promise<AliasRecord | undefined>
  /** Newest first. */
  list(filter: MessageFilter): Promise<readonly Message[]>
  /**
   * Cancels a message that waits and that no worker holds at this moment.
   *
   * @returns whether this call cancelled it.
   */
  cancel(id: string, accountIds: readonly number[]): Promise<boolean>
}

export function createMessageStore(db: Knex): MessageStore {
  return {
    insert: (message) => insertMessage(db, message),
    findByKey: (applicationId, key) => findByKey(db, applicationId, key),
    find: (id, accountIds) => findMessage(db, id, accountIds),
    findWithCallback: (id) => findWithCallback(db, id),
    attemptsOf: (id) => findAttempts(db, id),
    aliasOf: (id) => findAliasRecord(db, id),
    list: (filter) => listMessages(db, filter),
    cancel: (id, accountIds) => cancelMessage(db, id, accountIds),
  }
}

/**
 * One statement, so one transaction: the notice leaves when the row is committed. Of two requests
 * with one key the later waits here for the first to commit, then inserts nothing.
 */
async function insertMessage(db: Knex, message: NewMessage): Promise<boolean> {
  const row = rowOf(message)
  const alias = message.alias && aliasRowOf(message.alias)
  const robot = message.robot ?? null
  const result: { rows: unknown[] } = await db.raw(
    `with stored as (
       insert into message (${Object.keys(row).join(', ')})
       values (${Object.keys(row)
         .map(() => '?')
         .join(', ')})
       on conflict ${message.channel === 'wecom_welcome_message' ? '' : ONE_PER_KEY} do nothing
       returning id
     )${alias === null ? '' : INSERT_ALIAS}${robot === null ? '' : INSERT_ROBOT}
     select pg_notify('message_queued', '') from stored`,
    [...Object.values(row), ...(alias ?? []), ...(robot === null ? [] : [robot])],
  )
  return result.rows.length === 1
}

/** A welcome has one id, too: that of its event. */
const ONE_PER_KEY = `(application_id, idempotency_key) where idempotency_key is not null`

function rowOf(message: NewMessage) {
  return {
    id: message.id,
    account_id: message.account.id,
    application_id: message.applicationId,
    recipient: message.to,
    channel: message.channel,
    template_id: message.templateId,
    content: JSON.stringify(message.content),
    consent_scope: message.consentScope,
    sealed_secret: message.sealedSecret,
    plan: message.plan && planJson(message.plan),
    purpose: message.purpose,
    callback_url: message.callbackUrl ?? null,
    idempotency_key: message.idempotencyKey,
    request_digest: message.requestDigest,
    status: firstStatus(message),
    send_at: message.sendAt,
    expires_at: message.expiresAt,
    due_at: dueAtOf(message),
    quiet_until: message.quietUntil ?? null,
    reason: message.quietUntil ? 'quiet_hours' : null,
    created_at: message.createdAt,
    updated_at: message.createdAt,
    lane: message.isMarketing === true ? 1 : 0,
  }
}

function dueAtOf({ sendAt, quietUntil, expiresAt }: NewMessage): Date {
  if (!quietUntil) return sendAt
  return quietUntil < expiresAt ? quietUntil : expiresAt
}

const INSERT_ALIAS = `, named as (
       insert into aliased_message (message_id, alias, step, reason, asked_data)
       select stored.id, ?, ?, ?, ?::jsonb from stored
     )`

const INSERT_ROBOT = `, known as (
       insert into robot_message (message_id, robot) select stored.id, ? from stored
     )`

function aliasRowOf({ name, step, reason, askedData }: NonNullable<NewMessage['alias']>) {
  return [name, step, reason, askedData && JSON.stringify(askedData)]
}

/** As `take_next_channel` reads it. */
function planJson({ planned, ways }: ChannelPlan): string {
  return JSON.stringify({
    planned,
    ways: ways.map(({ channel, templateId, content }) => ({
      channel,
      template_id: templateId,
      content,
    })),
  })
}

/** Served by message_application_id_idempotency_key_key. */
async function findByKey(
  db: Knex,
  applicationId: string,
  idempotencyKey: string,
): Promise<EarlierRequest | undefined> {
  const row = await messages(db)
    .where({
      'message.application_id': applicationId,
      'message.idempotency_key': idempotencyKey,
    })
    .first()
  if (!row?.request_digest) return undefined
  return { message: messageOf(row), requestDigest: row.request_digest }
}

async function findMessage(
  db: Knex,
  id: string,
  accountIds: readonly number[],
): Promise<Message | undefined> {
  const row = await messages(db)
    .where('message.id', id)
    .whereIn('message.account_id', accountIds)
    .first()
  return row && messageOf(row)
}

async function findWithCallback(db: Knex, id: string): Promise<MessageWithCallback | undefined> {
  const row = await messages(db)
    .select<(MessageRow & { callback_url: string | null })[]>('message.callback_url')
    .where('message.id', id)
    .first()
  return row && { message: messageOf(row), callbackUrl: row.callback_url }
}

/** Served by message_account_id_idx, or by message_recipient_idx when a person is named. */
async function listMessages(db: Knex, filter: MessageFilter): Promise<readonly Message[]> {
  const query = messages(db)
    .whereIn('message.account_id', filter.accountIds)
    .orderBy('message.id', 'desc')
    .limit(filter.limit)
  if (filter.to !== undefined) void query.where('message.recipient', filter.to)
  if (filter.status !== undefined) void query.where('message.status', filter.status)
  if (filter.channel !== undefined) void query.where('message.channel', filter.channel)
  // ids begin with the time: they say where to look, the times what is wanted
  if (filter.createdAfter) {
    void query
      .where('message.created_at', '>', filter.createdAfter)
      .where('message.id', '>=', lowestId(new Date(filter.createdAfter.getTime() - ID_SLACK_MS)))
  }
  if (filter.createdBefore) {
    void query
      .where('message.created_at', '<', filter.createdBefore)
      .where('message.id', '<', lowestId(new Date(filter.createdBefore.getTime() + ID_SLACK_MS)))
  }
  if (filter.beforeId !== undefined) void query.where('message.id', '<', filter.beforeId)
  const rows = await query
  return rows.map(messageOf)
}

/**
 * A worker takes a message by a lease, and only then decides and calls; so a message without a live
 * lease has no call under way, and none can begin once its status has changed.
 */
async function cancelMessage(
  db: Knex,
  id: string,
  accountIds: readonly number[],
): Promise<boolean> {
  const cancelled = await db('message')
    .where({ id })
    .whereIn('account_id', accountIds)
    .whereIn('status', ['scheduled', 'queued'])
    .whereRaw('(leased_until is null or leased_until < clock_timestamp())')
    // a call whose answer was lost may have delivered it: “cancelled” could be a lie
    .whereNotExists(
      db('attempt').whereRaw('attempt.message_id = message.id').where('attempt.outcome', 'unknown'),
    )
    .update({
      status: 'cancelled',
      lease_owner: null,
      leased_until: null,
      updated_at: db.raw('clock_timestamp()'),
      finished_at: db.raw('clock_timestamp()'),
    })
  return cancelled === 1
}

/** Served by attempt_message_id_number_key. */
async function findAttempts(db: Knex, messageId: string): Promise<readonly Attempt[]> {
  const rows = await db('attempt')
    .select<AttemptRow[]>(
      'number',
      'started_at',
      'finished_at',
      'outcome',
      'errcode',
      'errmsg',
      'http_status',
      'rid',
      'msgid',
      'evidence',
    )
    .where('message_id', messageId)
    .orderBy('number')
  return rows.map(attemptOf)
}

function messages(db: Knex) {
  return db('message')
    .join('account', 'account.id', 'message.account_id')
    .joinRaw(joinRest('message'))
    .select<MessageRow[]>(
      'message.id',
      'account.name as account',
      'message.recipient',
      'message.channel',
      'message.template_id',
      'message.purpose',
      'message.request_digest',
      'message.status',
      'message.reason',
      'message.missing_scope',
      'message.send_at',
      'message.expires_at',
      'message.due_at',
      'message.quiet_until',
      'message.created_at',
      'message.updated_at',
      'message.finished_at',
      'message.attempt_count',
      'message.msgid',
      'message.receipt_status',
      'message.receipt_reason',
      'message.receipt_at',
      ...REST_COLUMNS,
      db.raw(`message.plan ->> 'planned' as planned_channel`),
      db.raw(`jsonb_path_query_array(message.plan, '$.ways[*].channel') as channels`),
    )
}

interface MessageRow extends RestRow {
  readonly id: string
  readonly account: string
  readonly recipient: string | null
  readonly channel: Channel
  readonly template_id: string | null
  readonly purpose: string | null
  readonly request_digest: Buffer | null
  readonly status: MessageStatus
  readonly reason: string | null
  readonly missing_scope: string | null
  readonly send_at: Date
  readonly expires_at: Date
  readonly due_at: Date
  readonly quiet_until: Date | null
  readonly created_at: Date
  readonly updated_at: Date
  readonly finished_at: Date | null
  readonly attempt_count: number
  readonly msgid: string | null
  readonly receipt_status: 'delivered' | 'not_delivered' | null
  readonly receipt_reason: string | null
  readonly receipt_at: Date | null
  readonly planned_channel: Channel | null
  readonly channels: readonly Channel[] | null
}

function messageOf(row: MessageRow): Message {
  return {
    id: row.id,
    account: row.account,
    to: row.recipient,
    channel: row.channel,
    channels: row.channels,
    plannedChannel: row.planned_channel,
    templateId: row.template_id,
    purpose: row.purpose,
    status: row.status,
    reason: row.reason,
    missingScope: row.missing_scope,
    sendAt: row.send_at,
    expiresAt: row.expires_at,
    dueAt: row.due_at,
    quietUntil: row.quiet_until,
    rest: restOfRow(row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
    attemptCount: row.attempt_count,
    msgid: row.msgid,
    receipt: receiptOf(row),
  }
}

function receiptOf(row: MessageRow): Message['receipt'] {
  if (row.receipt_status === null || row.receipt_at === null) return null
  return { status: row.receipt_status, reason: row.receipt_reason, at: row.receipt_at }
}

interface AttemptRow {
  readonly number: number
  readonly started_at: Date
  readonly finished_at: Date | null
  readonly outcome: AttemptOutcome | null
  /** A bigint, so text; the platform's codes are small numbers. */
  readonly errcode: string | null
  readonly errmsg: string | null
  readonly http_status: number | null
  readonly rid: string | null
  readonly msgid: string | null
  readonly evidence: readonly string[]
}

function attemptOf(row: AttemptRow): Attempt {
  return {
    number: row.number,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    outcome: row.outcome,
    errcode: row.errcode === null ? null : Number(row.errcode),
    errmsg: row.errmsg,
    httpStatus: row.http_status,
    rid: row.rid,
    msgid: row.msgid,
    evidence: row.evidence.map(String),
  }
}
