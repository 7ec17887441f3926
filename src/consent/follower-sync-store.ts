import type { Knex } from 'knex'
import { errorCode } from '../database/availability.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import type { FollowerPage, FollowState } from './follower-source.ts'

/** What a run is at: reading the list, granting, taking away, and the same for the blacklist. */
export type SyncPhase = 'list' | 'apply' | 'leave' | 'block_list' | 'block'

/** One comparison of an account's followers with the platform's list, as it stands. */
export interface SyncRun {
  readonly id: string
  readonly status: 'running' | 'paused' | 'done' | 'failed'
  readonly phase: SyncPhase
  /** The platform's clock before anything was listed; null until it has answered once. */
  readonly beganAt: Date | null
  /** Where the next page of the list begins. */
  readonly cursor: string
  /** Pages of the list that the phase reads or works through. */
  readonly pages: number
  /** How many the platform says there are. */
  readonly total: number | null
  readonly listed: number
  /** Of the listed, how many have been compared. */
  readonly applied: number
  /** How far the phase has come: page, from 1, and people of it. */
  readonly atPage: number
  readonly atOffset: number
  readonly granted: number
  readonly revoked: number
  readonly suppressed: number
  readonly lifted: number
  readonly resumeAt: Date | null
  /** Why it pauses, failed or left something out. */
  readonly reason: string | null
  readonly startedAt: Date
  readonly finishedAt: Date | null
}

/** A run, as whoever holds it names it in every write. */
export interface HeldRun {
  readonly id: string
  readonly owner: string
}

/** Where in a list to work. */
export interface Slice {
  readonly page: number
  readonly offset: number
}

/** A dead holder's run is taken over after this; holders say every few seconds that they live. */
const LEASE_SECONDS = 10

const COLUMNS = `
  id, status, phase, began_at, cursor, pages, total, listed, applied, at_page, at_offset, granted,
  revoked, suppressed, lifted, resume_at, reason, started_at, finished_at`

interface Row {
  id: string
  status: SyncRun['status']
  phase: SyncPhase
  began_at: Date | null
  cursor: string
  pages: number
  total: string | null
  listed: string
  applied: string
  at_page: number
  at_offset: number
  granted: string
  revoked: string
  suppressed: string
  lifted: string
  resume_at: Date | null
  reason: string | null
  started_at: Date
  finished_at: Date | null
}

/** Whether a write was refused because another process holds the run by now. */
export function isLost(error: unknown): boolean {
  return errorCode(error) === 'WCG02'
}

/**
 * Takes the account's open run if nobody holds it; with `start`, a new one if there is none.
 *
 * @param options.evenIfPaused takes it also before its pause is over.
 * @returns null when there is nothing to take.
 */
export async function takeRun(
  db: Knex,
  accountId: number,
  options: { readonly owner: string; readonly start: boolean; readonly evenIfPaused: boolean },
): Promise<SyncRun | null> {
  const { owner, start, evenIfPaused } = options
  if (start) {
    await db.raw(
      `insert into follower_sync (account_id) values (?)
       on conflict (account_id) where finished_at is null do nothing`,
      [accountId],
    )
  }
  return one(
    await db.raw<{ rows: Row[] }>(
      `update follower_sync set
         status = 'running', reason = null, resume_at = null,
         lease_owner = ?, leased_until = clock_timestamp() + ? * interval '1 second',
         updated_at = clock_timestamp()
       where account_id = ? and finished_at is null
         and (leased_until is null or leased_until < clock_timestamp())
         and (? or resume_at is null or resume_at <= clock_timestamp())
       returning ${COLUMNS}`,
      [owner, LEASE_SECONDS, accountId, evenIfPaused],
    ),
  )
}

/** The latest run of an account, open or not. */
export async function findLatestRun(db: Knex, accountId: number): Promise<SyncRun | null> {
  return one(
    await db.raw<{ rows: Row[] }>(
      `select ${COLUMNS} from follower_sync where account_id = ? order by id desc limit 1`,
      [accountId],
    ),
  )
}

/** A run as it stands. */
export async function readRun(db: Knex, id: string): Promise<SyncRun> {
  const run = one(
    await db.raw<{ rows: Row[] }>(`select ${COLUMNS} from follower_sync where id = ?`, [id]),
  )
  if (!run) throw new Error('a follower sync vanished')
  return run
}

