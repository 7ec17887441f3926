import type { Knex } from 'knex'
import { RECIPIENT_PACES, type Channel } from '../wechat/channels.ts'
import type { FindLimits, SendLimit } from './send-limit.ts'

/**
 * What stands against sends to a person beside consent; see `judge_limits` in docs/schema.sql. Served
 * by send_policy_pkey and message_counted_idx.
 */
export async function findLimits(
  db: Knex,
  question: Parameters<FindLimits>[0],
): Promise<ReadonlyMap<Channel, SendLimit>> {
  const { accountId, subject, channels, isMarketing, at } = question
  const paces = RECIPIENT_PACES
  const { rows } = await db.raw<{ rows: (SendLimit & { readonly channel: Channel })[] }>(
    `select asked.channel, limits.reason, limits.until
     from unnest(?::text[]) as asked (channel)
     left join unnest(?::text[], ?::integer[], ?::integer[])
       as usual (channel, per_minute, per_hour) on usual.channel = asked.channel
     cross join lateral judge_limits(
       ?, ?, asked.channel, ?::smallint, null, ?, usual.per_minute, nullif(usual.per_hour, 0)
     ) as limits
     where limits.reason is not null`,
    [
      [...channels],
      paces.channels,
      paces.perMinutes,
      paces.perHours,
      accountId,
      subject,
      isMarketing ? 1 : 0,
      at,
    ],
  )
  return new Map(rows.map(({ channel, reason, until }) => [channel, { reason, until }]))
}
