import { addJob } from '../database/job-queue.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { deliverJob } from './delivery-job.ts'
import {
  claimDeliveries,
  dropDeliveries,
  endDeliveries,
  nextDueAt,
  type ClaimedDelivery,
  type DeliveryEnd,
} from './delivery-store.ts'
import { decideFate, type Answer, type Fate } from './delivery.ts'
import { judgeHealth } from './endpoint-health.ts'
import { changeEndpoint, findReceiver, placeOfSecret, type Receiver } from './endpoint-store.ts'
import { markFailing, pauseFailing } from './pause-store.ts'
import { readTold, type Told, type ToldParts } from './read-told.ts'
import { signatureHeaders } from './sign-delivery.ts'
import type { WebhookClient } from './webhook-client.ts'

export interface DeliverParts extends ToldParts {
  readonly box: SecretBox
  readonly log: Log
  readonly metrics: Metrics
  readonly client: Pick<WebhookClient, 'post'>
  /** How long an endpoint may take nothing before it is paused; 0: for ever. */
  readonly patienceDays: number
}

/** Delivers what is due; see `createCourier`. */
export interface Courier {
  deliver(endpointId: string, signal: AbortSignal): Promise<void>
}

/** Taken at once, and posted at once to one endpoint by one process. */
const BATCH = 16
/** Above everything a batch may take. Of a process that died they are tried again after this. */
const LEASE_SECONDS = 60
/** From connecting to the last byte of an answer. */
const POST_TIMEOUT_MS = 15_000
/** Of an answer only its status counts. */
const ANSWER_BYTES = 16 * 1024
/** So long a job may go on; then another one does, behind those of other rooms. */
const TURN_MS = 10_000
/** Endpoints at once in one process: half of the jobs at once, so that other jobs have places too. */
const MAX_ENDPOINTS = 16
const PUT_OFF_MS = 1_000
const DROP_SLICE = 5_000

/**
 * Delivers to one endpoint at a time by as many processes as have a job for it, each with its own
 * batches. Within a process an endpoint has one turn at a time: one that hangs costs its own turn and
 * nobody else's.
 */
export function createCourier(parts: DeliverParts): Courier {
  const { db, clock } = parts
  /** The endpoints that have a turn, and whether somebody asked for another one meanwhile. */
  const turns = new Map<string, { again: boolean }>()

  async function takeTurns(endpointId: string, signal: AbortSignal): Promise<void> {
    const turn = { again: true }
    turns.set(endpointId, turn)
    const untilMs = clock.monotonicMs() + TURN_MS
    const isOver = () => signal.aborted || clock.monotonicMs() >= untilMs
    try {
      while (turn.again && !isOver()) {
        turn.again = false
        const left = await deliverBatches(parts, endpointId, { signal, isOver })
        if (left === 'changed') turn.again = true
      }
    } finally {
      turns.delete(endpointId)
    }
  }

  return {
    async deliver(endpointId, signal) {
      const turn = turns.get(endpointId)
      if (turn) {
        turn.again = true
        return
      }
      const now = clock.now()
      if (turns.size >= MAX_ENDPOINTS) {
        return addJob(db, deliverJob(endpointId, new Date(now.getTime() + PUT_OFF_MS)))
      }
      await takeTurns(endpointId, signal)
      const dueAt = await nextDueAt(db, endpointId)
      if (dueAt) await addJob(db, deliverJob(endpointId, dueAt))
    },
  }
}

/** @returns `changed` where the endpoint is not what it was read as, and is to be read anew. */
async function deliverBatches(
  parts: DeliverParts,
  endpointId: string,
  turn: { readonly signal: AbortSignal; readonly isOver: () => boolean },
): Promise<'done' | 'changed'> {
  const receiver = await findReceiver(parts.db, endpointId)
  if (!receiver || receiver.disabled) {
    await dropAll(parts, endpointId, receiver)
    return 'done'
  }
  if (receiver.paused) return 'done'
  const secrets = openSecrets(parts.box, receiver)
  while (!turn.isOver()) {
    const claim = { limit: BATCH, leaseSeconds: LEASE_SECONDS }
    const claimed = await claimDeliveries(parts.db, endpointId, claim)
    if (claimed.length === 0) break
    const documents = await readTold(parts, claimed)
    const ended = await Promise.all(
      claimed.map((delivery) =>
        deliverOne(parts, { receiver, secrets, delivery, signal: turn.signal, documents }),
      ),
    )
    await endDeliveries(
      parts.db,
      endpointId,
      ended.map(({ end }) => end),
    )
    if (ended.some(({ isGone }) => isGone)) {
      await leaveEndpoint(parts, receiver)
      break
    }
    if ((await noteHealth(parts, receiver, ended)) === 'changed') return 'changed'
  }
  return 'done'
}

/** @returns whether the endpoint is not what it was. */
async function noteHealth(
  parts: DeliverParts,
  receiver: Receiver,
  ended: readonly Ended[],
): Promise<'same' | 'changed'> {
  const { db, clock, patienceDays } = parts
  const { id, failingSince } = receiver
  const tried = ended.filter(({ end }) => end.tries === 1)
  const failed = tried.filter(({ end }) => end.status !== 'delivered')
  const batch = {
    delivered: tried.length - failed.length,
    failed: failed.length,
    furthestTry: Math.max(0, ...failed.map(({ attempt }) => attempt)),
  }
  const now = clock.now()
  switch (judgeHealth({ failingSince, patienceDays }, batch, now)) {
    case 'unchanged':
      return 'same'
    case 'recovered':
      await markFailing(db, id, null)
      return 'changed'
    case 'failing':
      await markFailing(db, id, now)
      return 'changed'
    case 'pause':
      if (failingSince) await restEndpoint(parts, receiver, failingSince)
      return 'changed'
  }
}

