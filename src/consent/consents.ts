import type { Knex } from 'knex'
import type { Clock } from '../foundation/clock.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import { reportedChanges, type PopupResult } from './answer-changes.ts'
import {
  changeConsents,
  changeRow,
  decideSend,
  eraseSubject,
  findConsents,
  findHistory,
  listErasures,
  type Erasure,
  type Evidence,
  type HeldConsent,
  type LedgerEntry,
  type ListedErasure,
  type SendDecision,
} from './consent-store.ts'
import {
  CONVERSATION,
  CONVERSATION_ACTION,
  EVERYTHING,
  isGrantable,
  parseScope,
  type ConsentChange,
} from './consent.ts'
import { exportPerson } from './export-person.ts'
import type { ImportedConsent } from './import-line.ts'
import { importConsents } from './import-store.ts'
import { findSpellings } from './spelling-store.ts'

/** Who may be sent what, as people and applications ask about it and change it. */
export interface Consents {
  /** What holds now and how it came to be; both empty for a person we know nothing about. */
  show(accountId: number, subject: string): Promise<ConsentView>
  decide(question: {
    accountId: number
    subject: string
    channel: string
    templateId: string | null
  }): Promise<SendDecision>
  /** Records a refusal that reached us another way than by a push. */
  optOut(act: OperatorAct): Promise<void>
  /** Records a consent given elsewhere, or lifts a stop. `everything` lifts the stop, grants nothing. */
  optIn(act: OperatorAct): Promise<void>
  /** Records consents that were given elsewhere, a batch at a time; answers how many are new. */
  import(batch: {
    accountId: number
    consents: readonly ImportedConsent[]
    actor: string
  }): Promise<number>
  /** Records what a front end says a popup was answered; the event of that popup counts before it. */
  report(report: PopupReport): Promise<void>
  /** Everything we hold about a person on one account. */
  export(accountId: number, subject: string): Promise<PersonExport>
  /** Erases a person on one account; a tombstone stays. No call to them begins afterwards. */
  erase(act: {
    accountId: number
    subject: string
    actor: string
    reason: string
  }): Promise<{ erasure_id: string } & Omit<Erasure, 'id'>>
  /** The records of the erasures on an account, newest first. */
  erasures(accountId: number): Promise<ListedErasure[]>
}

export interface OperatorAct {
  readonly accountId: number
  readonly subject: string
  /** One of the scopes; see docs/consent.md. */
  readonly scope: string
  readonly reason: string
  readonly by: Extract<Evidence, { actor: string }>
  /** On a granted template: how many sends it allows; null is a standing right. One when absent. */
  readonly credits?: number | null
}

export interface PopupReport {
  readonly accountId: number
  readonly subject: string
  readonly results: Readonly<Record<string, PopupResult>>
  /** When the popup was answered, by the application's clock. */
  readonly requestedAt: Date
  /** Templates whose acceptance is a standing right. */
  readonly longTerm: readonly string[]
  /** The application that says so, and has signed it. */
  readonly signedBy: string
}

/** A consent as it is answered; the names are part of the public contract. */
export interface ConsentAnswer {
  readonly scope: string
  readonly state: string
  readonly effective_at: string
  /** Whether a send that needs it may rely on it at this moment; nothing is while everything is stopped. */
  readonly live: boolean
  readonly credits: number | null
  readonly expires_at: string | null
  readonly evidence: HistoryAnswer
}

export interface HistoryAnswer {
  readonly ledger_id: string
  readonly scope: string
  readonly change: string
  readonly effective_at: string
  readonly recorded_at: string
  readonly kind: string
  readonly event_id: string | null
  readonly attempt_id: string | null
  readonly actor: string | null
  readonly reason: string
  readonly credits: number | null
  readonly expires_at: string | null
  readonly template_id: string | null
}

export interface ConsentView {
  readonly consents: readonly ConsentAnswer[]
  readonly history: readonly HistoryAnswer[]
}

