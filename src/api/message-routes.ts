import type { Clock } from '../foundation/clock.ts'
import { isId } from '../foundation/ids.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { FindSender } from '../messages/account-fit.ts'
import { accountIdsOf, accountOf } from '../messages/caller.ts'
import { cancelMessage } from '../messages/cancel-message.ts'
import type { Callbacks } from '../messages/callback-url.ts'
import { checkSend, type DecideSend, type FindLiveTemplate } from '../messages/check-send.ts'
import { findMessage } from '../messages/find-message.ts'
import { readInput } from '../messages/input-faults.ts'
import type { AliasRecord } from '../messages/fallback-store.ts'
import type { Seal } from '../messages/message-secret.ts'
import type { MessageStore } from '../messages/message-store.ts'
import { waitOf, type Attempt, type Message } from '../messages/message.ts'
import type { FindLimits, LimitedVerdict } from '../messages/send-limit.ts'
import { sendMessage, type Acceptance } from '../messages/send-message.ts'
import type { FindWelcomeCode } from '../messages/use-welcome-code.ts'
import type { FindTemplates } from '../templates/resolve-template.ts'
import { decodeCursor, pageOf } from './cursor.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { param, type Answer, type Call, type Route } from './route.ts'
import { messageQuery } from './schemas.ts'

export interface MessageRouteDeps {
  readonly messages: MessageStore
  readonly decide: DecideSend
  readonly findLiveTemplate: FindLiveTemplate
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  readonly findLimits: FindLimits
  readonly findWelcomeCode: FindWelcomeCode
  readonly seal: Seal
  readonly metrics: Metrics
  readonly clock: Clock
  /** How long a message without `expires_at` may wait after it became due. */
  readonly lifetimeHours: number
  readonly callbacks: Callbacks
}

