import type { Knex } from 'knex'
import { Client } from 'pg'
import { makeMonths } from '../src/events/partition-store.ts'
import type { BenchDatabase } from './database.ts'
import { ACCOUNT } from './pushes.ts'

/** Events lie as far back as a log is usually kept. */
const DAYS = 90
/** Rows of one statement; progress can be shown and the end of the time noticed between two. */
const STEP = 500_000

const TABLES = ['event', 'consent_ledger', 'consent']

export interface SeedOptions {
  /** How many people: each gets one event, one ledger entry and one consent. */
  readonly people: number
  /** Gives up, with an error that says how far it came, when it takes longer. */
  readonly limitMs?: number
  readonly onProgress?: (done: number) => void
}

/**
 * Fills an empty database with people who have followed the account, evenly over the last 90 days:
 * their event, the ledger entry that came of it and the consent projected from that, as the gateway
 * itself would have left them. `openidOf` names them.
 *
 * Indexes are dropped and built again, and triggers and foreign keys are not asked (it needs a
 * superuser): ten million people take minutes instead of an hour.
 */
export async function seed({ db, url }: BenchDatabase, options: SeedOptions): Promise<void> {
  const startedMs = performance.now()
  const { limitMs = Infinity, onProgress = () => undefined } = options
  // the log has a partition for each month there is something of
  const now = new Date()
  await makeMonths(db, new Date(now.getTime() - (DAYS + 1) * 86_400_000), now)
  const restore = await dropIndexes(db)
  for (let done = 0; done < options.people;) {
    if (performance.now() - startedMs > limitMs) {
      throw new Error(
        `seeding came to ${done} of ${options.people} people in ${Math.round(limitMs / 1000)} s; ask for fewer with --rows`,
      )
    }
    const until = Math.min(done + STEP, options.people)
    await insertPeople(db, { from: done, until, people: options.people })
    done = until
    onProgress(done)
  }
  await restore()
  await continueNumbers(db)
  await runUnlimited(url, [...TABLES.map((table) => `vacuum (analyze) ${table}`), 'checkpoint'])
}

/**
 * Adds the people from one number to before another, of `people` in all. Numbers of rows follow the
 * number of the person, so that the three tables fit together.
 */
export async function insertPeople(
  db: Knex,
  range: { readonly from: number; readonly until: number; readonly people: number },
): Promise<void> {
  const { from, until, people } = range
  await inTransaction(db, async (trx) => {
    await trx.raw(`set local session_replication_role = replica`)
    await trx.raw(
      `create temporary table person on commit drop as
       select
         account.id as account_id,
         number + 1 as id,
         'o' || left(translate(encode(sha256(number::text::bytea), 'base64'), '+/', '-_'), 27)
           as subject,
         date_trunc('second', now()) - make_interval(days => ${DAYS})
           + interval '1 second' * floor(number * ${DAYS * 86_400}.0 / ${people}) as at
       from account, generate_series(${from}::bigint, ${until - 1}::bigint) as number
       where account.name = ?`,
      [ACCOUNT.name],
    )
    await trx.raw(
      `with written as (
         select person.*, concat_ws(
           chr(10), '<xml><ToUserName><![CDATA[' || ?::text || ']]></ToUserName>',
           '<FromUserName><![CDATA[' || subject || ']]></FromUserName>',
           '<CreateTime>' || extract(epoch from at)::bigint || '</CreateTime>',
           '<MsgType><![CDATA[event]]></MsgType>', '<Event><![CDATA[subscribe]]></Event>',
           '<EventKey><![CDATA[qrscene_' || id || ']]></EventKey>', '</xml>'
         ) as document
         from person
       )
       insert into event (
         account_id, id, repeat_key, kind, name, subject, occurred_at, received_at, document
       ) overriding system value
       select account_id, id, sha256(document::bytea), 'event.subscribe', 'subscribe', subject, at,
         at, document
       from written order by id`,
      [ACCOUNT.originalId],
    )
    await trx.raw(
      `insert into consent_ledger (
         account_id, id, subject, scope, change, effective_at, recorded_at, evidence, event_id, reason
       ) overriding system value
       select account_id, id, subject, 'follow', 'granted', at, at, 'event', id, 'event.subscribe'
       from person order by id`,
    )
    await trx.raw(
      `insert into consent (
         account_id, subject, scope, state, effective_at, ledger_id, updated_at
       )
       select account_id, subject, 'follow', 'granted', at, id, at from person`,
    )
  })
}

/** @returns how to build again what was dropped: the indexes that new rows would hit at random. */
async function dropIndexes(db: Knex): Promise<() => Promise<void>> {
  const { rows: plain } = await db.raw<{ rows: { name: string; definition: string }[] }>(
    `select index.indexrelid::regclass::text as name,
       replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') as definition
     from pg_index as index
     where index.indrelid = any (?::regclass[])
       and not exists (select from pg_constraint where conindid = index.indexrelid)`,
    [TABLES],
  )
  const { rows: keys } = await db.raw<{ rows: { name: string; definition: string }[] }>(
    `select conname as name, pg_get_constraintdef(oid) as definition
     from pg_constraint where conrelid = 'consent'::regclass and contype = 'p'`,
  )
  for (const { name } of plain) await db.raw(`drop index ${name}`)
  for (const { name } of keys) await db.raw(`alter table consent drop constraint ${name}`)
  return async () => {
    const statements = [
      ...plain.map(({ definition }) => definition),
      ...keys.map((key) => `alter table consent add constraint ${key.name} ${key.definition}`),
    ]
    await inTransaction(db, async (trx) => {
      await trx.raw(`set local maintenance_work_mem = '1GB'`)
      for (const statement of statements) await trx.raw(statement)
    })
  }
}

/** The next row written by the gateway comes after ours. */
async function continueNumbers(db: Knex): Promise<void> {
  for (const table of ['event', 'consent_ledger']) {
    await db.raw(
      `select setval(pg_get_serial_sequence('${table}', 'id'), (select max(id) from ${table}))`,
    )
  }
}

async function inTransaction(db: Knex, work: (trx: Knex.Transaction) => Promise<void>) {
  await db.transaction(async (trx) => {
    await trx.raw(`set local statement_timeout = 0; set local synchronous_commit = off`)
    await work(trx)
  })
}

/** Statements that may not stand in a transaction, on a connection without the pool's time limit. */
async function runUnlimited(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
