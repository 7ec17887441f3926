import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { archiveScope, externalContactScope, isScopeName } from '../consent/consent.ts'
import { findSpellings } from '../consent/spelling-store.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import { EXTERNAL_USERIDS, getNewExternalUserids } from '../wechat/external-userids.ts'
import { openJobSecret, type FollowUpPayload } from './follow-up-payload.ts'
import {
  carryConsents,
  listConsentsOf,
  listConsentsWith,
  listCustomers,
  listSiblings,
  type Carriage,
} from './rekey-store.ts'

/** What carrying consents over works with. */
export interface RekeyParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly clock: Clock
  readonly log: Log
  readonly api: AccountApi
  readonly findAccount: (id: number) => Promise<Account | undefined>
}

/** Consents of one transaction: their people's locks are held together. */
const SLICE = 200

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** When to look again after a rename: a push of the old id may come late. */
const LATE_PUSHES_MS = [MINUTE_MS, 60 * MINUTE_MS]
/** The corp goes on under the old ids until it ends the change, and nothing says when: 30 days. */
const SIDE_BY_SIDE_MS = [60 * MINUTE_MS, ...Array.from({ length: 30 }, () => DAY_MS)]

/**
 * A member has another userid: what is on record for the old one is carried over, on every account of
 * the corp, and so is every relation between a customer and this member. Later words win, in one
 * second the refusal, as always; so no stop is lost, whichever id it was said under.
 *
 * @throws UnavailableError at a stop; the job is taken up again by the next process.
 */
export async function rekeyMember(
  parts: RekeyParts,
  payload: FollowUpPayload,
  signal: AbortSignal,
): Promise<void> {
  const { db, log } = parts
  const { account_id, event_id: eventId, effective_at: endedAt } = payload
  const account = await parts.findAccount(account_id)
  const names = {
    old: openJobSecret(parts.box, payload, 'UserID'),
    new: openJobSecret(parts.box, payload, 'NewUserID'),
  }
  if (!account || !eventId || !endedAt || !isRenamed(names)) return
  let carried = 0
  for (const id of await listSiblings(db, account_id)) {
    const cause = { accountId: id, eventId, kind: 'update_user', endedAt }
    const spellings = await findSpellings(db, id, [names.old, names.new])
    const own = await listConsentsOf(db, id, [spellings.subjectOf(names.old)])
    const subject = spellings.subjectOf(names.new)
    carried += await carryConsents(
      db,
      cause,
      own.map((from) => ({ from, to: { subject, scope: from.scope } })),
    )
    for await (const carriages of relationsOf(parts, { id, names, signal })) {
      carried += await carryConsents(db, cause, carriages)
    }
  }
  log.info({ account: account.name, event_id: eventId, carried }, 'member.rekeyed')
  await lookAgain(parts, { task: 'rekey_member', payload, pauses: LATE_PUSHES_MS })
}

/**
 * A corp has agreed that its customers' ids change: what is on record for the old ids is carried over
 * to the new ones. Both go on, and until the corp ends the change words come under the old ones; so it
 * is done again every day for a month.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function rekeyExternalContacts(
  parts: RekeyParts,
  payload: FollowUpPayload,
  signal: AbortSignal,
): Promise<void> {
  const { db, log } = parts
  const { account_id, event_id: eventId } = payload
  const account = await parts.findAccount(account_id)
  // a corp that is not known as an account has no customers on record
  if (account?.kind !== 'wecom_authorizer' || !eventId) return
  const kind = 'agree_external_userid_migration'
  const cause = { accountId: account_id, eventId, kind, endedAt: null }
  let carried = 0
  for await (const carriages of customersOf(parts, account, signal)) {
    carried += await carryConsents(db, cause, carriages)
  }
  log.info({ account: account.name, event_id: eventId, carried }, 'customers.rekeyed')
  await lookAgain(parts, { task: 'rekey_external_contacts', payload, pauses: SIDE_BY_SIDE_MS })
}

/** Everything on record for customers who have a new id. */
async function* customersOf(
  { db, api }: RekeyParts,
  account: Account,
  signal: AbortSignal,
): AsyncGenerator<Carriage[]> {
  let after = ''
  for (;;) {
    const customers = await listCustomers(db, account.id, { after, limit: EXTERNAL_USERIDS })
    const last = customers.at(-1)
    if (last === undefined) return
    const renamed = await getNewExternalUserids(api, account, customers)
    const places = await listConsentsOf(db, account.id, [...renamed.keys()])
    const carriages = places.flatMap((from): Carriage[] => {
      const subject = renamed.get(from.subject)
      return subject && isScopeName(subject) && subject !== from.subject
        ? [{ from, to: { ...from, subject } }]
        : []
    })
    for (let at = 0; at < carriages.length; at += SLICE) {
      yield carriages.slice(at, at + SLICE)
      goOnUnlessStopped(signal)
    }
    after = last
  }
}

/** The relations of customers with a member: the member's userid is in their scopes. */
async function* relationsOf(
  { db }: RekeyParts,
  member: {
    readonly id: number
    readonly names: { readonly old: string; readonly new: string }
    readonly signal: AbortSignal
  },
): AsyncGenerator<Carriage[]> {
  const { id, names, signal } = member
  const scopes = [externalContactScope(names.old), archiveScope(names.old)]
  let after = { subject: '', scope: '' }
  for (;;) {
    const page = await listConsentsWith(db, id, { scopes, after, limit: SLICE })
    const last = page.at(-1)
    if (last === undefined) return
    yield page.map((from) => {
      const isContact = from.scope.startsWith('external_contact:')
      const scope = isContact ? externalContactScope(names.new) : archiveScope(names.new)
      return { from, to: { subject: from.subject, scope } }
    })
    goOnUnlessStopped(signal)
    after = last
  }
}

async function lookAgain(
  { db, clock }: RekeyParts,
  again: {
    readonly task: 'rekey_member' | 'rekey_external_contacts'
    readonly payload: FollowUpPayload
    readonly pauses: readonly number[]
  },
): Promise<void> {
  const { account_id, event_id, effective_at, secrets, round } = again.payload
  const pauseMs = again.pauses[round]
  if (pauseMs === undefined) return
  await addJob(db, {
    task: again.task,
    payload: {
      account_id,
      event_id,
      effective_at: effective_at?.toISOString() ?? null,
      secrets,
      round: round + 1,
    },
    runAt: new Date(clock.now().getTime() + pauseMs),
    key: `${again.task}/${event_id}`,
  })
}

/** Userids are the same in any case. */
function isRenamed(names: {
  readonly old: string | null
  readonly new: string | null
}): names is { readonly old: string; readonly new: string } {
  if (names.old === null || names.new === null) return false
  const isUsable = isScopeName(names.old) && isScopeName(names.new)
  return isUsable && names.old.toLowerCase() !== names.new.toLowerCase()
}

/** @throws UnavailableError at a stop. */
function goOnUnlessStopped(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new UnavailableError('process_stopping', 'the rest is carried over by the next process')
  }
}
