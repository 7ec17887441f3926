import type { Knex } from 'knex'
import { z } from 'zod'
import { withTransaction } from '../database/unit-of-work.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'

/** A message that was sent under an alias and whose template the platform refused. */
export interface RefusedMessage {
  readonly id: string
  readonly accountId: number
  readonly recipient: string
  readonly channel: (typeof CHANNEL_NAMES)[number]
  readonly templateId: string
  readonly content: Readonly<Record<string, unknown>>
  readonly expiresAt: Date
  readonly alias: string
  /** Which template of the alias it had. */
  readonly step: number
  /** The values as they were asked for; null where they are those of the content. */
  readonly askedData: Readonly<Record<string, unknown>> | null
  /** The templates that were refused before its own. */
  readonly tried: readonly string[]
}

/** What takes the place of a refused message. */
export interface Successor {
  readonly id: string
  readonly step: number
  readonly templateId: string
  readonly content: Readonly<Record<string, unknown>>
  readonly askedData: Readonly<Record<string, unknown>>
  readonly tried: readonly string[]
  readonly createdAt: Date
}

/** How an attempt to replace a message ended. */
export type Replacement = 'made' | 'broadcast_cancelled' | 'not_any_more'

/** What an alias had to do with a message; shown with it. */
export interface AliasRecord {
  readonly alias: string
  readonly step: number
  readonly reason: 'withdrawn' | 'banned' | 'refused' | null
  readonly fallbackOf: string | null
  /** The message that took its place. */
  readonly fallback: string | null
  /** Why none did although its template was refused. */
  readonly noFallback: string | null
}

/** A message that is refused and has neither a successor nor a reason for having none. */
const OPEN = `
  from message as refused
  left join aliased_message as named on named.message_id = refused.id
  left join broadcast on broadcast.id = refused.broadcast_id
  where refused.id = ? and refused.status = 'failed' and refused.reason = 'template'
    and refused.recipient is not null and refused.content is not null
    and coalesce(named.alias, broadcast.template_alias) is not null
    and named.no_fallback is null
    and not exists (select from aliased_message as other where other.fallback_of = refused.id)`

/** The message, while it waits for a fallback; undefined when it has one, or can have none. */
export async function findRefused(db: Knex, id: string): Promise<RefusedMessage | undefined> {
  const result: unknown = await db.raw(
    `select refused.id, refused.account_id, refused.recipient, refused.channel,
       refused.template_id, refused.content, refused.expires_at,
       coalesce(named.alias, broadcast.template_alias) as alias, coalesce(named.step, 0) as step,
       named.asked_data, coalesce(named.tried, '{}') as tried
     ${OPEN}`,
    [id],
  )
  const [row] = refusedRows.parse(result).rows
  return row && toRefused(row)
}

/**
 * Puts a message in the place of a refused one, in one transaction under the person's lock: either
 * both are true or neither, and of two that try, one does it. In a broadcast the successor takes the
 * recipient's place, so that progress and report follow the message that counts.
 */
export async function replaceRefused(
  db: Knex,
  refused: RefusedMessage,
  successor: Successor,
): Promise<Replacement> {
  return withTransaction(db, async (trx) => {
    await lockPerson(trx, refused)
    const held: unknown = await trx.raw(
      `select refused.broadcast_id ${OPEN}
       for update of refused`,
      [refused.id],
    )
    const [row] = heldRows.parse(held).rows
    if (!row) return 'not_any_more'
    const place = row.broadcast_id === null ? null : await holdBroadcast(trx, row.broadcast_id)
    if (place?.phase === 'cancelled') {
      await noteNoFallback(trx, refused, 'broadcast_cancelled')
      return 'broadcast_cancelled'
    }
    await noteAlias(trx, refused)
    await insertSuccessor(trx, refused, { ...successor, isPaused: place?.isPaused ?? false })
    return 'made'
  })
}

/** Records why nothing took the place of a refused message. */
export async function giveUpFallback(
  db: Knex,
  refused: RefusedMessage,
  reason: string,
): Promise<void> {
  await withTransaction(db, (trx) => noteNoFallback(trx, refused, reason))
}

/** Before the row of the message, as everybody does. */
async function lockPerson(trx: Knex, { accountId, recipient }: RefusedMessage): Promise<void> {
  await trx.raw(`select lock_subjects(array[?]::integer[], array[?]::text[])`, [
    accountId,
    recipient,
  ])
}

/** Held against pausing and cancelling until the successor is there to be paused or cancelled. */
async function holdBroadcast(trx: Knex, id: string) {
  const result: unknown = await trx.raw(
    `select phase, paused_at from broadcast where id = ? for share`,
    [id],
  )
  const [row] = broadcastRows.parse(result).rows
  return row ? { phase: row.phase, isPaused: row.paused_at !== null } : null
}

