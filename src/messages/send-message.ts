import type { Clock } from '../foundation/clock.ts'
import {
  AppError,
  ConflictError,
  InvalidInputError,
  UnavailableError,
} from '../foundation/errors.ts'
import { newId, personMark } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { AccountTemplates, FindTemplates } from '../templates/resolve-template.ts'
import { refuseMisfits, type FindSender } from './account-fit.ts'
import { accountOf, type Caller } from './caller.ts'
import { prepareCallback, type Callbacks } from './callback-url.ts'
import { planChannel } from './channel-plan.ts'
import type { DecideSend } from './check-send.ts'
import { consentScopeOf } from './consent-scope.ts'
import { placeOfMessageSecret, robotOf, takeSecret, type Seal } from './message-secret.ts'
import type { MessageStore } from './message-store.ts'
import { firstStatus, type Message, type NewMessage } from './message.ts'
import { findQuietEnd, type FindLimits } from './send-limit.ts'
import { resolveWays, type ResolvedRequest } from './resolve-ways.ts'
import {
  AUTO,
  digestOf,
  planSchedule,
  readSendRequest,
  waysOf,
  type AutoRequest,
  type SendRequest,
} from './send-request.ts'
import { alreadyUsed, useWelcomeCode, type FindWelcomeCode } from './use-welcome-code.ts'

export interface SendDeps {
  readonly store: Pick<MessageStore, 'insert' | 'findByKey'>
  readonly clock: Clock
  readonly log: Log
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  /** Asked only where a message may choose its channel. */
  readonly decide: DecideSend
  /** Asked only about marketing. */
  readonly findLimits: FindLimits
  /** Asked only about a welcome that names its event. */
  readonly findWelcomeCode: FindWelcomeCode
  readonly seal: Seal
  readonly callbacks: Callbacks
  /** How long a message without `expires_at` may wait after it became due. */
  readonly lifetimeHours: number
}

/** The answer to a send: what was stored, as it was at that moment. */
export interface Acceptance {
  readonly id: string
  readonly account: string
  /** Of several, the one that is planned. */
  readonly channel: Message['channel']
  readonly status: 'scheduled' | 'queued'
  readonly sendAt: Date
  readonly expiresAt: Date
  /** The end of the quiet hours that it waits for; beyond `expiresAt` it expires unsent. */
  readonly quietUntil: Date | null
  readonly createdAt: Date
  /** Whether an earlier request with the same Idempotency-Key had already stored it. */
  readonly replayed: boolean
}

/**
 * Accepts one send: reads it, stores it and wakes the workers. The consent is not looked at here but
 * when the message is due, because only then does the answer count. Of several channels (`auto`) the
 * first that is allowed now is planned; the gate takes the next one if it is not allowed any more.
 *
 * @param send.body what the JSON parser returned.
 * @param send.idempotencyKey names this request among the application's own; the same key with the
 *   same request gives the first answer again, however often and wherever it arrives.
 * @throws InvalidInputError `invalid_request`, `channel_not_available`; NotFoundError `account_not_found`; ConflictError
 *   `idempotency_key_reused`, `welcome_code_expired`, `welcome_code_used`
 */
export async function sendMessage(
  deps: SendDeps,
  send: {
    readonly caller: Caller
    readonly body: unknown
    readonly idempotencyKey: string | null
  },
): Promise<Acceptance> {
  const request = readSendRequest(send.body)
  const account = accountOf(send.caller, request.account)
  refuseMisfits(request, await deps.findSender(account.id))
  await prepareCallback(deps.callbacks, send.caller, waysOf(request)[0].callbackUrl)
  const requestDigest = digestOf(request)
  const earlier = () => findEarlier(deps, { ...send, requestDigest })

  const now = deps.clock.now()
  const known = await deps.findTemplates(account.id)
  const plan = await tryPlan(deps, request, { now, known, accountId: account.id })
  if (plan instanceof AppError) {
    // A retry may come when the times of the first try have passed, or its template has changed; it
    // still has its answer.
    return (await earlier()) ?? fail(plan)
  }

  const id = plan.messageId ?? newId(now)
  const { schedule } = plan
  const chosen =
    request.channel === AUTO
      ? await planChannel(deps.decide, plan.ways, { accountId: account.id, at: schedule.sendAt })
      : { request: plan.ways[0], plan: null }
  const place = { id, accountId: account.id, sendAt: schedule.sendAt }
  const message: NewMessage & Pick<Message, 'quietUntil'> = {
    ...(await whatToSend(deps, place, chosen.request)),
    plan: chosen.plan,
    id,
    account,
    applicationId: send.caller.id,
    idempotencyKey: send.idempotencyKey,
    requestDigest,
    sendAt: schedule.sendAt,
    expiresAt: schedule.expiresAt,
    createdAt: now,
  }
  if (await deps.store.insert(message)) {
    logAccepted(deps.log, send.caller, message)
    return acceptanceOf({ ...message, account: account.name }, false)
  }
  return (await earlier()) ?? fail(plan.messageId === null ? interrupted() : alreadyUsed(id))
}

