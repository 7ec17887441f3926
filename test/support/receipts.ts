import type { Knex } from 'knex'

/** What the platform says about a message afterwards, without the push around it. */
export async function insertReceipt(
  db: Knex,
  receipt: {
    readonly accountId: number
    readonly subject: string
    readonly channel: 'template_message' | 'subscription_message' | 'wecom_kf_message'
    readonly msgId?: string
    readonly templateId?: string
    readonly status: 'delivered' | 'not_delivered'
    readonly at?: Date
  },
): Promise<string | null> {
  const told = {
    channel: receipt.channel,
    msgid: receipt.msgId ?? null,
    template_id: receipt.templateId ?? null,
    status: receipt.status,
    reason: receipt.status === 'delivered' ? 'success' : 'failed:system failed',
    occurred_at: receipt.at ?? new Date(),
  }
  // Under the person's lock, as record_pushes does it.
  const { rows } = await db.raw<{ rows: { id: string | null }[] }>(
    `with locked as materialized (select lock_subjects(array[?::integer], array[?::text]))
     select apply_receipt(?, ?, 1, ?::jsonb) as id from locked`,
    [receipt.accountId, receipt.subject, receipt.accountId, receipt.subject, JSON.stringify(told)],
  )
  return rows[0]?.id ?? null
}
