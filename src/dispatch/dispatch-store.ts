import type { Knex } from 'knex'
import { changeRow } from '../consent/consent-store.ts'
import type { Channel, Content } from '../wechat/channels.ts'
import type { AttemptEnd } from './outcome.ts'

/** A message that this process has claimed and alone may work on until the lease ends. */
export interface ClaimedMessage {
  readonly id: string
  readonly accountId: number
  readonly recipient: string
  readonly channel: Channel
  readonly templateId: string | null
  readonly content: Content
  readonly expiresAt: Date
  readonly dueAt: Date
  /** Earlier attempts, oldest first. */
  readonly earlier: readonly { readonly startedAt: Date; readonly cause: string | null }[]
}

export type BeginDecision =
  | { readonly kind: 'begun'; readonly attemptId: string; readonly number: number }
  | { readonly kind: 'blocked'; readonly reason: string; readonly scope: string | null }
  | { readonly kind: 'expired' }
  /** Another call to this person is under way. */
  | { readonly kind: 'busy' }
  /** No longer ours: cancelled, taken by another process, finished. */
  | { readonly kind: 'lost' }

export interface EndedAttempt {
  readonly attemptId: string
  readonly accountId: number
  readonly recipient: string
  readonly end: AttemptEnd
}

export interface RecoveredMessage {
  readonly id: string
  readonly accountId: number
  readonly channel: Channel
  readonly status: 'queued' | 'unknown' | 'delivered' | 'not_delivered'
}

/**
 * Claims what is due, oldest first, under a lease. Served by message_due_idx; `skip locked` lets
 * several processes claim at once without waiting for each other.
 */
export async function claimMessages(
  db: Knex,
  claim: { readonly process: string; readonly leaseSeconds: number; readonly limit: number },
): Promise<ClaimedMessage[]> {
  const { rows } = await db.raw<{ rows: ClaimedRow[] }>(
    `with due as (
       select message.id
       from message
       where message.status in ('scheduled', 'queued')
         and message.due_at <= now()
         and (message.leased_until is null or message.leased_until < now())
         and not exists (
           select from sending_pause
           where sending_pause.account_id = message.account_id
             and sending_pause.channel = message.channel
             and sending_pause.until > now()
         )
       order by message.due_at
       limit ?
       for update skip locked
     )
     update message set
       lease_owner = ?, leased_until = now() + make_interval(secs => ?)
     from due
     where message.id = due.id
     returning
       message.id, message.account_id, message.recipient, message.channel, message.template_id,
       message.content, message.expires_at, message.due_at,
       (
         select jsonb_agg(
           jsonb_build_object('started_at', attempt.started_at, 'cause', attempt.cause)
           order by attempt.number
         )
         from attempt where attempt.message_id = message.id
       ) as earlier`,
    [claim.limit, claim.process, claim.leaseSeconds],
  )
  return rows.map(toClaimed)
}

/**
 * Begins attempts for claimed messages: consent is checked, the attempt recorded and a credit
 * reserved in one statement.
 *
 * @returns one decision per id, in their order.
 */
export async function beginAttempts(
  db: Knex,
  begin: {
    readonly process: string
    readonly leaseSeconds: number
    readonly messageIds: readonly string[]
  },
): Promise<BeginDecision[]> {
  const { rows } = await db.raw<{ rows: BeginRow[] }>(
    `select message_id, decision, reason, scope, attempt_id, number
     from begin_attempts(?, make_interval(secs => ?), ?::uuid[])`,
    [begin.process, begin.leaseSeconds, [...begin.messageIds]],
  )
  const byId = new Map(rows.map((row) => [row.message_id, toDecision(row)]))
  return begin.messageIds.map((id) => byId.get(id) ?? { kind: 'lost' })
}

/**
 * Ends attempts with all that follows from them, in one statement.
 *
 * @returns what each message has become, in their order; null where the attempt had ended before.
 */
export async function finishAttempts(
  db: Knex,
  ended: readonly EndedAttempt[],
): Promise<(string | null)[]> {
  const { rows } = await db.raw<{ rows: { attempt_id: string; status: string }[] }>(
    `select attempt_id, status from finish_attempts(?::jsonb)`,
    [JSON.stringify(ended.map(toEndJson))],
  )
  const statuses = new Map(rows.map((row) => [row.attempt_id, row.status]))
  return ended.map(({ attemptId }) => statuses.get(attemptId) ?? null)
}

/**
 * Gives claimed messages back without an attempt; they are due again at `dueAt`, at the latest when
 * they expire. One that has expired meanwhile ends here: it would wait for its account for ever.
 */
export async function releaseMessages(
  db: Knex,
  release: {
    readonly process: string
    readonly messageIds: readonly string[]
    readonly dueAt: Date | null
  },
): Promise<void> {
  await db.raw(
    `update message set
       lease_owner = null, leased_until = null,
       due_at = least(coalesce(?::timestamptz, due_at), expires_at),
       status = case
         when expires_at > clock_timestamp() then status
         when exists (
           select from attempt where attempt.message_id = message.id and attempt.outcome = 'unknown'
         ) then 'unknown'
         else 'expired'
       end,
       reason = case when expires_at > clock_timestamp() then reason else 'expired' end,
       finished_at = case when expires_at > clock_timestamp() then null else clock_timestamp() end,
       updated_at = clock_timestamp()
     where id = any (?::uuid[]) and lease_owner = ? and status in ('scheduled', 'queued')`,
    [release.dueAt, [...release.messageIds], release.process],
  )
}

