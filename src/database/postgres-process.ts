import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { link, open, readFile, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { sleep } from '../foundation/clock.ts'
import { InvariantError } from '../foundation/errors.ts'
import { errorCode } from './availability.ts'
import type { PostgresAccount } from './postgres-account.ts'

/** What `postmaster.pid` says about a server that runs, or ran. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** Whether it takes connections; not yet while it starts or recovers. */
  readonly ready: boolean
}

/** A server that refuses to end after a fast shutdown is told to drop everything; it recovers. */
const SHUTDOWN_LIMIT_MS = 10_000

const PID_FILE = 'postmaster.pid'
const LOG_FILE = 'server.log'
const LOG_MAX_BYTES = 1_000_000

/**
 * Nothing of a row may reach the server's log: values stand in the text of a failed statement and
 * in the detail of an error. What is left is the life of the server itself.
 */
const QUIET_LOG = {
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
}

const ALWAYS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  timezone: 'UTC',
  log_timezone: 'UTC',
  max_connections: '100',
  ...QUIET_LOG,
}

/** How to start a server on a data directory. */
export interface PostmasterStart {
  readonly postgres: string
  readonly directory: string
  readonly account: PostgresAccount
  /** More settings of PostgreSQL; they win over ours. */
  readonly settings: Readonly<Record<string, string>>
}

/**
 * Starts a server in a session of its own, so that Ctrl-C in a terminal reaches the gateway alone.
 * Its remarks go to `server.log` in the data directory.
 *
 * @returns the process, which may still fail: ask `findPostmaster`.
 */
export async function spawnPostmaster(start: PostmasterStart): Promise<ChildProcess> {
  const settings = { ...ALWAYS, port: String(await findFreePort()), ...start.settings }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  await shortenLog(join(start.directory, LOG_FILE))
  const log = openSync(join(start.directory, LOG_FILE), 'a', 0o600)
  try {
    const [program, ...rest] = commandLine(start.account, [
      start.postgres,
      ...['-D', start.directory],
      ...args,
    ])
    const child = spawn(program, rest, {
      ...spawnIds(start.account),
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: plainEnvironment(),
    })
    child.on('error', () => undefined) // seen as an early exit by whoever waits
    child.unref()
    return child
  } finally {
    closeSync(log)
  }
}

/** Runs a program of PostgreSQL to its end; `output` is what it wrote to both streams. */
export function runToEnd(
  account: PostgresAccount,
  command: readonly string[],
): Promise<{ code: number; output: string }> {
  const [program, ...args] = commandLine(account, command)
  const options = { ...spawnIds(account), cwd: '/', env: plainEnvironment() }
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, output: stdout + stderr + (stderr === '' && error ? error.message : '') })
    })
  })
}

function commandLine(account: PostgresAccount, command: readonly string[]): [string, ...string[]] {
  const [program, ...args] = [...account.prefix, ...command]
  if (program === undefined) throw new InvariantError('an empty command line')
  return [program, ...args]
}

/** With a prefix the program in front changes the account itself. */
function spawnIds(account: PostgresAccount): { uid?: number; gid?: number } {
  return account.prefix.length === 0 && account.ids ? account.ids : {}
}

/** PG… variables and locales of the user must not change a server of ours. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

async function shortenLog(path: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_MAX_BYTES) await rm(path)
}

/** The last lines a server wrote, for an error message. */
export async function readLogTail(directory: string): Promise<string> {
  const file = await open(join(directory, LOG_FILE)).catch(() => undefined)
  if (!file) return ''
  try {
    const text = await file.readFile('utf8')
    return text.trimEnd().split('\n').slice(-8).join('\n')
  } finally {
    await file.close()
  }
}

/**
 * The server that runs on a data directory now.
 *
 * A killed machine or container leaves a file that names a process long gone, or a number that
 * belongs to another program since. PostgreSQL would refuse to start over the latter, so such a
 * file is put away.
 */
export async function findPostmaster(directory: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(directory, PID_FILE), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  if (!isAlive(pid)) return undefined
  if (!(await isServerOf(pid, directory))) {
    await putAway(join(directory, PID_FILE), text)
    return undefined
  }
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' }
}

/** Whether a process of this number runs, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

/**
 * A server's working directory is its data directory. A process that has ended but was not reaped
 * has none. Where that cannot be seen (no /proc, or another user's process), `ps` has to do.
 */
async function isServerOf(pid: number, directory: string): Promise<boolean> {
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(directory))
  } catch (error) {
    if (process.platform === 'linux' && errorCode(error) === 'ENOENT') return false
  }
  const command = await new Promise<string>((resolve) => {
    execFile('ps', ['-o', 'command=', '-p', String(pid)], (_error, stdout) => resolve(stdout))
  })
  return command.includes('postgres')
}

/** Moves a file away unless it changed since it was read; then it is somebody's live file. */
async function putAway(path: string, expected: string): Promise<void> {
  const aside = `${path}.stale-${process.pid}`
  await rename(path, aside).catch(() => undefined)
  const found = await readFile(aside, 'utf8').catch(() => expected)
  if (found !== expected) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
}

/**
 * Ends the server of a folder, if there is one: open connections are closed and everything is
 * written down. After ten seconds it is told to drop everything instead; its next start recovers.
 */
export async function stopPostmaster(directory: string): Promise<void> {
  const postmaster = await findPostmaster(directory)
  if (!postmaster) return
  signal(postmaster.pid, 'SIGINT')
  if (await isGone(directory, postmaster.pid)) return
  signal(postmaster.pid, 'SIGQUIT')
  await isGone(directory, postmaster.pid)
}

/** For a process that is ending and cannot wait: asks the server to end, if it is still that one. */
export function signalPostmasterAtExit(directory: string, postmaster: Postmaster): void {
  try {
    const pid = Number.parseInt(readFileSync(join(directory, PID_FILE), 'utf8'), 10)
    if (pid === postmaster.pid) signal(pid, 'SIGINT')
  } catch {
    // no file, no server; and nothing to tell anybody any more
  }
}

/** A process that is gone already is what we wanted. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

async function isGone(directory: string, pid: number): Promise<boolean> {
  const giveUpAt = performance.now() + SHUTDOWN_LIMIT_MS
  while (performance.now() < giveUpAt) {
    if (!isAlive(pid) || !(await isServerOf(pid, directory))) return true
    await sleep(20)
  }
  return false
}
