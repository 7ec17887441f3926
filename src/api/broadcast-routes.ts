import type { Clock } from '../foundation/clock.ts'
import { isId } from '../foundation/ids.ts'
import type { FindSender } from '../messages/account-fit.ts'
import { reportCsv, reportPages } from '../messages/broadcast-report.ts'
import type { BroadcastStore } from '../messages/broadcast-store.ts'
import type { Broadcast, BroadcastProgress } from '../messages/broadcast.ts'
import type { Callbacks } from '../messages/callback-url.ts'
import { accountIdsOf, accountOf } from '../messages/caller.ts'
import {
  cancelBroadcast,
  pauseBroadcast,
  resumeBroadcast,
  type ChangeBroadcastDeps,
} from '../messages/change-broadcast.ts'
import {
  createAudienceBroadcast,
  createListedBroadcast,
  type AcceptedBroadcast,
} from '../messages/create-broadcast.ts'
import { findBroadcast, showBroadcast } from '../messages/find-broadcast.ts'
import { readInput } from '../messages/input-faults.ts'
import type { FindTemplates } from '../templates/resolve-template.ts'
import { decodeCursor, pageOf } from './cursor.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { param, type Answer, type Call, type Route, type RouteFacts } from './route.ts'
import { broadcastQuery } from './schemas.ts'
import { parseStrictJson } from './strict-json.ts'

export interface BroadcastRouteDeps {
  readonly broadcasts: BroadcastStore
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  readonly callbacks: Callbacks
  readonly clock: Clock
  /** How long a broadcast without `expires_at` may go on after it became due. */
  readonly lifetimeHours: number
}

