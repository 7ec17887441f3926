import { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createJobEngine,
  type JobEngine,
  type JobTasks,
  type ScheduledJob,
} from '../../src/database/job-engine.ts'
import { addJob, measureJobs } from '../../src/database/job-queue.ts'
import { withTransaction } from '../../src/database/unit-of-work.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { useTestDatabase } from '../support/database.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
/** Short, so that a test takes seconds; in proportion to the real one. */
const PACE = { beatMs: 100, deadAfterMs: 1_000 }

const running: JobEngine[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((engine) => engine.stop()))
  await database().db.raw(`delete from graphile_worker._private_jobs`)
})

async function startEngine(tasks: JobTasks, schedule: readonly ScheduledJob[] = []) {
  const { url } = database()
  const lines: string[] = []
  const metrics = createMetrics()
  const engine = createJobEngine({
    url,
    db: database().openAnother(),
    clock: systemClock,
    log: createLog('debug', { write: (line) => void lines.push(line) }),
    metrics,
    process: `test-${running.length}`,
    tasks,
    schedule,
    pace: PACE,
  })
  running.push(engine)
  await engine.start()
  return { engine, lines, metrics }
}

const count = async (table: string) =>
  Number(
    (await database().db.raw<{ rows: { n: string }[] }>(`select count(*) as n from ${table}`))
      .rows[0]?.n,
  )

describe('addJob', () => {
  it('is committed with its transaction, and undone with it', async () => {
    const done: unknown[] = []
    await startEngine({
      note: async (payload) => {
        done.push(payload)
      },
    })
    const { db } = database()
    await withTransaction(db, async (trx) => {
      await addJob(trx, { task: 'note', payload: { id: 1 } })
      throw new Error('undone')
    }).catch(() => undefined)
    await withTransaction(db, (trx) => addJob(trx, { task: 'note', payload: { id: 2 } }))
    await until(
      () => done,
      (seen) => seen.length > 0,
    )
    expect(done).toEqual([{ id: 2 }])
  })

  it('keeps the newest of a key, or the oldest where asked', async () => {
    const { db } = database()
    const runAt = new Date(Date.now() + 3_600_000)
    for (const id of [1, 2]) {
      await addJob(db, { task: 'later', payload: { id }, runAt, key: 'new' })
      await addJob(db, { task: 'later', payload: { id }, runAt, key: 'old', keepOld: true })
    }
    const { rows } = await db.raw<{ rows: { key: string; id: number }[] }>(
      `select key, (payload ->> 'id')::integer as id from graphile_worker._private_jobs order by key`,
    )
    expect(rows).toEqual([
      { key: 'new', id: 2 },
      { key: 'old', id: 1 },
    ])
  })
})

