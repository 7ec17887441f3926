import type { Knex } from 'knex'
import { DEFAULT_SETTINGS } from '../accounts/account.ts'

/** A consent by its person and scope. */
export interface ConsentPlace {
  readonly subject: string
  readonly scope: string
}

/** One consent, and where it goes. */
export interface Carriage {
  readonly from: ConsentPlace
  readonly to: ConsentPlace
}

/** Where, and by which event, people have new ids. */
export interface RekeyCause {
  readonly accountId: number
  readonly eventId: string
  /** Its kind; the ledger's reason begins with it. */
  readonly kind: string
  /** When the old ids ended; null: they go on beside the new ones. */
  readonly endedAt: Date | null
}

/**
 * Carries what is on record over, under the locks of everybody concerned.
 *
 * @returns how many words were new for where they went.
 */
export async function carryConsents(
  db: Knex,
  { accountId, eventId, kind, endedAt }: RekeyCause,
  carriages: readonly Carriage[],
): Promise<number> {
  if (carriages.length === 0) return 0
  const { rows } = await db.raw<{ rows: { carried: number }[] }>(
    `select carry_consents(
       ?, ?, ?::timestamptz, ?, ?::text[], ?::text[], ?::text[], ?::text[]
     ) as carried`,
    [
      accountId,
      eventId,
      endedAt,
      kind,
      carriages.map(({ from }) => from.subject),
      carriages.map(({ from }) => from.scope),
      carriages.map(({ to }) => to.subject),
      carriages.map(({ to }) => to.scope),
    ],
  )
  return rows[0]?.carried ?? 0
}

/** Accounts that know people by the same ids: the applications of one corp, or one corp of a suite. */
export async function listSiblings(db: Knex, accountId: number): Promise<readonly number[]> {
  const { rows } = await db.raw<{ rows: { id: number }[] }>(
    `select other.id
     from account as told
     join account as other on other.kind = told.kind and other.app_id = told.app_id
       and other.parent_id is not distinct from told.parent_id
     where told.id = ?
     order by other.id`,
    [accountId],
  )
  return rows.map(({ id }) => id)
}

/** Whether an account erases the people who leave; also of one that is out of service. */
export async function erasesPeople(db: Knex, accountId: number): Promise<boolean> {
  const row = await db('account')
    .where({ id: accountId })
    .first<{ erases: boolean | null } | undefined>(
      db.raw(`(settings ->> 'erase_on_cancellation')::boolean as erases`),
    )
  return row?.erases ?? DEFAULT_SETTINGS.erase_on_cancellation
}

/** Everything on record for some people; served by the primary key. */
export async function listConsentsOf(
  db: Knex,
  accountId: number,
  subjects: readonly string[],
): Promise<readonly ConsentPlace[]> {
  return db<ConsentPlace & { account_id: number }>('consent')
    .select('subject', 'scope')
    .where({ account_id: accountId })
    .whereIn('subject', [...subjects])
    .orderBy(['subject', 'scope'])
}

/**
 * The next consents of an account whose scope is one of these, whatever their case, in the order of
 * the primary key; it reads the account's consents from there on.
 */
export async function listConsentsWith(
  db: Knex,
  accountId: number,
  page: {
    readonly scopes: readonly string[]
    readonly after: ConsentPlace
    readonly limit: number
  },
): Promise<readonly ConsentPlace[]> {
  const { scopes, after, limit } = page
  const { rows } = await db.raw<{ rows: ConsentPlace[] }>(
    `select subject, scope from consent
     where account_id = ? and (subject, scope) > (?, ?) and lower(scope) = any(?)
     order by subject, scope
     limit ?`,
    [accountId, after.subject, after.scope, scopes.map((scope) => scope.toLowerCase()), limit],
  )
  return rows
}

/** The next customers of an account, in the order of their ids. */
export async function listCustomers(
  db: Knex,
  accountId: number,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const { rows } = await db.raw<{ rows: { subject: string }[] }>(
    `select distinct subject from consent
     where account_id = ? and subject > ?
       and (scope like 'external\\_contact:%' or scope like 'kf:%' or scope like 'msgaudit%')
     order by subject
     limit ?`,
    [accountId, page.after, page.limit],
  )
  return rows.map(({ subject }) => subject)
}
