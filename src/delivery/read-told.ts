import type { Knex } from 'knex'
import { findEvents, type StoredEvent } from '../events/event-store.ts'
import type { Clock } from '../foundation/clock.ts'
import type { BroadcastStore } from '../messages/broadcast-store.ts'
import type { BroadcastProgress } from '../messages/broadcast.ts'
import type { AliasRecord } from '../messages/fallback-store.ts'
import { progressOf } from '../messages/find-broadcast.ts'
import type { MessageStore } from '../messages/message-store.ts'
import type { Attempt, Message } from '../messages/message.ts'
import type { ClaimedDelivery } from './delivery-store.ts'

/** Where what is told is read, and what the API answers about it: the same is delivered. */
export interface ToldParts {
  readonly db: Knex
  readonly clock: Clock
  readonly messages: Pick<MessageStore, 'findWithCallback' | 'attemptsOf' | 'aliasOf'>
  readonly broadcasts: Pick<BroadcastStore, 'findWithCallback' | 'countMessages'>
  readonly eventDocument: (event: StoredEvent) => unknown
  readonly messageDocument: (
    message: Message,
    more: { attempts: readonly Attempt[]; alias: AliasRecord | undefined },
  ) => unknown
  readonly broadcastDocument: (progress: BroadcastProgress) => unknown
}

/** What is told; an address where it brings one of its own. */
export interface Told {
  readonly url: string | null
  readonly body: string
}

/**
 * What is told and where, by the id of the delivery, as it is at this moment; nothing for what is no
 * longer on record.
 */
export async function readTold(
  parts: ToldParts,
  claimed: readonly ClaimedDelivery[],
): Promise<ReadonlyMap<string, Told>> {
  const wanted = claimed.flatMap(({ eventId, eventOccurredAt }) =>
    eventId === null || eventOccurredAt === null
      ? []
      : { id: eventId, occurredAt: eventOccurredAt },
  )
  const found = wanted.length === 0 ? [] : await findEvents(parts.db, wanted)
  const events = new Map(found.map((event) => [event.id, event]))
  const told = new Map<string, Told>()
  for (const { id, eventId, messageId, broadcastId } of claimed) {
    const event = eventId === null ? undefined : events.get(eventId)
    if (event) told.set(id, { url: null, body: JSON.stringify(parts.eventDocument(event)) })
    const message = messageId === null ? undefined : await readMessage(parts, messageId)
    if (message) told.set(id, message)
    const broadcast = broadcastId === null ? undefined : await readBroadcast(parts, broadcastId)
    if (broadcast) told.set(id, broadcast)
  }
  return told
}

async function readMessage(parts: ToldParts, id: string): Promise<Told | undefined> {
  const found = await parts.messages.findWithCallback(id)
  if (!found || found.callbackUrl === null) return undefined
  const attempts = await parts.messages.attemptsOf(id)
  const alias = await parts.messages.aliasOf(id)
  const document = parts.messageDocument(found.message, { attempts, alias })
  return { url: found.callbackUrl, body: JSON.stringify(document) }
}

async function readBroadcast(parts: ToldParts, id: string): Promise<Told | undefined> {
  const found = await parts.broadcasts.findWithCallback(id)
  if (!found || found.callbackUrl === null) return undefined
  const { clock, broadcasts: store } = parts
  const document = parts.broadcastDocument(await progressOf({ store, clock }, found.broadcast))
  return { url: found.callbackUrl, body: JSON.stringify(document) }
}
