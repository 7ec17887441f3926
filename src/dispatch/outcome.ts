import type { ConsentChange } from '../consent/consent.ts'
import { assertNever } from '../foundation/errors.ts'
import { CHANNELS, msgidOf, type Channel } from '../wechat/channels.ts'
import type { CodeMeaning, ErrorClass } from '../wechat/error-codes.ts'
import type { CallOutcome } from '../wechat/platform-client.ts'
import { recipientOutcomes } from '../wechat/recipient-outcomes.ts'
import type { CodeSpace } from '../wechat/served-account.ts'
import { isMinuteLimit } from './overload.ts'
import { refusalChanges, undeliverable } from './refusal-changes.ts'
import { nextTry, type RetryCause } from './retry-schedule.ts'

/** What is known when a platform call for a message is over. */
export interface FinishedCall {
  readonly channel: Channel
  readonly templateId: string | null
  /** The consent the message relies on, where the channel alone does not say it. */
  readonly consentScope: string | null
  readonly recipient: string
  /** Whose error codes the account's answers have. */
  readonly space: CodeSpace
  /** What a code means for the account, with what its operator decided about it. */
  readonly meaningOf: (errcode: number) => CodeMeaning
  readonly call: CallOutcome
  readonly startedAt: Date
  readonly now: Date
  /** Attempts so far, this one included, that ended for the same cause, by cause. */
  readonly triesFor: (cause: RetryCause) => number
  /** When the first attempt of this message began: the platform's memory counts from there. */
  readonly firstAttemptAt: Date
  readonly expiresAt: Date
  readonly random: number
}

/** No calls until then, in any process; `every`: of all the account's channels, not of this alone. */
export interface Pause {
  readonly until: Date
  readonly reason: string
  readonly every: boolean
}

/** How an attempt ended, and what follows for message, credit, consent and account. */
export interface AttemptEnd {
  readonly outcome: 'sent' | 'refused' | 'retry' | 'failed' | 'unknown'
  readonly status: 'sent' | 'refused' | 'queued' | 'failed' | 'unknown'
  /** A stable word; null for `sent`. */
  readonly reason: string | null
  readonly dueAt: Date | null
  readonly errcode: number | null
  /** The code is in no table, and no operator has decided about it. */
  readonly isUnknownCode: boolean
  readonly errmsg: string | null
  readonly httpStatus: number | null
  readonly rid: string | null
  readonly msgid: string | null
  /** `kept`: the message waits to be called for again, and its credit with it. */
  readonly credit: 'spent' | 'returned' | 'kept'
  readonly changes: readonly ConsentChange[]
  /** The account's channel rests until then, in every process. */
  readonly pause: Pause | null
  /** The token that was used is dead. */
  readonly tokenRejected: boolean
  /** For metrics and logs: the class of the platform's code, or what happened to the call. */
  readonly cause: ErrorClass | 'not_sent' | 'unclear' | 'late_decision'
}

/** A repeat must reach the platform while it still remembers; one minute for the way and our clocks. */
const MEMORY_MARGIN_MS = 60_000
/** The platform stops an account for reasons only its operator can clear; we ask again hourly. */
const BLOCKED_ACCOUNT_PAUSE_MS = 3_600_000

/** Classifies a finished call: the one place where an answer becomes an outcome. */
export function endOfCall(finished: FinishedCall): AttemptEnd {
  const { call } = finished
  switch (call.kind) {
    case 'not_sent':
      return retried(finished, 'not_sent', { reason: call.reason, cause: 'not_sent' })
    case 'unclear':
      return unclear(finished, call.reason)
    case 'answer':
      return answered(finished, call)
  }
}

/**
 * Until when a repeat of a message is still recognised by the platform as one; null where it never
 * is.
 */
export function repeatableUntil(channel: Channel, firstAttemptAt: Date): Date | null {
  const memoryMs = CHANNELS[channel].repeatMemoryMs
  return memoryMs === null ? null : new Date(firstAttemptAt.getTime() + memoryMs - MEMORY_MARGIN_MS)
}