async function restEndpoint(
  { db, log }: DeliverParts,
  { id, application, purpose }: Receiver,
  since: Date,
): Promise<void> {
  if (!(await pauseFailing(db, id, since))) return
  log.warn({ endpoint_id: id, application, purpose, reason: 'failing', since }, 'endpoint.paused')
}

interface OneDelivery {
  readonly receiver: Receiver
  readonly secrets: readonly string[]
  readonly delivery: ClaimedDelivery
  readonly documents: ReadonlyMap<string, Told>
  readonly signal: AbortSignal
}

interface Ended {
  readonly end: DeliveryEnd
  /** Which try of the delivery it was. */
  readonly attempt: number
  readonly isGone: boolean
}

async function deliverOne(parts: DeliverParts, one: OneDelivery): Promise<Ended> {
  const { receiver, delivery, documents } = one
  const told = documents.get(delivery.id)
  const attempt = delivery.attemptCount + 1
  const url = told?.url ?? receiver.url
  if (!told || url === null) {
    report(parts, one, { outcome: 'dropped', reason: 'not_on_record' })
    const end = { status: 'dropped', dueAt: null, tries: 0, httpStatus: null } as const
    return { end: { id: delivery.id, ...end, reason: 'not_on_record' }, attempt, isGone: false }
  }
  const startedMs = parts.clock.monotonicMs()
  const { id } = delivery
  const headers = signatureHeaders({ id, body: told.body, now: parts.clock.now() }, one.secrets)
  const { signal } = one
  const limits = { timeoutMs: POST_TIMEOUT_MS, answerBytes: ANSWER_BYTES, signal }
  const answer = await parts.client.post({ url, headers, body: told.body, ...limits })
  if (answer.kind === 'interrupted') return { end: givenBack(parts, id), attempt, isGone: false }
  const fate = decideFate(answer, attempt)
  const durationMs = Math.round(parts.clock.monotonicMs() - startedMs)
  report(parts, one, { ...outcomeOf(fate), answer, durationMs })
  return {
    end: endOf(parts, id, { fate, answer }),
    attempt,
    isGone: fate.status === 'failed' && fate.isGone,
  }
}

/** Nothing is known about a call that our own stop cut off: it is made again, and counts as none. */
function givenBack({ clock }: DeliverParts, id: string): DeliveryEnd {
  const unchanged = { status: 'waiting', tries: 0, httpStatus: null, reason: null } as const
  return { id, ...unchanged, dueAt: clock.now() }
}

function endOf(
  { clock }: DeliverParts,
  id: string,
  { fate, answer }: { readonly fate: Fate; readonly answer: Answer },
): DeliveryEnd {
  const dueAt = fate.status === 'waiting' ? new Date(clock.now().getTime() + fate.afterMs) : null
  return {
    id,
    status: fate.status,
    dueAt,
    tries: 1,
    httpStatus: answer.kind === 'answer' ? answer.httpStatus : null,
    reason: fate.status === 'delivered' ? null : fate.reason,
  }
}

function outcomeOf(fate: Fate) {
  return fate.status === 'delivered'
    ? { outcome: 'delivered' as const, reason: undefined }
    : {
        outcome: fate.status === 'waiting' ? ('retried' as const) : ('failed' as const),
        reason: fate.reason,
      }
}

function report(
  { log, metrics }: DeliverParts,
  { receiver, delivery }: OneDelivery,
  told: {
    readonly outcome: 'delivered' | 'retried' | 'failed' | 'dropped'
    readonly reason: string | undefined
    readonly answer?: Answer
    readonly durationMs?: number
  },
): void {
  const { outcome, reason, answer, durationMs } = told
  metrics.deliveries.inc({ purpose: receiver.purpose, outcome })
  const level = outcome === 'failed' ? 'warn' : 'info'
  log[level](
    {
      endpoint_id: receiver.id,
      application: receiver.application,
      delivery_id: delivery.id,
      event_id: delivery.eventId ?? undefined,
      message_id: delivery.messageId ?? undefined,
      broadcast_id: delivery.broadcastId ?? undefined,
      outcome,
      reason,
      http_status: answer?.kind === 'answer' ? answer.httpStatus : undefined,
      attempt: delivery.attemptCount + 1,
      duration_ms: durationMs,
    },
    'delivery.attempted',
  )
}

/** 410: the receiver wants nothing any more. */
async function leaveEndpoint(parts: DeliverParts, receiver: Receiver): Promise<void> {
  await changeEndpoint(parts.db, receiver.id, { disabledReason: 'gone' })
  const { id, application, purpose } = receiver
  parts.log.warn({ endpoint_id: id, application, purpose, reason: 'gone' }, 'endpoint.disabled')
  await dropAll(parts, id, receiver)
}

async function dropAll(
  { db, metrics }: DeliverParts,
  endpointId: string,
  receiver: Receiver | undefined,
): Promise<void> {
  let dropped = DROP_SLICE
  while (dropped === DROP_SLICE) {
    dropped = await dropDeliveries(db, endpointId, DROP_SLICE)
    const labels = { purpose: receiver?.purpose ?? 'events', outcome: 'dropped' }
    if (dropped > 0) metrics.deliveries.inc(labels, dropped)
  }
}

/** The secrets that sign for an endpoint now. */
export function openSecrets(
  box: SecretBox,
  { id, sealedSecret, previousSecret }: Receiver,
): readonly string[] {
  const sealed = previousSecret === null ? [sealedSecret] : [sealedSecret, previousSecret]
  return sealed.map((one) => box.open(one, placeOfSecret(id)))
}
