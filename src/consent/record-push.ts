import type { Knex } from 'knex'
import type { Account, EventSource } from '../accounts/account.ts'
import { KIND_RULES } from '../accounts/account-kinds.ts'
import { errorCode, isUnavailable } from '../database/availability.ts'
import { isRetryable, withTransaction } from '../database/unit-of-work.ts'
import { keepAside } from '../events/aside-store.ts'
import type { Fields } from '../events/document.ts'
import { readEvent, readReceipt, type EventRecord, type Receipt } from '../events/read-event.ts'
import { repeatKey } from '../events/repeat-key.ts'
import { redact } from '../events/secrets.ts'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { createGatherer } from '../foundation/gather.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { consentChanges, erases } from './consent-changes.ts'
import {
  placeEarly,
  placeEvent,
  tenantOf,
  type EarlyPush,
  type FindTenant,
  type Place,
} from './place-push.ts'
import { isAboutTenant, pushEffects, type Seal } from './push-effects.ts'
import { recordPushes, type PushRow, type ReceiptRow, type RecordedPush } from './push-store.ts'
import { scopeFamily } from './consent.ts'
import { findSpellings } from './spelling-store.ts'
import { hasMembers, respell } from './spelling.ts'

/** A push whose sender has been proven, as the receiver hands it over. */
export interface ProvenPush {
  /** The account it came to; for an authorizer's messages the authorizer. */
  readonly account: Account
  /** Whose list of events it is looked up in. */
  readonly source: EventSource
  /** The decrypted document, exactly as the platform wrote it. */
  readonly document: string
  readonly fields: Fields
  /** `timestamp` of the query, Unix seconds as text. */
  readonly timestamp: string
  readonly receivedAt: Date
  /** Of a corp that has cancelled: that something came is recorded, nothing of what it said. */
  readonly hasLeft?: boolean
}

export interface RecordOutcome {
  readonly outcome: 'recorded' | 'repeated'
  readonly eventId: string
  readonly kind: string
}

/** What becomes of a push; one that says something of a tenant's people may have to wait for it. */
export type PushOutcome =
  | RecordOutcome
  | { readonly outcome: 'parked' }
  | { readonly outcome: 'nowhere'; readonly reason: string }

/** An event that was read from an answer of the platform, in the same words as a push. */
export interface ReadEvent {
  readonly account: Account
  readonly event: EventRecord
  /** The event's own text: its repeat key is made of it. */
  readonly document: string
}

export interface Recorder {
  /**
   * Records a push: its event, the consent changes and receipts that follow from it. When this
   * returns they are committed, and no call that the push forbids begins afterwards. A notice about
   * people of a tenant whose account is not there yet is parked instead.
   *
   * @throws UnavailableError when the database cannot take it in time, or refuses it for what it is
   *   (`push_kept_aside`); the platform will repeat it.
   */
  record(push: ProvenPush): Promise<PushOutcome>
  /**
   * Where a push to the address of a tenant is to go that is in no copy of ours; parks it where that
   * has no account yet.
   *
   * @throws UnavailableError as above.
   */
  place(early: EarlyPush): Promise<Place>
  /** Records what was fetched instead of pushed, in the same way. */
  recordRead(read: ReadEvent): Promise<RecordOutcome>
  /**
   * Records in a transaction of the caller's, in the given order. What the database refuses for what
   * it is lies in `push_aside` afterwards; answers how many.
   */
  recordWithin(
    trx: Knex.Transaction,
    reads: readonly ReadEvent[],
  ): Promise<{ readonly aside: number }>
  /** Waits for what was handed over to be committed. */
  stop(): Promise<void>
}

/** How pushes are gathered. */
export const GATHERED = {
  /** Pushes of one commit: enough to make the commit's cost small, few enough to stay under 100 ms. */
  maxBatch: 200,
  /**
   * While PostgreSQL records one batch, node opens the envelopes of the next, and so on: with one batch
   * under way at a time each would wait for the other. A further batch is begun when it is large enough
   * to be worth its fixed cost.
   */
  maxRuns: 2,
  worthwhile: 24,
  /** About one second of work at the rate of a small machine; more would miss the platform's 5 s. */
  maxWaiting: 5_000,
} as const