describe('createJobEngine', () => {
  it('does each of a thousand jobs once, between two processes', async () => {
    const done: number[] = []
    const tasks: JobTasks = {
      count: async (payload) => {
        done.push((payload as { id: number }).id)
      },
    }
    await Promise.all([startEngine(tasks), startEngine(tasks)])
    const { db } = database()
    await db.raw(
      `select graphile_worker.add_job('count', json_build_object('id', n)) from generate_series(1, 1000) n`,
    )
    await until(
      () => count('graphile_worker._private_jobs'),
      (left) => left === 0,
    )
    expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n + 1))
  })

  it('tries a failed job again later, and keeps one that failed for good, without values in it', async () => {
    const secret = 'oSomebodysOpenid'
    const { lines, metrics } = await startEngine({
      fails: async () => {
        await database().db.raw(`select ?::integer`, [secret])
      },
    })
    const { db } = database()
    await addJob(db, { task: 'fails', payload: { id: 1 } })
    await addJob(db, { task: 'fails', payload: { id: 2 }, maxAttempts: 1 })
    const state = await until(
      () => measureJobs(db),
      ({ waiting, dead }) => waiting === 1 && dead.length === 1,
    )
    expect(state.dead).toEqual([{ task: 'fails', count: 1 }])
    expect(state.oldestDueAt).toBeNull()
    const { rows } = await db.raw<{ rows: { last_error: string; in_seconds: number }[] }>(
      `select last_error, extract(epoch from run_at - updated_at)::float as in_seconds
       from graphile_worker.jobs order by attempts < max_attempts`,
    )
    expect(rows[1]?.in_seconds).toBeGreaterThan(0.5)
    expect(`${JSON.stringify(rows)}${lines.join('')}`).not.toContain(secret)
    expect(lines.filter((line) => line.includes('"job.died"'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes('"job.failed"'))).toHaveLength(1)
    expect(await metrics.registry.getSingleMetricAsString('wcg_jobs_total')).toContain(
      'wcg_jobs_total{task="fails",outcome="died"} 1',
    )
  })

  it('gives the jobs of a dead process to the living within seconds', async () => {
    const { db, url } = database()
    await addJob(db, { task: 'orphan', payload: {} })
    // a process that took the job and died: its row falls silent, its lock stays
    await db.raw(`insert into job_process (worker, process) values ('pool-dead', 'dead')`)
    const dead = new Client({ connectionString: url })
    await dead.connect()
    await dead.query(
      `update graphile_worker._private_jobs set locked_by = 'pool-dead', locked_at = now(), attempts = 1`,
    )
    await dead.end()
    const attempts: number[] = []
    const { lines } = await startEngine({
      orphan: async (_, { attempt }) => {
        attempts.push(attempt)
      },
    })
    await until(
      () => attempts,
      (seen) => seen.length > 0,
    )
    expect(attempts).toEqual([2])
    expect(lines.some((line) => line.includes('"job.worker_dead"'))).toBe(true)
  })

  it('leaves the jobs of a living process alone', async () => {
    const { db } = database()
    const hold = Promise.withResolvers<void>()
    let begun = 0
    const tasks: JobTasks = {
      long: async () => {
        begun += 1
        await hold.promise
      },
    }
    await Promise.all([startEngine(tasks), startEngine(tasks)])
    await addJob(db, { task: 'long', payload: {} })
    // much longer than a silence that counts as death
    const { rows } = await db.raw<{ rows: { at: Date }[] }>(`select now() as at`)
    await until(
      () => db('job_process').where('seen_at', '>', new Date((rows[0]?.at.getTime() ?? 0) + 2_500)),
      (seen) => seen.length === 2,
    )
    hold.resolve()
    expect(begun).toBe(1)
  })

  it('gives back what it holds when it is told to stop, and leaves no row', async () => {
    const { db } = database()
    const stuck = Promise.withResolvers<void>()
    const { engine } = await startEngine({ stuck: () => stuck.promise })
    await addJob(db, { task: 'stuck', payload: {} })
    await until(
      () =>
        db.raw<{ rows: unknown[] }>(`select from graphile_worker.jobs where locked_by is not null`),
      ({ rows }) => rows.length === 1,
    )
    await engine.stop()
    stuck.resolve()
    const { rows } = await db.raw<{ rows: { locked_by: string | null }[] }>(
      `select locked_by from graphile_worker.jobs`,
    )
    expect(rows).toEqual([{ locked_by: null }])
    expect(await count('job_process')).toBe(0)
  })

  it('keeps no process that has stopped, and has nothing to remark on an ordinary day', async () => {
    const platformUrl = 'http://127.0.0.1:9'
    const gateway = await startGatewayProcess({ databaseUrl: database().url, platformUrl })
    expect(await gateway.end()).toBe(0)
    const endedMs = Date.now()
    const stopped = gateway.lines.find((line) => line.includes('"service.stopped"')) ?? '{}'
    const { time } = JSON.parse(stopped) as { time: string }
    // it used to wait out the longest time that jobs may take to end, 2.5 s
    expect(endedMs - Date.parse(time)).toBeLessThan(2_300)
    expect(gateway.lines.filter((line) => line.includes('job.engine_remarked'))).toEqual([])
  })

  it('does a nightly job once for all processes, at China time, also one that was slept through', async () => {
    const { db } = database()
    const twoHoursAgo = new Date(Date.now() - 2 * 3_600_000)
    const china = new Date(twoHoursAgo.getTime() + 8 * 3_600_000)
    // both processes were down at that time, and have been up the day before
    await db.raw(
      `insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
       values ('nightly', now() - interval '2 days', now() - interval '1 day')`,
    )
    const times: string[] = []
    const tasks: JobTasks = {
      nightly: async (payload) => {
        times.push((payload as { _cron: { ts: string } })._cron.ts)
      },
    }
    const at = `${china.getUTCHours()}:${china.getUTCMinutes()}` as const
    const schedule = [{ task: 'nightly', at }]
    await Promise.all([startEngine(tasks, schedule), startEngine(tasks, schedule)])
    await until(
      () => times,
      (seen) => seen.length > 0,
    )
    expect(times).toEqual([twoHoursAgo.toISOString().replace(/:\d\d\.\d{3}Z/, ':00.000Z')])
  })

  it('goes on when its connections break', async () => {
    const { db } = database()
    let done = 0
    await startEngine({
      note: async () => {
        done += 1
      },
    })
    await db.raw(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'wcg jobs' and datname = current_database()`,
    )
    await addJob(db, { task: 'note', payload: {} })
    await until(
      () => done,
      (seen) => seen === 1,
    )
  })
})
