import type { Knex } from 'knex'
import { openWelcomeCode, type WelcomeCode } from '../consent/welcome-code.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'

/** Long beyond the twenty seconds of a code: who comes too late is told so. */
const KEPT_MINUTES = 60

/** The code that an event of an account brought; undefined when it brought none, or it is forgotten. */
export async function findWelcomeCode(
  db: Knex,
  box: SecretBox,
  event: { readonly accountId: number; readonly eventId: string },
): Promise<WelcomeCode | undefined> {
  const row = await db('welcome_code')
    .where({ event_id: event.eventId, account_id: event.accountId })
    .first<{ sealed: string; effective_at: Date } | undefined>('sealed', 'effective_at')
  return row && { ...openWelcomeCode(box, event.accountId, row.sealed), at: row.effective_at }
}

/** Served by welcome_code_effective_at_idx. */
export async function forgetOldWelcomeCodes(db: Knex): Promise<void> {
  await db.raw(`delete from welcome_code where effective_at < now() - make_interval(mins => ?)`, [
    KEPT_MINUTES,
  ])
}
