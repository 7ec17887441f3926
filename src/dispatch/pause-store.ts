import type { Knex } from 'knex'
import { channelsAt } from '../wechat/channels.ts'
import { pauseChannel } from './dispatch-store.ts'

/** The reasons of rests that are about the day's quota. */
const QUOTA_REASONS = ['quota_margin', 'quota_daily']

/** Rests the channels that call a path, before the platform refuses them. */
export async function restForQuota(
  db: Knex,
  rest: { readonly accountId: number; readonly path: string; readonly until: Date },
): Promise<void> {
  const { accountId, path, until } = rest
  for (const channel of channelsAt(path)) {
    await pauseChannel(db, { accountId, channel, until, errcode: null, reason: 'quota_margin' })
  }
}

/** The platform has cleared the day's counters: the account's channels and messages go on at once. */
export async function endQuotaRests(db: Knex, accountId: number): Promise<void> {
  await db.raw(`delete from sending_pause where account_id = ? and reason = any (?::text[])`, [
    accountId,
    QUOTA_REASONS,
  ])
  await db.raw(
    `update message set due_at = clock_timestamp()
     where account_id = ? and status = 'queued' and reason = any (?::text[])
       and due_at > clock_timestamp()
       and (leased_until is null or leased_until < clock_timestamp())`,
    [accountId, QUOTA_REASONS],
  )
  await db.raw(`select pg_notify('message_queued', '')`)
}
