import type { Knex } from 'knex'
import type { JobTasks, ScheduledJob } from '../database/job-engine.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import { FIRST_ID, lowestId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import { findOldBroadcast, forgetBroadcast, forgetMessages } from './forget-store.ts'

const TASK = 'forget-messages'
/** A quiet hour, away from the followers' comparison. China time. */
const NIGHTLY_AT: ScheduledJob['at'] = '4:25'
/** Rows of one statement: some tens of milliseconds, so that nobody waits for it. */
const BATCH = 1_000
const DAY_MS = 86_400_000

interface ForgetParts {
  readonly db: Knex
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** How long a message is kept after it has ended; 0 keeps everything. */
  readonly retentionDays: number
}

/**
 * The job that removes messages which ended long ago, every night: single messages with their
 * attempts, and broadcasts with their messages and lists. Small statements, so it may be stopped
 * anywhere and run twice. The consent ledger keeps what it took from an attempt: code and words.
 */
export function createForgetting(parts: ForgetParts): {
  readonly tasks: JobTasks
  readonly schedule: readonly ScheduledJob[]
} {
  return {
    tasks: {
      async [TASK](_, { signal }) {
        if (parts.retentionDays === 0) return
        const isDone = await forgetOldMessages(parts, signal)
        if (!isDone) await addJob(parts.db, { task: TASK, payload: {}, key: `${TASK}:go_on` })
      },
    },
    schedule: parts.retentionDays === 0 ? [] : [{ task: TASK, at: NIGHTLY_AT }],
  }
}

/** @returns whether nothing is left to do; not so when it was stopped. */
export async function forgetOldMessages(parts: ForgetParts, signal: AbortSignal): Promise<boolean> {
  const { db, log } = parts
  const before = new Date(parts.clock.now().getTime() - parts.retentionDays * DAY_MS)
  let [messages, broadcasts] = [0, 0]

  async function singles(): Promise<void> {
    const below = lowestId(before)
    for (let after: string | null = FIRST_ID; after !== null && !signal.aborted;) {
      const step = await forgetMessages(db, { before, below, after, limit: BATCH })
      messages += step.removed
      after = step.after
    }
  }

  async function wholes(): Promise<void> {
    for (;;) {
      const id = signal.aborted ? undefined : await findOldBroadcast(db, before)
      if (id === undefined) return
      for (let done = false; !done && !signal.aborted;) {
        const step = await forgetBroadcast(db, id, BATCH)
        messages += step.messages
        done = step.done
        if (done) broadcasts += 1
      }
    }
  }

  await singles()
  await wholes()
  if (messages + broadcasts > 0) log.info({ messages, broadcasts, before }, 'messages.forgotten')
  return !signal.aborted
}
