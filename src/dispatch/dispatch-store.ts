import type { Knex } from 'knex'
import { changeRow } from '../consent/consent-store.ts'
import { runPrepared } from '../database/prepared.ts'
import { RECIPIENT_PACES, type Channel, type Content } from '../wechat/channels.ts'
import type { AttemptEnd } from './outcome.ts'
import type { Offer } from './line.ts'

/** A message that this process has claimed and alone may work on until the lease ends. */
export interface ClaimedMessage {
  readonly id: string
  readonly accountId: number
  readonly recipient: string
  readonly channel: Channel
  readonly templateId: string | null
  readonly content: Content
  /** The consent it relies on, where the channel alone does not say it. */
  readonly consentScope: string | null
  /** The credential it brought with it, sealed. */
  readonly sealedSecret: string | null
  readonly expiresAt: Date
  readonly dueAt: Date
  /** Earlier attempts, oldest first. */
  readonly earlier: readonly { readonly startedAt: Date; readonly cause: string | null }[]
  /** The calls of its account or API host rest, and this one tries whether they must. */
  readonly onTrial: boolean
  /** Only so many of its account may be sent a second: the next are not long in coming. */
  readonly isPaced: boolean
  /** More of its kind wait than this claim would take of them. */
  readonly hasMore: boolean
  /** Of a broadcast, or marketing: it lets the others of its account go first. */
  readonly goesBehind: boolean
}

export type BeginDecision =
  | { readonly kind: 'begun'; readonly attemptId: string; readonly number: number }
  | { readonly kind: 'blocked'; readonly reason: string; readonly scope: string | null }
  /** No consent for this channel; the message is queued again for another of those it names. */
  | {
      readonly kind: 'replanned'
      readonly reason: string
      readonly scope: string | null
      readonly channel: Channel
    }
  /** Not now: given back, and due at `until` or when it expires. */
  | { readonly kind: 'later'; readonly reason: string; readonly until: Date }
  | { readonly kind: 'expired' }
  /** Another call to this person is under way. */
  | { readonly kind: 'busy' }
  /** No longer ours: cancelled, taken by another process, finished. */
  | { readonly kind: 'lost' }

