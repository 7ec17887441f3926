import type { Knex } from 'knex'
import { finishAttempts, type EndedAttempt } from '../../src/dispatch/dispatch-store.ts'
import type { AttemptEnd } from '../../src/dispatch/outcome.ts'
import { changeConsents } from '../../src/consent/consent-store.ts'
import { newId } from '../../src/foundation/ids.ts'
import type { Channel } from '../../src/wechat/channels.ts'

let people = 0

/** A person nobody has used yet in this test file. */
export function newPerson(): string {
  people += 1
  return `oPerson${people}`
}

/** A message that waits; by default due now and good for an hour. Returns its id. */
export async function insertMessage(
  db: Knex,
  message: {
    readonly accountId: number
    readonly recipient: string
    readonly channel: Channel
    readonly templateId?: string
    readonly status?: string
    readonly dueAt?: Date
    readonly expiresAt?: Date
  },
): Promise<string> {
  const now = new Date()
  const id = newId(now)
  const dueAt = message.dueAt ?? new Date(now.getTime() - 1_000)
  await db('message').insert({
    id,
    account_id: message.accountId,
    recipient: message.recipient,
    channel: message.channel,
    template_id: message.templateId ?? null,
    content: JSON.stringify({ template_id: message.templateId, data: {} }),
    status: message.status ?? 'queued',
    send_at: dueAt,
    due_at: dueAt,
    expires_at: message.expiresAt ?? new Date(now.getTime() + 3_600_000),
  })
  return id
}

/** A change of consent by a push of that moment, straight into the ledger. */
export async function giveConsent(
  db: Knex,
  change: {
    readonly accountId: number
    readonly subject: string
    readonly scope: string
    readonly change?: 'granted' | 'revoked' | 'suppressed'
    readonly at?: Date
    readonly credits?: number | null
    readonly expiresAt?: Date | null
    readonly templateId?: string
  },
): Promise<void> {
  await changeConsents(db, [
    {
      account_id: change.accountId,
      subject: change.subject,
      scope: change.scope,
      change: change.change ?? 'granted',
      effective_at: change.at ?? new Date(Date.now() - 60_000),
      evidence: 'event',
      event_id: '1',
      reason: 'test',
      credits: change.credits ?? null,
      expires_at: change.expiresAt ?? null,
      template_id: change.templateId ?? null,
    },
  ])
}

/** An end without anything special; the test says what matters. */
export function anEnd(
  end: Partial<AttemptEnd> & Pick<AttemptEnd, 'outcome' | 'status'>,
): AttemptEnd {
  return {
    reason: null,
    dueAt: null,
    errcode: null,
    isUnknownCode: false,
    errmsg: null,
    httpStatus: null,
    rid: null,
    msgid: null,
    credit: end.outcome === 'sent' || end.status === 'unknown' ? 'spent' : 'returned',
    changes: [],
    pause: null,
    tokenRejected: false,
    cause: 'ok',
    ...end,
  }
}

/** Ends one attempt. */
export function finishOne(
  db: Knex,
  attempt: Omit<EndedAttempt, 'end'>,
  end: Partial<AttemptEnd> & Pick<AttemptEnd, 'outcome' | 'status'>,
) {
  return finishAttempts(db, [{ ...attempt, end: anEnd(end) }])
}

export interface MessageRow {
  readonly status: string
  readonly reason: string | null
  readonly missing_scope: string | null
  readonly msgid: string | null
  readonly receipt_status: string | null
  readonly recipient: string | null
  readonly attempt_count: number
  readonly lease_owner: string | null
  readonly due_at: Date
  readonly finished_at: Date | null
}

export async function readMessage(db: Knex, id: string): Promise<MessageRow> {
  const row = await db<MessageRow & { id: string }>('message').where({ id }).first()
  if (!row) throw new Error('no such message')
  return row
}

export async function readAttempts(
  db: Knex,
  messageId: string,
): Promise<{ id: string; outcome: string | null; cause: string | null; errcode: string | null }[]> {
  return db('attempt')
    .where({ message_id: messageId })
    .orderBy('number')
    .select('id', 'outcome', 'cause', 'errcode')
}

/** The ledger of one person as `scope change` lines, oldest first. */
export async function readLedger(db: Knex, accountId: number, subject: string): Promise<string[]> {
  const rows: { scope: string; change: string }[] = await db('consent_ledger')
    .where({ account_id: accountId, subject })
    .orderBy('id')
    .select('scope', 'change')
  return rows.map((row) => `${row.scope} ${row.change}`)
}

/** Credits left for a scope; null for a standing right, undefined when there is no such consent. */
export async function readCredits(
  db: Knex,
  accountId: number,
  subject: string,
  scope: string,
): Promise<number | null | undefined> {
  const rows: { credits: number | null }[] = await db('consent')
    .where({ account_id: accountId, subject, scope })
    .select('credits')
  return rows[0]?.credits
}