/** Says that the holder lives. */
export async function renewRun(db: Knex, { id, owner }: HeldRun): Promise<void> {
  await db.raw(
    `update follower_sync set leased_until = clock_timestamp() + ? * interval '1 second'
     where id = ? and lease_owner = ? and finished_at is null`,
    [LEASE_SECONDS, id, owner],
  )
}

/** Lets others go on with it at once. */
export async function releaseRun(db: Knex, { id, owner }: HeldRun): Promise<void> {
  await db.raw(
    `update follower_sync set lease_owner = null, leased_until = null
     where id = ? and lease_owner = ?`,
    [id, owner],
  )
}

/** Keeps a page of one of the platform's lists, and where the next begins. */
export async function savePage(
  db: Knex,
  held: HeldRun,
  kept: {
    readonly kind: 'follower' | 'blocked'
    readonly number: number
    readonly page: FollowerPage
    readonly askedAt: Date
  },
): Promise<void> {
  const { kind, number, page, askedAt } = kept
  const isFollowers = kind === 'follower'
  await withTransaction(db, async (trx) => {
    await hold(trx, held)
    if (page.subjects.length > 0) {
      await trx.raw(
        `insert into follower_sync_page (sync_id, kind, number, subjects) values (?, ?, ?, ?)`,
        [held.id, kind, number, [...page.subjects]],
      )
    }
    await trx.raw(
      `update follower_sync set
         began_at = coalesce(began_at, ?), cursor = ?, pages = ?,
         total = case when ? then coalesce(?::bigint, total) else total end,
         listed = listed + ?, updated_at = clock_timestamp()
       where id = ?`,
      [
        askedAt,
        page.next,
        page.subjects.length > 0 ? number : number - 1,
        isFollowers,
        page.total,
        isFollowers ? page.subjects.length : 0,
        held.id,
      ],
    )
  })
}

/** Goes on with the next page of a list that has been kept. */
export async function turnPage(db: Knex, held: HeldRun, page: number): Promise<void> {
  await withTransaction(db, async (trx) => {
    await hold(trx, held)
    await trx.raw(`update follower_sync set at_page = ?, at_offset = 0 where id = ?`, [
      page,
      held.id,
    ])
  })
}

/** Begins another phase at its first page. */
export async function enterPhase(db: Knex, held: HeldRun, phase: SyncPhase): Promise<void> {
  await withTransaction(db, async (trx) => {
    await hold(trx, held)
    await trx.raw(
      `update follower_sync set
         phase = ?, at_page = 1, at_offset = 0,
         pages = case when ? then 0 else pages end, cursor = case when ? then '' else cursor end,
         updated_at = clock_timestamp()
       where id = ?`,
      [phase, phase === 'block_list', phase === 'block_list', held.id],
    )
  })
}

/**
 * Grants to those of a slice who are not on record.
 *
 * @param options.few up to so many unknown people are asked about, too.
 * @param options.times the answers of the platform about those that the first call named.
 * @returns how many people the slice has, none behind the page's end; and whom to ask about: then
 *   the slice is not done.
 */
export async function applyFollowers(
  db: Knex,
  held: HeldRun,
  options: Slice & {
    readonly size: number
    readonly few: number
    readonly times: readonly FollowState[] | null
  },
): Promise<{ readonly people: number; readonly asked: readonly string[] }> {
  const { page, offset, size, few, times } = options
  const known = times?.flatMap(({ subject, follows, since }) =>
    follows ? [{ subject, at: since }] : [],
  )
  const { rows } = await db.raw<{ rows: { people: number; asked: string[] }[] }>(
    `select people, asked from apply_followers(?, ?, ?, ?, ?, ?, ?::json)`,
    [held.id, held.owner, page, offset, size, few, known ? JSON.stringify(known) : null],
  )
  return rows[0] ?? { people: 0, asked: [] }
}

/** Keeps the list of those who are on record as following and were not listed; says how many. */
export async function listMissing(db: Knex, held: HeldRun, size: number): Promise<number> {
  const { rows } = await withTransaction(db, async (trx) => {
    // one statement over all followers; its own limit is in the function
    await trx.raw(`set local statement_timeout = '10min'`)
    return trx.raw<{ rows: { missing: string }[] }>(
      `select list_missing_followers(?, ?, ?) as missing`,
      [held.id, held.owner, size],
    )
  })
  return Number(rows[0]?.missing ?? 0)
}