/**
 * Gathers the pushes that arrive while a commit is under way and commits them together.
 *
 * @param deps.settle waits until no forbidden call to the person is under way; see settle-calls.ts.
 */
export function createRecorder(deps: {
  readonly db: Knex
  readonly clock: Clock
  readonly metrics: Metrics
  readonly settle: (accountId: number, subject: string) => Promise<void>
  /** From the copy in memory: accounts in service. */
  readonly findTenant: FindTenant
  /** From the database: also one that is switched off. */
  readonly findStoredTenant: FindTenant
  readonly seal: Seal
  /** Hears of every ticket that has been stored; it must not throw. */
  readonly onTicket?: (account: Account) => Promise<void>
}): Recorder {
  const { db, clock, metrics } = deps

  const gatherer = createGatherer<PushRow, RecordedPush>({
    ...GATHERED,
    isCommonFailure: isUnavailable,
    run: async (rows) => {
      const startedMs = clock.monotonicMs()
      const recorded = await recordPushes(db, rows)
      metrics.commitBatch.observe(rows.length)
      metrics.commitSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
      return recorded
    },
  })

  async function recordOne(told: ReadEvent, hasLeft = false): Promise<RecordOutcome> {
    const { account } = told
    const read = await asOnRecord(db, told)
    const whole = toPushRow(read, deps.seal)
    const row = hasLeft ? withoutWords(whole) : whole
    const recorded = await gatherer.add(row).catch((error: unknown) => putAside(db, row, error))
    if (!recorded.repeated) {
      countChanges(metrics, account.name, row)
      // The platform waits for its answer; whoever waits for a ticket does not mind a moment.
      if (row.ticket !== null) void deps.onTicket?.(account)
    }
    if (recorded.callUnderWay && row.subject !== null) {
      await orUnavailable(deps.settle(row.accountId, row.subject))
    }
    return {
      outcome: recorded.repeated ? 'repeated' : 'recorded',
      eventId: recorded.eventId,
      kind: read.event.kind,
    }
  }

  return {
    async record(push) {
      const event = readEvent(push)
      const { account: parent, document, hasLeft = false } = push
      const tenant = tenantOf(event)
      if (tenant === null) return recordOne({ account: parent, event, document }, hasLeft)
      const place = await orUnavailable(placeEvent(deps, { ...push, parent, tenant }, event))
      if (place.outcome !== 'known') return place
      const { account } = place
      return recordOne({ account, event, document }, hasLeft || place.hasLeft)
    },
    place: (early) => orUnavailable(placeEarly(deps, early)),
    recordRead: (read) => recordOne(read),
    async recordWithin(trx, reads) {
      const rows: PushRow[] = []
      for (const read of reads) rows.push(toPushRow(await asOnRecord(trx, read), deps.seal))
      const names = new Map(reads.map(({ account }) => [account.id, account.name]))
      const onNew = (row: PushRow) => countChanges(metrics, names.get(row.accountId) ?? '', row)
      const { maxBatch } = GATHERED
      let aside = 0
      for (let from = 0; from < rows.length; from += maxBatch) {
        aside += await recordOrPutAside(trx, rows.slice(from, from + maxBatch), onNew)
      }
      return { aside }
    },
    stop: () => gatherer.idle(),
  }
}

/**
 * Keeps a push that the database refuses, whatever it is, and says so.
 *
 * @throws UnavailableError always: what is not on record is not acknowledged, so the platform repeats
 *   it and raises its own alarm.
 */
async function putAside(db: Knex, row: PushRow, cause: unknown): Promise<never> {
  if (cause instanceof UnavailableError) throw cause
  if (isUnavailable(cause)) throw unavailable(cause)
  const reason = describeRefusal(cause)
  const id = await orUnavailable(keepAside(db, { ...row, reason }))
  throw new UnavailableError('push_kept_aside', `push_aside ${id}: ${reason}`, { cause })
}

