/*
 * What is delivered to an endpoint, and what becomes of it.
 */

/** `dropped`: the endpoint takes nothing any more, or what was to be told is no longer on record. */
export const DELIVERY_STATUSES = ['waiting', 'delivered', 'failed', 'dropped'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/** One thing that is told to one endpoint. */
export interface Delivery {
  /** The `webhook-id`. */
  readonly id: string
  readonly endpointId: string
  /** One of the three is not null. */
  readonly eventId: string | null
  readonly messageId: string | null
  readonly broadcastId: string | null
  readonly status: DeliveryStatus
  readonly attemptCount: number
  /** Of the last try; null where no answer came. */
  readonly httpStatus: number | null
  /** Why the last try failed, or why nothing is tried: a short name. */
  readonly reason: string | null
  readonly createdAt: Date
  /** Null when it has ended. */
  readonly nextAttemptAt: Date | null
  readonly finishedAt: Date | null
}

/** What one try came to. */
export type Answer =
  | {
      readonly kind: 'answer'
      readonly httpStatus: number
      /** What `Retry-After` asks for; null without one. */
      readonly retryAfterMs: number | null
      /** As far as it was asked for. */
      readonly body: string
    }
  /** A short name: `timeout`, `ECONNREFUSED`, `address_refused`; never a text with the address. */
  | { readonly kind: 'no_answer'; readonly reason: string }
  /** This process stops; nothing is known, and it counts as no try. */
  | { readonly kind: 'interrupted' }

/** What follows from it. */
export type Fate =
  | { readonly status: 'delivered' }
  | { readonly status: 'waiting'; readonly afterMs: number; readonly reason: string }
  | { readonly status: 'failed'; readonly reason: string; readonly isGone: boolean }

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/**
 * The pauses behind the first try, as Standard Webhooks proposes them: eight tries, a good day in all.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const RETRY_PAUSES_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  10 * HOUR_MS,
]

/** Nobody can ask for a longer pause: what is told a day late is no news. */
const LONGEST_PAUSE_MS = 24 * HOUR_MS

/**
 * What becomes of a delivery after a try. Everything but 2xx is a failure, a redirect too; 410 says
 * that the endpoint wants nothing any more.
 *
 * @param tries how many there were, with this one.
 */
export function decideFate(answer: Exclude<Answer, { kind: 'interrupted' }>, tries: number): Fate {
  if (answer.kind === 'answer' && answer.httpStatus >= 200 && answer.httpStatus < 300) {
    return { status: 'delivered' }
  }
  const reason = answer.kind === 'answer' ? `http_${answer.httpStatus}` : answer.reason
  const isGone = answer.kind === 'answer' && answer.httpStatus === 410
  const pauseMs = RETRY_PAUSES_MS[tries - 1]
  if (isGone || pauseMs === undefined) return { status: 'failed', reason, isGone }
  const asked = answer.kind === 'answer' ? (answer.retryAfterMs ?? 0) : 0
  return {
    status: 'waiting',
    afterMs: Math.min(Math.max(pauseMs, asked), LONGEST_PAUSE_MS),
    reason,
  }
}

/**
 * How long `Retry-After` asks to wait: seconds, or a date. Null when it says neither.
 *
 * @see RFC 9110, 10.2.3
 */
export function readRetryAfter(header: string | undefined, now: Date): number | null {
  if (header === undefined) return null
  if (/^\d{1,9}$/.test(header.trim())) return Number(header.trim()) * SECOND_MS
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - now.getTime())
}
