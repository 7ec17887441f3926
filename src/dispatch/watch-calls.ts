import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { Channel } from '../wechat/channels.ts'
import type { ApiHost, CallOutcome } from '../wechat/platform-client.ts'
import { codeSpaceOf, hostOf } from '../wechat/served-account.ts'
import { closeBreaker, listBreakers, openBreaker, type BreakerOwner } from './breaker-store.ts'
import { afterFailure, NO_FAILURES, reaches, type FailureRow } from './breaker.ts'
import { isTooMuch, isTransient } from './overload.ts'
import { slowSends } from './pace-store.ts'
import type { Places } from './places.ts'
import type { FindAccountById, LookUpCode } from './ports.ts'

/** A platform call for a message that is over. */
export interface WatchedCall {
  readonly account: Account
  readonly channel: Channel
  readonly call: CallOutcome
  readonly latencyMs: number
  /** It was made to see whether the account's calls must still rest. */
  readonly onTrial: boolean
}

/** Learns from every call how the account's calls go, and acts on it for all processes. */
export interface CallWatch {
  called(watched: WatchedCall): Promise<void>
  /** Sets the gauges: of the accounts that this process has lately called for, and of breakers. */
  measure(): Promise<void>
}

/** The platform says “too much” to all that are under way; once a second is enough to hear it. */
const SLOW_ONCE_IN_MS = 1_000

export function createCallWatch(parts: {
  readonly db: Knex
  readonly places: Pick<Places, 'called' | 'view'>
  readonly findAccount: FindAccountById
  readonly lookUpCode: LookUpCode
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Told that an account's calls rest from now on. */
  readonly onRest: (accountId: number) => Promise<void>
}): CallWatch {
  const { db, places, findAccount, clock, log, metrics } = parts
  const rows = new Map<number, FailureRow>()
  const hostRows = new Map<ApiHost, FailureRow>()
  const slowedAtMs = new Map<string, number>()
  const names = new Map<number, string>()

  async function open(owner: BreakerOwner, account: Account, reason: string): Promise<void> {
    const until = await openBreaker(db, owner, reason)
    if (until === null) return
    const fields = owner.kind === 'host' ? { host: owner.host } : { account: account.name }
    log.warn({ ...fields, reason, until }, 'dispatch.breaker_opened')
    await parts.onRest(account.id)
  }

  async function close(owner: BreakerOwner, account: Account): Promise<void> {
    if (!(await closeBreaker(db, owner))) return
    const fields = owner.kind === 'host' ? { host: owner.host } : { account: account.name }
    log.info(fields, 'dispatch.breaker_closed')
  }

  /** All of them, because the process that closes one need not be the one that opened it. */
  async function measureBreakers(): Promise<void> {
    const open = await listBreakers(db)
    metrics.sendBreaker.reset()
    metrics.hostBreaker.reset()
    for (const { owner } of open) {
      if (owner.kind === 'host') {
        metrics.hostBreaker.set({ host: owner.host }, 1)
        continue
      }
      const account = names.get(owner.accountId) ?? (await findAccount(owner.accountId))?.name
      if (account !== undefined) metrics.sendBreaker.set({ account }, 1)
    }
  }

  async function reached({ account, onTrial }: WatchedCall, host: ApiHost): Promise<void> {
    rows.delete(account.id)
    hostRows.delete(host)
    if (!onTrial) return
    await close({ kind: 'account', accountId: account.id }, account)
    await close({ kind: 'host', host }, account)
  }

  async function failed(watched: WatchedCall, host: ApiHost, reason: string): Promise<void> {
    const { account, onTrial } = watched
    const failure = { atMs: clock.monotonicMs(), accountId: account.id }
    const own = afterFailure(rows.get(account.id) ?? NO_FAILURES, failure, 'account')
    const theirs = afterFailure(hostRows.get(host) ?? NO_FAILURES, failure, 'host')
    rows.set(account.id, own.row)
    hostRows.set(host, theirs.row)
    if (own.opens || onTrial)
      await open({ kind: 'account', accountId: account.id }, account, reason)
    if (theirs.opens) await open({ kind: 'host', host }, account, reason)
  }

  /** The platform's code is about one API, a 429 of something before it about all that we send. */
  async function slow({ account, channel, call }: WatchedCall): Promise<void> {
    const owner = { accountId: account.id, channel: call.kind === 'answer' ? channel : null }
    const key = `${owner.accountId} ${owner.channel ?? ''}`
    const nowMs = clock.monotonicMs()
    if (nowMs - (slowedAtMs.get(key) ?? -Infinity) < SLOW_ONCE_IN_MS) return
    slowedAtMs.set(key, nowMs)
    const perSecond = await slowSends(db, owner)
    if (perSecond !== null) {
      const { channel: slowed } = owner
      const fields = { account: account.name, ...(slowed && { channel: slowed }) }
      log.warn({ ...fields, per_second: perSecond }, 'dispatch.slowed')
    }
  }

  async function learn(watched: WatchedCall): Promise<void> {
    const { account, call, latencyMs } = watched
    const hasReached = reaches(call)
    if (hasReached === null) return
    names.set(account.id, account.name)
    const space = codeSpaceOf(account)
    const classOf = (code: number) => parts.lookUpCode(account, code).class
    const tooMuch = isTooMuch(call, { space, classOf })
    const isOverload = !hasReached || tooMuch || isTransient(call, { space, classOf })
    places.called(account.id, { latencyMs, isOverload })
    const host = hostOf(space)
    if (call.kind === 'answer') await reached(watched, host)
    else await failed(watched, host, call.reason)
    if (tooMuch) await slow(watched)
  }

  return {
    async called(watched) {
      try {
        await learn(watched)
      } catch (error) {
        // the message's own outcome matters more; the next call tells the same
        const fields = { account: watched.account.name, error: describeError(error) }
        log.warn(fields, 'dispatch.account_not_told')
      }
    },
    async measure() {
      for (const { accountId, limit, held } of places.view()) {
        const account = names.get(accountId)
        if (account === undefined) continue
        metrics.sendLimit.set({ account }, limit)
        metrics.sendsInHand.set({ account }, held)
      }
      await measureBreakers()
    },
  }
}
