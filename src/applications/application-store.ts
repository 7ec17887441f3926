import type { Knex } from 'knex'
import { createSnapshot } from '../accounts/snapshot.ts'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import type { Clock } from '../foundation/clock.ts'
import { ConflictError, NotFoundError } from '../foundation/errors.ts'
import { newApiKey, newId, sha256 } from '../foundation/ids.ts'
import {
  APPLICATIONS_UNAVAILABLE,
  unknownApplication,
  type Application,
  type ApplicationOverview,
  type NewApplication,
} from './application.ts'
import type { SignatureDemand } from './request-signature.ts'
import { NO_SIGNING } from './signing-store.ts'

/** An added application with its key, which exists nowhere else: it is shown once. */
export interface AddedApplication extends Application {
  readonly key: string
}

/** The business applications in the database. Only the hash of a key is stored. */
export interface ApplicationStore {
  /**
   * @param sealSecret the sealed secret of one that has to sign every request.
   * @throws ConflictError `application_name_taken`, NotFoundError `unknown_account`
   */
  add(
    application: NewApplication,
    sealSecret?: (applicationId: string) => string,
  ): Promise<AddedApplication>
  /** Every application, revoked ones too, by name. */
  list(): Promise<ApplicationOverview[]>
  /** One that is not revoked. @throws NotFoundError `unknown_application` */
  find(name: string): Promise<Application>
  /**
   * Ends an application's key for good; a second call changes nothing. Processes that hold a copy
   * refuse it within five seconds.
   * @throws NotFoundError `unknown_application`
   */
  revoke(name: string): Promise<void>
  /**
   * Whose key this is; undefined when it is nobody's, or was revoked.
   * @throws UnavailableError `applications_unavailable`
   */
  authenticate(key: string): Promise<Application | undefined>
}

/** How long a process may go on trusting its copy; the age a revoked key can reach. */
const MAX_AGE_MS = 5_000

interface ApplicationRow {
  readonly id: string
  readonly name: string
  readonly key_hash: Buffer
  readonly key_hint: string
  readonly signatures: SignatureDemand
  readonly created_at: Date
  readonly revoked_at: Date | null
  readonly account_ids: number[]
  readonly account_names: string[]
}

export function createApplicationStore(parts: {
  readonly db: Knex
  readonly clock: Clock
}): ApplicationStore {
  const { db, clock } = parts
  const copy = createSnapshot({
    load: async () => indexByKey(await readRows(db)),
    clock,
    maxAgeMs: MAX_AGE_MS,
    unavailable: APPLICATIONS_UNAVAILABLE,
  })

  return {
    async add({ name, accountNames }, sealSecret) {
      const key = newApiKey()
      const id = newId(clock.now())
      const sealedSecret = sealSecret?.(id)
      const accounts = await withTransaction(db, async (trx) => {
        const found = await findAccounts(trx, accountNames)
        await insertApplication(trx, { id, name, key, sealedSecret })
        await trx('application_account').insert(
          found.map((account) => ({ application_id: id, account_id: account.id })),
        )
        return found
      })
      copy.invalidate()
      return {
        id,
        name,
        key,
        accountIds: accounts.map((account) => account.id),
        accountNames: accounts.map((account) => account.name),
        signatures: demandAtFirst(sealedSecret),
      }
    },

    async list() {
      return (await readRows(db)).map((row) => ({
        id: row.id,
        name: row.name,
        keyHint: row.key_hint,
        accountNames: row.account_names,
        signatures: row.signatures,
        createdAt: row.created_at,
        revokedAt: row.revoked_at,
      }))
    },

    async revoke(name) {
      const found = await db('application')
        .where({ name })
        .update({ revoked_at: db.raw('coalesce(revoked_at, now())'), ...NO_SIGNING })
      copy.invalidate()
      if (found === 0) throw unknownApplication(name)
    },

    async find(name) {
      const live = indexByKey(await readRows(db)).values()
      const found = [...live].find((one) => one.name === name)
      if (!found) throw unknownApplication(name)
      return found
    },

    authenticate: (key) => copy.find((byKey) => byKey.get(sha256(key).toString('hex'))),
  }
}

/** One row each, with its accounts in order of their names; a table of tens of rows, read whole. */
async function readRows(db: Knex): Promise<ApplicationRow[]> {
  const { rows } = await db
    .raw<{ rows: ApplicationRow[] }>(
      `
    select
      application.id,
      application.name,
      application.key_hash,
      application.key_hint,
      application.signatures,
      application.created_at,
      application.revoked_at,
      coalesce(array_agg(account.id order by account.name)
        filter (where account.id is not null), '{}') as account_ids,
      coalesce(array_agg(account.name order by account.name)
        filter (where account.id is not null), '{}') as account_names
    from application
    left join application_account on application_account.application_id = application.id
    left join account on account.id = application_account.account_id
    group by application.id
    order by application.name`,
    )
    .timeout(QUICK_QUERY_MS)
  return rows
}

/** Live keys by the hex of their hash. Looking up a hash tells a guesser nothing about the key. */
function indexByKey(rows: readonly ApplicationRow[]): Map<string, Application> {
  const live = rows.filter((row) => row.revoked_at === null)
  return new Map(
    live.map((row) => [
      row.key_hash.toString('hex'),
      {
        id: row.id,
        name: row.name,
        accountIds: row.account_ids,
        accountNames: row.account_names,
        signatures: row.signatures,
      },
    ]),
  )
}

async function findAccounts(
  trx: Knex.Transaction,
  names: readonly string[],
): Promise<{ id: number; name: string }[]> {
  const found = await trx<{ id: number; name: string }>('account')
    .select('id', 'name')
    .whereIn('name', names)
    .orderBy('name')
  const missing = names.filter((name) => !found.some((account) => account.name === name))
  if (missing.length === 0) return found
  throw new NotFoundError(
    'unknown_account',
    `--accounts: there is no account ${missing.join(', ')}; wcg account list shows them`,
    { details: { field: '--accounts', name: missing.join(', ') } },
  )
}

async function insertApplication(
  trx: Knex.Transaction,
  application: {
    readonly id: string
    readonly name: string
    readonly key: string
    readonly sealedSecret: string | undefined
  },
): Promise<void> {
  const { id, name, key, sealedSecret } = application
  const inserted = await trx('application')
    .insert({
      ...{ id, name, key_hash: sha256(key), key_hint: key.slice(-4) },
      signatures: demandAtFirst(sealedSecret),
      sealed_signing_secret: sealedSecret ?? null,
    })
    .onConflict('name')
    .ignore()
    .returning('id')
  if (inserted.length > 0) return
  throw new ConflictError(
    'application_name_taken',
    `NAME: there is an application ${name} already, perhaps a revoked one; choose another name`,
    { details: { field: 'NAME', name } },
  )
}

function demandAtFirst(sealedSecret: string | undefined): SignatureDemand {
  return sealedSecret === undefined ? 'off' : 'required'
}
