import type { Knex } from 'knex'
import { sleep } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

/** How often a process says that it lives, and after which silence the others take it for dead. */
export interface PulsePace {
  readonly beatMs: number
  /** Several beats: a pause of the process or of the database is no death. */
  readonly deadAfterMs: number
}

export interface JobPulse {
  /** Ends the beats and gives back whatever is still locked for this worker. */
  stop(): Promise<void>
}

const PACE: PulsePace = { beatMs: 2_000, deadAfterMs: 8_000 }

/** Every so many beats the whole queue is searched for locks of workers that nobody knows. */
const THOROUGH_EVERY = 15

/**
 * Says that a worker lives, and gives the jobs of dead ones back to the rest. The engine's own limit
 * for that is four hours.
 *
 * It judges others only when its own beats have come through for as long as their silence: after an
 * outage of the database everybody has been silent.
 *
 * @param options.worker the name under which the engine locks jobs for this process.
 */
export function startJobPulse(options: {
  readonly db: Knex
  readonly log: Log
  readonly worker: string
  readonly process: string
  readonly pace?: PulsePace
}): JobPulse {
  const { db, log, worker, pace = PACE } = options
  const stopping = new AbortController()
  const running = beat()

  async function beat(): Promise<void> {
    let soundSinceMs: number | null = null
    for (let round = 1; !stopping.signal.aborted; round += 1) {
      const startedMs = performance.now()
      try {
        await sayAlive(db, options)
        soundSinceMs ??= startedMs
        const isSound = performance.now() - soundSinceMs >= pace.deadAfterMs
        if (isSound) await unlockDead(round % THOROUGH_EVERY === 0)
      } catch (error) {
        soundSinceMs = null
        log.warn({ error: describeError(error) }, 'job.pulse_failed')
      }
      await sleep(pace.beatMs, stopping.signal)
      // a process that was stopped in between knows nothing of the others either
      if (performance.now() - startedMs > pace.deadAfterMs) soundSinceMs = null
    }
  }

  async function unlockDead(thorough: boolean): Promise<void> {
    const { rows } = await db.raw<{ rows: { workers: string[] }[] }>(
      `select unlock_dead_jobs(? * interval '1 millisecond', ?) as workers`,
      [pace.deadAfterMs, thorough],
    )
    for (const dead of rows[0]?.workers ?? []) log.warn({ worker: dead }, 'job.worker_dead')
  }

  return {
    async stop() {
      stopping.abort()
      await running
      try {
        await db.raw(`select graphile_worker.force_unlock_workers(array[?])`, [worker])
        await db.raw(`delete from job_process where worker = ?`, [worker])
      } catch (error) {
        // the others will find it silent
        log.warn({ error: describeError(error) }, 'job.pulse_failed')
      }
    },
  }
}

async function sayAlive(
  db: Knex,
  { worker, process }: { readonly worker: string; readonly process: string },
): Promise<void> {
  await db.raw(
    `insert into job_process (worker, process) values (?, ?)
     on conflict (worker) do update set seen_at = clock_timestamp()`,
    [worker, process],
  )
}