/** Asking for sends to many, and asking how far they have come. */
export function broadcastRoutes(deps: BroadcastRouteDeps): readonly Route[] {
  return [
    {
      method: 'post',
      path: '/v1/broadcasts',
      operationId: 'createBroadcast',
      summary: 'Send to many: to listed recipients (lines), or to an audience (JSON)',
      body: 'AudienceBroadcast',
      lines: { first: 'BroadcastHead', others: 'BroadcastLine' },
      idempotent: true,
      answer: { status: 202, schema: 'AcceptedBroadcast' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: (call) => postBroadcast(deps, call),
    },
    {
      method: 'get',
      path: '/v1/broadcasts',
      operationId: 'listBroadcasts',
      summary: 'Broadcasts, newest first',
      query: broadcastQuery,
      answer: { status: 200, schema: 'BroadcastList' },
      problems: [400, 404, 503],
      handle: (call) => getBroadcasts(deps, call),
    },
    {
      method: 'get',
      path: '/v1/broadcasts/{id}',
      operationId: 'getBroadcast',
      summary: 'How far a broadcast has come',
      answer: { status: 200, schema: 'BroadcastProgress' },
      problems: [404, 503],
      handle: (call) => getBroadcast(deps, call),
    },
    {
      method: 'get',
      path: '/v1/broadcasts/{id}/report',
      operationId: 'getBroadcastReport',
      summary: 'Every recipient with what became of their message, as CSV',
      answer: { status: 200, schema: 'BroadcastReport', type: 'text/csv' },
      problems: [404, 503],
      handle: (call) => getReport(deps, call),
    },
    changeRoute(deps, {
      path: '/v1/broadcasts/{id}/pause',
      operationId: 'pauseBroadcast',
      summary: 'Hold a broadcast: nothing else of it begins until it is resumed',
      change: pauseBroadcast,
    }),
    changeRoute(deps, {
      path: '/v1/broadcasts/{id}/resume',
      operationId: 'resumeBroadcast',
      summary: 'Go on with a paused broadcast',
      change: resumeBroadcast,
    }),
    changeRoute(deps, {
      path: '/v1/broadcasts/{id}/cancel',
      operationId: 'cancelBroadcast',
      summary: 'End a broadcast for good',
      change: cancelBroadcast,
    }),
  ]
}

type Change = (
  deps: ChangeBroadcastDeps,
  wanted: { readonly caller: Call['application']; readonly id: string },
) => Promise<Broadcast>

function changeRoute(
  deps: BroadcastRouteDeps,
  facts: Pick<RouteFacts, 'path' | 'operationId' | 'summary'> & { readonly change: Change },
): Route {
  const { change, ...named } = facts
  return {
    ...named,
    method: 'post',
    answer: { status: 200, schema: 'Broadcast' },
    problems: [404, 409, 503],
    handle: async (call) => {
      const broadcast = await change({ store: deps.broadcasts, log: call.log }, wantedBy(call))
      return { status: 200, body: broadcastBody(broadcast) }
    },
  }
}

async function postBroadcast(deps: BroadcastRouteDeps, call: Call): Promise<Answer> {
  const { clock, findSender, findTemplates, callbacks, lifetimeHours } = deps
  const found = { findSender, findTemplates, callbacks }
  const parts = { store: deps.broadcasts, clock, ...found, lifetimeHours, log: call.log }
  const asked = {
    caller: call.application,
    idempotencyKey: readIdempotencyKey(call.idempotencyKey),
  }
  const accepted = call.lines
    ? await createListedBroadcast(parts, { ...asked, chunks: call.lines, parse: parseStrictJson })
    : await createAudienceBroadcast(parts, { ...asked, body: call.body })
  return {
    status: 202,
    body: acceptedBody(accepted),
    headers: {
      location: `/v1/broadcasts/${accepted.broadcast.id}`,
      ...(accepted.replayed && { 'idempotent-replayed': 'true' }),
    },
  }
}

async function getBroadcasts(deps: BroadcastRouteDeps, call: Call): Promise<Answer> {
  const query = readInput(broadcastQuery, call.query, 'invalid_query')
  const found = await deps.broadcasts.list({
    accountIds:
      query.account === undefined
        ? accountIdsOf(call.application)
        : [accountOf(call.application, query.account).id],
    beforeId: query.cursor === undefined ? undefined : decodeCursor(query.cursor, isId),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = pageOf(found, query.limit)
  return { status: 200, body: { broadcasts: page.map(broadcastBody), next_cursor: nextCursor } }
}

async function getBroadcast(deps: BroadcastRouteDeps, call: Call): Promise<Answer> {
  const parts = { store: deps.broadcasts, clock: deps.clock }
  return { status: 200, body: progressBody(await showBroadcast(parts, wantedBy(call))) }
}

async function getReport(deps: BroadcastRouteDeps, call: Call): Promise<Answer> {
  const broadcast = await findBroadcast(deps.broadcasts, wantedBy(call))
  call.log.info(
    { broadcast_id: broadcast.id, application: call.application.name },
    'broadcast.report_read',
  )
  return {
    status: 200,
    text: reportCsv(reportPages(deps.broadcasts, broadcast)),
    headers: {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="broadcast-${broadcast.id}.csv"`,
      'x-content-type-options': 'nosniff',
    },
  }
}

function wantedBy(call: Call) {
  return { caller: call.application, id: param(call, 'id') }
}

function acceptedBody({ broadcast, badLines }: AcceptedBroadcast) {
  return { ...broadcastBody(broadcast), bad_lines: badLines }
}

/** A broadcast as applications see it, in the list and on the command line. */
export function broadcastBody(broadcast: Broadcast) {
  return {
    id: broadcast.id,
    account: broadcast.account,
    name: broadcast.name,
    purpose: broadcast.purpose,
    channel: broadcast.channel,
    template_id: broadcast.templateId,
    audience: broadcast.audienceScope === null ? null : { scope: broadcast.audienceScope },
    status: broadcast.status,
    reason: broadcast.reason,
    until: broadcast.until,
    lines: broadcast.lines,
    send_at: broadcast.sendAt,
    expires_at: broadcast.expiresAt,
    created_at: broadcast.createdAt,
    started_at: broadcast.startedAt,
    finished_at: broadcast.finishedAt,
  }
}

/** A broadcast with its counts, rate and estimated end. */
export function progressBody(progress: BroadcastProgress) {
  return {
    ...broadcastBody(progress),
    messages: progress.messages,
    rate_per_second:
      progress.ratePerSecond === null ? null : Math.round(progress.ratePerSecond * 10) / 10,
    estimated_end_at: progress.estimatedEndAt,
  }
}

/** What is posted when a broadcast has ended; `type` tells it from the result of a message. */
export function broadcastEndBody(progress: BroadcastProgress) {
  return {
    type: 'broadcast.finished',
    ...progressBody(progress),
    report: `/v1/broadcasts/${progress.id}/report`,
  }
}
