import { progressBody } from '../api/broadcast-routes.ts'
import type { Parts } from '../compose.ts'
import { sleep, systemClock } from '../foundation/clock.ts'
import type { BroadcastProgress } from '../messages/broadcast.ts'
import { showBroadcast } from '../messages/find-broadcast.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

const POLL_MS = 1_000
const BAR_WIDTH = 30

export const broadcastShow: Command = {
  name: 'broadcast show',
  summary: {
    en: 'Show how far a broadcast has come: counts, rate and time left.',
    zh: '查看群发进度：数量、速率和剩余时间。',
  },
  words: ['ID'],
  options: {
    watch: {
      type: 'flag',
      help: {
        en: 'Go on showing it until it has ended or is paused.',
        zh: '持续显示，直到群发结束或暂停。',
      },
    },
  },

  async run({ args, say, output, signal, withGateway }) {
    await withGateway(async ({ parts }) => {
      const look = lookAt(parts, args.word(0))
      let progress = await look()
      while (args.flag('watch') && isUnderWay(progress) && !signal.aborted) {
        output.live(progressLine(progress, say, systemClock.now()))
        await sleep(POLL_MS, signal)
        progress = await look()
      }
      output.live('')
      output.answer(progressBody(progress), progressText(progress, say))
    })
  },
}

function lookAt(parts: Parts, id: string): () => Promise<BroadcastProgress> {
  return async () => {
    const wanted = { caller: await operatorOf(parts), id }
    return showBroadcast({ store: parts.broadcasts, clock: systemClock }, wanted)
  }
}

function isUnderWay(progress: BroadcastProgress): boolean {
  return progress.finishedAt === null && progress.status !== 'paused'
}

function progressText(progress: BroadcastProgress, say: Say): string {
  const { id, status, messages, lines } = progress
  const counts = Object.entries(messages).filter(([, count]) => count > 0)
  const rows = counts.map(([name, count]) => [name, String(count)])
  const { accepted, duplicate, bad } = lines
  return [
    say('broadcast_accepted', { id, status, accepted, duplicate, bad }),
    progressLine(progress, say, systemClock.now()),
    textTable([[say('state'), say('count')], ...rows]),
  ].join('\n')
}

/** One line: a bar, how much of all, and where they can be said the rate and the time left. */
export function progressLine(
  progress: Pick<
    BroadcastProgress,
    'messages' | 'lines' | 'ratePerSecond' | 'estimatedEndAt' | 'status' | 'reason' | 'until'
  >,
  say: Say,
  now: Date,
): string {
  const { messages, lines, ratePerSecond, estimatedEndAt, reason, until } = progress
  const left = messages.waiting + messages.scheduled + messages.queued + messages.sending
  const done = lines.accepted - left
  const share = lines.accepted === 0 ? 1 : done / lines.accepted
  const filled = Math.floor(share * BAR_WIDTH)
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`
  return [
    `${bar} ${Math.floor(share * 100)} %`,
    `${done}/${lines.accepted}`,
    progress.status,
    ...(until === null ? [] : [restText(until, reason, say)]),
    ...(ratePerSecond === null ? [] : [say('broadcast_rate', { rate: rounded(ratePerSecond) })]),
    ...(estimatedEndAt === null
      ? []
      : [say('broadcast_left', { time: clockTime(estimatedEndAt.getTime() - now.getTime()) })]),
  ].join('  ')
}

function restText(until: Date, reason: string | null, say: Say): string {
  const why = reason === 'quiet_hours' ? say('quiet_hours') : (reason ?? '')
  return say('broadcast_rests', { time: until.toISOString(), reason: why })
}

function rounded(rate: number): number {
  return rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate)
}

/** `h:mm:ss`. */
function clockTime(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}
