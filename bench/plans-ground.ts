import type { Knex } from 'knex'
import { makeMonths } from '../src/events/partition-store.ts'
import { newId } from '../src/foundation/ids.ts'
import type { BenchDatabase } from './database.ts'
import { openidOf } from './pushes.ts'
import { TEMPLATE_ID } from './queue.ts'
import { insertPeople } from './seed.ts'

/** How large a database the plans are made on. */
export interface Size {
  /** People; each has an event that was delivered, a ledger entry, a consent, a sent message with its
   * attempt, a one-time link, and a place in the list of a broadcast that is over. */
  readonly people: number
  /** Messages that wait; one in four is a customer-service message, one in eight has been tried. As
   * many deliveries wait. */
  readonly queued: number
  /** How much one statement is given to do. */
  readonly batch: number
}

/** What the hot statements work on. */
export interface Ground {
  readonly accountId: number
  readonly applicationId: string
  /** The application hears of every event at this endpoint. */
  readonly endpointId: string
  readonly size: Size
  /** Somebody of the people; numbers beyond their count begin again. */
  person(number: number): string
}

const MONTH_MS = 31 * 86_400_000
/** Enough months for all that `insertPeople` dates back. */
const MONTHS = 4

/** Makes what comes before any row: the months, and an application with an endpoint. */
export async function prepareGround(db: Knex, size: Size): Promise<Ground> {
  const now = new Date()
  await makeMonths(db, new Date(now.getTime() - MONTHS * MONTH_MS), now)
  const applicationId = newId(now)
  await db('application').insert({
    id: applicationId,
    name: 'plans',
    key_hash: Buffer.from('nobody'),
    key_hint: 'none',
  })
  // `insertPeople` numbers its rows from 1; those that the statements write come long after
  for (const table of ['event', 'consent_ledger']) {
    await db.raw(`select setval(pg_get_serial_sequence('${table}', 'id'), 1000000000)`)
  }
  const account = await db<{ id: number }>('account').select('id').first()
  if (!account) throw new Error('the database of the bench has an account')
  const endpointId = newId(now)
  await db('endpoint').insert({
    id: endpointId,
    application_id: applicationId,
    account_id: account.id,
    purpose: 'events',
    url: 'https://nobody.example/',
    kinds: ['*'],
    sealed_secret: 'none',
  })
  const person = (n: number) => openidOf(n % size.people)
  return { accountId: account.id, applicationId, endpointId, size, person }
}

/**
 * Adds rows until there are as many as `ground.size` says. What PostgreSQL knows of the tables is
 * left as it is, and so are cached plans: nothing is analysed, no index is touched.
 *
 * @param from the number of people there were before.
 */
export async function growTo({ db }: BenchDatabase, ground: Ground, from: number): Promise<void> {
  const { people } = ground.size
  await insertPeople(db, { from, until: people, people })
  const subjects = Array.from({ length: people - from }, (_, n) => openidOf(from + n))
  await insertSent(db, ground, subjects)
  await db.raw(
    `insert into one_time_link (
       digest, account_id, template_id, scene, subject, actor, created_at, expires_at
     )
     select sha256(subject::bytea), ?, ?, '1', subject, 'plans', now(), now()
     from unnest(?::text[]) as subject`,
    [ground.accountId, TEMPLATE_ID, subjects],
  )
  await db.raw(
    `insert into delivery (
       endpoint_id, event_id, event_occurred_at, status, attempt_count, finished_at
     )
     select ?, id, occurred_at, 'delivered', 1, now() from event where id > ? and id <= ?`,
    [ground.endpointId, from, people],
  )
}

/**
 * Adds rows of which there were hardly any when everything was analysed, so that PostgreSQL goes on
 * believing that there are none: each person's sent message has used up a credit, each has a stop
 * that was lifted, and as many calls are under way as `inFlight` says, to other people.
 */
export async function shiftGround(db: Knex, ground: Ground, inFlight: number): Promise<void> {
  const { accountId } = ground
  await db.raw(
    `insert into consent_ledger (
       account_id, subject, scope, change, effective_at, evidence, attempt_id, reason
     )
     select tried.account_id, sent.recipient, 'conversation', step, tried.started_at, 'attempt', tried.id,
       'plans'
     from attempt as tried
     join message as sent on sent.id = tried.message_id and sent.status = 'sent'
       and sent.recipient is not null
     cross join unnest(array['reserved', 'spent']) as step`,
  )
  await db.raw(
    `insert into consent (account_id, subject, scope, state, effective_at, ledger_id)
     select account_id, subject, 'everything', 'granted', '2020-01-01', 1
     from consent where scope = 'follow'
     on conflict do nothing`,
  )
  await db.raw(
    `with begun as (
       insert into message (
         id, account_id, recipient, channel, template_id, content, status, send_at, due_at,
         expires_at, attempt_count, lease_owner, leased_until
       )
       select
         uuidv7(), ?, 'elsewhere' || n, 'template_message', ?, ?::jsonb, 'sending', now(), now(),
         now() + interval '1 day', 1, 'elsewhere', now() + interval '1 hour'
       from generate_series(1, ?) as n
       returning id, account_id
     )
     insert into attempt (message_id, account_id, number, started_at, evidence, process)
     select id, account_id, 1, now(), array[1], 'elsewhere' from begun`,
    [accountId, TEMPLATE_ID, CONTENT, inFlight],
  )
}

