import type { Knex } from 'knex'
import { hasFollowers } from '../accounts/account-kinds.ts'
import type { Account, AccountKind } from '../accounts/account.ts'
import { createSecretStore } from '../accounts/secret-store.ts'
import { TENANT } from '../consent/consent.ts'
import { changeConsents } from '../consent/consent-store.ts'
import { queueFirstSync } from '../consent/follower-jobs.ts'
import { forgetParked } from '../consent/parked-store.ts'
import type { Released } from '../consent/release-parked.ts'
import { addJob } from '../database/job-queue.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'

/** A merchant or corp behind a component or suite. */
export interface TenantKey {
  readonly parentId: number
  /** The merchant's appid, the corp's corpid. */
  readonly appId: string
}

/** What keeping a new authorisation works with. */
export interface AdmissionParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly log: Log
  /** Records what has waited for the account that the transaction makes; compose passes it in. */
  readonly releaseParked: (
    trx: Knex.Transaction,
    place: { readonly parentId: number; readonly tenant: string },
  ) => Promise<Released>
}

/** The right to act for a tenant, and what it consists of. */
export interface Admission extends TenantKey {
  readonly parentName: string
  readonly kind: 'authorizer' | 'wecom_authorizer'
  readonly originalId: string | null
  readonly serves: Account['serves']
  readonly secret: {
    readonly name: 'refresh_token' | 'permanent_code'
    readonly value: string
  }
  /** Null where the event that brought the code was itself recorded as the grant. */
  readonly grant: TenantGrant | null
  /** Whether a job is to read what the tenant allows, once this is committed. */
  readonly readAfterwards: boolean
}

export interface TenantGrant {
  readonly at: Date
  /** The event that brought the code; null for a redirect of the browser or the platform's list. */
  readonly eventId: string | null
  readonly reason: string
}

/** An account of a tenant as it stands. */
export interface StoredTenant {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly agentId: string | null
  readonly isDisabled: boolean
}

interface TenantRow {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly agent_id: string | null
  readonly disabled_at: Date | null
}

interface HeldTenantRow {
  readonly app_id: string
  readonly id: number | null
  readonly serves: Account['serves']
  readonly knows_permissions: boolean | null
}

interface HeldRow {
  readonly state: 'granted' | 'revoked' | 'suppressed'
  readonly effective_at: Date
}

/**
 * Keeps a new authorisation: the grant, the account, the sealed credential, and the pushes that have
 * waited for the account, all or nothing. A withdrawal that is later by the platform's clock (or of the
 * same second) wins: then nothing is kept. An account that had left comes back; one that an operator
 * switched off stays off.
 */
export async function admitTenant(
  parts: AdmissionParts,
  admission: Admission,
): Promise<'admitted' | 'withdrawn'> {
  const released = await keepTenant(parts, admission)
  if (released === null) return 'withdrawn'
  if (Object.values(released).some((count) => count > 0)) {
    const isWhole = released.aside + released.dropped === 0
    const told = { account: admission.parentName, ...released }
    parts.log[isWhole ? 'info' : 'warn'](told, 'tenant.pushes_released')
  }
  return 'admitted'
}

/** Null where the tenant has withdrawn. */
function keepTenant(
  { db, box, releaseParked }: AdmissionParts,
  admission: Admission,
): Promise<Released | null> {
  return withTransaction(db, async (trx) => {
    await lockTenant(trx, admission)
    const { grant } = admission
    const held = await findHeld(trx, admission)
    if (held?.state !== 'granted' && !(grant && isLater(grant.at, held))) return null
    if (grant) await writeTenantChange(trx, admission, { ...grant, change: 'granted' })
    const secrets = createSecretStore(box)
    const known = await findTenant(trx, admission, 'locked')
    const id = known?.id ?? (await insertTenant(trx, admission))
    const isBack = !known || !(await secrets.has(trx, id, admission.secret.name))
    if (known) await updateTenant(trx, admission, { id, comesBack: isBack })
    await secrets.put(trx, id, { [admission.secret.name]: admission.secret.value })
    await restartToken(trx, id)
    if (admission.readAfterwards) {
      const payload = { account_id: admission.parentId, tenant: admission.appId }
      await addJob(trx, { task: 'read_tenant', payload })
    }
    // whoever follows already, or came and went while we were not told
    if (isBack && hasFollowers(admission)) await queueFirstSync(trx, id)
    await announce(trx, id)
    return releaseParked(trx, { parentId: admission.parentId, tenant: admission.appId })
  })
}

