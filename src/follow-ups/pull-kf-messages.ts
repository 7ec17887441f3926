import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { addJob } from '../database/job-queue.ts'
import type { Fields } from '../events/document.ts'
import { readKfMessage } from '../events/read-kf-message.ts'
import type { EventRecord } from '../events/read-event.ts'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import { listKfAccounts, syncKfMessages } from '../wechat/kf-api.ts'
import { openJobSecret, type FollowUpPayload } from './follow-up-payload.ts'
import { dropKfCursors, moveKfCursor, readKfCursor } from './kf-cursor-store.ts'

/** What the tasks of customer service work with. */
export interface KfParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly clock: Clock
  readonly log: Log
  readonly api: AccountApi
  readonly findAccount: (id: number) => Promise<Account | undefined>
  /** An object of the platform as text, every leaf text; undefined when it is none. */
  readonly readObject: (text: string) => Fields | undefined
  /** Records an event as a push is recorded. */
  readonly record: (read: {
    readonly account: Account
    readonly event: EventRecord
    readonly document: string
  }) => Promise<unknown>
}

/**
 * The platform allows 1,000. An item has up to 2 KB of text, and the client takes answers of 1 MiB:
 * so many fit for certain.
 */
const PAGE = 200

/**
 * Fetches what happened at a customer-service account and records each item like a push, under its own
 * repeat key. The cursor moves behind a page when all its items are committed; a process that dies in
 * between leaves items that are fetched, and found on record, once more.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function pullKfMessages(
  parts: KfParts,
  payload: FollowUpPayload,
  signal: AbortSignal,
): Promise<void> {
  const { db } = parts
  const openKfId = payload.open_kfid
  const account = await parts.findAccount(payload.account_id)
  if (account === undefined || !openKfId) return
  const desk = { accountId: account.id, openKfId }
  let token = openJobSecret(parts.box, payload, 'Token')
  let items = 0
  while (!signal.aborted) {
    const cursor = await readKfCursor(db, desk)
    const question = { openKfId, cursor, token, limit: PAGE }
    const page = await syncKfMessages(parts.api, account, question)
    if (page === 'stale_token') {
      token = null // allowed a few times a minute; a later push brings another
      continue
    }
    await Promise.all(page.items.map((item) => recordItem(parts, account, item)))
    items += page.items.length
    if (page.nextCursor === cursor) return report(parts, account, items)
    const isMoved = await moveKfCursor(db, desk, { from: cursor, to: page.nextCursor })
    if (isMoved && !page.hasMore) return report(parts, account, items)
  }
  throw new UnavailableError('process_stopping', 'the rest is fetched by the next process')
}

/**
 * Reads again which customer-service accounts we may act for: one that is new is read from its
 * beginning, one that is gone is forgotten.
 */
export async function readKfAccounts(parts: KfParts, payload: FollowUpPayload): Promise<void> {
  const account = await parts.findAccount(payload.account_id)
  if (account === undefined) return
  const found = await listKfAccounts(parts.api, account)
  await dropKfCursors(parts.db, account.id, found)
  for (const open_kfid of found) {
    if ((await readKfCursor(parts.db, { accountId: account.id, openKfId: open_kfid })) !== null) {
      continue
    }
    await addJob(parts.db, {
      task: 'pull_kf_messages',
      payload: { account_id: account.id, open_kfid },
      key: `pull_kf_messages/${account.id}/${open_kfid}`,
    })
  }
}

async function recordItem(
  parts: KfParts,
  account: Account,
  item: Readonly<Record<string, unknown>>,
): Promise<void> {
  const document = JSON.stringify(item)
  const fields = parts.readObject(document)
  if (fields === undefined) {
    parts.log.warn({ account: account.name }, 'kf.item_unreadable')
    return
  }
  const event = readKfMessage({ fields, receivedAt: parts.clock.now() })
  try {
    await parts.record({ account, event, document })
  } catch (error) {
    // What the database refuses is kept aside, and shall not hold up what comes behind it.
    if (!(error instanceof UnavailableError && error.code === 'push_kept_aside')) throw error
    parts.log.error({ account: account.name, kind: event.kind }, 'kf.item_kept_aside')
  }
}

function report({ log }: KfParts, account: Account, items: number): void {
  log.info({ account: account.name, items }, 'kf.pulled')
}
