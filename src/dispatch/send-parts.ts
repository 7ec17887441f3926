import type { Knex } from 'knex'
import { decideSend } from '../consent/consent-store.ts'
import { isUnavailable } from '../database/availability.ts'
import { sleep } from '../foundation/clock.ts'
import { createGatherer } from '../foundation/gather.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'
import {
  beginAttempts,
  finishAttempts,
  pauseChannel,
  releaseMessages,
  type BeginDecision,
  type ClaimedMessage,
  type EndedAttempt,
} from './dispatch-store.ts'
import type { AttemptEnd } from './outcome.ts'
import type { SendParts } from './send-claimed.ts'
import { createUnknownCodes } from './unknown-codes.ts'
import type { WatchedCall } from './watch-calls.ts'

/** Attempts of one begin or finish statement. */
const MAX_BATCH = 100

/** What the gathering adds to. */
type Given = Omit<
  SendParts,
  'isAllowed' | 'begin' | 'finish' | 'release' | 'pause' | 'watch' | 'unknownCode'
> & {
  readonly db: Knex
}

/** What the sending of a message tells the loop that claims. */
export interface LoopHooks {
  readonly lease: { readonly process: string; readonly leaseSeconds: number }
  readonly watch: (watched: WatchedCall) => Promise<void>
  /** A message is due at this moment. */
  readonly wakeAt: (at: Date) => void
  /** The calls for such messages rest from now on. */
  readonly onRest: (isMeant: (waiting: ClaimedMessage) => boolean) => Promise<void>
}

/** What `sendClaimed` needs of one process: its writes, gathered into few statements. */
export function createSendParts(options: Given, hooks: LoopHooks): SendParts {
  const { db, clock } = options
  const { lease, wakeAt } = hooks
  const begins = createGatherer<string, BeginDecision>({
    maxBatch: MAX_BATCH,
    maxWaiting: Infinity,
    isCommonFailure: isUnavailable,
    run: (messageIds) => beginAttempts(db, { ...lease, messageIds }),
  })
  const ends = createGatherer<EndedAttempt, string | null>({
    maxBatch: MAX_BATCH,
    maxWaiting: Infinity,
    isCommonFailure: isUnavailable,
    run: (ended) => finishAttempts(db, ended),
  })

  /**
   * The platform has acted: its answer must not be lost to a database that is away for a moment. We
   * try for as long as a lease; another process has called the outcome unknown by then.
   */
  async function surely<Result>(work: () => Promise<Result>): Promise<Result> {
    const untilMs = clock.monotonicMs() + lease.leaseSeconds * 1000
    for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      try {
        return await work()
      } catch (error) {
        if (!isUnavailable(error) || clock.monotonicMs() > untilMs) throw error
        await sleep(pauseMs)
      }
    }
  }

  return {
    ...options,
    tokens: {
      getToken: (account, wish) => options.tokens.getToken(account, wish),
      reportRejected: (account, version) =>
        surely(() => options.tokens.reportRejected(account, version)),
    },
    isAllowed: async ({ recipient: subject, ...message }) =>
      (await decideSend(db, { ...message, subject, at: clock.now() })).allowed,
    begin: (messageId) => begins.add(messageId),
    async finish(ended) {
      const status = await surely(() => ends.add(ended))
      if (ended.end.dueAt) wakeAt(ended.end.dueAt)
      return status
    },
    async release(messageId, dueAt) {
      await releaseMessages(db, { process: lease.process, messageIds: [messageId], dueAt })
      wakeAt(dueAt ?? clock.now())
    },
    async pause(message, end) {
      await surely(() => restChannel(db, message, end))
      await hooks.onRest((waiting) => isRested(waiting, message, end))
    },
    watch: hooks.watch,
    unknownCode: createUnknownCodes(options),
  }
}

/** Whether the rest that follows from the end of `message` is one for `waiting` too. */
function isRested(
  waiting: ClaimedMessage,
  message: ClaimedMessage,
  { pause }: AttemptEnd,
): boolean {
  if (waiting.accountId !== message.accountId) return false
  return pause?.every === true || waiting.channel === message.channel
}

async function restChannel(db: Knex, message: ClaimedMessage, end: AttemptEnd): Promise<void> {
  if (!end.pause) return
  const { until, reason, every } = end.pause
  for (const channel of every ? CHANNEL_NAMES : [message.channel]) {
    const { accountId } = message
    await pauseChannel(db, { accountId, channel, until, errcode: end.errcode, reason })
  }
}
