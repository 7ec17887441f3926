import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { runPrepared } from '../database/prepared.ts'
import { InvariantError } from '../foundation/errors.ts'
import { followsLatestChange, severity, type ConsentChange } from './consent.ts'

/** A push in the form the database records it, with everything that follows from it. */
export interface PushRow {
  readonly accountId: number
  /** SHA-256 of the decrypted document. */
  readonly repeatKey: Buffer
  readonly kind: string
  readonly name: string
  readonly subject: string | null
  /** Whole seconds, like every time of a push. */
  readonly occurredAt: Date
  /** When it takes effect; an erasure covers what took effect before. */
  readonly effectiveAt: Date
  readonly document: string
  readonly changes: readonly ConsentChange[]
  readonly receipts: readonly ReceiptRow[]
  /** Whether the push obliges us to erase the person. */
  readonly erase: boolean
  /** A ticket the push brought, sealed. */
  readonly ticket: SealedText | null
  /** A welcome code for an application, sealed; few pushes bring one. */
  readonly welcomeCode?: string | null
  /** What is to be done because of it, beyond consent. */
  readonly job: PushJob | null
}

/** A text that only the place it was sealed for can open, and the key it was sealed with. */
export interface SealedText {
  readonly sealed: string
  readonly keyId: string
}

/** A job of the push; the number of its event is added to the payload. */
export interface PushJob {
  readonly task: string
  readonly payload: Readonly<Record<string, unknown>>
}

export interface ReceiptRow {
  readonly channel: string
  readonly msgId: string | null
  readonly templateId: string | null
  readonly status: 'delivered' | 'not_delivered'
  readonly reason: string
}

export interface RecordedPush {
  readonly eventId: string
  readonly repeated: boolean
  /** A platform call that the push forbids had begun before it was recorded. */
  readonly callUnderWay: boolean
}

/**
 * Records pushes with their consent changes and receipts in one statement; commits when it returns.
 * A push that erases a person goes alone, between those before it and those after it.
 *
 * @returns one entry per push, in their order.
 */
export async function recordPushes(db: Knex, pushes: readonly PushRow[]): Promise<RecordedPush[]> {
  const erasing = pushes.findIndex((push) => push.erase)
  if (erasing === -1 || pushes.length === 1) return recordTogether(db, pushes)
  const parts = [
    pushes.slice(0, erasing),
    pushes.slice(erasing, erasing + 1),
    pushes.slice(erasing + 1),
  ]
  const recorded: RecordedPush[] = []
  for (const part of parts.filter(({ length }) => length > 0)) {
    recorded.push(...(await recordPushes(db, part)))
  }
  return recorded
}

/** An array as PostgreSQL reads it, or bytes. */
type Column = string | Buffer

interface RecordedRow {
  readonly event_ids: readonly string[]
  readonly is_new: readonly boolean[]
  readonly call_under_way: readonly boolean[] | null
}

const RECORD = {
  name: 'record_pushes',
  text: `select event_ids, is_new, call_under_way
    from record_pushes(${Array.from({ length: 18 }, () => '?').join(', ')})`,
  limitMs: QUICK_QUERY_MS,
}

/** The same where an event brings a welcome code, which an application may use as soon as it hears of it. */
const RECORD_WITH_CODES = {
  name: 'record_pushes_with_codes',
  text: `with recorded as materialized (${RECORD.text}),
  kept as (
    insert into welcome_code (event_id, account_id, sealed, effective_at)
    select recorded.event_ids[code.push], code.account_id, code.sealed,
      to_timestamp(code.effective_at)
    from recorded
    cross join json_to_recordset(?) as code (
      push integer, account_id integer, sealed text, effective_at bigint
    )
    where recorded.is_new[code.push]
  )
  select event_ids, is_new, call_under_way from recorded`,
  limitMs: QUICK_QUERY_MS,
}

async function recordTogether(db: Knex, pushes: readonly PushRow[]): Promise<RecordedPush[]> {
  const { distinct, placeOf } = withoutRepeats(pushes)
  const codes = distinct.flatMap(toCodes)
  const [row] = await runPrepared<RecordedRow>(
    db,
    codes.length === 0 ? RECORD : RECORD_WITH_CODES,
    [
      ...pushColumns(distinct),
      ...changeColumns(distinct),
      JSON.stringify(distinct.flatMap(toExtras)),
      ...(codes.length === 0 ? [] : [JSON.stringify(codes)]),
    ],
  )
  if (!row) throw new InvariantError('record_pushes answers one row')
  return placeOf.map(({ place, first }) => ({
    eventId: row.event_ids[place] ?? '',
    repeated: !first || row.is_new[place] !== true,
    callUnderWay: row.call_under_way?.[place] ?? false,
  }))
}