/** Brings in what was begun before and fills the queue anew. */
export async function fillPlansQueue(db: Knex, ground: Ground): Promise<void> {
  const { queued, people } = ground.size
  await db.raw(
    `update message set status = 'cancelled', finished_at = now(), lease_owner = null,
       leased_until = null
     where status in ('queued', 'scheduled', 'sending') and lease_owner is distinct from 'elsewhere'`,
  )
  await db.raw(
    `update broadcast set phase = 'cancelled', finished_at = now() where finished_at is null`,
  )
  await db.raw(
    `update delivery set status = 'dropped', finished_at = now() where status = 'waiting'`,
  )
  await db.raw(
    `insert into delivery (endpoint_id, message_id, due_at)
     select ?, uuidv7(), now() - interval '1 minute' from generate_series(1, ?)`,
    [ground.endpointId, queued],
  )
  const subjects = Array.from({ length: Math.min(queued, people) }, (_, n) => ground.person(n))
  await openConversations(db, ground, subjects)
  await db.raw(
    `with waiting as (
       insert into message (
         id, account_id, recipient, channel, template_id, content, status, send_at, due_at,
         expires_at, attempt_count
       )
       select
         uuidv7(), ?, subject, ${channelOf('n')}, ?, ?::jsonb, 'queued', now(),
         now() - interval '1 minute', now() + interval '1 day', (n % ${ONE_TRIED_OF} = 0)::integer
       from unnest(?::text[]) with ordinality as listed (subject, n)
       returning id, account_id, attempt_count
     )
     insert into attempt (
       message_id, account_id, number, started_at, finished_at, outcome, evidence, process
     )
     select id, account_id, 1, now(), now(), 'retry', array[1], 'earlier'
     from waiting where attempt_count = 1`,
    [ground.accountId, TEMPLATE_ID, CONTENT, subjects],
  )
}

const CONTENT = JSON.stringify({ template_id: TEMPLATE_ID, data: {} })

/** One of so many waiting messages has been tried before. */
const ONE_TRIED_OF = 8

function channelOf(number: string): string {
  return `case when ${number} % 4 = 0 then 'customer_service_message' else 'template_message' end`
}

/** So that every fourth send of the queue has a credit to reserve. */
async function openConversations(db: Knex, ground: Ground, subjects: readonly string[]) {
  const changes = subjects
    .filter((_, n) => n % 4 === 3)
    .map((subject) => ({
      account_id: ground.accountId,
      subject,
      scope: 'conversation',
      change: 'granted',
      effective_at: new Date(),
      evidence: 'event',
      event_id: 1,
      reason: 'message.text',
      credits: 5,
      expires_at: new Date(Date.now() + 48 * 3_600_000),
    }))
  await db.raw(`select change_consents(?::jsonb)`, [JSON.stringify(changes)])
}

/** A broadcast that is over: its list, its messages and their attempts. */
async function insertSent(db: Knex, ground: Ground, subjects: string[]): Promise<void> {
  const { accountId, applicationId } = ground
  const broadcastId = newId(new Date())
  await db.raw(
    `insert into broadcast (
       id, account_id, channel, content, head_digest, lines_digest, phase, send_at, expires_at,
       finished_at
     ) values (?, ?, 'template_message', '{}', '', '', 'completed', now(), now(), now())`,
    [broadcastId, accountId],
  )
  await db.raw(
    `insert into broadcast_recipient (broadcast_id, line, recipient)
     select ?, line, subject from unnest(?::text[]) with ordinality as listed (subject, line)`,
    [broadcastId, subjects],
  )
  await db.raw(
    `with sent as (
       insert into message (
         id, account_id, application_id, recipient, channel, template_id, content, status, send_at,
         due_at, expires_at, attempt_count, msgid, finished_at, idempotency_key,
         request_digest, broadcast_id, broadcast_line
       )
       select
         uuidv7(), ?, ?, subject, 'template_message', ?, ?::jsonb, 'sent', now(), now(), now(), 1,
         subject, now(), subject, ''::bytea, ?, line
       from unnest(?::text[]) with ordinality as listed (subject, line)
       returning id, account_id, msgid
     )
     insert into attempt (
       message_id, account_id, number, started_at, finished_at, outcome, msgid, evidence, process
     )
     select id, account_id, 1, now(), now(), 'sent', msgid, array[1], 'earlier' from sent`,
    [accountId, applicationId, TEMPLATE_ID, CONTENT, broadcastId, subjects],
  )
}
