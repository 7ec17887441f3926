import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { InvariantError } from '../foundation/errors.ts'
import type { ConsentChange, ConsentState } from './consent.ts'

/** Who says so, when a change does not come from a push. */
export type Evidence =
  | { readonly kind: 'attempt'; readonly attemptId: string }
  /** An event that another account of the same corp was told. */
  | { readonly kind: 'event'; readonly eventId: string }
  | { readonly kind: 'api' | 'operator' | 'import' | 'report'; readonly actor: string }
  | { readonly kind: 'sync' }

/** A consent as it stands, with the ledger row that says so. */
export interface HeldConsent {
  readonly scope: string
  readonly state: ConsentState
  readonly effectiveAt: Date
  readonly credits: number | null
  readonly expiresAt: Date | null
  readonly refused: boolean
  readonly evidence: LedgerEntry
}

/** One row of the ledger. */
export interface LedgerEntry {
  readonly id: string
  readonly scope: string
  readonly change: string
  readonly effectiveAt: Date
  readonly recordedAt: Date
  readonly evidence: string
  readonly eventId: string | null
  readonly attemptId: string | null
  readonly actor: string | null
  readonly reason: string
  readonly credits: number | null
  readonly expiresAt: Date | null
  /** The template of a one-time confirmation; null on every other scope. */
  readonly templateId: string | null
}

/** The answer to “may this be sent now?”. */
export interface SendDecision {
  readonly allowed: boolean
  /** Why not; null when allowed. One of the reasons listed in docs/consent.md. */
  readonly reason: string | null
  /** The consent that is missing, or the one relied on. */
  readonly scope: string | null
  /** Ids of the ledger rows that say so. */
  readonly evidence: readonly string[]
}

/** A change as the SQL functions read it, still without person and evidence. */
function toChangeJson(change: ConsentChange): Record<string, unknown> {
  return {
    scope: change.scope,
    change: change.change,
    effective_at: change.effectiveAt,
    reason: change.reason,
    credits: change.credits,
    expires_at: change.expiresAt,
    template_id: change.templateId ?? null,
  }
}

/** A change with its person and its evidence, in the form that `apply_consent_changes` reads. */
export function changeRow(input: {
  readonly accountId: number
  readonly subject: string
  readonly change: ConsentChange
  readonly evidence: Evidence
}): Record<string, unknown> {
  const { accountId, subject, change, evidence } = input
  return {
    ...toChangeJson(change),
    account_id: accountId,
    subject,
    evidence: evidence.kind,
    event_id: evidence.kind === 'event' ? evidence.eventId : null,
    attempt_id: evidence.kind === 'attempt' ? evidence.attemptId : null,
    actor: 'actor' in evidence ? evidence.actor : null,
  }
}

/** Writes changes that do not come from a push, under the locks of their people. */
export async function changeConsents(
  db: Knex,
  rows: readonly Record<string, unknown>[],
): Promise<void> {
  await db.raw(`select change_consents(?::jsonb)`, [JSON.stringify(rows)])
}

/**
 * Whether a platform call to this person is under way that began before a given moment (by the
 * database's clock). A call whose person has been erased since may be to this one and counts. Served
 * by message_sending_idx.
 */
export async function isCallUnderWay(
  db: Knex,
  person: { readonly accountId: number; readonly subject: string },
  before: Date,
): Promise<boolean> {
  const { rows } = await db
    .raw<{ rows: { under_way: boolean }[] }>(
      `select
       ${callTo('message.recipient = ?')} or ${callTo('message.recipient is null')} as under_way`,
      [person.accountId, person.subject, before, person.accountId, before],
    )
    .timeout(QUICK_QUERY_MS)
  return rows[0]?.under_way ?? false
}

/** Looked for apart: one condition for both reads every call of the account that is under way. */
function callTo(whom: string): string {
  return `exists (
    select from message
    join attempt on attempt.message_id = message.id and attempt.number = message.attempt_count
    where message.account_id = ? and message.status = 'sending' and ${whom}
      and attempt.started_at <= ?
  )`
}

/**
 * The database's clock: the one that attempts are stamped with. Rounded up to the milliseconds that
 * a Date holds, so that no attempt stamped before is taken for a later one.
 */
export async function databaseTime(db: Knex): Promise<Date> {
  const { rows } = await db
    .raw<{ rows: { now: Date }[] }>(
      `select date_trunc('milliseconds', clock_timestamp()) + interval '1 millisecond' as now`,
    )
    .timeout(QUICK_QUERY_MS)
  return rows[0]?.now ?? new Date(0)
}

/** The send decision at a moment; nothing is written. */
export async function decideSend(
  db: Knex,
  question: {
    readonly accountId: number
    readonly subject: string
    readonly channel: string
    readonly templateId: string | null
    /** The consent the message relies on, where its channel alone does not say it. */
    readonly consentScope?: string | null
    readonly at: Date
  },
): Promise<SendDecision> {
  const { accountId, subject, channel, templateId, consentScope = null, at } = question
  const { rows } = await db.raw<{ rows: SendDecision[] }>(
    `select allowed, reason, scope, evidence from judge_send(?, ?, ?, ?, ?, ?)`,
    [accountId, subject, channel, templateId, consentScope, at],
  )
  return rows[0] ?? { allowed: false, reason: 'unknown_channel', scope: null, evidence: [] }
}

