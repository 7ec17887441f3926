import type { EventFilter, StoredEvent } from '../events/event-store.ts'
import { accountIdsOf, accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import { decodeCursor, pageOf } from './cursor.ts'
import type { Answer, Call, Route } from './route.ts'
import { eventQuery } from './schemas.ts'

export interface EventRouteDeps {
  /** Newest first when no `afterId` is given. */
  readonly listEvents: (filter: EventFilter) => Promise<readonly StoredEvent[]>
}

/** What the platform said. */
export function eventRoutes(deps: EventRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/events',
      operationId: 'listEvents',
      summary: 'The event log, newest first',
      query: eventQuery,
      answer: { status: 200, schema: 'EventList' },
      problems: [400, 404, 503],
      handle: (call) => getEvents(deps, call),
    },
  ]
}

async function getEvents(deps: EventRouteDeps, call: Call): Promise<Answer> {
  const query = readInput(eventQuery, call.query, 'invalid_query')
  const withDocument = query.include === 'document'
  const found = await deps.listEvents({
    accountIds:
      query.account === undefined
        ? accountIdsOf(call.application)
        : [accountOf(call.application, query.account).id],
    ...(query.kind !== undefined && { kind: query.kind }),
    ...(query.subject !== undefined && { subject: query.subject }),
    ...(query.cursor !== undefined && { beforeId: decodeCursor(query.cursor, isEventId) }),
    withDocument,
    limit: query.limit + 1,
  })
  const { page, nextCursor } = pageOf(found, query.limit)
  const events = page.map((event) => eventBody(event, withDocument))
  return { status: 200, body: { events, next_cursor: nextCursor } }
}

/** The database's own number for an event, at most 2^63 − 1. */
function isEventId(text: string): boolean {
  return /^[1-9][0-9]{0,17}$/.test(text)
}

/** An event as applications see it, in the list and in what is delivered to them. */
export function eventBody(event: StoredEvent, withDocument: boolean) {
  return {
    id: event.id,
    account: event.account,
    kind: event.kind,
    name: event.name,
    subject: event.subject,
    occurred_at: event.occurredAt,
    received_at: event.receivedAt,
    erased_at: event.erasedAt,
    ...(withDocument && { document: event.document ?? '' }),
  }
}