/** Asking for sends, and asking what became of them. */
export function messageRoutes(deps: MessageRouteDeps): readonly Route[] {
  return [
    {
      method: 'post',
      path: '/v1/messages',
      operationId: 'sendMessage',
      summary: 'Ask for one send',
      body: 'SendRequest',
      idempotent: true,
      answer: { status: 202, schema: 'Acceptance' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: (call) => postMessage(deps, call),
    },
    {
      method: 'post',
      path: '/v1/messages:check',
      operationId: 'checkMessage',
      summary: 'May this be sent? Nothing is sent or stored',
      body: 'SendRequest',
      answer: { status: 200, schema: 'SendDecision' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: (call) => postCheck(deps, call),
    },
    {
      method: 'get',
      path: '/v1/messages',
      operationId: 'listMessages',
      summary: 'Messages, newest first',
      query: messageQuery,
      answer: { status: 200, schema: 'MessageList' },
      problems: [400, 404, 503],
      handle: (call) => getMessages(deps, call),
    },
    {
      method: 'get',
      path: '/v1/messages/{id}',
      operationId: 'getMessage',
      summary: 'One message with every attempt made for it',
      answer: { status: 200, schema: 'MessageWithAttempts' },
      problems: [404, 503],
      handle: (call) => getMessage(deps, call),
    },
    {
      method: 'post',
      path: '/v1/messages/{id}/cancel',
      operationId: 'cancelMessage',
      summary: 'Cancel a message that has not begun',
      answer: { status: 200, schema: 'Message' },
      problems: [404, 409, 503],
      handle: (call) => postCancel(deps, call),
    },
  ]
}

async function postMessage(deps: MessageRouteDeps, call: Call): Promise<Answer> {
  const acceptance = await sendMessage(
    { ...deps, store: deps.messages, log: call.log },
    {
      caller: call.application,
      body: call.body,
      idempotencyKey: readIdempotencyKey(call.idempotencyKey),
    },
  )
  return {
    status: 202,
    body: acceptanceBody(acceptance),
    headers: {
      location: `/v1/messages/${acceptance.id}`,
      ...(acceptance.replayed && { 'idempotent-replayed': 'true' }),
    },
  }
}

async function postCheck(deps: MessageRouteDeps, call: Call): Promise<Answer> {
  const checked = await checkSend(deps, { caller: call.application, body: call.body })
  return {
    status: 200,
    body: {
      ...verdictBody(checked),
      best_channel: checked.bestChannel,
      alternatives: checked.alternatives.map(verdictBody),
    },
  }
}

async function getMessages(deps: MessageRouteDeps, call: Call): Promise<Answer> {
  const query = readInput(messageQuery, call.query, 'invalid_query')
  const found = await deps.messages.list({
    accountIds:
      query.account === undefined
        ? accountIdsOf(call.application)
        : [accountOf(call.application, query.account).id],
    to: query.to,
    status: query.status,
    channel: query.channel,
    createdAfter: query.created_after,
    createdBefore: query.created_before,
    beforeId: query.cursor === undefined ? undefined : decodeCursor(query.cursor, isId),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = pageOf(found, query.limit)
  return { status: 200, body: { messages: page.map(messageBody), next_cursor: nextCursor } }
}

async function getMessage(deps: MessageRouteDeps, call: Call): Promise<Answer> {
  const wanted = { caller: call.application, id: param(call, 'id') }
  const message = await findMessage(deps.messages, wanted)
  const [attempts, alias] = await Promise.all([
    deps.messages.attemptsOf(message.id),
    deps.messages.aliasOf(message.id),
  ])
  return { status: 200, body: messageDocument(message, { attempts, alias }) }
}

/** A message with all that belongs to it, as applications see it, asked for or delivered to them. */
export function messageDocument(
  message: Message,
  { attempts, alias }: { attempts: readonly Attempt[]; alias: AliasRecord | undefined },
) {
  return {
    ...messageBody(message),
    alias: alias ? aliasRecordBody(alias) : null,
    attempts: attempts.map(attemptBody),
  }
}

async function postCancel(deps: MessageRouteDeps, call: Call): Promise<Answer> {
  const message = await cancelMessage(
    { store: deps.messages, metrics: deps.metrics, log: call.log },
    { caller: call.application, id: param(call, 'id') },
  )
  return { status: 200, body: messageBody(message) }
}

function verdictBody({ channel, allowed, reason, until, scope, evidence }: LimitedVerdict) {
  return { channel, allowed, reason, until, scope, evidence }
}

function acceptanceBody(acceptance: Acceptance) {
  return {
    id: acceptance.id,
    account: acceptance.account,
    channel: acceptance.channel,
    status: acceptance.status,
    reason: acceptance.quietUntil && 'quiet_hours',
    until: acceptance.quietUntil,
    send_at: acceptance.sendAt,
    expires_at: acceptance.expiresAt,
    created_at: acceptance.createdAt,
  }
}

function messageBody(message: Message) {
  const { reason, until } = waitOf(message)
  return {
    id: message.id,
    account: message.account,
    to: message.to,
    channel: message.channel,
    channels: message.channels,
    template_id: message.templateId,
    purpose: message.purpose,
    status: message.status,
    reason,
    until,
    missing_scope: message.missingScope,
    msgid: message.msgid,
    receipt: message.receipt,
    attempt_count: message.attemptCount,
    send_at: message.sendAt,
    expires_at: message.expiresAt,
    created_at: message.createdAt,
    updated_at: message.updatedAt,
    finished_at: message.finishedAt,
  }
}

function aliasRecordBody(record: AliasRecord) {
  return {
    name: record.alias,
    step: record.step,
    reason: record.reason,
    fallback_of: record.fallbackOf,
    fallback: record.fallback,
    no_fallback: record.noFallback,
  }
}

function attemptBody(attempt: Attempt) {
  return {
    number: attempt.number,
    started_at: attempt.startedAt,
    finished_at: attempt.finishedAt,
    outcome: attempt.outcome,
    errcode: attempt.errcode,
    errmsg: attempt.errmsg,
    http_status: attempt.httpStatus,
    rid: attempt.rid,
    msgid: attempt.msgid,
    evidence: attempt.evidence,
  }
}
