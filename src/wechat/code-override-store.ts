import type { Knex } from 'knex'
import { z } from 'zod'
import { ACCOUNT_KINDS } from '../accounts/account.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import type { CodeOverride, LiveOverride, OverrideClass } from './code-override.ts'
import { ERROR_CLASSES } from './error-codes.ts'
import { codeSpaceOf } from './served-account.ts'

/** Who decides about a code, and why. */
export interface OverrideAct {
  readonly accountId: number
  readonly code: number
  readonly actor: string
  readonly reason: string
}

/** An override as the record has it, taken back or not. */
export interface RecordedOverride extends CodeOverride {
  readonly removedAt: Date | null
  readonly removedBy: string | null
  readonly removalReason: string | null
}

const COLUMNS = `account_id, code, class, actor, reason, code_override.created_at,
  removed_at, removed_by, removal_reason`

/** Every override that was not taken back, of all accounts; there are few. */
export async function loadOverrides(db: Knex): Promise<LiveOverride[]> {
  const result: unknown = await db.raw(
    `select ${COLUMNS}, account.name, account.kind, account.serves
     from code_override
     join account on account.id = code_override.account_id
     where removed_at is null
     order by account_id, code`,
  )
  return liveRowsSchema
    .parse(result)
    .rows.map((row) => ({ ...toOverride(row), account: row.name, space: codeSpaceOf(row) }))
}

/** The overrides of an account, those that were taken back too, newest first. */
export async function listOverrides(db: Knex, accountId: number): Promise<RecordedOverride[]> {
  const result: unknown = await db.raw(
    `select ${COLUMNS} from code_override where account_id = ? order by id desc`,
    [accountId],
  )
  return rowsSchema.parse(result).rows.map(toOverride)
}

/**
 * Gives a code another class, in the place of the override before, in one statement; every process
 * is told. The account's row is locked, so that two operators come one after the other.
 */
export async function putOverride(
  db: Knex,
  act: OverrideAct & { readonly class: OverrideClass },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await trx.raw('select from account where id = ? for no key update', [act.accountId])
    await takeBack(trx, { ...act, reason: 'replaced' })
    await trx.raw(
      `insert into code_override (account_id, code, class, actor, reason) values (?, ?, ?, ?, ?)`,
      [act.accountId, act.code, act.class, act.actor, act.reason],
    )
    await announce(trx)
  })
}

/** Takes an override back; false when there was none. */
export async function removeOverride(db: Knex, act: OverrideAct): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    const removed = await takeBack(trx, act)
    if (removed) await announce(trx)
    return removed
  })
}

async function takeBack(trx: Knex, { accountId, code, actor, reason }: OverrideAct) {
  const result: unknown = await trx.raw(
    `update code_override
     set removed_at = now(), removed_by = ?, removal_reason = ?
     where account_id = ? and code = ? and removed_at is null`,
    [actor, reason, accountId, code],
  )
  return z.object({ rowCount: z.int() }).parse(result).rowCount > 0
}

/** The notification of a changed account: whoever keeps copies of accounts keeps these too. */
async function announce(trx: Knex): Promise<void> {
  await trx.raw(`select pg_notify('account_changed', '')`)
}

const rowSchema = z.object({
  account_id: z.int(),
  code: z.int(),
  class: z.enum(ERROR_CLASSES),
  actor: z.string(),
  reason: z.string(),
  created_at: z.date(),
  removed_at: z.date().nullable(),
  removed_by: z.string().nullable(),
  removal_reason: z.string().nullable(),
})
const rowsSchema = z.object({ rows: z.array(rowSchema) })
const liveRowsSchema = z.object({
  rows: z.array(
    rowSchema.extend({
      name: z.string(),
      kind: z.enum(ACCOUNT_KINDS),
      serves: z.enum(['official_account', 'mini_program']).nullable(),
    }),
  ),
})

function toOverride(row: z.infer<typeof rowSchema>): RecordedOverride {
  return {
    accountId: row.account_id,
    code: row.code,
    class: row.class,
    actor: row.actor,
    reason: row.reason,
    createdAt: row.created_at,
    removedAt: row.removed_at,
    removedBy: row.removed_by,
    removalReason: row.removal_reason,
  }
}
