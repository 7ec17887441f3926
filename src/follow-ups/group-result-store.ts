import type { Knex } from 'knex'
import { changeRow } from '../consent/consent-store.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import { groupChanges, type GroupOutcome } from './group-result.ts'

/** A group message whose task a member may still confirm. */
export interface OpenGroupMessage {
  readonly id: string
  readonly accountId: number
  readonly recipient: string
  readonly msgid: string
  /** The userid of the member whose task it is. */
  readonly sender: string
  readonly attemptId: string
  readonly sentAt: Date
}

interface OpenRow {
  readonly account_id: number
  readonly recipient: string
  readonly msgid: string
  readonly sender: string
  readonly attempt_id: string
  readonly started_at: Date
}

/**
 * A message as long as its result is open; undefined once there is one, or its person was erased.
 * Served by the primary key and attempt_message_id_number_key.
 */
export async function findOpenGroupMessage(
  db: Knex,
  id: string,
): Promise<OpenGroupMessage | undefined> {
  const { rows } = await db.raw<{ rows: OpenRow[] }>(
    `select
       message.account_id, message.recipient, message.msgid,
       substring(message.consent_scope from '^external_contact:(.+)$') as sender,
       attempt.id as attempt_id, attempt.started_at
     from message
     join attempt on attempt.message_id = message.id and attempt.number = message.attempt_count
     where message.id = ? and message.channel = 'wecom_group_message' and message.status = 'sent'
       and message.recipient is not null and message.msgid is not null
       and message.consent_scope like 'external\\_contact:%'`,
    [id],
  )
  const row = rows[0]
  return (
    row && {
      id,
      accountId: row.account_id,
      recipient: row.recipient,
      msgid: row.msgid,
      sender: row.sender,
      attemptId: row.attempt_id,
      sentAt: row.started_at,
    }
  )
}

/**
 * Keeps what became of a group message: its receipt, and what it means for the customer's consent,
 * all or nothing. A second time it says nothing new.
 */
export async function keepGroupOutcome(
  db: Knex,
  message: OpenGroupMessage,
  outcome: GroupOutcome,
): Promise<void> {
  const { accountId, recipient, msgid, sender, attemptId } = message
  const receipt = {
    channel: 'wecom_group_message',
    msgid,
    status: outcome.status,
    reason: outcome.reason,
    occurred_at: outcome.at,
  }
  const changes = groupChanges(outcome, sender).map((change) => {
    const evidence = { kind: 'attempt', attemptId } as const
    return changeRow({ accountId, subject: recipient, change, evidence })
  })
  await withTransaction(db, async (trx) => {
    await trx.raw(`select lock_subjects(array[?::integer], array[?::text])`, [accountId, recipient])
    // whoever held the lock before us may have kept it, or erased the person
    if ((await findOpenGroupMessage(trx, message.id)) === undefined) return
    await trx.raw(`select apply_receipt(?, ?, null, ?::jsonb)`, [
      accountId,
      recipient,
      JSON.stringify(receipt),
    ])
    if (changes.length > 0) {
      await trx.raw(`select apply_consent_changes(?::jsonb)`, [JSON.stringify(changes)])
    }
  })
}
