import { EventEmitter } from 'node:events'
import {
  Logger,
  parseCronItems,
  run,
  type CronItem,
  type Runner,
  type Task,
  type WorkerPool,
} from 'graphile-worker'
import type { Knex } from 'knex'
import { Pool } from 'pg'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { startJobPulse, type PulsePace } from './job-pulse.ts'
import { measureJobs } from './job-queue.ts'

/** What a task may know about the job it is doing. */
export interface RunningJob {
  readonly id: string
  /** This try, from 1. */
  readonly attempt: number
  /** Ends when the process stops: come to an end, and leave the rest to a job added for it. */
  readonly signal: AbortSignal
}

/**
 * Does one job. It may be called twice for the same one (a process died, or was taken for dead), so
 * it must be safe to run twice, also at once. It throws for what was not foreseen; then the job is
 * tried again after e^tries seconds, at most six hours, until its tries are used up. What is to
 * happen later is a new job with a time. The payload is checked by the task.
 */
export type JobTask = (payload: unknown, job: RunningJob) => Promise<void>

/** The tasks there are, by name; built in compose.ts. */
export type JobTasks = Readonly<Record<string, JobTask>>

/** A job that comes again and again, once for all processes together. */
export interface ScheduledJob {
  readonly task: string
  /** Every night at a China time (`03:40`), every minute, or at :00, :10 and so on. */
  readonly at: 'every minute' | 'every ten minutes' | `${number}:${number}`
}

export interface JobEngineOptions {
  readonly url: string
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A name no other process has. */
  readonly process: string
  readonly tasks: JobTasks
  readonly schedule: readonly ScheduledJob[]
  readonly pace?: PulsePace
}

export interface JobEngine {
  /** Settles when jobs are taken for the first time, or when it is stopped before that. */
  start(): Promise<void>
  /** Takes no more jobs, waits a moment for those under way, gives back the rest. */
  stop(): Promise<void>
}

/** Jobs at once in one process. They wait for others most of their time. */
const CONCURRENCY = 32
/** Fetched at once; a few more than are done at once, so that nobody waits for the database. */
const LOCAL_QUEUE = 64
/** Connections of the engine in one process, its listener among them. */
const CONNECTIONS = 4
/** Where no notification says that there is a job. */
const POLL_MS = 2_000
/** How long jobs under way may go on after a stop. Part of the gateway's ten seconds. */
const STOP_MS = 2_500
/** After the engine gave up, usually because the database was away for long. */
const RESTART_MS = 1_000
const MEASURE_EVERY_MS = 15_000
/** A night that everybody slept through is made up for within this time. */
const MAKE_UP_MS = 12 * 3_600_000

/**
 * Runs the jobs of the database in this process, beside those of others. The engine is
 * graphile-worker with a local queue and batched completion. It is started again when it gives up.
 */
export function createJobEngine(options: JobEngineOptions): JobEngine {
  const { db, clock, log, metrics } = options
  const stopping = new AbortController()
  const first = Promise.withResolvers<void>()
  let loops: Promise<unknown> | undefined

  async function keepRunning(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await runUntilStopped(options, stopping.signal, first.resolve)
      } catch (error) {
        log.error({ error: describeError(error) }, 'job.engine_failed')
        await sleep(RESTART_MS, stopping.signal)
      }
    }
  }

  async function keepMeasuring(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const { waiting, oldestDueAt, dead } = await measureJobs(db)
        const ageMs = oldestDueAt ? clock.now().getTime() - oldestDueAt.getTime() : 0
        metrics.jobsWaiting.set(waiting)
        metrics.jobsAge.set(Math.max(0, ageMs / 1000))
        metrics.jobsDead.reset()
        for (const { task, count } of dead) metrics.jobsDead.set({ task }, count)
      } catch (error) {
        log.warn({ error: describeError(error) }, 'job.measure_failed')
      }
      await sleep(MEASURE_EVERY_MS, stopping.signal)
    }
  }

  return {
    async start() {
      loops ??= Promise.all([keepRunning(), keepMeasuring()])
      await first.promise
    },
    async stop() {
      stopping.abort()
      first.resolve()
      await loops
    },
  }
}

