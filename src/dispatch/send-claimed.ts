import { DECISION_VALID_MS } from '../consent/settle-calls.ts'
import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import { placeOfMessageSecret } from '../messages/message-secret.ts'
import { buildRequest, CHANNELS, pathOf, type Content } from '../wechat/channels.ts'
import { BEGUN_TOO_LATE, type CallOutcome, type PlatformClient } from '../wechat/platform-client.ts'
import { codeSpaceOf } from '../wechat/served-account.ts'
import type { BeginDecision, ClaimedMessage, EndedAttempt } from './dispatch-store.ts'
import { endOfCall, type AttemptEnd, type FinishedCall } from './outcome.ts'
import type {
  FindAccountById,
  LookUpCode,
  OpenSealed,
  QuotaReady,
  TemplateRefused,
  TokenAnswer,
  Tokens,
} from './ports.ts'
import {
  fieldsOf,
  reportAttempt,
  reportLater,
  reportNotBegun,
  reportReplanned,
  type ReportParts,
  type Send,
} from './report-send.ts'
import { nextTry, type RetryCause } from './retry-schedule.ts'
import type { WatchedCall } from './watch-calls.ts'

/** What sending one claimed message takes. The three writes are gathered by the dispatcher. */
export interface SendParts extends ReportParts {
  readonly findAccount: FindAccountById
  readonly lookUpCode: LookUpCode
  readonly tokens: Tokens
  readonly openSealed: OpenSealed
  readonly client: Pick<PlatformClient, 'call'>
  /** Whether the message may be sent by what holds now; nothing is written. */
  readonly isAllowed: (message: ClaimedMessage) => Promise<boolean>
  readonly begin: (messageId: string) => Promise<BeginDecision>
  /** Answers what the message has become: an early receipt may have said more than the call. */
  readonly finish: (ended: EndedAttempt) => Promise<string | null>
  readonly release: (messageId: string, dueAt: Date | null) => Promise<void>
  readonly pause: (message: ClaimedMessage, end: AttemptEnd) => Promise<void>
  /** Told of every call that is over; never throws. */
  readonly watch: (watched: WatchedCall) => Promise<void>
  readonly random: () => number
  readonly templateRefused?: TemplateRefused
  readonly quotaReady?: QuotaReady
}

/** The longest we look away from a message whose token is not to be had; the breaker may end sooner. */
const LONGEST_TOKEN_WAIT_MS = 60_000

/** About one call of the platform; up to twice as long, so that several do not meet again. */
const BUSY_WAIT_MS = 50

/**
 * Sends one claimed message: token, then consent and attempt in one statement, then at once the
 * platform call, then its outcome with all that follows.
 *
 * @param leave gives the place back to the next call; this one is over before it is recorded.
 */
export async function sendClaimed(
  parts: SendParts,
  message: ClaimedMessage,
  leave: () => void,
): Promise<void> {
  const account = await parts.findAccount(message.accountId)
  // accepted while the account was disabled, so that nobody could look what it may send
  const path = account ? pathOf(message.channel, account) : null
  if (!account || path === null)
    return parts.release(message.id, later(parts.clock, LONGEST_TOKEN_WAIT_MS))

  const send: Send = { message, account }
  const token = await prepare(parts, send, path)
  if (token.kind === 'unavailable') return goWithoutToken(parts, send, token)
  const content = contentOf(parts, message)

  const askedMs = parts.clock.monotonicMs()
  const decision = await parts.begin(message.id)
  if (decision.kind !== 'begun') return stopBefore(parts, send, decision)

  const startedAt = parts.clock.now()
  const call = await callInTime(parts, send, { askedMs, accessToken: token.token, content })
  const end = call ? endOfCall(finishedCall(parts, send, { call, startedAt })) : lateDecision(parts)
  await tellTheAccount(parts, send, { end, tokenVersion: token.version })
  leave()
  const { attemptId, number } = decision
  const { id: messageId, accountId, recipient } = message
  const status = await parts.finish({ attemptId, messageId, accountId, recipient, end })
  tellOfTemplate(parts, message, end)
  reportAttempt(parts, send, {
    id: attemptId,
    number,
    end,
    status: status ?? end.status,
    startedAt,
  })
}

/** The gate has not opened: what that means for the message is recorded already. */
async function stopBefore(
  parts: SendParts,
  send: Send,
  decision: Exclude<BeginDecision, { kind: 'begun' }>,
): Promise<void> {
  if (decision.kind === 'busy') return waitForPerson(parts, send.message)
  if (decision.kind === 'replanned') return reportReplanned(parts, send, decision)
  if (decision.kind === 'later') return reportLater(parts, send, decision)
  reportNotBegun(parts, send, decision)
}

/** A refused template is looked at beside the sending; what follows for the message is recorded. */
function tellOfTemplate(
  { templateRefused }: SendParts,
  { accountId, channel, templateId }: ClaimedMessage,
  { cause, errcode }: AttemptEnd,
): void {
  if (cause !== 'template' || templateId === null) return
  templateRefused?.({ accountId, channel, templateId, errcode })
}

/** Everything that may take its time: it comes before the decision, which does not keep. */
async function prepare(parts: SendParts, send: Send, path: string): Promise<TokenAnswer> {
  const token = await credentialFor(parts, send)
  if (token.kind === 'token') await parts.quotaReady?.(send.account.id, path)
  return token
}

/** What the call is made with: the account's token, or the key that a group robot's message brought. */
async function credentialFor(parts: SendParts, { message, account }: Send): Promise<TokenAnswer> {
  if (CHANNELS[message.channel].credential === 'key') {
    const key = secretOf(parts, message)
    return key === null
      ? { kind: 'unavailable', reason: 'no_robot_key', until: message.expiresAt }
      : { kind: 'token', token: key, version: '0' }
  }
  // after a refusal this process may still remember the token that another one has replaced
  const reread = message.earlier.at(-1)?.cause === 'token'
  return parts.tokens.getToken(account, { reread })
}

