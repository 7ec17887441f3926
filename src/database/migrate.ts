import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Knex } from 'knex'
import { sleep } from '../foundation/clock.ts'
import { AppError, UnavailableError } from '../foundation/errors.ts'
import { withTransaction } from './unit-of-work.ts'

/** Where migrations live and how long to wait for somebody else's. */
export interface MigrateOptions {
  /** The folder of `YYYYMMDDHHMMSS_verb_object.ts` files; the repository's own when absent. */
  readonly directory?: string
}

const OWN_DIRECTORY = resolve(import.meta.dirname, '../../migrations')
const TABLE = 'schema_migration'
const MIGRATION_FILE = /^\d{14}_[a-z0-9_]+\.ts$/

/** Any number that nobody else uses as an advisory lock in this database (“wcg migrate”). */
const LOCK_KEY = 7_247_011_001

/** How often a waiting process asks again, and when it gives up. */
const LOCK_POLL_MS = 100
const LOCK_WAIT_MS = 10 * 60_000

/**
 * Brings the database to this version's schema. Any number of processes may call it at once: one
 * works, the others wait and find nothing left to do.
 *
 * @returns the names of the migrations that this call ran, oldest first.
 * @throws AppError `database_newer`; whatever a migration throws, with its changes undone unless it
 *   opted out of its transaction.
 */
export async function migrate(db: Knex, options: MigrateOptions = {}): Promise<string[]> {
  return underLock(db, async () => {
    await requireKnown(db, options)
    const config = migratorConfig(options)
    await db.migrate.forceFreeMigrationsLock(config)
    return migrationNames(await db.migrate.latest(config))
  })
}

/**
 * Undoes the last batch of migrations (what one `migrate` ran), newest first.
 *
 * @param options `all` undoes every migration.
 * @returns the names of the migrations that were undone.
 */
export async function rollback(
  db: Knex,
  options: MigrateOptions & { readonly all?: boolean } = {},
): Promise<string[]> {
  return underLock(db, async () => {
    await requireKnown(db, options)
    const config = migratorConfig(options)
    await db.migrate.forceFreeMigrationsLock(config)
    return migrationNames(await db.migrate.rollback(config, options.all ?? false))
  })
}

/**
 * The names of the migrations that the database still lacks, oldest first. Writes nothing.
 *
 * @throws AppError `database_newer` when the database has one that this version does not know.
 */
export async function pending(db: Knex, options: MigrateOptions = {}): Promise<string[]> {
  const done = await requireKnown(db, options)
  return (await listMigrations(options)).filter((name) => !done.includes(name))
}

/** knex's loader knows no `.ts`; Node runs our files as they are. Names leave the ending out. */
function migratorConfig(options: MigrateOptions): Knex.MigratorConfig {
  const directory = options.directory ?? OWN_DIRECTORY
  const source: Knex.MigrationSource<string> = {
    getMigrations: () => listMigrations(options),
    getMigrationName: (name) => name,
    getMigration: (name) => loadMigration(join(directory, `${name}.ts`)),
  }
  return { tableName: TABLE, migrationSource: source, disableMigrationsListValidation: true }
}

async function listMigrations(options: MigrateOptions): Promise<string[]> {
  const files = await readdir(options.directory ?? OWN_DIRECTORY)
  return files
    .filter((file) => MIGRATION_FILE.test(file))
    .map((file) => basename(file, '.ts'))
    .sort()
}

async function loadMigration(path: string): Promise<Knex.Migration> {
  const module: unknown = await import(pathToFileURL(path).href)
  if (!isMigration(module)) {
    throw new AppError('bad_migration', `${basename(path)} must export the functions up and down`)
  }
  return module
}

function isMigration(module: unknown): module is Knex.Migration {
  return (
    typeof module === 'object' &&
    module !== null &&
    'up' in module &&
    typeof module.up === 'function' &&
    'down' in module &&
    typeof module.down === 'function'
  )
}

/** Returns the migrations the database has; throws if one of them is not ours. */
async function requireKnown(db: Knex, options: MigrateOptions): Promise<string[]> {
  if (!(await db.schema.hasTable(TABLE))) return []
  const done = await db<{ id: number; name: string }>(TABLE).orderBy('id').pluck('name')
  const known = await listMigrations(options)
  const unknown = done.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new AppError(
      'database_newer',
      `a newer version of the gateway has migrated this database: this version does not know ` +
        `${unknown.join(', ')}; run that version, or roll back with it first`,
      { details: { unknown } },
    )
  }
  return done
}

/** knex answers `[batch, names]`, typed as `any`. */
function migrationNames(answer: unknown): string[] {
  const names: unknown = Array.isArray(answer) ? answer[1] : undefined
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
}

/**
 * Holds an advisory lock while `work` runs. Unlike the flag that knex keeps in a table, it goes
 * away with its connection, so a killed process leaves nothing to release by hand; under it, a flag
 * left standing can be put down safely.
 *
 * It asks again and again instead of waiting inside PostgreSQL, because a waiting statement holds a
 * snapshot, and `create index concurrently` would wait for that in turn.
 */
async function underLock<Result>(db: Knex, work: () => Promise<Result>): Promise<Result> {
  const giveUpAt = performance.now() + LOCK_WAIT_MS
  for (;;) {
    const outcome = await withTransaction(db, async (trx) => {
      if (!(await tryLock(trx))) return { locked: false as const }
      return { locked: true as const, result: await work() }
    })
    if (outcome.locked) return outcome.result
    if (performance.now() > giveUpAt) {
      throw new UnavailableError(
        'migration_running',
        'another process has been migrating this database for ten minutes; try again when it is done',
      )
    }
    await sleep(LOCK_POLL_MS)
  }
}

/**
 * The transaction only carries the lock; it may idle for as long as the migrations take. Nothing is
 * bound: a bound statement leaves a portal open, and with it the snapshot, until the next one.
 */
async function tryLock(trx: Knex.Transaction): Promise<boolean> {
  await trx.raw('set local idle_in_transaction_session_timeout = 0')
  const answer = await trx.raw<{ rows: { locked: boolean }[] }>(
    `select pg_try_advisory_xact_lock(${LOCK_KEY}) as locked`,
  )
  return answer.rows[0]?.locked ?? false
}