/**
 * Records what the platform's answer says about a tenant, unless that holds already.
 *
 * @throws UnavailableError when the ledger knows something of the same second or later: which of the
 *   two came first cannot be told, so the platform is to be asked again.
 */
export async function changeTenant(
  db: Knex,
  key: TenantKey,
  change: { readonly change: 'granted' | 'revoked'; readonly at: Date; readonly reason: string },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await lockTenant(trx, key)
    const held = await findHeld(trx, key)
    if (held?.state === change.change) return
    if (!isLater(change.at, held)) {
      throw new UnavailableError('tenant_just_changed', 'the platform is asked again in a moment')
    }
    await writeTenantChange(trx, key, { ...change, eventId: null })
  })
}

/**
 * Forgets the credentials of a tenant that left, unless it has authorised again after `leftAt`, and
 * what waited for an account of it. Its account stays known: what arrives late for its people is still
 * recorded.
 *
 * @returns whether there was something to forget.
 */
export async function forgetTenant(db: Knex, key: TenantKey, leftAt: Date): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    await lockTenant(trx, key)
    await forgetWaiting(trx, key, leftAt)
    const tenant = await findTenant(trx, key, 'locked')
    if (!tenant || isBackSince(await findHeld(trx, key), leftAt)) return false
    await forgetCredentials(trx, tenant.id)
    await announce(trx, tenant.id)
    return true
  })
}

/**
 * Begins the erasure of a tenant: switches its account off and forgets its credentials, unless it has
 * authorised again after `leftAt`; then only what was before is to go.
 *
 * @returns undefined when there is no such account, or it has been erased for this withdrawal.
 */
export async function beginErasure(
  db: Knex,
  key: TenantKey,
  leftAt: Date,
): Promise<StoredTenant | undefined> {
  return withTransaction(db, async (trx) => {
    await lockTenant(trx, key)
    await forgetWaiting(trx, key, leftAt)
    const tenant = await findTenant(trx, key, 'locked')
    if (!tenant || (await isErased(trx, { id: tenant.id, appId: key.appId, leftAt })))
      return undefined
    await trx('account')
      .where({ id: tenant.id })
      .whereNull('disabled_at')
      .update({ disabled_at: trx.fn.now() })
    if (!isBackSince(await findHeld(trx, key), leftAt)) await forgetCredentials(trx, tenant.id)
    await announce(trx, tenant.id)
    return tenant
  })
}

/** Leaves the tombstone of a tenant, and lets it back in if it has authorised again meanwhile. */
export async function endErasure(
  db: Knex,
  key: TenantKey,
  end: { readonly id: number; readonly leftAt: Date; readonly reason: string },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await lockTenant(trx, key)
    await trx.raw(
      `insert into erasure (
         account_id, subject_hash, effective_at, actor, reason, ledger_rows, events, messages
       )
       values (?, subject_hash(?, ?), ?, 'platform', ?, 0, 0, 0)`,
      [end.id, end.id, key.appId, end.leftAt, end.reason],
    )
    if (isBackSince(await findHeld(trx, key), end.leftAt)) {
      await trx('account').where({ id: end.id }).update({ disabled_at: null })
    }
    await announce(trx, end.id)
  })
}

/** Whether a tenant may be acted for, by the ledger. */
export async function isGranted(db: Knex, key: TenantKey): Promise<boolean> {
  return (await findHeld(db, key))?.state === 'granted'
}

