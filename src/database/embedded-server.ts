import type { ChildProcess } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { resolve } from 'node:path'
import { sleep } from '../foundation/clock.ts'
import { AppError, describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { isUnavailable, shutOutBy } from './availability.ts'
import { findBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { prepareData, SUPERUSER, type PostgresData } from './postgres-data.ts'
import {
  findPostmaster,
  readLogTail,
  signalPostmasterAtExit,
  spawnPostmaster,
  stopPostmaster,
  type Postmaster,
} from './postgres-process.ts'
import { enterServer, type ServerMode, type ServerUser } from './server-users.ts'

export interface EmbeddedServerOptions {
  /** Where the data lives, e.g. `.data/postgres`; made when missing. */
  readonly directory: string
  readonly log: Log
  /**
   * `own`: the gateway; one per folder. `join`: a command line tool; beside a gateway, beside other
   * tools, or alone.
   */
  readonly mode: ServerMode
  /** More settings of PostgreSQL, for tests: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Another PostgreSQL than the one that came with `npm install`, for measuring. */
  readonly binaries?: PostgresBinaries
}

export interface EmbeddedServer {
  readonly url: string
  /** Leaves the server; stops it when nobody else uses it. Later calls wait for the first. */
  stop(): Promise<void>
}

/** Recovery after a crash reads back at most max_wal_size (1 GB) of changes: seconds to a minute. */
const START_LIMIT_MS = 120_000

/** A port taken in the same moment or a dying predecessor ends a start early; both pass quickly. */
const MAX_EARLY_EXITS = 5
const POLL_MS = 25

/**
 * Uses the PostgreSQL in a folder: the one that runs there already, or a new one. It listens on
 * 127.0.0.1 only, on a free port, and asks for a password.
 *
 * It outlives a killed gateway and is found again by the next one. Processes that start at the same
 * moment are kept apart by PostgreSQL's own lock file: the loser of a start uses the winner's
 * server.
 *
 * @throws AppError `data_directory_in_use` when another gateway owns the folder,
 *   `no_embedded_postgres`, `data_directory_not_writable`, `data_directory_of_other_user`,
 *   `data_directory_not_created`, `unreachable_for_postgres`, `embedded_server_not_started`
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const directory = resolve(options.directory)
  const binaries = options.binaries ?? (await findBinaries())
  const data = await prepareData(directory, binaries)
  const giveUpAt = performance.now() + START_LIMIT_MS
  while (performance.now() < giveUpAt) {
    const postmaster = await runPostmaster({ binaries, data, options, giveUpAt })
    const server = await enter(data, postmaster, options)
    if (server) return server
    await sleep(POLL_MS)
  }
  throw await notStarted(directory)
}

interface Start {
  readonly binaries: PostgresBinaries
  readonly data: PostgresData
  readonly options: EmbeddedServerOptions
  /** On the monotonic clock, in milliseconds. */
  readonly giveUpAt: number
}

/** Returns the server of the folder once it takes connections; starts it if there is none. */
async function runPostmaster(start: Start): Promise<Postmaster> {
  const { directory } = start.data
  let child: ChildProcess | undefined
  let earlyExits = 0
  while (performance.now() < start.giveUpAt && earlyExits < MAX_EARLY_EXITS) {
    const found = await findPostmaster(directory)
    if (found?.ready) {
      start.options.log.debug({ directory, port: found.port }, 'database.server_found')
      return found
    }
    if (!found && (!child || hasEnded(child))) {
      if (child) await sleep(POLL_MS * 2 ** ++earlyExits)
      child = await spawnServer(start)
    }
    await sleep(POLL_MS)
  }
  throw await notStarted(directory)
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

function spawnServer(start: Start): Promise<ChildProcess> {
  return spawnPostmaster({
    postgres: start.binaries.postgres,
    directory: start.data.directory,
    account: start.data.account,
    settings: start.options.settings ?? {},
  })
}

/** Undefined when it is to be tried again: the server, or the gateway that owned it, just went away. */
async function enter(
  data: PostgresData,
  postmaster: Postmaster,
  options: EmbeddedServerOptions,
): Promise<EmbeddedServer | undefined> {
  const url = `postgres://${SUPERUSER}:${data.password}@127.0.0.1:${postmaster.port}/postgres`
  const { mode, log } = options
  const entry = await enterServer({ url, mode, log }).catch((error: unknown) => {
    if (!isUnavailable(error) || shutOutBy(error)) throw error
    log.debug({ error: describeError(error) }, 'database.server_unreachable')
    return { kind: 'closing' as const }
  })
  if (entry.kind === 'closing') return undefined
  if (entry.kind === 'owned') throw inUse(data.directory, entry.pid)
  return keep({ url, user: entry.user, postmaster, directory: data.directory, mode })
}

interface Kept {
  readonly url: string
  readonly user: ServerUser
  readonly postmaster: Postmaster
  readonly directory: string
  readonly mode: ServerMode
}

/** A gateway that ends without its shutdown (a fault, `process.exit`) takes its server along. */
function keep(kept: Kept): EmbeddedServer {
  const onExit = () => signalPostmasterAtExit(kept.directory, kept.postmaster)
  if (kept.mode === 'own') process.once('exit', onExit)

  const leave = async () => {
    if (await kept.user.leave()) await stopPostmaster(kept.directory)
    await kept.user.close()
    process.removeListener('exit', onExit)
  }
  let left: Promise<void> | undefined
  return { url: kept.url, stop: () => (left ??= leave()) }
}

function inUse(directory: string, pid: number | undefined): AppError {
  const who = pid === undefined ? 'another gateway' : `another gateway (process ${pid})`
  return new AppError(
    'data_directory_in_use',
    `${who} is running on ${directory}; stop it, or set DATABASE_URL so that several gateways ` +
      'can share one database',
    { details: { directory, pid } },
  )
}

async function notStarted(directory: string): Promise<AppError> {
  const free = await statfs(directory).then(
    (disk) => disk.bavail * disk.bsize,
    () => undefined,
  )
  const full = free !== undefined && free < 64 * 1024 * 1024 ? ' The disk is nearly full.' : ''
  return new AppError(
    'embedded_server_not_started',
    `PostgreSQL did not start on ${directory}.${full} Its log (server.log there) ends with:\n` +
      (await readLogTail(directory)),
    { details: { directory } },
  )
}