type Answer = Extract<CallOutcome, { kind: 'answer' }>

function answered(finished: FinishedCall, answer: Answer): AttemptEnd {
  const meaning = finished.meaningOf(answer.errcode)
  const errorClass: ErrorClass = meaning.class
  const facts = { ...factsOf(answer, errorClass), isUnknownCode: !meaning.known }
  const changes = refusalChanges({
    ...finished,
    errcode: answer.errcode,
    errmsg: wordsOf(answer),
    at: momentOf(answer, finished),
    meaning,
  })
  switch (errorClass) {
    case 'ok':
      return accepted(finished, answer, { ...facts, msgid: msgidOf(answer.body) })
    case 'duplicate':
      return sent({ ...facts, msgid: msgidOf(answer.body), reason: 'duplicate' })
    case 'opt_out':
      return { ...failed(facts, 'opted_out'), outcome: 'refused', status: 'refused', changes }
    case 'window_closed':
    case 'invalid_recipient':
      return { ...failed(facts, errorClass), changes }
    case 'token':
      // the key of a group robot is no token of ours that could be renewed
      return usesToken(finished.channel)
        ? { ...retried(finished, 'token', facts), tokenRejected: true }
        : failed(facts, 'config')
    case 'transient':
      return retried(finished, 'transient', facts)
    case 'rate_minute':
      return rateLimited(finished, facts, answer.errcode)
    case 'quota_daily':
      return paused(finished, 'quota_daily', facts)
    case 'blocked_account': {
      const until = new Date(finished.now.getTime() + BLOCKED_ACCOUNT_PAUSE_MS)
      return {
        ...failed(facts, 'blocked_account'),
        // a robot that is switched off says nothing about the application beside it
        pause: { until, reason: 'blocked_account', every: usesToken(finished.channel) },
      }
    }
    case 'template':
    case 'content':
    case 'permission':
    case 'config':
    case 'ip_whitelist':
    case 'other':
      return failed(facts, errorClass)
    default:
      return assertNever(errorClass)
  }
}

/**
 * WeCom answers 0 also when it reaches nobody. A name it does not know is suppressed like one it
 * refuses with a code; a missing licence is ours to mend and says nothing about the member.
 */
function accepted(finished: FinishedCall, answer: Answer, facts: Facts): AttemptEnd {
  const { recipient, space } = finished
  const outcome =
    space === 'wecom' ? recipientOutcomes(answer.body, [recipient]).get(recipient) : 'accepted'
  switch (outcome) {
    case 'invalid': {
      const changes = undeliverable(finished, {
        errcode: answer.errcode,
        errmsg: 'the answer names the recipient as invalid',
        at: momentOf(answer, finished),
      })
      return { ...failed(facts, 'invalid_recipient'), changes, cause: 'invalid_recipient' }
    }
    case 'unlicensed':
      return { ...failed(facts, 'unlicensed_recipient'), cause: 'permission' }
    case 'accepted':
    case undefined:
      return sent(facts)
  }
}

function usesToken(channel: Channel): boolean {
  return CHANNELS[channel].credential === 'access_token'
}

/** What is about the account's calls rests the channel; what is about one person delays one message. */
function rateLimited(finished: FinishedCall, facts: Facts, errcode: number): AttemptEnd {
  return isMinuteLimit(finished.space, errcode)
    ? paused(finished, 'rate_minute', facts)
    : retried(finished, 'rate_minute', facts)
}

/**
 * The call may have arrived. Where the platform drops repeats it is made again while it remembers;
 * anywhere else a repeat could make a second message, so the truth is that we do not know.
 */
function unclear(finished: FinishedCall, reason: string): AttemptEnd {
  const facts: Facts = { reason, cause: 'unclear' }
  const until = repeatableUntil(finished.channel, finished.firstAttemptAt)
  const again = nextTry({
    cause: 'unclear',
    tries: finished.triesFor('unclear'),
    now: finished.now,
    random: finished.random,
  })
  const base = { ...blank(facts), outcome: 'unknown', reason } as const
  return until !== null && again !== null && again < until && again < finished.expiresAt
    ? { ...base, status: 'queued', dueAt: again, credit: 'kept' }
    : { ...base, status: 'unknown', credit: 'spent' }
}

