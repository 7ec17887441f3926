import type { SyncRun } from '../consent/follower-sync-store.ts'
import type { Say } from './words.ts'

/** The last comparison of an account's followers, for a program. */
export function followersAnswer(run: SyncRun | null) {
  if (run === null) return null
  return {
    status: run.status,
    listed: run.listed,
    total: run.total,
    reason: run.reason,
    started_at: run.startedAt.toISOString(),
    finished_at: run.finishedAt?.toISOString() ?? null,
    resume_at: run.resumeAt?.toISOString() ?? null,
  }
}

/** The last comparison of an account's followers, for a person. */
export function describeFollowers(run: SyncRun | null, say: Say): string {
  switch (run?.status) {
    case undefined:
      return say('followers_never')
    case 'running':
      return say('followers_running', { listed: run.listed, total: run.total ?? '?' })
    case 'paused':
      return say('followers_paused', { time: run.resumeAt?.toISOString() ?? '?' })
    case 'done':
      return say('followers_done', { time: run.finishedAt?.toISOString() ?? '' })
    case 'failed':
      return say('followers_failed', { reason: run.reason ?? '' })
  }
}
