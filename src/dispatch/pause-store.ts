import type { Knex } from 'knex'
import { channelsAt, type Channel } from '../wechat/channels.ts'
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

/** A channel of an account that rests, in every process. */
export interface RestingChannel {
  readonly accountId: number
  readonly channel: Channel
  readonly until: Date
  readonly reason: string
  /** The platform's code for it; null: the gateway rests it before the platform refuses. */
  readonly errcode: number | null
}

/** The channels that rest at this moment. */
export async function listPauses(db: Knex): Promise<RestingChannel[]> {
  const { rows } = await db.raw<{
    rows: {
      account_id: number
      channel: Channel
      until: Date
      reason: string
      errcode: string | null
    }[]
  }>(
    `select account_id, channel, until, reason, errcode
     from sending_pause where until > clock_timestamp() order by account_id, channel`,
  )
  return rows.map((row) => ({
    accountId: row.account_id,
    channel: row.channel,
    until: row.until,
    reason: row.reason,
    errcode: row.errcode === null ? null : Number(row.errcode),
  }))
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