/** A slice of those who were not listed; empty behind the page's end, null for who was erased. */
export async function readMissing(
  db: Knex,
  id: string,
  { page, offset, size }: Slice & { readonly size: number },
): Promise<readonly (string | null)[]> {
  const { rows } = await db.raw<{ rows: { subjects: (string | null)[] }[] }>(
    `select subjects[?::integer + 1 : ?::integer + ?::integer] as subjects
     from follower_sync_page where sync_id = ? and kind = 'missing' and number = ?`,
    [offset, offset, size, id, page],
  )
  return rows[0]?.subjects ?? []
}

/** Ends `follow`, and what ends with it, for those who still have it since before the run. */
export async function leaveFollowers(
  db: Knex,
  held: HeldRun,
  left: Slice & {
    readonly subjects: readonly string[]
    readonly change: 'revoked' | 'suppressed'
    readonly also: readonly string[]
  },
): Promise<void> {
  await db.raw(`select leave_followers(?, ?, ?, ?, ?::text[], ?, ?::text[])`, [
    held.id,
    held.owner,
    left.page,
    left.offset,
    [...left.subjects],
    left.change,
    [...left.also],
  ])
}

/** Suppresses the people of a slice of the blacklist; says how many the slice has. */
export async function applyBlacklist(
  db: Knex,
  held: HeldRun,
  { page, offset, size }: Slice & { readonly size: number },
): Promise<number> {
  const { rows } = await db.raw<{ rows: { people: number }[] }>(
    `select apply_blacklist(?, ?, ?, ?, ?) as people`,
    [held.id, held.owner, page, offset, size],
  )
  return rows[0]?.people ?? 0
}

/** Lifts some of those who are no longer on the blacklist; says how many. */
export async function liftBlacklisted(db: Knex, held: HeldRun, size: number): Promise<number> {
  const { rows } = await withTransaction(db, async (trx) => {
    await trx.raw(`set local statement_timeout = '10min'`)
    return trx.raw<{ rows: { lifted: number }[] }>(`select lift_blacklisted(?, ?, ?) as lifted`, [
      held.id,
      held.owner,
      size,
    ])
  })
  return rows[0]?.lifted ?? 0
}

/** Rests until a time; whoever looks after open runs then goes on with it. */
export async function pauseRun(
  db: Knex,
  held: HeldRun,
  pause: { readonly until: Date; readonly reason: string },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await hold(trx, held)
    await trx.raw(
      `update follower_sync set
         status = 'paused', resume_at = ?, reason = ?, lease_owner = null, leased_until = null,
         updated_at = clock_timestamp()
       where id = ?`,
      [pause.until, pause.reason, held.id],
    )
  })
}

/** The accounts whose run is open, due and in nobody's hands. */
export async function findAbandoned(db: Knex): Promise<number[]> {
  const { rows } = await db.raw<{ rows: { account_id: number }[] }>(
    `select account_id from follower_sync
     where finished_at is null
       and (leased_until is null or leased_until < clock_timestamp())
       and (resume_at is null or resume_at <= clock_timestamp())`,
  )
  return rows.map((row) => row.account_id)
}

/** Ends a run; its lists go, and its place in them. */
export async function finishRun(
  db: Knex,
  held: HeldRun,
  end: { readonly status: 'done' | 'failed'; readonly reason: string | null },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await hold(trx, held)
    await trx.raw(
      `update follower_sync set
         status = ?, reason = ?, cursor = '', lease_owner = null, leased_until = null,
         finished_at = clock_timestamp(), updated_at = clock_timestamp()
       where id = ?`,
      [end.status, end.reason, held.id],
    )
    await trx.raw(`delete from follower_sync_page where sync_id = ?`, [held.id])
  })
}

async function hold(trx: Knex.Transaction, { id, owner }: HeldRun): Promise<void> {
  await trx.raw(`select hold_follower_sync(?, ?)`, [id, owner])
}

function one({ rows }: { readonly rows: readonly Row[] }): SyncRun | null {
  const row = rows[0]
  return row
    ? {
        id: row.id,
        status: row.status,
        phase: row.phase,
        beganAt: row.began_at,
        cursor: row.cursor,
        pages: row.pages,
        total: row.total === null ? null : Number(row.total),
        listed: Number(row.listed),
        applied: Number(row.applied),
        atPage: row.at_page,
        atOffset: row.at_offset,
        granted: Number(row.granted),
        revoked: Number(row.revoked),
        suppressed: Number(row.suppressed),
        lifted: Number(row.lifted),
        resumeAt: row.resume_at,
        reason: row.reason,
        startedAt: row.started_at,
        finishedAt: row.finished_at,
      }
    : null
}
