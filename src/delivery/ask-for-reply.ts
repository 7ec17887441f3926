import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { createSnapshot } from '../accounts/snapshot.ts'
import type { StoredEvent } from '../events/event-store.ts'
import { readEvent, type EventRecord, type Push } from '../events/read-event.ts'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { openSecrets } from './deliver-due.ts'
import { loadReplyEndpoints, type ReplyEndpoint } from './endpoint-store.ts'
import { EVERY_KIND } from './endpoint.ts'
import {
  claimReply,
  findReply,
  keepReply,
  placeOfReply,
  type ReplyKey,
  type StoredReply,
} from './reply-store.ts'
import { mayAnswer, readReply, replyFormOf, type ReadReply, type Reply } from './reply.ts'
import { signatureHeaders } from './sign-delivery.ts'
import type { WebhookClient } from './webhook-client.ts'

/** A push that has been recorded and waits for its answer. */
export interface RecordedAsk {
  readonly push: Push & { readonly account: Account; readonly document: string }
  readonly eventId: string
  /** How long an answer is still of use, in milliseconds. */
  readonly limitMs: number
}

/** What the person is answered, and the time that the answer carries: a repeat gets both again. */
export interface GivenReply {
  readonly reply: Reply
  readonly at: Date
}

export interface ReplyDesk {
  /** Whether there may be somebody to ask about this account's pushes; false is certain. */
  isAwaited(account: Account): boolean
  /** Null: `success` is all there is to say. Does not throw. */
  ask(asked: RecordedAsk): Promise<GivenReply | null>
  /** The endpoints have changed. */
  invalidate(): void
}

export interface ReplyParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly client: Pick<WebhookClient, 'post'>
  readonly eventDocument: (event: StoredEvent) => unknown
}

/** How old the copy of the endpoints may be. */
const MAX_AGE_MS = 5_000
/** Asked at once in one process; whoever comes then is answered `success`. */
const MAX_ASKED = 500
const ANSWER_BYTES = 64 * 1024
/** How often a repeat looks for what another process is being answered. */
const LOOK_EVERY_MS = 50

type Outcome = 'given' | 'none' | 'unusable' | 'late' | 'failed' | 'busy'

/**
 * Asks applications for the replies to pushes, while the platform waits. Whatever the application does,
 * the push has been recorded and `success` is a good answer: so every failure ends in none.
 *
 * Of the same push in several processes one asks: the one that inserts the row of `reply`. The others
 * wait for what it writes there. Nobody holds a connection of the pool meanwhile.
 */
export function createReplyDesk(parts: ReplyParts): ReplyDesk {
  const endpoints = createSnapshot({
    load: async () =>
      new Map((await loadReplyEndpoints(parts.db)).map((one) => [one.accountId, one])),
    clock: parts.clock,
    maxAgeMs: MAX_AGE_MS,
    unavailable: { code: 'endpoints_unavailable', message: 'the endpoints cannot be read now' },
  })
  let underWay = 0

  async function answer(asked: RecordedAsk): Promise<GivenReply | null> {
    const { account } = asked.push
    if (replyFormOf(account) === null) return null
    const endpoint = (await endpoints.find((known) => known))?.get(account.id)
    if (!endpoint) return null
    const event = readEvent(asked.push)
    const isWanted = endpoint.events.includes(EVERY_KIND) || endpoint.events.includes(event.kind)
    if (!isWanted || !mayAnswer(account, event.kind)) return null
    const key = { accountId: account.id, eventId: asked.eventId }
    const at = parts.clock.now()
    if (!(await claimReply(parts.db, key, at))) return waitForReply(parts, key, asked.limitMs)
    return askEndpoint(parts, { ...asked, endpoint, event, key, at, isBusy: underWay > MAX_ASKED })
  }

  return {
    isAwaited({ id }) {
      const known = endpoints.fresh()
      return known === undefined || known.has(id)
    },
    invalidate: () => endpoints.invalidate(),
    async ask(asked) {
      underWay += 1
      try {
        return await answer(asked)
      } catch (error) {
        const fields = { account: asked.push.account.name, event_id: asked.eventId }
        parts.log.warn({ ...fields, error: describeError(error) }, 'reply.failed')
        return null
      } finally {
        underWay -= 1
      }
    },
  }
}