export interface EndedAttempt {
  readonly attemptId: string
  readonly messageId: string
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
 * Claims what is due, in turns of the accounts, under a lease; see `claim_messages` in
 * docs/schema.sql. Served by message_channel_idx; `skip locked` lets several processes claim at once
 * without waiting for each other.
 */
export async function claimMessages(
  db: Knex,
  claim: {
    readonly process: string
    readonly leaseSeconds: number
    readonly limit: number
    /** What this process has room for; absent: for anything, up to the limit. */
    readonly offer?: Offer
  },
): Promise<ClaimedMessage[]> {
  const { accountIds = [], rooms = [], held = [], otherRoom = claim.limit } = claim.offer ?? {}
  const { process, leaseSeconds, limit } = claim
  const values = [process, leaseSeconds, limit, accountIds, rooms, held, otherRoom]
  return (await runPrepared<ClaimedRow>(db, CLAIM, values)).map(toClaimed)
}

const CLAIM = {
  name: 'claim_messages',
  text: `select id, account_id, recipient, channel, template_id, content, consent_scope,
      sealed_secret, expires_at, due_at, earlier, on_trial, is_paced, has_more, lane
    from claim_messages(?, make_interval(secs => ?), ?, ?::int[], ?::int[], ?::int[], ?)`,
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
  const { channels, perMinutes, perHours } = RECIPIENT_PACES
  const { process, leaseSeconds, messageIds } = begin
  const values = [process, leaseSeconds, messageIds, channels, perMinutes, perHours]
  const [row] = await runPrepared<BegunRow>(db, BEGIN, values)
  const decisions = decisionsById(row)
  return messageIds.map((id) => decisions.get(id) ?? { kind: 'lost' })
}

const BEGIN = {
  name: 'begin_sends',
  text: `select message_ids, decisions, reasons, scopes, attempt_ids, numbers, untils,
      next_channels(message_ids, decisions) as channels
    from begin_sends(
      ?, make_interval(secs => ?), ?::uuid[], ?::text[], ?::integer[], ?::integer[]
    )`,
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
  const statuses = new Map<string, string>()
  for (const group of onePerMessage(ended)) {
    const [row] = await runPrepared<FinishedRow>(db, FINISH, [JSON.stringify(group.map(toEndJson))])
    const { attempt_ids: ids, statuses: became } = row ?? {}
    ids?.forEach((id, place) => statuses.set(id, became?.[place] ?? ''))
  }
  return ended.map(({ attemptId }) => statuses.get(attemptId) ?? null)
}

interface FinishedRow {
  readonly attempt_ids: readonly string[] | null
  readonly statuses: readonly string[] | null
}

const FINISH = {
  name: 'finish_sends',
  text: `select attempt_ids, statuses from finish_sends(?::json)`,
}

/** A late end may come together with the next one of its message: then one after the other. */
function onePerMessage(ended: readonly EndedAttempt[]): EndedAttempt[][] {
  const groups: { readonly messageIds: Set<string>; readonly ends: EndedAttempt[] }[] = []
  for (const end of ended) {
    let group = groups.find(({ messageIds }) => !messageIds.has(end.messageId))
    if (!group) {
      group = { messageIds: new Set(), ends: [] }
      groups.push(group)
    }
    group.messageIds.add(end.messageId)
    group.ends.push(end)
  }
  return groups.map(({ ends }) => ends)
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
  const { rows } = await db.raw<{ rows: { id: string; status: string }[] }>(
    `update message set
       lease_owner = null, leased_until = null,
       due_at = least(coalesce(?::timestamptz, due_at), expires_at),
       status = case
         when expires_at > clock_timestamp() then status
         when exists (
           select from attempt where attempt.message_id = message.id and attempt.outcome = 'unknown'
         ) then coalesce(receipt_status, 'unknown')
         else 'expired'
       end,
       reason = case when expires_at > clock_timestamp() then reason else 'expired' end,
       finished_at = case when expires_at > clock_timestamp() then null else clock_timestamp() end,
       updated_at = clock_timestamp()
     where id = any (?::uuid[]) and lease_owner = ? and status in ('scheduled', 'queued')
     returning id, status`,
    [release.dueAt, [...release.messageIds], release.process],
  )
  const unsettled = rows.filter(({ status }) => KEEPS_CREDIT.has(status)).map(({ id }) => id)
  if (unsettled.length > 0) await db.raw(`select spend_kept_credits(?::uuid[])`, [unsettled])
}

/** What a message ends as whose call may have arrived: what it kept until then is used. */
const KEEPS_CREDIT: ReadonlySet<string> = new Set(['unknown', 'delivered', 'not_delivered'])

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

/**
 * How long the queue is, by status, and since when its oldest due message has waited. Served by
 * message_channel_idx and message_sending_idx: each holds a part of the queue, and neither serves a
 * condition that names both parts.
 */
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
     from (
       select status, due_at from message where status in ('scheduled', 'queued')
       union all
       select status, due_at from message where status = 'sending'
     ) as queue`,
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
  readonly consent_scope: string | null
  readonly sealed_secret: string | null
  readonly expires_at: Date
  readonly due_at: Date
  readonly earlier: { started_at: string; cause: string | null }[] | null
  readonly on_trial: boolean
  readonly is_paced: boolean
  readonly has_more: boolean
  readonly lane: number
}

/** What `begin_sends` answers: one entry per message in each array; null for no message at all. */
interface BegunRow {
  readonly message_ids: readonly string[] | null
  readonly decisions: readonly Exclude<BeginDecision['kind'], 'replanned'>[]
  readonly reasons: readonly (string | null)[]
  readonly scopes: readonly (string | null)[]
  readonly attempt_ids: readonly (string | null)[]
  readonly numbers: readonly number[]
  /** Of what is not to be sent now: until when. */
  readonly untils: readonly (Date | null)[]
  /** What blocked messages go on through; null for all, or for one, that does not. */
  readonly channels: readonly (Channel | null)[] | null
}

function toClaimed(row: ClaimedRow): ClaimedMessage {
  return {
    id: row.id,
    accountId: row.account_id,
    recipient: row.recipient,
    channel: row.channel,
    templateId: row.template_id,
    content: row.content,
    consentScope: row.consent_scope,
    sealedSecret: row.sealed_secret,
    expiresAt: row.expires_at,
    dueAt: row.due_at,
    earlier: (row.earlier ?? []).map((one) => ({
      startedAt: new Date(one.started_at),
      cause: one.cause,
    })),
    onTrial: row.on_trial,
    isPaced: row.is_paced,
    hasMore: row.has_more,
    goesBehind: row.lane === 1,
  }
}

function decisionsById(row: BegunRow | undefined): Map<string, BeginDecision> {
  return new Map(row?.message_ids?.map((id, place) => [id, decisionAt(row, place)]))
}

function decisionAt(row: BegunRow, place: number): BeginDecision {
  const kind = row.decisions[place] ?? 'lost'
  switch (kind) {
    case 'begun':
      return { kind, attemptId: row.attempt_ids[place] ?? '', number: row.numbers[place] ?? 0 }
    case 'blocked': {
      const why = { reason: row.reasons[place] ?? 'unknown', scope: row.scopes[place] ?? null }
      const channel = row.channels?.[place] ?? null
      return channel === null ? { kind, ...why } : { kind: 'replanned', ...why, channel }
    }
    case 'later':
      return {
        kind,
        reason: row.reasons[place] ?? 'unknown',
        until: row.untils[place] ?? new Date(0),
      }
    case 'expired':
    case 'busy':
    case 'lost':
      return { kind }
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
