import type { Knex } from 'knex'
import {
  claimDeliveries,
  endDeliveries,
  findOverdueEndpoints,
  measureDeliveries,
  nextDueAt,
  type ClaimedDelivery,
} from '../src/delivery/delivery-store.ts'
import { findEvents } from '../src/events/event-store.ts'
import type { HotStatement } from './hot-statements.ts'
import type { Ground } from './plans-ground.ts'

const DELIVERY_STORE = 'src/delivery/delivery-store.ts'
const LEASE_SECONDS = 60

/** What runs for every event that an application hears of, or every few seconds for all of them. */
export const HOT_DELIVERIES: readonly HotStatement[] = [
  {
    name: 'claimDeliveries',
    file: DELIVERY_STORE,
    purpose: 'Takes the deliveries of an endpoint that are due, oldest first.',
    indexes: ['delivery_due_idx', 'delivery_pkey'],
    async run(db, ground, watched) {
      await watched(() => claim(db, ground))
    },
  },
  {
    name: 'findEvents',
    file: 'src/events/event-store.ts',
    purpose: 'Reads the events of a batch of deliveries.',
    indexes: ['event_id_idx'],
    async run(db, { size }, watched) {
      const { rows } = await db.raw<{ rows: { id: string; occurredAt: Date }[] }>(
        `select id, occurred_at as "occurredAt" from event where id <= ?`,
        [size.batch],
      )
      await watched(() => findEvents(db, rows))
    },
  },
  {
    name: 'endDeliveries',
    file: DELIVERY_STORE,
    purpose: 'Writes what became of a batch of deliveries.',
    indexes: ['delivery_pkey'],
    async run(db, ground, watched) {
      const told = { status: 'delivered', dueAt: null, tries: 1, httpStatus: 200 } as const
      const ends = (await claim(db, ground)).map(({ id }) => ({ id, ...told, reason: null }))
      await watched(() => endDeliveries(db, ground.endpointId, ends))
    },
  },
  {
    name: 'nextDueAt',
    file: DELIVERY_STORE,
    purpose: 'Asks, after each batch, when an endpoint has its next delivery due.',
    indexes: ['delivery_due_idx'],
    async run(db, { endpointId }, watched) {
      await watched(() => nextDueAt(db, endpointId))
    },
  },
  {
    name: 'findOverdueEndpoints',
    file: DELIVERY_STORE,
    purpose: 'Looks every few seconds for endpoints whose job was lost.',
    indexes: ['delivery_due_idx'],
    async run(db, _ground, watched) {
      await watched(() => findOverdueEndpoints(db, LEASE_SECONDS))
    },
  },
  {
    name: 'measureDeliveries',
    file: DELIVERY_STORE,
    purpose: 'Asks since when the oldest delivery waits, for the metrics.',
    indexes: ['delivery_waiting_age_idx'],
    async run(db, _ground, watched) {
      await watched(() => measureDeliveries(db))
    },
  },
]

function claim(db: Knex, { endpointId, size }: Ground): Promise<ClaimedDelivery[]> {
  return claimDeliveries(db, endpointId, { limit: size.batch, leaseSeconds: LEASE_SECONDS })
}