/**
 * A template whose message the person may be sent now, the one accepted last; null when there is none.
 * Served by consent_pkey.
 */
export async function findLiveTemplate(
  db: Knex,
  person: { readonly accountId: number; readonly subject: string },
): Promise<string | null> {
  const { rows } = await db.raw<{ rows: { template_id: string }[] }>(
    `select substr(scope, length('template:') + 1) as template_id
     from consent
     where account_id = ? and subject = ?
       and scope like 'template:%' and scope <> 'template:*'
       and state = 'granted' and not refused and credits is distinct from 0
     order by effective_at desc, scope
     limit 1`,
    [person.accountId, person.subject],
  )
  return rows[0]?.template_id ?? null
}

const LEDGER_COLUMNS = `
  entry.id, entry.scope, entry.change, entry.effective_at, entry.recorded_at, entry.evidence,
  entry.event_id, entry.attempt_id, entry.actor, entry.reason, entry.credits, entry.expires_at,
  entry.template_id`

/** What holds for a person now, by scope. Served by the primary keys. */
export async function findConsents(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<HeldConsent[]> {
  const { rows } = await db.raw<{ rows: (LedgerRow & HeldRow)[] }>(
    `select
       held.scope as held_scope, held.state, held.effective_at as held_effective_at,
       held.credits as held_credits, held.expires_at as held_expires_at, held.refused,
       ${LEDGER_COLUMNS}
     from consent as held
     join consent_ledger as entry on entry.account_id = held.account_id and entry.id = held.ledger_id
     where held.account_id = ? and held.subject = ?
     order by held.scope`,
    [accountId, subject],
  )
  return rows.map((row) => ({
    scope: row.held_scope,
    state: row.state,
    effectiveAt: row.held_effective_at,
    credits: row.held_credits,
    expiresAt: row.held_expires_at,
    refused: row.refused,
    evidence: toLedgerEntry(row),
  }))
}

/**
 * The ledger of a person, newest first. Served by consent_ledger_subject_idx.
 *
 * @param limit rows at the most; null for all of them.
 */
export async function findHistory(
  db: Knex,
  person: { readonly accountId: number; readonly subject: string },
  limit: number | null,
): Promise<LedgerEntry[]> {
  const { rows } = await db.raw<{ rows: LedgerRow[] }>(
    `select ${LEDGER_COLUMNS}
     from consent_ledger as entry
     where entry.account_id = ? and entry.subject = ?
     order by entry.effective_at desc, entry.id desc
     limit ?`,
    [person.accountId, person.subject, limit],
  )
  return rows.map(toLedgerEntry)
}

/**
 * Erases a person on one account and leaves a tombstone.
 *
 * @returns the tombstone's id.
 */
export async function eraseSubject(
  db: Knex,
  erasure: {
    readonly accountId: number
    readonly subject: string
    readonly effectiveAt: Date
    readonly actor: string
    readonly reason: string
  },
): Promise<Erasure> {
  const { rows } = await db.raw<{ rows: { id: string }[] }>(
    `select erase_subject(?, ?, ?, ?, ?) as id`,
    [erasure.accountId, erasure.subject, erasure.effectiveAt, erasure.actor, erasure.reason],
  )
  const id = rows[0]?.id ?? ''
  const record = await db<Erasure>('erasure')
    .where({ id })
    .first('id', 'ledger_rows', 'events', 'messages')
  if (!record) throw new InvariantError(`erasure ${id} left no record`)
  return record
}

/** The record of an erasure: how much was held. */
export interface Erasure {
  readonly id: string
  readonly ledger_rows: number
  readonly events: number
  readonly messages: number
}

/** An erasure as it is listed; whom it was about is known only by a digest. */
export interface ListedErasure extends Erasure {
  readonly erased_at: Date
  readonly actor: string
  readonly reason: string
}

/** The erasures of an account, newest first; a few a day at most, so the whole table is read. */
export function listErasures(db: Knex, accountId: number): Promise<ListedErasure[]> {
  return db<ListedErasure & { readonly account_id: number }>('erasure')
    .where({ account_id: accountId })
    .orderBy('id', 'desc')
    .select('id', 'erased_at', 'actor', 'reason', 'ledger_rows', 'events', 'messages')
}

interface HeldRow {
  readonly held_scope: string
  readonly state: ConsentState
  readonly held_effective_at: Date
  readonly held_credits: number | null
  readonly held_expires_at: Date | null
  readonly refused: boolean
}

interface LedgerRow {
  readonly id: string
  readonly scope: string
  readonly change: string
  readonly effective_at: Date
  readonly recorded_at: Date
  readonly evidence: string
  readonly event_id: string | null
  readonly attempt_id: string | null
  readonly actor: string | null
  readonly reason: string
  readonly credits: number | null
  readonly expires_at: Date | null
  readonly template_id: string | null
}

function toLedgerEntry(row: LedgerRow): LedgerEntry {
  return {
    id: row.id,
    scope: row.scope,
    change: row.change,
    effectiveAt: row.effective_at,
    recordedAt: row.recorded_at,
    evidence: row.evidence,
    eventId: row.event_id,
    attemptId: row.attempt_id,
    actor: row.actor,
    reason: row.reason,
    credits: row.credits,
    expiresAt: row.expires_at,
    templateId: row.template_id,
  }
}
