import type { Knex } from 'knex'
import { withTransaction } from './unit-of-work.ts'

/** A job to be done, once whatever transaction adds it has been committed. */
export interface NewJob {
  /** The name of its task, a key of the map that compose.ts registers. */
  readonly task: string
  /** Ids only: nothing about a person, no secret, unless it is sealed. Stored as JSON. */
  readonly payload: Readonly<Record<string, PayloadValue>>
  /** Not before this; at once when absent. */
  readonly runAt?: Date
  /** Of the waiting jobs with one key only the newest is kept. */
  readonly key?: string
  /** The other way round: while a job with the key exists, even one given up, none is added. */
  readonly keepOld?: boolean
  /** Tries in all, 25 (four days) when absent. */
  readonly maxAttempts?: number
  /** Jobs of one queue run one after the other; any number at once when absent. */
  readonly queue?: string
}

/**
 * Adds a job. Inside a transaction it is committed or undone with everything else; SQL functions add
 * theirs with `graphile_worker.add_job`, as this does.
 */
export async function addJob(db: Knex, job: NewJob): Promise<void> {
  await db.raw(
    `select from graphile_worker.add_job(
       ?, payload => ?::json, queue_name => ?, run_at => ?::timestamptz, max_attempts => ?::integer,
       job_key => ?, job_key_mode => ?
     )`,
    [
      job.task,
      JSON.stringify(job.payload),
      job.queue ?? null,
      job.runAt ?? null,
      job.maxAttempts ?? null,
      job.key ?? null,
      job.keepOld ? 'unsafe_dedupe' : 'replace',
    ],
  )
}

type PayloadValue = string | number | boolean | null | Readonly<Record<string, string>>

/** What the queue of jobs looks like at this moment. */
export interface JobQueueState {
  /** Jobs that are due or will be; those that are being done count too. */
  readonly waiting: number
  /** When the oldest job that is due and not begun became due; null when none is. */
  readonly oldestDueAt: Date | null
  /** Jobs that have failed as often as they may, by task. They stay until somebody decides. */
  readonly dead: readonly { readonly task: string; readonly count: number }[]
}

/** Reads the whole queue: for now and then. */
export async function measureJobs(db: Knex): Promise<JobQueueState> {
  const { rows } = await db.raw<{
    rows: { task: string; waiting: string; dead: string; oldest_due_at: Date | null }[]
  }>(
    `select
       task_identifier as task,
       count(*) filter (where attempts < max_attempts or locked_at is not null) as waiting,
       count(*) filter (where attempts >= max_attempts and locked_at is null) as dead,
       min(run_at) filter (
         where attempts < max_attempts and locked_at is null and run_at <= now()
       ) as oldest_due_at
     from graphile_worker.jobs
     group by task_identifier
     order by task_identifier`,
  )
  const due = rows.flatMap((row) => row.oldest_due_at ?? [])
  return {
    waiting: rows.reduce((sum, row) => sum + Number(row.waiting), 0),
    oldestDueAt: due.length === 0 ? null : new Date(Math.min(...due.map((at) => at.getTime()))),
    dead: rows
      .map((row) => ({ task: row.task, count: Number(row.dead) }))
      .filter(({ count }) => count > 0),
  }
}

/** Jobs of one transaction when payloads are written anew. */
const REWRITTEN_AT_ONCE = 500

interface JobPayload {
  readonly id: string
  readonly payload: unknown
}

/** The payloads of all jobs, those that are being done included. */
export async function findJobPayloads(db: Knex): Promise<readonly unknown[]> {
  const { rows } = await db.raw<{ rows: JobPayload[] }>(
    `select job.id, job.payload from graphile_worker._private_jobs as job`,
  )
  return rows.map(({ payload }) => payload)
}

/**
 * Writes the payloads of jobs anew, some hundred jobs in a transaction. The engine's own functions
 * change a job only by its key, which most have not; this is the one place that writes to its table.
 * Jobs that are being done are written as well: if their process dies, they are done again.
 *
 * @param rewrite answers undefined for a payload that stays.
 * @returns how many were written.
 */
export async function rewriteJobPayloads(
  db: Knex,
  rewrite: (payload: unknown) => unknown,
): Promise<number> {
  let written = 0
  for (let after: string | null = '0'; after !== null;) {
    const from: string = after
    const batch = await withTransaction(db, (trx) => rewriteBatch(trx, from, rewrite))
    written += batch.written
    after = batch.last
  }
  return written
}

async function rewriteBatch(
  trx: Knex.Transaction,
  after: string,
  rewrite: (payload: unknown) => unknown,
): Promise<{ readonly written: number; readonly last: string | null }> {
  const { rows } = await trx.raw<{ rows: JobPayload[] }>(
    `select job.id, job.payload from graphile_worker._private_jobs as job
     where job.id > ? order by job.id limit ? for update`,
    [after, REWRITTEN_AT_ONCE],
  )
  const rewritten = rows.flatMap(({ id, payload }) => {
    const anew = rewrite(payload)
    return anew === undefined ? [] : [{ id, payload: anew }]
  })
  await trx.raw(
    `update graphile_worker._private_jobs as job set payload = told.payload
     from json_to_recordset(?::json) as told (id bigint, payload json)
     where job.id = told.id`,
    [JSON.stringify(rewritten)],
  )
  const isLast = rows.length < REWRITTEN_AT_ONCE
  return { written: rewritten.length, last: isLast ? null : (rows.at(-1)?.id ?? null) }
}