/** Erases the next people of an account; answers how many. */
export async function eraseNextPeople(
  db: Knex,
  accountId: number,
  erasure: { readonly leftAt: Date; readonly reason: string; readonly limit: number },
): Promise<number> {
  const { rows } = await db.raw<{ rows: { erased: number }[] }>(
    `select erase_account_people(?, ?, ?, ?) as erased`,
    [accountId, erasure.leftAt, erasure.reason, erasure.limit],
  )
  return rows[0]?.erased ?? 0
}

/** Empties what names nobody; answers how many events it found, none at the end. */
export async function eraseNextRest(db: Knex, accountId: number, limit: number): Promise<number> {
  const { rows } = await db.raw<{ rows: { emptied: number }[] }>(
    `select erase_account_rest(?, ?) as emptied`,
    [accountId, limit],
  )
  return rows[0]?.emptied ?? 0
}

/** Keeps what the platform says a tenant's account is. */
export async function describeTenant(
  db: Knex,
  id: number,
  known: {
    readonly agentId?: string
    readonly originalId?: string
    readonly serves?: Account['serves']
  },
): Promise<void> {
  await withTransaction(db, async (trx) => {
    await trx('account')
      .where({ id })
      .update({
        ...(known.agentId !== undefined && { agent_id: known.agentId }),
        ...(known.originalId !== undefined && { original_id: known.originalId }),
        ...(known.serves !== undefined && { serves: known.serves }),
        updated_at: trx.fn.now(),
      })
    await announce(trx, id)
  })
}

/** A part of a tenant's right that was lost or came back. */
export interface PartChange {
  readonly scope: string
  readonly change: 'granted' | 'revoked'
  readonly reason: string
  readonly at: Date
}

/** What is kept of a merchant's sets of permissions. */
interface HeldSets {
  readonly sets: readonly number[]
  readonly at: Date
}

/**
 * Keeps the sets of permissions that the platform has just told, unless a later answer is kept
 * already, and holds the account's row until the transaction ends: one answer after the other.
 *
 * @returns what holds now; null when nothing was ever told; `contradicted` when two answers of one
 *   second say different things.
 */
export async function holdPermissionSets(
  trx: Knex.Transaction,
  id: number,
  told: { readonly sets: readonly number[] | null; readonly at: Date } | null,
): Promise<HeldSets | 'contradicted' | null> {
  const row = await trx<{
    id: number
    permission_sets: number[] | null
    permission_sets_at: Date | null
  }>('account')
    .where({ id })
    .forUpdate()
    .first('permission_sets', 'permission_sets_at')
  const held =
    row?.permission_sets && row.permission_sets_at
      ? { sets: row.permission_sets, at: row.permission_sets_at }
      : null
  const given = told?.sets ?? null
  if (row === undefined || told === null || given === null) return held
  const sets = [...new Set(given)].sort((left, right) => left - right)
  if (held !== null && told.at <= held.at) {
    return told.at < held.at || held.sets.join() === sets.join() ? held : 'contradicted'
  }
  await trx('account').where({ id }).update({ permission_sets: sets, permission_sets_at: told.at })
  return { sets, at: told.at }
}

/**
 * The parts of a tenant's right that the platform's answers took from us, by scope; what an operator
 * stopped is not among them. Served by `consent_pkey`.
 */
export async function listLostParts(
  trx: Knex.Transaction,
  { id, appId }: { readonly id: number; readonly appId: string },
): Promise<string[]> {
  const { rows } = await trx.raw<{ rows: { scope: string }[] }>(
    `select held.scope
     from consent as held
     join consent_ledger as entry
       on entry.id = held.ledger_id and entry.account_id = held.account_id
     where held.account_id = ? and held.subject = ? and held.scope like ?
       and held.state = 'revoked' and entry.evidence = 'sync'`,
    [id, appId, `${TENANT}:%`],
  )
  return rows.map(({ scope }) => scope)
}

/** Records what has become of parts of a tenant's right: they are the account's own, under its id. */
export async function changeParts(
  trx: Knex.Transaction,
  { id, appId }: { readonly id: number; readonly appId: string },
  changes: readonly PartChange[],
): Promise<void> {
  await changeConsents(
    trx,
    changes.map(({ scope, change, reason, at }) => {
      return {
        ...{ account_id: id, subject: appId, scope, change, reason },
        ...{ effective_at: at, evidence: 'sync' },
      }
    }),
  )
}