interface Facts {
  readonly reason: string
  readonly cause: AttemptEnd['cause']
  readonly errcode?: number
  readonly isUnknownCode?: boolean
  readonly errmsg?: string
  readonly httpStatus?: number
  readonly rid?: string | null
  readonly msgid?: string | null
}

function factsOf(answer: Answer, cause: ErrorClass): Facts {
  const { errcode, httpStatus, rid } = answer
  return { reason: cause, cause, errcode, errmsg: wordsOf(answer), httpStatus, rid }
}

/** The platform's longest texts have some 300 characters. */
const LONGEST_WORDS = 500

/** Its words in a form that the database takes: an answer must not be lost to a stray character. */
function wordsOf(answer: Answer): string {
  return answer.errmsg
    .replace(/\p{Cc}/gu, '\uFFFD')
    .slice(0, LONGEST_WORDS)
    .toWellFormed()
}

function blank(facts: Facts) {
  return {
    dueAt: null,
    errcode: facts.errcode ?? null,
    isUnknownCode: facts.isUnknownCode ?? false,
    errmsg:
      facts.errmsg ??
      (facts.cause === 'not_sent' || facts.cause === 'unclear' ? facts.reason : null),
    httpStatus: facts.httpStatus ?? null,
    rid: facts.rid ?? null,
    msgid: facts.msgid ?? null,
    changes: [],
    pause: null,
    tokenRejected: false,
    cause: facts.cause,
  }
}

function sent(facts: Facts): AttemptEnd {
  const reason = facts.reason === 'ok' ? null : facts.reason
  return { ...blank(facts), outcome: 'sent', status: 'sent', reason, credit: 'spent' }
}

function failed(facts: Facts, reason: string): AttemptEnd {
  return { ...blank(facts), outcome: 'failed', status: 'failed', reason, credit: 'returned' }
}

/** Tried again when the schedule says so; failed when it says never or the message would be too old. */
function retried(finished: FinishedCall, cause: RetryCause, facts: Facts): AttemptEnd {
  const dueAt = nextTry({
    cause,
    tries: finished.triesFor(cause),
    now: finished.now,
    random: finished.random,
  })
  if (dueAt === null || dueAt >= endOfTries(finished)) return failed(facts, facts.reason)
  return { ...failed(facts, facts.reason), outcome: 'retry', status: 'queued', dueAt }
}

/** A try behind a lost answer is a repeat: it comes while the platform remembers, or not at all. */
function endOfTries(finished: FinishedCall): Date {
  const { channel, firstAttemptAt, expiresAt } = finished
  const isRepeat = finished.triesFor('unclear') > 1
  const until = isRepeat ? repeatableUntil(channel, firstAttemptAt) : null
  return until !== null && until < expiresAt ? until : expiresAt
}

/** Tried again and the channel rests meanwhile, also where this message is too old to wait. */
function paused(finished: FinishedCall, cause: RetryCause, facts: Facts): AttemptEnd {
  const end = retried(finished, cause, facts)
  const { now, random } = finished
  const until = end.dueAt ?? nextTry({ cause, tries: 1, now, random })
  return until === null ? end : { ...end, pause: { until, reason: facts.reason, every: false } }
}

/** How far a proxy's clock may be from ours before we trust our own instead. */
const CLOCK_TRUST_MS = 300_000

/**
 * The platform's moment of an answer: its `Date` header, so that the opt-out is ordered among the
 * platform's events by the platform's own clock.
 */
function momentOf(answer: Answer, finished: FinishedCall): Date {
  const told = answer.platformTime
  const trusted =
    told !== null && Math.abs(told.getTime() - finished.now.getTime()) <= CLOCK_TRUST_MS
  return trusted ? told : finished.startedAt
}