/**
 * Everything held about one person on one account, in the names of the public contract, ready to be
 * handed to that person (PIPL article 45).
 */
export interface PersonExport {
  readonly subject: string
  readonly consents: readonly ConsentAnswer[]
  readonly ledger: readonly HistoryAnswer[]
  readonly events: readonly unknown[]
  readonly messages: readonly unknown[]
  readonly broadcasts: readonly unknown[]
}

/** Rows of a person's history in one answer; the export holds all of them. */
const HISTORY_LIMIT = 500

interface ConsentsDeps {
  readonly db: Knex
  readonly clock: Clock
  /** Waits for forbidden calls under way; see settle-calls.ts. */
  readonly settle: (accountId: number, subject: string) => Promise<void>
}

export function createConsents(deps: ConsentsDeps): Consents {
  const { db, clock } = deps

  /** WeCom takes userids for the same in any case; every act is about the one on record. */
  async function asOnRecord(accountId: number, subject: string): Promise<string> {
    return (await findSpellings(db, accountId, [subject])).subjectOf(subject)
  }

  async function act(asked: OperatorAct, change: 'granted' | 'revoked'): Promise<void> {
    const { accountId, by: evidence } = asked
    const spellings = await findSpellings(db, accountId, [asked.subject])
    const subject = spellings.subjectOf(asked.subject)
    const input = { ...asked, subject, scope: spellings.scopeOf(subject, asked.scope) }
    const made = operatorChange(input, change, clock.now())
    const changes =
      made.scope === CONVERSATION ? [made, { ...made, scope: CONVERSATION_ACTION }] : [made]
    await changeConsents(
      db,
      changes.map((change) => changeRow({ accountId, subject, change, evidence })),
    )
    if (change === 'revoked') await deps.settle(accountId, subject)
  }

  return {
    async show(accountId, asked) {
      const now = clock.now()
      const subject = await asOnRecord(accountId, asked)
      const [held, history] = await Promise.all([
        findConsents(db, accountId, subject),
        findHistory(db, { accountId, subject }, HISTORY_LIMIT),
      ])
      return {
        consents: toConsentAnswers(held, now),
        history: history.map(toHistoryAnswer),
      }
    },
    decide: (question) => decideSend(db, { ...question, at: clock.now() }),
    optOut: (input) => act(input, 'revoked'),
    optIn: (input) => act(input, 'granted'),
    async import({ accountId, ...batch }) {
      const subjects = batch.consents.map(({ subject }) => subject)
      const spellings = await findSpellings(db, accountId, subjects)
      const consents = batch.consents.map((one) => {
        const subject = spellings.subjectOf(one.subject)
        return { ...one, subject, scope: spellings.scopeOf(subject, one.scope) }
      })
      return importConsents(db, accountId, { ...batch, consents })
    },
    report: (input) => recordReport(deps, input),
    async export(accountId, subject) {
      const held = await exportPerson(db, accountId, await asOnRecord(accountId, subject))
      return {
        ...held,
        consents: toConsentAnswers(held.consents, clock.now()),
        ledger: held.ledger.map(toHistoryAnswer),
      }
    },
    async erase(input) {
      const subject = await asOnRecord(input.accountId, input.subject)
      const erased = await eraseSubject(db, { ...input, subject, effectiveAt: clock.now() })
      const { id, ...counts } = erased
      await deps.settle(input.accountId, subject)
      return { erasure_id: id, ...counts }
    },
    erasures: (accountId) => listErasures(db, accountId),
  }
}

/** Older than this it would be told apart from its event by nothing. */
const OLDEST_REPORT_MS = 3_600_000
/** Clocks of two servers differ; beyond it the time is a mistake. */
const MOST_AHEAD_MS = 60_000