function secretOf({ openSealed }: SendParts, message: ClaimedMessage): string | null {
  const { id, sealedSecret } = message
  return sealedSecret === null ? null : openSealed(sealedSecret, placeOfMessageSecret(id))
}

/** The content as it is sent: a welcome code is in it only here. */
function contentOf(parts: SendParts, message: ClaimedMessage): Content {
  if (message.channel !== 'wecom_welcome_message') return message.content
  return { ...message.content, welcome_code: secretOf(parts, message) }
}

/**
 * Makes the call, unless the decision has grown too old: an opt-out that came after it waits only
 * for calls that began within the decision's validity (promise P4).
 */
async function callInTime(
  parts: SendParts,
  { message, account }: Send,
  begun: { readonly askedMs: number; readonly accessToken: string; readonly content: Content },
): Promise<CallOutcome | null> {
  const { clock, metrics } = parts
  const startedMs = clock.monotonicMs()
  if (startedMs - begun.askedMs > DECISION_VALID_MS) return null
  const request = buildRequest({
    channel: message.channel,
    account,
    to: message.recipient,
    content: begun.content,
    clientMsgId: message.id,
  })
  const outcome = await parts.client.call({
    ...request,
    accessToken: begun.accessToken,
    beginBeforeMs: begun.askedMs + DECISION_VALID_MS,
  })
  const latencyMs = clock.monotonicMs() - startedMs
  metrics.attemptSeconds.observe({ channel: message.channel }, latencyMs / 1000)
  await parts.watch({
    account,
    channel: message.channel,
    call: outcome,
    latencyMs,
    onTrial: message.onTrial,
  })
  return outcome.kind === 'not_sent' && outcome.reason === BEGUN_TOO_LATE ? null : outcome
}

/**
 * What an answer says about the account: a dead token, a channel that rests. Told before the message
 * is due again, so that its next try meets it; but the answer itself is recorded whatever happens.
 */
async function tellTheAccount(
  parts: SendParts,
  send: Send,
  told: { readonly end: AttemptEnd; readonly tokenVersion: string },
): Promise<void> {
  try {
    if (told.end.tokenRejected) await parts.tokens.reportRejected(send.account, told.tokenVersion)
    if (told.end.pause) await parts.pause(send.message, told.end)
  } catch (error) {
    parts.log.error({ ...fieldsOf(send), error: describeError(error) }, 'dispatch.account_not_told')
  }
}

function finishedCall(
  { clock, random, lookUpCode }: SendParts,
  { message, account }: Send,
  { call, startedAt }: { readonly call: CallOutcome; readonly startedAt: Date },
): FinishedCall {
  return {
    channel: message.channel,
    templateId: message.templateId,
    consentScope: message.consentScope,
    recipient: message.recipient,
    space: codeSpaceOf(account),
    meaningOf: (errcode) => lookUpCode(account, errcode),
    call,
    startedAt,
    now: clock.now(),
    triesFor: (cause: RetryCause) =>
      message.earlier.filter((attempt) => attempt.cause === cause).length + 1,
    firstAttemptAt: message.earlier[0]?.startedAt ?? startedAt,
    expiresAt: message.expiresAt,
    random: random(),
  }
}

/** The process was held up between the decision and the call: nothing was sent; ask again. */
function lateDecision({ clock }: SendParts): AttemptEnd {
  return {
    outcome: 'retry',
    status: 'queued',
    reason: 'late_decision',
    dueAt: nextTry({ cause: 'late_decision', tries: 1, now: clock.now(), random: 0 }),
    errcode: null,
    isUnknownCode: false,
    errmsg: null,
    httpStatus: null,
    rid: null,
    msgid: null,
    credit: 'returned',
    changes: [],
    pause: null,
    tokenRejected: false,
    cause: 'late_decision',
  }
}

/**
 * Without a token nothing is sent. A tenant that left has none for ever, so its messages are not to
 * wait for one: what the gate forbids is blocked with its reason.
 */
async function goWithoutToken(
  parts: SendParts,
  send: Send,
  token: { readonly reason: string; readonly until: Date },
): Promise<void> {
  const { message, account } = send
  const mayWait = account.parentId === null || (await parts.isAllowed(message))
  const decision = mayWait ? null : await parts.begin(message.id)
  if (decision === null) return waitForToken(parts, send, token)
  if (decision.kind !== 'begun') return stopBefore(parts, send, decision)
  const { id: messageId, accountId, recipient } = message
  // Allowed again in this very instant: the next try waits like the others.
  const end = lateDecision(parts)
  await parts.finish({ attemptId: decision.attemptId, messageId, accountId, recipient, end })
}

async function waitForToken(
  parts: SendParts,
  send: Send,
  token: { readonly reason: string; readonly until: Date },
): Promise<void> {
  const latest = later(parts.clock, LONGEST_TOKEN_WAIT_MS)
  const dueAt = token.until < latest ? token.until : latest
  parts.log.warn(
    { ...fieldsOf(send), reason: token.reason, due_at: dueAt },
    'dispatch.waits_for_token',
  )
  await parts.release(send.message.id, dueAt)
}

/** Another message to this person is on its way; its answer may decide about this one. */
function waitForPerson(parts: SendParts, message: ClaimedMessage): Promise<void> {
  const waitMs = BUSY_WAIT_MS * (1 + parts.random())
  return parts.release(message.id, later(parts.clock, waitMs))
}

function later(clock: Clock, ms: number): Date {
  return new Date(clock.now().getTime() + ms)
}
