import { setTimeout as sleep } from 'node:timers/promises'
import { hasFollowers } from '../accounts/account-kinds.ts'
import type { SyncRun } from '../consent/follower-sync-store.ts'
import type { SyncEnd } from '../consent/sync-followers.ts'
import type { Command, CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

/** Progress is told this often; another process's run is looked at as often. */
const TELL_EVERY_MS = 1_000

export const followersSync: Command = {
  name: 'followers sync',
  summary: {
    en: 'Compare who follows an account with the platform’s own list, and correct the ledger.',
    zh: '与平台的关注者列表核对，并更正授权账本。',
  },
  words: ['ACCOUNT'],

  async run(context) {
    const { args, say, output, withGateway, signal } = context
    const name = args.word(0)
    return withGateway(async ({ parts }) => {
      await parts.accounts.show(name) // says so where there is none
      const account = await parts.accounts.findByName(name)
      if (!account) return refuseArgument('ACCOUNT', (speak) => speak('disabled'))
      if (!hasFollowers(account)) return refuseArgument('ACCOUNT', (speak) => speak('no_followers'))
      const tell = createTeller(context)
      for (;;) {
        const end = await parts.followers.sync(account, {
          start: true,
          evenIfPaused: true,
          signal,
          onProgress: tell,
        })
        if (end.kind === 'busy' && !signal.aborted) {
          tell(end.run)
          await sleep(TELL_EVERY_MS, undefined, { signal }).catch(() => undefined)
          const run = await parts.followers.latest(account.id)
          if (!run?.finishedAt) continue
          return answer({ kind: 'ended', run }, name, { say, output })
        }
        return answer(end, name, { say, output })
      }
    })
  },
}

/** Tells how far it is, how fast, and how long it will still take; at most once a second. */
function createTeller({ args, say, output }: CommandContext): (run: SyncRun) => void {
  let told = { atMs: -Infinity, done: 0, phase: '' }
  return (run) => {
    const nowMs = performance.now()
    if (run.finishedAt || nowMs - told.atMs < TELL_EVERY_MS) return
    const { done, of } = progressOf(run)
    const isSame = told.phase === run.phase && done >= told.done
    const rate = isSame ? Math.round(((done - told.done) * 1000) / (nowMs - told.atMs)) : null
    const seconds = rate && of !== null ? Math.ceil((of - done) / rate) : null
    told = { atMs: nowMs, done, phase: run.phase }
    if (args.flag('json')) {
      return output.answer(
        { progress: { phase: run.phase, done, of, rate, seconds_left: seconds } },
        '',
      )
    }
    const phase = say(`sync_${run.phase}`)
    output.note(
      say('sync_progress', {
        phase,
        done,
        of: of ?? '?',
        rate: rate ?? '–',
        seconds: seconds ?? '–',
      }),
    )
  }
}

/** People done of how many, in the phase the run is in. */
function progressOf(run: SyncRun): { readonly done: number; readonly of: number | null } {
  switch (run.phase) {
    case 'list':
      return { done: run.listed, of: run.total }
    case 'apply':
      return { done: run.applied, of: run.listed }
    case 'leave':
    case 'block_list':
    case 'block':
      return { done: run.revoked + run.suppressed, of: null }
  }
}

function answer(
  end: SyncEnd,
  account: string,
  { say, output }: { readonly say: Say; readonly output: CommandContext['output'] },
): number {
  if (end.kind === 'nothing') throw new Error('a run that was asked for is there')
  const { run } = end
  const { listed, granted, revoked, suppressed, lifted, reason } = run
  const status = end.kind === 'ended' ? run.status : 'stopped'
  const resumeAt = run.resumeAt?.toISOString() ?? null
  output.answer(
    {
      ...{ account, status, began_at: run.beganAt?.toISOString() ?? null, listed, granted },
      ...{ revoked, suppressed, lifted, reason, resume_at: resumeAt },
    },
    [
      textTable([
        [say('sync_listed'), String(listed)],
        [say('sync_granted'), String(granted)],
        [say('sync_revoked'), String(revoked)],
        [say('sync_suppressed'), String(suppressed)],
        [say('sync_lifted'), String(lifted)],
      ]),
      '',
      sentence(status, say, { reason: reason ?? '', time: resumeAt ?? '' }),
    ].join('\n'),
  )
  return status === 'done' || status === 'paused' ? 0 : 1
}

function sentence(
  status: SyncRun['status'] | 'stopped',
  say: Say,
  { reason, time }: { readonly reason: string; readonly time: string },
): string {
  switch (status) {
    case 'done':
      return reason === '' ? say('sync_done') : say('sync_done_but', { reason })
    case 'paused':
      return say('sync_paused', { time })
    case 'failed':
      return say('sync_failed', { reason })
    case 'running':
    case 'stopped':
      return say('sync_stopped')
  }
}
