import type { Knex } from 'knex'
import { RECIPIENT_PACES, type Channel } from '../wechat/channels.ts'
import type { ChannelRest, FindLimits, SendLimit } from './send-limit.ts'

/**
 * What stands against sends to a person beside consent: `judge_limits` in docs/schema.sql, and the
 * rests of the channels, which the claim keeps. Served by send_policy_pkey, message_counted_idx and
 * sending_pause_pkey.
 */
export async function findLimits(
  db: Knex,
  question: Parameters<FindLimits>[0],
): Promise<ReadonlyMap<Channel, readonly SendLimit[]>> {
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
     where limits.reason is not null
     union all
     select pause.channel, pause.reason, pause.until
     from sending_pause as pause
     where pause.account_id = ? and pause.channel = any (?::text[]) and pause.until > ?`,
    [
      [...channels],
      paces.channels,
      paces.perMinutes,
      paces.perHours,
      accountId,
      subject,
      isMarketing ? 1 : 0,
      at,
      accountId,
      [...channels],
      at,
    ],
  )
  return Map.groupBy(rows, ({ channel }) => channel)
}

/** What `joinRest` adds to a row; both null where its channel does not rest. */
export interface RestRow {
  readonly rest_reason: ChannelRest['reason'] | null
  readonly rest_until: Date | null
}

export const REST_COLUMNS = ['pause.reason as rest_reason', 'pause.until as rest_until'] as const

/** The rest of the account's channel at this moment, for each row of a table that names both. */
export function joinRest(table: 'message' | 'broadcast'): string {
  return `left join sending_pause as pause on pause.account_id = ${table}.account_id
    and pause.channel = ${table}.channel and pause.until > clock_timestamp()`
}

/** The rest that `joinRest` found. */
export function restOfRow({ rest_reason: reason, rest_until: until }: RestRow): ChannelRest | null {
  return reason === null || until === null ? null : { reason, until }
}