/** The tenant that an event's grant was recorded for; null when it was for none. */
export async function findAdmitted(
  db: Knex,
  parentId: number,
  eventId: string,
): Promise<string | null> {
  const row = await db('consent_ledger')
    .where({ account_id: parentId, event_id: eventId, scope: TENANT, change: 'granted' })
    .first<{ subject: string } | undefined>('subject')
  return row?.subject ?? null
}

/** A tenant that may be acted for by the ledger. */
export interface HeldTenant {
  readonly appId: string
  /** Its account, where it is there with its credential: nothing is missing to act for it. */
  readonly whole: {
    readonly id: number
    readonly serves: NonNullable<Account['serves']>
    /** Whether the platform has told us what the merchant lets us do. */
    readonly knowsPermissions: boolean
  } | null
}

/** The tenants of a component that are granted in the ledger. Served by `consent_pkey`. */
export async function listHeldTenants(db: Knex, parentId: number): Promise<HeldTenant[]> {
  const { rows } = await db.raw<{ rows: HeldTenantRow[] }>(
    `select held.subject as app_id, own.id, own.serves, own.knows_permissions
     from consent as held
     left join lateral (
       select account.id, account.serves,
         account.permission_sets is not null as knows_permissions
       from account
       where account.kind in ('authorizer', 'wecom_authorizer') and account.app_id = held.subject
         and coalesce(account.parent_id, 0) = held.account_id
         and exists (
           select from account_secret as secret
           where secret.account_id = account.id and secret.name = 'refresh_token'
           offset 0
         )
       offset 0
     ) as own on true
     where held.account_id = ? and held.scope = ? and held.state = 'granted'`,
    [parentId, TENANT],
  )
  return rows.map(({ app_id: appId, id, serves, knows_permissions: knows }) => {
    const whole = id !== null && serves !== null
    return { appId, whole: whole ? { id, serves, knowsPermissions: knows === true } : null }
  })
}

/** The account of a tenant, also one that is switched off. */
export async function findTenant(
  db: Knex,
  { parentId, appId }: TenantKey,
  how: 'locked' | 'free' = 'free',
): Promise<StoredTenant | undefined> {
  const query = db<TenantRow & { app_id: string; parent_id: number }>('account')
    .where({ parent_id: parentId, app_id: appId })
    .first('id', 'name', 'kind', 'agent_id', 'disabled_at')
  const row = await (how === 'locked' ? query.forUpdate() : query)
  return (
    row && {
      id: row.id,
      name: row.name,
      kind: row.kind,
      agentId: row.agent_id,
      isDisabled: row.disabled_at !== null,
    }
  )
}

/** Everything about one tenant happens one after the other, under the lock of its ledger rows. */
async function lockTenant(trx: Knex.Transaction, { parentId, appId }: TenantKey): Promise<void> {
  await trx.raw(`select lock_subjects(array[?::integer], array[?::text])`, [parentId, appId])
}

async function findHeld(db: Knex, { parentId, appId }: TenantKey): Promise<HeldRow | undefined> {
  return db<HeldRow & { account_id: number; subject: string; scope: string }>('consent')
    .where({ account_id: parentId, subject: appId, scope: TENANT })
    .first('state', 'effective_at')
}

function isLater(at: Date, held: HeldRow | undefined): boolean {
  return held === undefined || at.getTime() > held.effective_at.getTime()
}

function isBackSince(held: HeldRow | undefined, leftAt: Date): boolean {
  return held?.state === 'granted' && held.effective_at.getTime() > leftAt.getTime()
}

/** What waits for the tenant's account; what came after it authorised again goes on waiting. */
async function forgetWaiting(trx: Knex.Transaction, key: TenantKey, leftAt: Date): Promise<void> {
  const isBack = isBackSince(await findHeld(trx, key), leftAt)
  const place = { parentId: key.parentId, tenant: key.appId }
  await forgetParked(trx, place, isBack ? leftAt : null)
}

