import type { Knex } from 'knex'

/** The template of all messages of a run. */
export const TEMPLATE_ID = 'Bn4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'

/** Queues this many template messages, each to another of the people `seed` has made. */
export async function fillQueue(db: Knex, count: number): Promise<void> {
  await db.transaction(async (trx) => {
    await trx.raw(
      `insert into message (
         id, account_id, recipient, channel, template_id, content, status, send_at, due_at, expires_at
       )
       select
         uuidv7(), consent.account_id, consent.subject, 'template_message', ?, ?::jsonb, 'queued',
         now(), now(), now() + interval '1 day'
       from consent where consent.scope = 'follow' and consent.state = 'granted'
       limit ?`,
      [
        TEMPLATE_ID,
        JSON.stringify({ template_id: TEMPLATE_ID, data: { thing1: { value: '订单已发货' } } }),
        count,
      ],
    )
    await trx.raw(`notify message_queued`)
  })
}

/** What became of all messages so far. */
export async function countMessages(
  db: Knex,
): Promise<{ readonly sent: number; readonly open: number; readonly other: number }> {
  const { rows } = await db.raw<{ rows: { sent: string; open: string; other: string }[] }>(
    `select
       count(*) filter (where status = 'sent') as sent,
       count(*) filter (where status in ('queued', 'scheduled', 'sending')) as open,
       count(*) filter (where status not in ('sent', 'queued', 'scheduled', 'sending', 'cancelled'))
         as other
     from message`,
  )
  const row = rows[0]
  return {
    sent: Number(row?.sent ?? 0),
    open: Number(row?.open ?? 0),
    other: Number(row?.other ?? 0),
  }
}

/**
 * Takes back what has not been begun: the time of a round is over. What the gateway has in hand at
 * this moment is left to it, so ask again until nothing is open.
 */
export async function emptyQueue(db: Knex): Promise<void> {
  await db.raw(
    `update message set status = 'cancelled', finished_at = now(), lease_owner = null,
       leased_until = null
     where id in (
       select id from message where status in ('queued', 'scheduled') for update skip locked
     )`,
  )
}
