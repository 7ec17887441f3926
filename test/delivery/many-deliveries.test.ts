import { beforeEach, describe, expect, it } from 'vitest'
import { forgetOldDeliveries } from '../../src/delivery/delivery-store.ts'
import { dropOverslept, resumeEndpoint } from '../../src/delivery/pause-store.ts'
import { newId } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'

/** More than is changed at once. */
const MANY = 5_003

const database = useTestDatabase()
const db = () => database().db

let endpointId: string
let elsewhere: string

beforeEach(async () => {
  await db().raw('truncate delivery, endpoint, application cascade')
  const applicationId = newId(new Date())
  await db()('application').insert({
    id: applicationId,
    name: 'shop',
    key_hash: Buffer.from('hash'),
    key_hint: 'hint',
  })
  endpointId = await insertEndpoint(applicationId)
  elsewhere = await insertEndpoint(applicationId)
})

/** An endpoint that has taken nothing for a day and is paused. */
async function insertEndpoint(applicationId: string): Promise<string> {
  const id = newId(new Date())
  await db()('endpoint').insert({
    id,
    application_id: applicationId,
    account_id: await insertAccount(db()),
    purpose: 'events',
    url: 'https://shop.example/',
    kinds: ['*'],
    sealed_secret: 'sealed',
    failing_since: db().raw(`now() - interval '1 day'`),
    paused_at: db().raw('now()'),
    paused_reason: 'failing',
  })
  return id
}

/** @param finished how long ago they ended; null for what waits, and is tried again in an hour. */
async function deliveries(
  count: number,
  of: { readonly status: string; readonly finished: string | null; readonly endpoint?: string },
): Promise<void> {
  await db().raw(
    `insert into delivery (
       endpoint_id, message_id, status, attempt_count, due_at, created_at, finished_at
     )
     select :endpoint, new_message_id(), :status, 3, now() + interval '1 hour',
       now() - interval '40 days' + n * interval '1 second', now() - cast(:finished as interval)
     from generate_series(1, :count) as n`,
    { endpoint: of.endpoint ?? endpointId, ...of, count },
  )
}

async function counts(endpoint = endpointId): Promise<Record<string, number>> {
  const rows: { status: string; count: string }[] = await db()('delivery')
    .where({ endpoint_id: endpoint })
    .groupBy('status')
    .select('status')
    .count('* as count')
  return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]))
}

describe('resumeEndpoint', () => {
  it('tries all anew that waits, and what failed since it took nothing', async () => {
    await deliveries(MANY, { status: 'waiting', finished: null })
    await deliveries(MANY, { status: 'failed', finished: '1 hour' })
    await deliveries(2, { status: 'failed', finished: '2 days' })
    await deliveries(3, { status: 'delivered', finished: '1 hour' })
    await deliveries(4, { status: 'failed', finished: '1 hour', endpoint: elsewhere })

    await resumeEndpoint(db(), endpointId)

    expect(await counts()).toEqual({ waiting: 2 * MANY, failed: 2, delivered: 3 })
    expect(await counts(elsewhere)).toEqual({ failed: 4 })
    const { rows } = await db().raw<{ rows: unknown[] }>(
      `select id from delivery where status = 'waiting' and (due_at > now() or attempt_count > 0)`,
    )
    expect(rows).toEqual([])
    const endpoint = await db()('endpoint').where({ id: endpointId }).first<{ paused_at: null }>()
    expect(endpoint.paused_at).toBeNull()
  })
})

describe('forgetOldDeliveries', () => {
  it('forgets of each endpoint what ended long ago, however much it is', async () => {
    await deliveries(MANY, { status: 'delivered', finished: '31 days' })
    await deliveries(2, { status: 'failed', finished: '31 days' })
    await deliveries(3, { status: 'dropped', finished: '31 days', endpoint: elsewhere })
    await deliveries(4, { status: 'delivered', finished: '29 days' })
    await deliveries(5, { status: 'waiting', finished: null })

    await forgetOldDeliveries(db(), 30)

    expect(await counts()).toEqual({ delivered: 4, waiting: 5 })
    expect(await counts(elsewhere)).toEqual({})
  })
})

describe('dropOverslept', () => {
  it('drops what has waited at a paused endpoint for longer than it is kept', async () => {
    await deliveries(MANY, { status: 'waiting', finished: null })
    await db()('delivery').insert({ endpoint_id: endpointId, message_id: newId(new Date()) })

    expect(await dropOverslept(db(), 30)).toEqual([{ endpointId, dropped: MANY }])
    expect(await counts()).toEqual({ dropped: MANY, waiting: 1 })
  })
})