/** @throws InvalidInputError `invalid_request` */
async function recordReport(deps: ConsentsDeps, report: PopupReport): Promise<void> {
  const { accountId, subject, results, longTerm, signedBy } = report
  const now = deps.clock.now()
  const ageMs = now.getTime() - report.requestedAt.getTime()
  if (ageMs > OLDEST_REPORT_MS || ageMs < -MOST_AHEAD_MS) {
    const rule = 'must be the time of the popup: within the last hour, by the clock of this gateway'
    throw new InvalidInputError('invalid_request', [{ field: 'requested_at', rule }])
  }
  const at = ageMs < 0 ? now : report.requestedAt
  const changes = reportedChanges({ results, at, longTerm })
  if (changes.length === 0) return
  const evidence = { kind: 'report', actor: signedBy } as const
  await changeConsents(
    deps.db,
    changes.map((change) => changeRow({ accountId, subject, change, evidence })),
  )
  if (changes.some(({ change }) => change === 'revoked')) await deps.settle(accountId, subject)
}

/**
 * The change an operator's word makes. Windows are the platform's to open, and the end of all
 * templates is not a thing to grant.
 *
 * @throws InvalidInputError `bad_scope`
 */
function operatorChange(
  input: OperatorAct,
  change: 'granted' | 'revoked',
  now: Date,
): ConsentChange {
  const scope = parseScope(input.scope)
  if (!scope || (change === 'granted' && !isGrantable(scope))) {
    const allowed = `follow, template:<id>, member, external_contact:<userid> or ${EVERYTHING}`
    throw new InvalidInputError('bad_scope', [
      {
        field: 'scope',
        rule:
          change === 'granted'
            ? `expected ${allowed}; what the person or the platform alone can grant cannot be granted here`
            : `expected ${allowed}, or another scope of docs/consent.md`,
      },
    ])
  }
  return {
    scope: input.scope,
    change,
    effectiveAt: now,
    reason: input.reason,
    credits: change === 'granted' && scope.family === 'template' ? creditsOf(input) : null,
    expiresAt: null,
  }
}

function creditsOf(input: OperatorAct): number | null {
  return input.credits === undefined ? 1 : input.credits
}

/** What is held, as it stands at a moment. */
function toConsentAnswers(held: readonly HeldConsent[], now: Date): ConsentAnswer[] {
  const isStopped = held.some(({ scope, state }) => scope === EVERYTHING && state !== 'granted')
  return held.map((consent) => toConsentAnswer(consent, { now, isStopped }))
}

/** When it is asked, and whether the person has stopped everything. */
interface Moment {
  readonly now: Date
  readonly isStopped: boolean
}

function toConsentAnswer(consent: HeldConsent, moment: Moment): ConsentAnswer {
  return {
    scope: consent.scope,
    state: consent.state,
    effective_at: consent.effectiveAt.toISOString(),
    live: isLive(consent, moment),
    credits: consent.credits,
    expires_at: consent.expiresAt?.toISOString() ?? null,
    evidence: toHistoryAnswer(consent.evidence),
  }
}

/** A stop that was lifted allows nothing by itself, and while one holds nothing else does. */
function isLive(consent: HeldConsent, { now, isStopped }: Moment): boolean {
  return (
    !isStopped &&
    consent.scope !== EVERYTHING &&
    consent.state === 'granted' &&
    (consent.expiresAt === null || consent.expiresAt > now) &&
    (consent.credits === null || consent.credits > 0)
  )
}

/** A ledger row as it is answered. */
function toHistoryAnswer(entry: LedgerEntry): HistoryAnswer {
  return {
    ledger_id: entry.id,
    scope: entry.scope,
    change: entry.change,
    effective_at: entry.effectiveAt.toISOString(),
    recorded_at: entry.recordedAt.toISOString(),
    kind: entry.evidence,
    event_id: entry.eventId,
    attempt_id: entry.attemptId,
    actor: entry.actor,
    reason: entry.reason,
    credits: entry.credits,
    expires_at: entry.expiresAt?.toISOString() ?? null,
    template_id: entry.templateId,
  }
}