/** A message of a broadcast has had no row of its own until now. */
async function noteAlias(trx: Knex, { id, alias, step }: RefusedMessage): Promise<void> {
  await trx.raw(
    `insert into aliased_message (message_id, alias, step) values (?, ?, ?)
     on conflict (message_id) do nothing`,
    [id, alias, step],
  )
}

async function noteNoFallback(trx: Knex, refused: RefusedMessage, reason: string): Promise<void> {
  await noteAlias(trx, refused)
  await trx.raw(`update aliased_message set no_fallback = ? where message_id = ?`, [
    reason,
    refused.id,
  ])
}

/**
 * The successor keeps whom, when and until when; its time to be sent is now, or when a paused
 * broadcast is resumed.
 */
async function insertSuccessor(
  trx: Knex,
  refused: RefusedMessage,
  successor: Successor & { readonly isPaused: boolean },
): Promise<void> {
  const left: unknown = await trx.raw(
    `update message as refused set broadcast_id = null, broadcast_line = null
     from message as before
     where refused.id = ? and before.id = refused.id and before.broadcast_id is not null
     returning before.broadcast_id, before.broadcast_line`,
    [refused.id],
  )
  const [place] = placeRows.parse(left).rows
  await trx.raw(
    `insert into message (
       id, account_id, application_id, recipient, channel, template_id, content, purpose, status,
       callback_url, send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line,
       lane
     )
     select ?, account_id, application_id, recipient, channel, ?, ?, purpose, 'queued',
       callback_url, send_at, expires_at,
       case when ?::boolean then expires_at else clock_timestamp() end, ?, ?, ?, ?, lane
     from message where id = ?`,
    [
      successor.id,
      successor.templateId,
      JSON.stringify(successor.content),
      successor.isPaused,
      successor.createdAt,
      successor.createdAt,
      place?.broadcast_id ?? null,
      place?.broadcast_line ?? null,
      refused.id,
    ],
  )
  await trx.raw(
    `insert into aliased_message (message_id, alias, step, reason, asked_data, tried, fallback_of)
     values (?, ?, ?, 'refused', ?, ?, ?)`,
    [
      successor.id,
      refused.alias,
      successor.step,
      JSON.stringify(successor.askedData),
      [...successor.tried],
      refused.id,
    ],
  )
  await trx.raw(`select pg_notify('message_queued', '')`)
}

/** What is recorded of a message's alias; undefined when it was sent without one. */
export async function findAliasRecord(db: Knex, id: string): Promise<AliasRecord | undefined> {
  const result: unknown = await db.raw(
    `select named.alias, named.step, named.reason, named.fallback_of, named.no_fallback,
       next.message_id as fallback
     from aliased_message as named
     left join aliased_message as next on next.fallback_of = named.message_id
     where named.message_id = ?`,
    [id],
  )
  const [row] = recordRows.parse(result).rows
  return (
    row && {
      alias: row.alias,
      step: row.step,
      reason: row.reason,
      fallbackOf: row.fallback_of,
      fallback: row.fallback,
      noFallback: row.no_fallback,
    }
  )
}

const json = z.record(z.string(), z.unknown())

const refusedRows = z.object({
  rows: z.array(
    z.object({
      id: z.string(),
      account_id: z.int(),
      recipient: z.string(),
      channel: z.enum(CHANNEL_NAMES),
      template_id: z.string(),
      content: json,
      expires_at: z.date(),
      alias: z.string(),
      step: z.int(),
      asked_data: json.nullable(),
      tried: z.array(z.string()),
    }),
  ),
})

const heldRows = z.object({ rows: z.array(z.object({ broadcast_id: z.string().nullable() })) })

const broadcastRows = z.object({
  rows: z.array(z.object({ phase: z.string(), paused_at: z.date().nullable() })),
})

const placeRows = z.object({
  rows: z.array(z.object({ broadcast_id: z.string(), broadcast_line: z.string() })),
})

const recordRows = z.object({
  rows: z.array(
    z.object({
      alias: z.string(),
      step: z.int(),
      reason: z.enum(['withdrawn', 'banned', 'refused']).nullable(),
      fallback_of: z.string().nullable(),
      fallback: z.string().nullable(),
      no_fallback: z.string().nullable(),
    }),
  ),
})

function toRefused(row: z.output<typeof refusedRows>['rows'][number]): RefusedMessage {
  return {
    id: row.id,
    accountId: row.account_id,
    recipient: row.recipient,
    channel: row.channel,
    templateId: row.template_id,
    content: row.content,
    expiresAt: row.expires_at,
    alias: row.alias,
    step: row.step,
    askedData: row.asked_data,
    tried: row.tried,
  }
}
