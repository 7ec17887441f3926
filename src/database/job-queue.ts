import type { Knex } from 'knex'

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