/** @throws when the engine gives up by itself. */
async function runUntilStopped(
  options: JobEngineOptions,
  stopping: AbortSignal,
  onRunning: () => void,
): Promise<void> {
  const pool = openPool(options)
  const pools: WorkerPool[] = []
  let runner: Runner | undefined
  let pulse: ReturnType<typeof startJobPulse> | undefined
  try {
    const events = new EventEmitter()
    events.on('pool:create', ({ workerPool }: { workerPool: WorkerPool }) => {
      pulse = startJobPulse({ ...options, worker: workerPool.id })
      pools.push(workerPool)
    })
    runner = await run({
      pgPool: pool,
      events,
      noHandleSignals: true,
      logger: engineLog(options.log),
      taskList: Object.fromEntries(
        Object.entries(options.tasks).map(([name, task]) => [name, asTask(options, name, task)]),
      ),
      parsedCronItems: parseCronItems(options.schedule.map(cronItem)),
      preset: {
        worker: {
          concurrentJobs: CONCURRENCY,
          localQueue: { size: LOCAL_QUEUE },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          pollInterval: POLL_MS,
          gracefulShutdownAbortTimeout: 0,
        },
      },
    })
    onRunning()
    const ended = runner.promise.then(() => {
      if (!stopping.aborted) throw new Error('the job engine ended by itself')
    })
    await Promise.race([ended, whenAborted(stopping)])
  } finally {
    if (runner) await stopRunner(runner, options.log)
    await pulse?.stop()
    await pool.end()
  }
}

function openPool({ url, log }: JobEngineOptions): Pool {
  const pool = new Pool({
    connectionString: url,
    application_name: 'wcg jobs',
    max: CONNECTIONS,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    statement_timeout: 30_000,
  })
  const note = (error: unknown) => {
    log.warn({ error: describeError(error) }, 'database.connection_lost')
  }
  pool.on('error', note)
  pool.on('connect', (client) => client.on('error', note))
  return pool
}

async function stopRunner(runner: Runner, log: Log): Promise<void> {
  // a timer that is left standing keeps the process
  const impatience = new AbortController()
  const orderly = runner.stop().then(
    () => true,
    () => true, // it had ended already
  )
  const isOrderly = await Promise.race([orderly, sleep(STOP_MS, impatience.signal)])
  impatience.abort()
  if (isOrderly) return
  log.warn({ limit_ms: STOP_MS }, 'job.stop_overdue')
  await runner.kill().catch((error: unknown) => {
    log.warn({ error: describeError(error) }, 'job.stop_overdue')
  })
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A task as the engine calls it: timed, counted, and with errors that hold no values. */
function asTask({ clock, log, metrics }: JobEngineOptions, name: string, task: JobTask): Task {
  return async (payload, { job, abortSignal }) => {
    const startedMs = clock.monotonicMs()
    const told = () => ({
      job_id: job.id,
      task: name,
      attempt: job.attempts,
      attempt_max: job.max_attempts,
      duration_ms: Math.round(clock.monotonicMs() - startedMs),
    })
    try {
      await task(payload, { id: job.id, attempt: job.attempts, signal: abortSignal })
      metrics.jobs.inc({ task: name, outcome: 'done' })
      log.debug(told(), 'job.done')
    } catch (cause) {
      const isLast = job.attempts >= job.max_attempts
      const error = describeError(cause)
      metrics.jobs.inc({ task: name, outcome: isLast ? 'died' : 'failed' })
      if (isLast) log.error({ ...told(), error }, 'job.died')
      else log.warn({ ...told(), error }, 'job.failed')
      throw withoutStack(error)
    }
  }
}

/** The engine stores message and stack of what a job throws, beside the job. */
function withoutStack(message: string): Error {
  const error = new Error(message)
  delete error.stack
  return error
}

/** Cron speaks UTC here, and China has one time zone without summer time: eight hours ahead. */
function cronItem({ task, at }: ScheduledJob): CronItem {
  const item = { task, identifier: task }
  if (at === 'every minute') return { ...item, match: '* * * * *', options: { jobKey: task } }
  if (at === 'every ten minutes') {
    return { ...item, match: '*/10 * * * *', options: { jobKey: task } }
  }
  const [hours = 0, minutes = 0] = at.split(':').map(Number)
  const match = `${minutes} ${(hours + 16) % 24} * * *`
  return { ...item, match, options: { backfillPeriod: MAKE_UP_MS, jobKey: task } }
}

/**
 * The engine's own remarks. What it says about single jobs is told by `asTask`; of the rest only the
 * first words, because what follows may repeat what it was working on.
 */
function engineLog(log: Log): Logger {
  return new Logger(() => (level, message, meta) => {
    // `concurrency`: that it has fewer connections than jobs at once; tasks use none of them
    if ('job' in meta || 'concurrency' in meta) return
    const remark = /^[^:\n]*/.exec(message)?.[0] ?? ''
    const error = 'error' in meta ? describeError(meta.error) : undefined
    if (level === 'error' || level === 'warning') log.warn({ remark, error }, 'job.engine_remarked')
    else log.debug({ remark, error }, 'job.engine_remarked')
  })
}
