import type { Delivery } from '../delivery/delivery.ts'
import type { Endpoint } from '../delivery/endpoint.ts'
import type { Endpoints, EndpointWithSecret } from '../delivery/manage-endpoints.ts'
import { isId } from '../foundation/ids.ts'
import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import { decodeCursor, pageOf } from './cursor.ts'
import { param, type Answer, type Call, type Route } from './route.ts'
import { deliveryQuery, endpointQuery } from './schemas.ts'

export interface EndpointRouteDeps {
  readonly endpoints: Endpoints
}

/** Where an application wants to be told what happens, and what became of telling it. */
export function endpointRoutes(deps: EndpointRouteDeps): readonly Route[] {
  return [...managingRoutes(deps), ...deliveryRoutes(deps)]
}

function managingRoutes({ endpoints }: EndpointRouteDeps): readonly Route[] {
  return [
    {
      method: 'post',
      path: '/v1/endpoints',
      operationId: 'createEndpoint',
      summary: 'Name an address for events or replies; its signing secret is shown this once',
      body: 'NewEndpoint',
      answer: { status: 201, schema: 'EndpointWithSecret' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: async (call) => {
        const added = await endpoints.add(call.application, call.body)
        logAct(call, added.endpoint, 'added')
        const location = `/v1/endpoints/${added.endpoint.id}`
        return { status: 201, body: secretBody(added), headers: { location } }
      },
    },
    {
      method: 'get',
      path: '/v1/endpoints',
      operationId: 'listEndpoints',
      summary: 'Endpoints, newest first',
      query: endpointQuery,
      answer: { status: 200, schema: 'EndpointList' },
      problems: [400, 404, 503],
      handle: (call) => getEndpoints(endpoints, call),
    },
    {
      method: 'get',
      path: '/v1/endpoints/{id}',
      operationId: 'getEndpoint',
      summary: 'One endpoint',
      answer: { status: 200, schema: 'Endpoint' },
      problems: [404, 503],
      handle: async (call) => ({
        status: 200,
        body: endpointBody(await endpoints.find(call.application, param(call, 'id'))),
      }),
    },
    {
      method: 'patch',
      path: '/v1/endpoints/{id}',
      operationId: 'changeEndpoint',
      summary: 'Change the address or the kinds of events, or switch it off and on, or pause it',
      body: 'EndpointChange',
      answer: { status: 200, schema: 'Endpoint' },
      problems: [400, 404, 413, 415, 503],
      handle: async (call) => {
        const changed = await endpoints.change(call.application, param(call, 'id'), call.body)
        logAct(call, changed, 'changed')
        return { status: 200, body: endpointBody(changed) }
      },
    },
    {
      method: 'delete',
      path: '/v1/endpoints/{id}',
      operationId: 'removeEndpoint',
      summary: 'Remove an endpoint; answers it as it was',
      answer: { status: 200, schema: 'Endpoint' },
      problems: [404, 503],
      handle: async (call) => {
        const removed = await endpoints.remove(call.application, param(call, 'id'))
        logAct(call, removed, 'removed')
        return { status: 200, body: endpointBody(removed) }
      },
    },
    {
      method: 'post',
      path: '/v1/endpoints/{id}/rotate-secret',
      operationId: 'rotateEndpointSecret',
      summary: 'A new signing secret, shown this once; the one before signs too for a day',
      answer: { status: 200, schema: 'EndpointWithSecret' },
      problems: [404, 503],
      handle: async (call) => {
        const rotated = await endpoints.rotate(call.application, param(call, 'id'))
        logAct(call, rotated.endpoint, 'rotated')
        return { status: 200, body: secretBody(rotated) }
      },
    },
  ]
}

function deliveryRoutes({ endpoints }: EndpointRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/endpoints/{id}/deliveries',
      operationId: 'listDeliveries',
      summary: 'What was, or is to be, delivered to an endpoint, newest first',
      query: deliveryQuery,
      answer: { status: 200, schema: 'DeliveryList' },
      problems: [400, 404, 503],
      handle: (call) => getDeliveries(endpoints, call),
    },
    {
      method: 'post',
      path: '/v1/endpoints/{id}/deliveries/{delivery}/retry',
      operationId: 'retryDelivery',
      summary: 'Deliver once more, with all tries anew and the same webhook-id',
      answer: { status: 202, schema: 'Delivery' },
      problems: [404, 409, 503],
      handle: async (call) => {
        const [id, delivery] = [param(call, 'id'), param(call, 'delivery')]
        const retried = await endpoints.retry(call.application, id, delivery)
        return { status: 202, body: deliveryBody(retried) }
      },
    },
  ]
}

async function getEndpoints(endpoints: Endpoints, call: Call): Promise<Answer> {
  const query = readInput(endpointQuery, call.query, 'invalid_query')
  const found = await endpoints.list(call.application, {
    accountId:
      query.account === undefined ? undefined : accountOf(call.application, query.account).id,
    beforeId: query.cursor === undefined ? undefined : decodeCursor(query.cursor, isId),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = pageOf(found, query.limit)
  return { status: 200, body: { endpoints: page.map(endpointBody), next_cursor: nextCursor } }
}

async function getDeliveries(endpoints: Endpoints, call: Call): Promise<Answer> {
  const query = readInput(deliveryQuery, call.query, 'invalid_query')
  const found = await endpoints.deliveries(call.application, param(call, 'id'), {
    status: query.status,
    beforeId: query.cursor === undefined ? undefined : decodeCursor(query.cursor, isId),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = pageOf(found, query.limit)
  return { status: 200, body: { deliveries: page.map(deliveryBody), next_cursor: nextCursor } }
}

function logAct(
  call: Call,
  { id, account, purpose }: Endpoint,
  act: 'added' | 'changed' | 'removed' | 'rotated',
): void {
  const application = call.application.name
  call.log.info({ endpoint_id: id, application, account, purpose, act }, 'endpoint.managed')
}

/** An endpoint as applications and operators see it. */
export function endpointBody(endpoint: Endpoint) {
  return {
    id: endpoint.id,
    application: endpoint.application,
    account: endpoint.account,
    purpose: endpoint.purpose,
    url: endpoint.url,
    events: endpoint.events,
    created_at: endpoint.createdAt,
    updated_at: endpoint.updatedAt,
    disabled_at: endpoint.disabledAt,
    disabled_reason: endpoint.disabledReason,
    paused_at: endpoint.pausedAt,
    paused_reason: endpoint.pausedReason,
    failing_since: endpoint.failingSince,
    previous_secret_until: endpoint.previousSecretUntil,
  }
}

/** The same with the secret, which nothing else ever shows. */
export function secretBody({ endpoint, secret }: EndpointWithSecret) {
  return { ...endpointBody(endpoint), secret }
}

function deliveryBody(delivery: Delivery) {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    event_id: delivery.eventId,
    message_id: delivery.messageId,
    broadcast_id: delivery.broadcastId,
    status: delivery.status,
    attempt_count: delivery.attemptCount,
    http_status: delivery.httpStatus,
    reason: delivery.reason,
    created_at: delivery.createdAt,
    next_attempt_at: delivery.nextAttemptAt,
    finished_at: delivery.finishedAt,
  }
}