/** A job that runs twice says nothing new. */
async function writeTenantChange(
  trx: Knex.Transaction,
  { parentId, appId }: TenantKey,
  change: TenantGrant & { readonly change: 'granted' | 'revoked' },
): Promise<void> {
  const { eventId } = change
  if (eventId !== null && (await findAdmitted(trx, parentId, eventId)) === appId) return
  const row = {
    account_id: parentId,
    subject: appId,
    scope: TENANT,
    change: change.change,
    effective_at: change.at,
    reason: change.reason,
    evidence: eventId === null ? 'sync' : 'event',
    event_id: eventId,
  }
  await trx.raw(`select apply_consent_changes(?::jsonb)`, [JSON.stringify([row])])
}

async function insertTenant(trx: Knex.Transaction, admission: Admission): Promise<number> {
  const wished = tenantName(admission)
  const taken = await trx<{ id: number; name: string }>('account')
    .where({ name: wished })
    .first('id')
  const suffix = sha256(admission.appId).toString('hex').slice(0, 6)
  const rows = await trx<{ id: number }>('account')
    .insert({
      name: taken ? `${wished.slice(0, NAME_LENGTH - 7)}-${suffix}` : wished,
      kind: admission.kind,
      app_id: admission.appId,
      original_id: admission.originalId,
      parent_id: admission.parentId,
      serves: admission.serves,
      mode: 'safe',
    } as object)
    .returning('id')
  return rows[0]?.id ?? 0
}

/** Names are at most so long. */
const NAME_LENGTH = 63

/** What an account is called that nobody named: the parent's name and the tenant's id. */
function tenantName({ parentName, appId }: Admission): string {
  const id = appId.toLowerCase().replace(/[^a-z0-9_-]/g, '-')
  return `${parentName.slice(0, Math.max(1, NAME_LENGTH - 1 - id.length))}-${id}`.slice(
    0,
    NAME_LENGTH,
  )
}

async function updateTenant(
  trx: Knex.Transaction,
  { originalId, serves }: Admission,
  { id, comesBack }: { readonly id: number; readonly comesBack: boolean },
): Promise<void> {
  await trx('account')
    .where({ id })
    .update({
      original_id: originalId,
      serves,
      updated_at: trx.fn.now(),
      ...(comesBack && { disabled_at: null }),
    })
}

async function forgetCredentials(trx: Knex.Transaction, id: number): Promise<void> {
  await trx('account_secret').where({ account_id: id }).delete()
  // the row stays with its number, so that no process takes an older token for the newer one
  await trx.raw(
    `update access_token
     set sealed = null, key_id = null, fetched_at = null, expires_at = null,
       rejected_version = version, lease_owner = null, leased_until = null
     where account_id = ?`,
    [id],
  )
}

/** New credentials make old refusals worthless; the next use asks afresh. */
async function restartToken(trx: Knex.Transaction, id: number): Promise<void> {
  await trx.raw(
    `update access_token
     set breaker_until = null, breaker_errcode = null, breaker_reason = null, failures = 0,
       rejected_version = version
     where account_id = ?`,
    [id],
  )
  // A process that was told that there is no token remembers it for a minute.
  await trx.raw(`select pg_notify('token_changed', ?)`, [String(id)])
}

async function isErased(
  trx: Knex.Transaction,
  { id, appId, leftAt }: { readonly id: number; readonly appId: string; readonly leftAt: Date },
): Promise<boolean> {
  const { rows } = await trx.raw<{ rows: { erased: boolean }[] }>(
    `select exists (
       select from erasure
       where account_id = ? and subject_hash = subject_hash(?, ?) and effective_at >= ?
     ) as erased`,
    [id, id, appId, leftAt],
  )
  return rows[0]?.erased ?? false
}

async function announce(trx: Knex.Transaction, id: number): Promise<void> {
  await trx.raw(
    `select pg_notify('account_changed', account.name) from account where account.id = ?`,
    [id],
  )
}