/** SQLSTATE and what of the schema was hurt; never the message, which may show the row. */
function describeRefusal(error: unknown): string {
  const constraint = error instanceof Error && 'constraint' in error ? error.constraint : undefined
  const code = errorCode(error) ?? 'no SQLSTATE'
  return typeof constraint === 'string' ? `${code} ${constraint}` : code
}

/**
 * Records rows in a transaction under way. If they fail for a reason of one of them, they are halved
 * until it is alone; that one is kept aside.
 *
 * @param onNew is told of each row that was not on record yet.
 * @returns how many are kept aside.
 */
async function recordOrPutAside(
  trx: Knex.Transaction,
  rows: readonly PushRow[],
  onNew: (row: PushRow) => void,
): Promise<number> {
  const [row] = rows
  if (row === undefined) return 0
  try {
    const recorded = await withTransaction(trx, (inner) => recordPushes(inner, rows))
    rows.filter((_, place) => recorded[place]?.repeated === false).forEach(onNew)
    return 0
  } catch (error) {
    if (isUnavailable(error) || isRetryable(error)) throw error
    if (rows.length === 1) {
      await keepAside(trx, { ...row, reason: describeRefusal(error) })
      return 1
    }
    const middle = Math.ceil(rows.length / 2)
    const before = await recordOrPutAside(trx, rows.slice(0, middle), onNew)
    return before + (await recordOrPutAside(trx, rows.slice(middle), onNew))
  }
}

/** WeCom may spell a member otherwise than before; no other account has such people. */
async function asOnRecord(db: Knex, read: ReadEvent): Promise<ReadEvent> {
  const { account, event } = read
  if (event.subject === null || !hasMembers(account)) return read
  const spellings = await orUnavailable(findSpellings(db, account.id, [event.subject]))
  return { ...read, event: respell(event, spellings) }
}

function toPushRow({ account, event, document }: ReadEvent, seal: Seal): PushRow {
  return {
    accountId: account.id,
    // of the document as it came: a repeat is a repeat, whatever of it we keep
    repeatKey: repeatKey(document),
    kind: event.kind,
    name: event.name,
    subject: event.subject,
    occurredAt: event.occurredAt,
    effectiveAt: event.effectiveAt,
    document: redact(document, event),
    changes: consentChanges(event, account.settings, account.agentId),
    receipts: event.subject === null ? [] : readReceipt(event).map(toReceiptRow),
    erase: erases(event, account.settings),
    ...pushEffects(event, account, seal),
    ...(hasTenants(account) && !isAboutTenant(event) && { changes: [], erase: false }),
  }
}

/** People are of merchants and corps: a component or suite itself has nobody who could agree. */
function hasTenants({ kind }: Account): boolean {
  return KIND_RULES[kind].tenants !== null
}

/** A push of which nothing may be kept but that it came. */
function withoutWords(row: PushRow): PushRow {
  const nothing = { changes: [], receipts: [], erase: false, ticket: null, job: null }
  return { ...row, ...nothing, welcomeCode: null, subject: null, document: '' }
}

function toReceiptRow(receipt: Receipt): ReceiptRow {
  return {
    channel: receipt.channel,
    msgId: receipt.msgId,
    templateId: receipt.channel === 'subscription_message' ? receipt.templateId : null,
    status: receipt.status,
    reason: receipt.reason,
  }
}

function countChanges(metrics: Metrics, account: string, row: PushRow): void {
  for (const { scope, change } of row.changes) {
    metrics.consentChanges.inc({ account, scope: scopeFamily(scope), change })
  }
}

/** A database that is away is the platform's reason to repeat the push, not a fault of ours. */
async function orUnavailable<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw isUnavailable(error) ? unavailable(error) : error
  }
}

function unavailable(cause: unknown): UnavailableError {
  const text = 'the database cannot take a push now; it is to be sent again'
  return new UnavailableError('database_unavailable', text, { cause })
}
