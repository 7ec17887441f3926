import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError, describeError } from '../foundation/errors.ts'
import { errorCode } from './availability.ts'
import { choosePostgresAccount, type PostgresAccount } from './postgres-account.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { runToEnd } from './postgres-process.ts'

/** The superuser of the embedded server; its password is random and per folder. */
export const SUPERUSER = 'wcg'

/** Lives inside the data directory, so that both appear in one rename. PostgreSQL ignores it. */
const PASSWORD_FILE = 'wcg.password'

/** Nobody builds for longer than this. */
const ABANDONED_AFTER_MS = 10 * 60_000

/** A data directory that is complete, who runs it, and how to log in. */
export interface PostgresData {
  readonly directory: string
  readonly account: PostgresAccount
  readonly password: string
}

/**
 * The data directory, made if it is missing. It is built beside its place and renamed into it, so
 * a crash half-way leaves at worst a folder named `….new-…`, and of two processes that build at
 * once one wins and the other uses the winner's.
 *
 * @throws AppError `data_directory_not_writable`, `data_directory_of_other_user`,
 *   `data_directory_not_created`, `unreachable_for_postgres`
 */
export async function prepareData(
  directory: string,
  binaries: PostgresBinaries,
): Promise<PostgresData> {
  const owner = await findOwner(directory)
  if (owner) requireOurs(directory, owner.uid)
  if (!owner || (await isEmpty(directory))) await createData(directory, binaries)
  const password = await readPassword(directory)
  const { uid, gid } = await stat(directory)
  const paths = [binaries.postgres, join(directory, PASSWORD_FILE)]
  return { directory, password, account: await choosePostgresAccount(paths, { uid, gid }) }
}

async function isEmpty(directory: string): Promise<boolean> {
  return (await readdir(directory)).length === 0
}

async function findOwner(directory: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    return await stat(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw notWritable(directory, error)
  }
}

/** Root may run the server as any owner; anybody else must be the owner. */
function requireOurs(directory: string, owner: number): void {
  const us = process.getuid?.()
  if (us === undefined || us === 0 || us === owner) return
  throw new AppError(
    'data_directory_of_other_user',
    `${directory} belongs to user id ${owner} and this process runs as ${us}; start the gateway ` +
      `as that user, give the folder away (chown -R ${us} ${directory}), or set DATABASE_URL`,
    { details: { directory } },
  )
}

async function readPassword(directory: string): Promise<string> {
  try {
    return (await readFile(join(directory, PASSWORD_FILE), 'utf8')).trim()
  } catch (cause) {
    throw new AppError(
      'data_directory_foreign',
      `${directory} was not made by the gateway: ${PASSWORD_FILE} cannot be read; move the folder ` +
        'away, or set DATABASE_URL',
      { cause, details: { directory } },
    )
  }
}

async function createData(directory: string, binaries: PostgresBinaries): Promise<void> {
  const draft = await createDraft(directory)
  try {
    await buildDraft(draft, binaries)
    await rename(join(draft, 'data'), directory)
    await syncFolder(dirname(directory))
  } catch (error) {
    if (!(await isTaken(error, directory))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Makes a rename in this folder outlive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}

async function createDraft(directory: string): Promise<string> {
  try {
    await mkdir(dirname(directory), { recursive: true })
    const draft = await mkdtemp(join(dirname(directory), `${basename(directory)}.new-`))
    await removeAbandonedDrafts(directory, draft)
    return draft
  } catch (error) {
    throw notWritable(directory, error)
  }
}

/**
 * What a process that was killed while it built left behind. The age is taken against our own
 * draft, so that only the clock of the file system counts.
 */
async function removeAbandonedDrafts(directory: string, draft: string): Promise<void> {
  const youngest = (await stat(draft)).mtimeMs
  const parent = dirname(directory)
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(directory)}.new-`)) continue
    const found = await stat(join(parent, name)).catch(() => undefined) // just renamed away
    if (!found || youngest - found.mtimeMs < ABANDONED_AFTER_MS) continue
    await rm(join(parent, name), { recursive: true, force: true })
  }
}

/** Another process finished first: a folder cannot be renamed onto one that holds files. */
async function isTaken(error: unknown, directory: string): Promise<boolean> {
  const taken = ['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')
  return taken && (await findOwner(join(directory, PASSWORD_FILE))) !== undefined
}

async function buildDraft(draft: string, binaries: PostgresBinaries): Promise<void> {
  const passwordFile = join(draft, 'password')
  await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
  const account = await choosePostgresAccount([binaries.initdb, passwordFile])
  if (account.ids) {
    await giveTo(draft, account.ids)
    await giveTo(passwordFile, account.ids)
  }
  const data = join(draft, 'data')
  const { code, output } = await runToEnd(account, [
    binaries.initdb,
    ...['--pgdata', data, '--username', SUPERUSER, '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-instructions'],
  ])
  if (code !== 0) throw notCreated(data, output)
  await rename(passwordFile, join(data, PASSWORD_FILE))
  await chmod(join(data, PASSWORD_FILE), 0o600)
}

async function giveTo(path: string, ids: { uid: number; gid: number }): Promise<void> {
  try {
    await chown(path, ids.uid, ids.gid)
  } catch (error) {
    throw notWritable(path, error)
  }
}

function notWritable(directory: string, cause: unknown): AppError {
  return new AppError(
    'data_directory_not_writable',
    `the data directory ${directory} cannot be made or read: ${describeError(cause)}; make its ` +
      'parent writable for this user, or set DATABASE_URL',
    { cause, details: { directory } },
  )
}

function notCreated(directory: string, output: string): AppError {
  return new AppError(
    'data_directory_not_created',
    `PostgreSQL could not create its data in ${directory}; it needs about 60 MB of free space and ` +
      `a user that the system knows. It said:\n${output.trim()}`,
    { details: { directory } },
  )
}
