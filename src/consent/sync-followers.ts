import { randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { sleep, type Clock } from '../foundation/clock.ts'
import { describeError, type AppError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { CONVERSATION, CONVERSATION_ACTION, EVERY_TEMPLATE } from './consent.ts'
import type { Asked, FollowerSource, FollowState } from './follower-source.ts'
import {
  applyBlacklist,
  applyFollowers,
  enterPhase,
  findLatestRun,
  finishRun,
  isLost,
  leaveFollowers,
  liftBlacklisted,
  listMissing,
  pauseRun,
  readRun,
  readMissing,
  releaseRun,
  renewRun,
  savePage,
  takeRun,
  turnPage,
  type HeldRun,
  type SyncRun,
} from './follower-sync-store.ts'

/** What the sync of an account's followers came to, this time. */
export type SyncEnd =
  /** Done, failed for good, or resting until `run.resumeAt`, by `run.status`. */
  | { readonly kind: 'ended'; readonly run: SyncRun }
  /** Another process is at it. */
  | { readonly kind: 'busy'; readonly run: SyncRun }
  /** Told to stop; whoever comes next goes on. */
  | { readonly kind: 'stopped'; readonly run: SyncRun }
  /** There was nothing to go on with. */
  | { readonly kind: 'nothing' }

export interface SyncRequest {
  /** Begins a run where none is open; otherwise only goes on. */
  readonly start: boolean
  /** A person asks: also while it rests for a used-up quota. */
  readonly evenIfPaused?: boolean
  readonly signal: AbortSignal
  /** Called after each step. */
  readonly onProgress?: (run: SyncRun) => void
}

export interface FollowerSync {
  /** @throws UnavailableError when the platform or the database did not do its part; call again. */
  sync(account: Account, request: SyncRequest): Promise<SyncEnd>
  latest(accountId: number): Promise<SyncRun | null>
}

export interface SyncParts {
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  readonly source: FollowerSource
  /** Waits; only tests pass another. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * People of one transaction. Each takes a lock for its length; PostgreSQL has room for some 6,400
 * in all by default.
 */
const SLICE = 1_000
/** Of the platform's call about people. */
const ASKED_AT_ONCE = 100
/** 40003 (openid is not of this account); one of them spoils the whole call. */
const INVALID_OPENID = 40003
const RENEW_EVERY_MS = 3_000
/** Questions may be asked again: they change nothing. */
const TRY_AGAIN_MS = [1_000, 2_000, 4_000, 8_000]
/** After “too many calls in this minute” a pause between any two, doubled each time. */
const FIRST_PAUSE_MS = 100
/** People come and go while the list is read; fewer than this, and pages are missing. */
const LISTED_AT_LEAST = 0.999
const LISTED_SLACK = 10

/** Leaves the run where it stands, with what is to become of it. */
class Interruption extends Error {
  readonly why:
    | { readonly kind: 'stopped' }
    | { readonly kind: 'quota'; readonly until: Date; readonly reason: string }
    | { readonly kind: 'refused'; readonly errcode: number; readonly errmsg: string }

  constructor(why: Interruption['why']) {
    super(why.kind)
    this.why = why
  }
}

/** One process's part of a run. */
interface Trip {
  readonly account: Account
  readonly held: HeldRun
  readonly request: SyncRequest
  pauseMs: number
}

/**
 * Compares who follows by the ledger with the platform's own list, and writes the difference into
 * the ledger with the evidence `sync`. It can be stopped anywhere, by kill too: what has been read is
 * kept, each step is one transaction, and a step done twice changes nothing.
 *
 * First the whole list is read, then compared. What the run finds takes effect just before it began,
 * by the platform's clock, so that every act of a person during the run is later and wins.
 */
export function createFollowerSync(parts: SyncParts): FollowerSync {
  const { db, log } = parts

  async function go(trip: Trip): Promise<void> {
    for (;;) {
      const run = await readRun(db, trip.held.id)
      trip.request.onProgress?.(run)
      if (await step(parts, trip, run)) return
    }
  }

  async function interrupted(trip: Trip, error: unknown): Promise<'stopped' | 'busy' | 'ended'> {
    if (isLost(error)) return 'busy'
    if (!(error instanceof Interruption)) {
      await letGo(trip)
      throw error
    }
    const { account, held } = trip
    const { why } = error
    if (why.kind === 'stopped') {
      await letGo(trip)
      return 'stopped'
    }
    if (why.kind === 'quota') {
      const { until, reason } = why
      await pauseRun(db, held, { until, reason })
      log.warn({ account: account.name, until, reason }, 'follower_sync.paused')
      return 'ended'
    }
    const { errcode, errmsg } = why
    await finishRun(db, held, { status: 'failed', reason: `errcode ${errcode}: ${errmsg}` })
    log.error({ account: account.name, errcode, errmsg }, 'follower_sync.failed')
    return 'ended'
  }

  async function letGo({ account, held }: Trip): Promise<void> {
    await releaseRun(db, held).catch((error: unknown) => {
      // the lease ends by itself in some seconds
      log.warn({ account: account.name, error: describeError(error) }, 'follower_sync.not_released')
    })
  }

  return {
    latest: (accountId) => findLatestRun(db, accountId),

    async sync(account, request) {
      const { start, evenIfPaused = false } = request
      const owner = randomUUID()
      const run = await takeRun(db, account.id, { owner, start, evenIfPaused })
      if (!run) return notTaken(await findLatestRun(db, account.id))
      log.info({ account: account.name, sync_id: run.id, phase: run.phase }, 'follower_sync.began')
      const { id } = run
      const trip = { account, held: { id, owner }, request, pauseMs: 0 }
      const renewing = setInterval(() => {
        renewRun(db, trip.held).catch((error: unknown) => {
          log.debug({ error: describeError(error) }, 'follower_sync.not_renewed')
        })
      }, RENEW_EVERY_MS)
      try {
        const kind = await go(trip).then(
          () => 'ended' as const,
          (error: unknown) => interrupted(trip, error),
        )
        const ended = await readRun(db, id)
        request.onProgress?.(ended)
        return { kind, run: ended }
      } finally {
        clearInterval(renewing)
      }
    },
  }
}

function notTaken(run: SyncRun | null): SyncEnd {
  if (!run || run.finishedAt) return { kind: 'nothing' }
  return run.status === 'paused' ? { kind: 'ended', run } : { kind: 'busy', run }
}

/** One step of whatever phase the run is in; whether that was the last. */
async function step(parts: SyncParts, trip: Trip, run: SyncRun): Promise<boolean> {
  if (trip.request.signal.aborted) throw new Interruption({ kind: 'stopped' })
  switch (run.phase) {
    case 'list':
      await readFollowers(parts, trip, run)
      return false
    case 'apply':
      await grant(parts, trip, run)
      return false
    case 'leave':
      await takeAway(parts, trip, run)
      return false
    case 'block_list':
      return readBlacklist(parts, trip, run)
    case 'block':
      return block(parts, trip, run)
  }
}

async function readFollowers(parts: SyncParts, trip: Trip, run: SyncRun): Promise<void> {
  const { db, source } = parts
  const asked = await ask(parts, trip, () => source.listFollowers(trip.account, run.cursor))
  const page = { ...asked.value, next: endOf(asked.value.next, run.cursor) }
  const { askedAt } = asked
  await savePage(db, trip.held, { kind: 'follower', number: run.pages + 1, page, askedAt })
  if (page.next === '') await enterPhase(db, trip.held, 'apply')
}

/** A cursor that does not move would be followed for ever. */
function endOf(next: string, cursor: string): string {
  return next === cursor ? '' : next
}

async function grant(parts: SyncParts, trip: Trip, run: SyncRun): Promise<void> {
  const { db } = parts
  const { atPage: page, atOffset: offset } = run
  const slice = { page, offset, size: SLICE, few: ASKED_AT_ONCE }
  const { people, asked } = await applyFollowers(db, trip.held, { ...slice, times: null })
  if (people === 0) {
    return page < run.pages ? turnPage(db, trip.held, page + 1) : findMissing(parts, trip, run)
  }
  if (asked.length === 0) return
  const times: FollowState[] = []
  for (let from = 0; from < asked.length; from += ASKED_AT_ONCE) {
    const subjects = asked.slice(from, from + ASKED_AT_ONCE)
    times.push(...(await askAbout(parts, trip, subjects)).known)
  }
  await applyFollowers(db, trip.held, { ...slice, times })
}

async function findMissing({ db, log }: SyncParts, trip: Trip, run: SyncRun): Promise<void> {
  const { total, listed } = run
  if (isComplete(run)) {
    const missing = await listMissing(db, trip.held, SLICE)
    log.debug({ account: trip.account.name, listed, missing }, 'follower_sync.compared')
    return
  }
  // from a list with holes nobody may be taken for gone
  log.warn({ account: trip.account.name, total, listed }, 'follower_sync.list_incomplete')
  await enterPhase(db, trip.held, 'block_list')
}

function isComplete({ total, listed }: SyncRun): boolean {
  return total === null || listed >= total * LISTED_AT_LEAST - LISTED_SLACK
}

/** Takes `follow` from those whom the platform, asked again, does not call followers. */
async function takeAway(parts: SyncParts, trip: Trip, run: SyncRun): Promise<void> {
  const { db } = parts
  const { atPage: page, atOffset: offset } = run
  const missing = await readMissing(db, run.id, { page, offset, size: ASKED_AT_ONCE })
  if (missing.length === 0) {
    return page < run.pages
      ? turnPage(db, trip.held, page + 1)
      : enterPhase(db, trip.held, 'block_list')
  }
  const subjects = missing.filter((subject) => subject !== null)
  const { known, invalid } =
    subjects.length === 0 ? { known: [], invalid: [] } : await askAbout(parts, trip, subjects)
  const also = [CONVERSATION, CONVERSATION_ACTION]
  if (!trip.account.settings.keep_templates_on_unfollow) also.push(EVERY_TEMPLATE)
  const gone = known.filter(({ follows }) => !follows).map(({ subject }) => subject)
  // not this account's openid: nobody refused, but nothing can be delivered either
  const unreachable = { subjects: invalid, change: 'suppressed', also: [] } as const
  await leaveFollowers(db, trip.held, { page, offset, ...unreachable })
  const end = { page, offset: offset + missing.length }
  await leaveFollowers(db, trip.held, { ...end, subjects: gone, change: 'revoked', also })
}

/** What the platform says about some people; it refuses the whole question for one wrong openid. */
async function askAbout(
  parts: SyncParts,
  trip: Trip,
  subjects: readonly string[],
): Promise<{ readonly known: readonly FollowState[]; readonly invalid: readonly string[] }> {
  try {
    const asked = await ask(parts, trip, () => parts.source.askAbout(trip.account, subjects))
    return { known: asked.value, invalid: [] }
  } catch (error) {
    const isInvalid =
      error instanceof Interruption &&
      error.why.kind === 'refused' &&
      error.why.errcode === INVALID_OPENID
    if (!isInvalid) throw error
    if (subjects.length === 1) return { known: [], invalid: subjects }
    const middle = Math.ceil(subjects.length / 2)
    const before = await askAbout(parts, trip, subjects.slice(0, middle))
    const behind = await askAbout(parts, trip, subjects.slice(middle))
    return {
      known: [...before.known, ...behind.known],
      invalid: [...before.invalid, ...behind.invalid],
    }
  }
}

async function readBlacklist(parts: SyncParts, trip: Trip, run: SyncRun): Promise<boolean> {
  const { db, source, log } = parts
  try {
    const asked = await ask(parts, trip, () => source.listBlocked(trip.account, run.cursor))
    const page = { ...asked.value, next: endOf(asked.value.next, run.cursor) }
    const { askedAt } = asked
    await savePage(db, trip.held, { kind: 'blocked', number: run.pages + 1, page, askedAt })
    if (page.next === '') await enterPhase(db, trip.held, 'block')
    return false
  } catch (error) {
    // many accounts may not read it; that is no reason to forget the rest
    if (!(error instanceof Interruption) || error.why.kind !== 'refused') throw error
    const { errcode } = error.why
    log.warn({ account: trip.account.name, errcode }, 'follower_sync.no_blacklist')
    await finish(parts, trip, [...remarksOn(run), `no_blacklist: errcode ${errcode}`])
    return true
  }
}

async function block(parts: SyncParts, trip: Trip, run: SyncRun): Promise<boolean> {
  const { db } = parts
  const { atPage: page, atOffset: offset } = run
  if ((await applyBlacklist(db, trip.held, { page, offset, size: SLICE })) > 0) return false
  if (page < run.pages) {
    await turnPage(db, trip.held, page + 1)
    return false
  }
  if ((await liftBlacklisted(db, trip.held, SLICE)) > 0) return false
  await finish(parts, trip, remarksOn(run))
  return true
}

/** What was left out of a run, and why. */
function remarksOn(run: SyncRun): string[] {
  return isComplete(run) ? [] : ['list_incomplete']
}

async function finish(
  { db, log }: SyncParts,
  { account, held }: Trip,
  remarks: readonly string[],
): Promise<void> {
  const reason = remarks.join(', ') || null
  await finishRun(db, held, { status: 'done', reason })
  const { listed, granted, revoked, suppressed, lifted } = await readRun(db, held.id)
  const counts = { listed, granted, revoked, suppressed, lifted }
  log.info({ account: account.name, sync_id: held.id, reason, ...counts }, 'follower_sync.done')
}

/** Asks until there is an answer, as slowly as the platform wants it. */
async function ask<T>(
  parts: SyncParts,
  trip: Trip,
  question: () => Promise<Asked<T>>,
): Promise<{ readonly value: T; readonly askedAt: Date }> {
  const { clock, log, wait = sleep } = parts
  const { signal } = trip.request
  let failures = 0
  for (;;) {
    if (trip.pauseMs > 0) await wait(trip.pauseMs, signal)
    if (signal.aborted) throw new Interruption({ kind: 'stopped' })
    const asked = await question()
    switch (asked.kind) {
      case 'answer':
        return asked
      case 'quota':
      case 'refused':
        throw new Interruption(asked)
      case 'slow':
        trip.pauseMs = Math.max(FIRST_PAUSE_MS, trip.pauseMs * 2)
        log.info({ account: trip.account.name, pause_ms: trip.pauseMs }, 'follower_sync.slowed')
        await wait(asked.until.getTime() - clock.now().getTime(), signal)
        break
      case 'wait':
        await wait(pauseAfter(asked.error, failures), signal)
        failures += 1
    }
  }
}

/** @throws the fault itself, when it has lasted long enough. */
function pauseAfter(error: AppError, failures: number): number {
  const pauseMs = TRY_AGAIN_MS[failures]
  if (pauseMs === undefined) throw error
  return pauseMs
}
