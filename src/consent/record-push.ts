import type { Knex } from 'knex'
import type { Account, EventSource } from '../accounts/account.ts'
import { errorCode, isUnavailable } from '../database/availability.ts'
import { keepAside } from '../events/aside-store.ts'
import type { Fields } from '../events/document.ts'
import { readEvent, readReceipt, type EventRecord, type Receipt } from '../events/read-event.ts'
import { repeatKey } from '../events/repeat-key.ts'
import { redact } from '../events/secrets.ts'
import type { Clock } from '../foundation/clock.ts'
import { within } from '../foundation/coarse-timer.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { createGatherer } from '../foundation/gather.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { consentChanges, erases } from './consent-changes.ts'
import { isAboutTenant, pushEffects, type Seal } from './push-effects.ts'
import { recordPushes, type PushRow, type ReceiptRow, type RecordedPush } from './push-store.ts'
import { scopeFamily } from './consent.ts'

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
}

/** The account of a merchant or corp behind a component or suite, once the gateway has made it. */
export type FindTenant = (parentId: number, appId: string) => Promise<Account | undefined>

export interface RecordOutcome {
  readonly outcome: 'recorded' | 'repeated'
  readonly eventId: string
  readonly kind: string
}

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
   * returns they are committed, and no call that the push forbids begins afterwards.
   *
   * @throws UnavailableError when the database cannot take it in time, or refuses it for what it is
   *   (`push_kept_aside`); the platform will repeat it.
   */
  record(push: ProvenPush): Promise<RecordOutcome>
  /** Records what was fetched instead of pushed, in the same way. */
  recordRead(read: ReadEvent): Promise<RecordOutcome>
  /** Waits for what was handed over to be committed. */
  stop(): Promise<void>
}

/** Pushes of one commit: enough to make the commit's cost small, few enough to stay under 100 ms. */
const MAX_BATCH = 200
/**
 * While PostgreSQL records one batch, node opens the envelopes of the next, and so on: with one batch
 * under way at a time each would wait for the other. A further batch is begun when it is large enough
 * to be worth its fixed cost.
 */
const MAX_RUNS = 2
const WORTHWHILE = 24
/** About one second of work at the rate of a small machine; more would miss the platform's 5 s. */
const MAX_WAITING = 5_000
/** The platform waits 5 s. A commit that takes longer than this is answered 503 and repeated. */
const RECORD_LIMIT = { ms: 3_000, tooLate }

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
  readonly findTenant: FindTenant
  readonly seal: Seal
  /** Hears of every ticket that has been stored; it must not throw. */
  readonly onTicket?: (account: Account) => Promise<void>
}): Recorder {
  const { db, clock, metrics } = deps

  const gatherer = createGatherer<PushRow, RecordedPush>({
    maxBatch: MAX_BATCH,
    maxRuns: MAX_RUNS,
    worthwhile: WORTHWHILE,
    maxWaiting: MAX_WAITING,
    isCommonFailure: isUnavailable,
    run: async (rows) => {
      const startedMs = clock.monotonicMs()
      const recorded = await recordPushes(db, rows)
      metrics.commitBatch.observe(rows.length)
      metrics.commitSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
      return recorded
    },
  })

  async function recordOne({ account, event, document }: ReadEvent): Promise<RecordOutcome> {
    const row = toPushRow({ account, event, document }, deps.seal)
    const recorded = await orUnavailable(within(RECORD_LIMIT, gatherer.add(row))).catch(
      (error: unknown) => putAside(db, row, error),
    )
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
      kind: event.kind,
    }
  }

  return {
    async record(push) {
      const event = readEvent(push)
      const account = await ownerOf(deps, push, event)
      return recordOne({ account, event, document: push.document })
    },
    recordRead: recordOne,
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
 * The account an event is about: what a notice to a component or suite says of a person is of the
 * merchant or corp it names, as far as we know it; that the tenant came or left is the parent's own.
 */
async function ownerOf(
  { findTenant }: { readonly findTenant: FindTenant },
  { account }: ProvenPush,
  event: EventRecord,
): Promise<Account> {
  if (event.tenant === null || isAboutTenant(event)) return account
  return (await orUnavailable(findTenant(account.id, event.tenant))) ?? account
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
  }
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

function tooLate(): UnavailableError {
  const { ms } = RECORD_LIMIT
  return new UnavailableError('record_timeout', `the database did not commit within ${ms} ms`)
}

/** A database that is away is the platform's reason to repeat the push, not a fault of ours. */
async function orUnavailable<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    if (!isUnavailable(error)) throw error
    const text = 'the database cannot take a push now; it is to be sent again'
    throw new UnavailableError('database_unavailable', text, { cause: error })
  }
}