function fail(error: Error): never {
  throw error
}

function interrupted(): UnavailableError {
  return new UnavailableError(
    'request_interrupted',
    'the message stored under this Idempotency-Key was removed at this moment; send the request again',
  )
}

/** What follows from the request and from what is known now; or why it cannot be. */
async function tryPlan(
  { findWelcomeCode, lifetimeHours }: SendDeps,
  asked: SendRequest | AutoRequest,
  given: {
    readonly now: Date
    readonly known: AccountTemplates
    readonly accountId: number
  },
) {
  const { now, known, accountId } = given
  try {
    const { request, messageId } = await useWelcomeCode({ findWelcomeCode, now }, accountId, asked)
    const ways = resolveWays(known, request)
    const schedule = planSchedule(ways[0], { now, lifetimeHours })
    if (schedule.kind === 'planned') return { schedule, ways, messageId }
    return new InvalidInputError('invalid_request', schedule.faults)
  } catch (error) {
    if (error instanceof InvalidInputError || error instanceof ConflictError) return error
    throw error
  }
}

/**
 * The answer that this key has had, when it named the same request.
 *
 * @throws ConflictError `idempotency_key_reused`
 */
async function findEarlier(
  deps: SendDeps,
  send: {
    readonly caller: Caller
    readonly idempotencyKey: string | null
    readonly requestDigest: Buffer
  },
): Promise<Acceptance | undefined> {
  if (send.idempotencyKey === null || send.caller.id === null) return undefined
  const earlier = await deps.store.findByKey(send.caller.id, send.idempotencyKey)
  if (!earlier) return undefined
  if (!earlier.requestDigest.equals(send.requestDigest)) {
    throw new ConflictError(
      'idempotency_key_reused',
      'this Idempotency-Key has been used for another request; use a new key for a new message',
    )
  }
  const { message } = earlier
  return acceptanceOf({ ...message, channel: message.plannedChannel ?? message.channel }, true)
}

async function whatToSend(
  { seal, findLimits }: SendDeps,
  place: { readonly id: string; readonly accountId: number; readonly sendAt: Date },
  request: ResolvedRequest,
) {
  const { to, channel, templateId, purpose, alias } = request
  const { content, secret } = takeSecret(request)
  const sealedSecret = secret === null ? null : seal(secret, placeOfMessageSecret(place.id))
  const consentScope = consentScopeOf(request)
  const isMarketing = request.priority === 'marketing'
  const callbackUrl = request.callbackUrl ?? null
  const quietUntil = await findQuietEnd(findLimits, { ...place, to, channel, isMarketing })
  const asked = { purpose, alias, isMarketing, quietUntil, callbackUrl }
  const robot = robotOf(request)
  return { to, channel, templateId, content, consentScope, sealedSecret, robot, ...asked }
}

/** The first answer follows from what never changes, so a repeat gets it to the letter. */
function acceptanceOf(
  message: Pick<
    Message,
    'id' | 'account' | 'channel' | 'sendAt' | 'expiresAt' | 'quietUntil' | 'createdAt'
  >,
  replayed: boolean,
): Acceptance {
  const { id, account, channel, sendAt, expiresAt, quietUntil, createdAt } = message
  return {
    id,
    account,
    channel,
    status: firstStatus(message),
    sendAt,
    expiresAt,
    quietUntil,
    createdAt,
    replayed,
  }
}

function logAccepted(log: Log, caller: Caller, message: NewMessage): void {
  log.info(
    {
      message_id: message.id,
      application: caller.name,
      account: message.account.name,
      channel: message.channel,
      openid_hash: personMark(message.to),
      status: firstStatus(message),
    },
    'message.accepted',
  )
}
