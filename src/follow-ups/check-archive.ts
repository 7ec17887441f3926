import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { archiveChanges } from '../consent/answer-changes.ts'
import { changeConsents, changeRow } from '../consent/consent-store.ts'
import { supersedes } from '../consent/consent.ts'
import { addJob } from '../database/job-queue.ts'
import { UnavailableError } from '../foundation/errors.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import { ARCHIVE_PAIRS, checkSingleAgree } from '../wechat/archive-agreement.ts'
import { checkArchiveRooms } from './check-archive-rooms.ts'
import { listArchivePairs, type KnownPair } from './archive-store.ts'

/** What asking for the archive's consent works with. */
export interface ArchiveParts {
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  readonly api: AccountApi
  readonly findAccount: (id: number) => Promise<Account | undefined>
  readonly findAccountNamed: (name: string) => Promise<Account | undefined>
  /** The accounts in service that name an account of the archive. */
  readonly listArchiveUsers: () => Promise<readonly number[]>
}

const schema = z.object({ account_id: z.int() })

/** Every night: a job for each account whose customers are to be asked about. */
export async function checkArchives({ db, listArchiveUsers }: ArchiveParts): Promise<void> {
  for (const account_id of await listArchiveUsers()) {
    await addJob(db, {
      task: 'check_archive',
      payload: { account_id },
      key: `check_archive/${account_id}`,
      // the next night asks again
      maxAttempts: 5,
    })
  }
}

/**
 * Asks the platform about every customer and every customer group of an account and the chat archive:
 * no event says that somebody disagrees. The question needs the archive's own Secret, which is that of another account.
 * A run that is interrupted begins again, groups where it was; what is on record already is not written
 * twice.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function checkArchive(
  parts: ArchiveParts,
  payload: unknown,
  signal: AbortSignal,
): Promise<void> {
  const account = await parts.findAccount(schema.parse(payload).account_id)
  const name = account?.settings.archive_account
  if (account === undefined || !name) return
  const archive = await parts.findAccountNamed(name)
  if (archive?.appId !== account.appId) {
    return parts.log.warn({ account: account.name, archive: name }, 'archive.no_account')
  }
  const since = parts.clock.now()
  const pairs = await checkPairs(parts, { account, archive }, signal)
  refuseToGoOn(signal)
  const groups = await checkArchiveRooms(parts, { account, archive, since }, signal)
  refuseToGoOn(signal)
  const { rooms, refused } = groups
  const changed = pairs.changed + groups.changed
  const told = { account: account.name, asked: pairs.asked, rooms, refused, changed }
  parts.log.info(told, 'archive.checked')
}

async function checkPairs(
  parts: ArchiveParts,
  who: { readonly account: Account; readonly archive: Account },
  signal: AbortSignal,
): Promise<{ readonly asked: number; readonly changed: number }> {
  let asked = 0
  let changed = 0
  let after = { externalUserid: '', scope: '' }
  while (!signal.aborted) {
    const page = await listArchivePairs(parts.db, who.account.id, { after, limit: ARCHIVE_PAIRS })
    const last = page.at(-1)
    if (last === undefined) break
    changed += await checkPage(parts, who, page)
    asked += page.length
    after = last
  }
  return { asked, changed }
}

function refuseToGoOn(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new UnavailableError('process_stopping', 'the next process begins again')
}

async function checkPage(
  { db, api }: ArchiveParts,
  { account, archive }: { readonly account: Account; readonly archive: Account },
  page: readonly KnownPair[],
): Promise<number> {
  const pairs = new Map(page.map((pair) => [keyOf(pair), pair]))
  const answers = await checkSingleAgree(api, archive, [...pairs.values()])
  const rows = answers.flatMap((answer) => {
    const pair = pairs.get(keyOf(answer))
    if (pair === undefined || answer.changedAt === null) return []
    const { agreeStatus, changedAt } = answer
    return archiveChanges({ where: pair.userid, agreeStatus, changedAt })
      .filter(({ change, effectiveAt }) => {
        return pair.held === null || supersedes({ state: change, effectiveAt }, pair.held)
      })
      .map((change) => {
        const who = { accountId: account.id, subject: pair.externalUserid }
        return changeRow({ ...who, change, evidence: { kind: 'sync' } })
      })
  })
  if (rows.length > 0) await changeConsents(db, rows)
  return rows.length
}

/** Userids are the same in any case. */
function keyOf({ userid, externalUserid }: { userid: string; externalUserid: string }): string {
  return `${externalUserid} ${userid.toLowerCase()}`
}