/** The same push twice in one batch is one push, answered twice. */
function withoutRepeats(pushes: readonly PushRow[]) {
  const places = new Map<string, number>()
  const distinct: PushRow[] = []
  const placeOf = pushes.map((push) => {
    const key = `${push.accountId} ${push.occurredAt.getTime()} ${push.repeatKey.toString('latin1')}`
    const known = places.get(key)
    if (known !== undefined) return { place: known, first: false }
    const place = distinct.push(push) - 1
    places.set(key, place)
    return { place, first: true }
  })
  return { distinct, placeOf }
}

function pushColumns(pushes: readonly PushRow[]): Column[] {
  return [
    // whom to lock; where nobody is named, the push itself, so that its repeat waits for it
    texts(pushes.map((push) => push.subject ?? push.repeatKey.toString('hex'))),
    numbers(pushes.map((push) => push.accountId)),
    Buffer.concat(pushes.map((push) => push.repeatKey)),
    texts(pushes.map((push) => push.kind)),
    texts(pushes.map((push) => push.name)),
    texts(pushes.map((push) => push.subject)),
    numbers(pushes.map((push) => seconds(push.occurredAt))),
    numbers(pushes.map((push) => seconds(push.effectiveAt))),
    texts(pushes.map((push) => push.document)),
  ]
}

function changeColumns(pushes: readonly PushRow[]): Column[] {
  const changes = pushes.flatMap((push) => push.changes)
  const latest = latestOfEach(pushes)
  return [
    numbers(pushes.flatMap((push, place) => push.changes.map(() => place + 1))),
    texts(changes.map(({ scope }) => scope)),
    texts(changes.map(({ change }) => change)),
    numbers(changes.map(({ effectiveAt }) => seconds(effectiveAt))),
    texts(changes.map(({ reason }) => reason)),
    numbers(changes.map(({ credits }) => credits)),
    numbers(changes.map(({ expiresAt }) => (expiresAt ? seconds(expiresAt) : null))),
    `{${changes.map((change) => latest.has(change)).join(',')}}`,
  ]
}

/**
 * The change that stands at the end, of each consent whose state follows from its latest change. That
 * it may belong to a repeat does no harm: then it is on record, and those before it say nothing new.
 */
function latestOfEach(pushes: readonly PushRow[]): ReadonlySet<ConsentChange> {
  const latest = new Map<string, ConsentChange>()
  for (const { accountId, subject, changes } of pushes) {
    for (const change of changes) {
      if (!followsLatestChange(change.scope)) continue
      const consent = `${accountId} ${change.scope} ${subject}`
      const other = latest.get(consent)
      if (!other || !isBefore(change, other)) latest.set(consent, change)
    }
  }
  return new Set(latest.values())
}

function isBefore(one: ConsentChange, other: ConsentChange): boolean {
  const later = one.effectiveAt.getTime() - other.effectiveAt.getTime()
  return later === 0 ? severity(one.change) < severity(other.change) : later < 0
}

function toExtras(push: PushRow, place: number) {
  const { kind, erase, ticket, job } = push
  if (!erase && push.receipts.length === 0 && ticket === null && job === null) return []
  const receipts = push.receipts.map((receipt) => toReceiptJson(receipt, push.occurredAt))
  const sealed = ticket && { sealed: ticket.sealed, key_id: ticket.keyId }
  return [{ push: place + 1, kind, receipts, erase, ticket: sealed, job }]
}

function toCodes({ welcomeCode, accountId, effectiveAt }: PushRow, place: number) {
  if (!welcomeCode) return []
  const effective_at = seconds(effectiveAt)
  return [{ push: place + 1, account_id: accountId, sealed: welcomeCode, effective_at }]
}

function toReceiptJson(receipt: ReceiptRow, occurredAt: Date) {
  return {
    channel: receipt.channel,
    msgid: receipt.msgId,
    template_id: receipt.templateId,
    status: receipt.status,
    reason: receipt.reason,
    occurred_at: occurredAt,
  }
}

/** An array of texts as PostgreSQL reads it; the driver would search each twice for what to escape. */
function texts(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`
}

function quoted(text: string): string {
  const isPlain = !text.includes('"') && !text.includes('\\')
  return `"${isPlain ? text : text.replace(/["\\]/g, '\\$&')}"`
}

/** An array of numbers as PostgreSQL reads it; the driver would quote each. */
function numbers(values: readonly (number | null)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}