/** Takes up messages whose process died during a call; see `recover_messages` in docs/schema.sql. */
export async function recoverMessages(
  db: Knex,
  recover: {
    readonly deduplicated: readonly Channel[]
    readonly withinSeconds: number
    readonly limit: number
  },
): Promise<RecoveredMessage[]> {
  const { rows } = await db.raw<{
    rows: {
      message_id: string
      account_id: number
      channel: Channel
      status: RecoveredMessage['status']
    }[]
  }>(
    `select message_id, account_id, channel, status
     from recover_messages(?::text[], make_interval(secs => ?), ?)`,
    [[...recover.deduplicated], recover.withinSeconds, recover.limit],
  )
  return rows.map((row) => ({
    id: row.message_id,
    accountId: row.account_id,
    channel: row.channel,
    status: row.status,
  }))
}

/** Rests a channel of an account; a longer rest that is already set stays. */
export async function pauseChannel(
  db: Knex,
  pause: {
    readonly accountId: number
    readonly channel: Channel
    readonly until: Date
    readonly errcode: number | null
    readonly reason: string
  },
): Promise<void> {
  await db.raw(
    `insert into sending_pause (account_id, channel, until, errcode, reason)
     values (?, ?, ?, ?, ?)
     on conflict (account_id, channel) do update
     set until = excluded.until, errcode = excluded.errcode, reason = excluded.reason
     where sending_pause.until < excluded.until`,
    [pause.accountId, pause.channel, pause.until, pause.errcode, pause.reason],
  )
}

/** How long the queue is, by status, and since when its oldest due message has waited. */
export async function measureQueue(
  db: Knex,
): Promise<{ scheduled: number; queued: number; sending: number; oldestDueAt: Date | null }> {
  const { rows } = await db.raw<{
    rows: { scheduled: string; queued: string; sending: string; oldest_due_at: Date | null }[]
  }>(
    `select
       count(*) filter (where status = 'scheduled') as scheduled,
       count(*) filter (where status = 'queued') as queued,
       count(*) filter (where status = 'sending') as sending,
       min(due_at) filter (where status <> 'sending' and due_at <= now()) as oldest_due_at
     from message
     where status in ('scheduled', 'queued', 'sending')`,
  )
  const row = rows[0]
  return {
    scheduled: Number(row?.scheduled ?? 0),
    queued: Number(row?.queued ?? 0),
    sending: Number(row?.sending ?? 0),
    oldestDueAt: row?.oldest_due_at ?? null,
  }
}

/** Forgets receipts that no message has claimed within three days; none comes that late. */
export async function forgetOldReceipts(db: Knex): Promise<void> {
  await db.raw(`delete from receipt where occurred_at < now() - interval '3 days'`)
}

interface ClaimedRow {
  readonly id: string
  readonly account_id: number
  readonly recipient: string
  readonly channel: Channel
  readonly template_id: string | null
  readonly content: Content
  readonly expires_at: Date
  readonly due_at: Date
  readonly earlier: { started_at: string; cause: string | null }[] | null
}

interface BeginRow {
  readonly message_id: string
  readonly decision: 'begun' | 'blocked' | 'expired' | 'busy' | 'lost'
  readonly reason: string | null
  readonly scope: string | null
  readonly attempt_id: string | null
  readonly number: number | null
}

function toClaimed(row: ClaimedRow): ClaimedMessage {
  return {
    id: row.id,
    accountId: row.account_id,
    recipient: row.recipient,
    channel: row.channel,
    templateId: row.template_id,
    content: row.content,
    expiresAt: row.expires_at,
    dueAt: row.due_at,
    earlier: (row.earlier ?? []).map((one) => ({
      startedAt: new Date(one.started_at),
      cause: one.cause,
    })),
  }
}

function toDecision(row: BeginRow): BeginDecision {
  switch (row.decision) {
    case 'begun':
      return { kind: 'begun', attemptId: row.attempt_id ?? '', number: row.number ?? 0 }
    case 'blocked':
      return { kind: 'blocked', reason: row.reason ?? 'unknown', scope: row.scope }
    case 'expired':
    case 'busy':
    case 'lost':
      return { kind: row.decision }
  }
}

function toEndJson(ended: EndedAttempt): Record<string, unknown> {
  const { attemptId, accountId, recipient, end } = ended
  return {
    attempt_id: attemptId,
    outcome: end.outcome,
    cause: end.cause,
    errcode: end.errcode,
    errmsg: end.errmsg,
    http_status: end.httpStatus,
    rid: end.rid,
    msgid: end.msgid,
    credit: end.credit,
    status: end.status,
    reason: end.reason,
    due_at: end.dueAt,
    changes: end.changes.map((change) =>
      changeRow({
        accountId,
        subject: recipient,
        change,
        evidence: { kind: 'attempt', attemptId },
      }),
    ),
  }
}
