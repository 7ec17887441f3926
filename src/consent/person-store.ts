import type { Knex } from 'knex'

/** The pushes that concern a person, oldest first, with their documents. Served by event_subject_idx. */
export async function findPersonEvents(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<Record<string, unknown>[]> {
  const { rows } = await db.raw<{ rows: Record<string, unknown>[] }>(
    `select event.id, event.kind, event.name, event.occurred_at, event.received_at, event.document
     from event
     where event.account_id = ? and event.subject = ?
     order by event.id`,
    [accountId, subject],
  )
  return rows
}

/**
 * The lists of broadcasts that name a person, with what was given for them. Served by
 * broadcast_account_id_idx and broadcast_recipient_broadcast_id_recipient_key.
 */
export async function findPersonBroadcasts(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<Record<string, unknown>[]> {
  const { rows } = await db.raw<{ rows: Record<string, unknown>[] }>(
    `select broadcast.id, broadcast.name, broadcast.purpose, broadcast.created_at, listed.data
     from broadcast
     join broadcast_recipient as listed
       on listed.broadcast_id = broadcast.id and listed.recipient = ?
     where broadcast.account_id = ?
     order by broadcast.id`,
    [subject, accountId],
  )
  return rows
}

/** What was asked to be sent to a person, with every attempt. Served by message_recipient_idx. */
export async function findPersonMessages(
  db: Knex,
  accountId: number,
  subject: string,
): Promise<Record<string, unknown>[]> {
  const { rows } = await db.raw<{ rows: Record<string, unknown>[] }>(
    `select
       message.id, message.channel, message.template_id, message.content, message.plan,
       message.purpose, message.callback_url, message.status, message.reason, message.send_at,
       message.created_at, message.finished_at,
       message.msgid, message.receipt_status, message.receipt_reason, message.receipt_at,
       coalesce(
         jsonb_agg(
           to_jsonb(attempt) - 'message_id' - 'account_id' - 'process' order by attempt.number
         ) filter (where attempt.id is not null),
         '[]'
       ) as attempts
     from message
     left join attempt on attempt.message_id = message.id
     where message.account_id = ? and message.recipient = ?
     group by message.id
     order by message.id`,
    [accountId, subject],
  )
  return rows
}