interface Question extends RecordedAsk {
  readonly endpoint: ReplyEndpoint
  readonly event: EventRecord
  readonly key: ReplyKey
  readonly at: Date
  readonly isBusy: boolean
}

async function askEndpoint(parts: ReplyParts, question: Question): Promise<GivenReply | null> {
  const startedMs = parts.clock.monotonicMs()
  const { outcome, read } = question.isBusy
    ? { outcome: 'busy' as const, read: undefined }
    : await postQuestion(parts, question)
  report(parts, question, { outcome, read, startedMs })
  const { key, at } = question
  if (read?.kind !== 'given') {
    await keepReply(parts.db, key, { state: 'none', sealed: null })
    return null
  }
  const sealed = parts.box.seal(JSON.stringify(read.reply), placeOfReply(key))
  await keepReply(parts.db, key, { state: 'given', sealed })
  return { reply: read.reply, at }
}

async function postQuestion(
  { client, clock, box, eventDocument }: ReplyParts,
  { endpoint, event, push, eventId, limitMs, at }: Question,
): Promise<{ readonly outcome: Outcome; readonly read?: ReadReply }> {
  const body = JSON.stringify(eventDocument(storedForm(event, push, eventId)))
  const headers = signatureHeaders(
    { id: newId(at), body, now: clock.now() },
    openSecrets(box, endpoint),
  )
  const answer = await client.post({
    url: endpoint.url ?? '',
    headers,
    body,
    timeoutMs: limitMs,
    answerBytes: ANSWER_BYTES,
  })
  if (answer.kind !== 'answer') {
    const isLate = answer.kind === 'no_answer' && answer.reason.endsWith('timeout')
    return { outcome: isLate ? 'late' : 'failed' }
  }
  if (answer.httpStatus < 200 || answer.httpStatus > 299) return { outcome: 'failed' }
  const read = readReply(push.account, answer.body)
  return { outcome: read.kind, read }
}

/** The event as the log has it; it carries no credential, or nobody would be asked about it. */
function storedForm(event: EventRecord, push: RecordedAsk['push'], id: string): StoredEvent {
  const { kind, name, subject, occurredAt } = event
  const { document, receivedAt } = push
  const account = push.account.name
  return { id, account, kind, name, subject, occurredAt, receivedAt, document, erasedAt: null }
}

/** What somebody else is being answered at this moment; null when it takes too long. */
async function waitForReply(
  parts: ReplyParts,
  key: ReplyKey,
  limitMs: number,
): Promise<GivenReply | null> {
  const untilMs = parts.clock.monotonicMs() + limitMs
  let found = await findReply(parts.db, key)
  while (found?.state === 'asked' && parts.clock.monotonicMs() < untilMs) {
    await sleep(LOOK_EVERY_MS)
    found = await findReply(parts.db, key)
  }
  return found ? openReply(parts.box, key, found) : null
}

function openReply(box: SecretBox, key: ReplyKey, { sealed, askedAt }: StoredReply) {
  if (sealed === null) return null
  return { reply: JSON.parse(box.open(sealed, placeOfReply(key))) as Reply, at: askedAt }
}

function report(
  { clock, log, metrics }: ReplyParts,
  { push, event, eventId, endpoint }: Question,
  told: {
    readonly outcome: Outcome
    readonly read: ReadReply | undefined
    readonly startedMs: number
  },
): void {
  const { outcome, read, startedMs } = told
  const account = push.account.name
  metrics.replies.inc({ account, outcome })
  const level = outcome === 'given' || outcome === 'none' ? 'info' : 'warn'
  log[level](
    {
      account,
      kind: event.kind,
      event_id: eventId,
      endpoint_id: endpoint.id,
      outcome,
      ...(read?.kind === 'unusable' && { faults: read.faults }),
      duration_ms: Math.round(clock.monotonicMs() - startedMs),
    },
    'reply.asked',
  )
}
