import { constants } from 'node:fs'
import { access, readFile, realpath, stat } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { AppError } from '../foundation/errors.ts'

/**
 * The operating system account that a PostgreSQL process runs under. PostgreSQL refuses to run as
 * root; as root we therefore start it as somebody who may do nothing else.
 */
export interface PostgresAccount {
  /** Undefined when we are not root: the process simply is ours. */
  readonly ids: { readonly uid: number; readonly gid: number } | undefined
  /** Put in front of every command line; switches the account where a spawn option cannot. */
  readonly prefix: readonly string[]
}

/** The last id of the 16-bit range, `nobody` on nearly every system; not made for anybody's files. */
const NOBODY = { uid: 65_534, gid: 65_534 }

/** Bits of Linux capabilities (capability.h) that let a process walk anywhere, weaker one first. */
const TRAVERSING = [
  { name: 'dac_read_search', bit: 2n },
  { name: 'dac_override', bit: 1n },
]

/** The capability to change secure bits, see `setprivCommand`. */
const CAP_SETPCAP = 8n

/**
 * Decides who runs PostgreSQL.
 *
 * A data directory that exists keeps its owner. A new one belongs to `nobody` when we are root. If
 * that account cannot walk to one of the paths, because a parent is private (a checkout under
 * /root, say), the process is started through `setpriv` with the one capability that lets it walk
 * and read; it stays unprivileged otherwise.
 *
 * @param paths every file and folder that the process must reach; they exist.
 * @param owner of the data directory, when there is one.
 * @throws AppError `unreachable_for_postgres` when neither works; it names the folder.
 */
export async function choosePostgresAccount(
  paths: readonly string[],
  owner?: { readonly uid: number; readonly gid: number },
): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { ids: undefined, prefix: [] }
  const ids = owner && owner.uid !== 0 ? owner : await findNobody()
  const blocking = await findBlockingDirectory(paths, ids)
  if (blocking === undefined) return { ids, prefix: [] }

  const setpriv = await findOnPath('setpriv')
  const capability = await findCapability()
  if (setpriv === undefined || capability === undefined) {
    throw unreachable(blocking, ids.uid, setpriv === undefined)
  }
  return { ids, prefix: setprivCommand(setpriv, ids, capability) }
}

/**
 * PostgreSQL looks for its own programs with access(2), which ignores the capabilities of ordinary
 * users unless the secure bit `no_setuid_fixup` is set. Starting the program drops all others.
 */
function setprivCommand(
  setpriv: string,
  ids: { readonly uid: number; readonly gid: number },
  capability: string,
): string[] {
  return [
    setpriv,
    `--reuid=${ids.uid}`,
    `--regid=${ids.gid}`,
    '--clear-groups',
    '--securebits=+no_setuid_fixup',
    `--inh-caps=+${capability}`,
    `--ambient-caps=+${capability}`,
    '--',
  ]
}

function unreachable(directory: string, uid: number, setprivMissing: boolean): AppError {
  const reason = setprivMissing
    ? 'the program setpriv (package util-linux), which could help, is not installed'
    : 'this container lacks the capabilities dac_override and setpcap, which could help'
  return new AppError(
    'unreachable_for_postgres',
    `PostgreSQL may not run as root, and user id ${uid} may not enter ${directory}; ${reason}. ` +
      `Allow it to pass (chmod o+x ${directory}), start the gateway as a normal user, ` +
      'or set DATABASE_URL',
    { details: { directory } },
  )
}

/** The first folder on the way to one of the paths that an account may not pass through. */
export async function findBlockingDirectory(
  paths: readonly string[],
  ids: { readonly uid: number; readonly gid: number },
): Promise<string | undefined> {
  for (const path of paths) {
    for (const directory of ancestors(await realpath(path))) {
      if (!mayPass(await stat(directory), ids)) return directory
    }
  }
  return undefined
}

/** From the root down; the path itself is not among them. */
function ancestors(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...ancestors(parent), parent]
}

/** The classic rule of mode bits: the first of owner, group and others that fits decides. */
function mayPass(
  directory: { readonly mode: number; readonly uid: number; readonly gid: number },
  ids: { readonly uid: number; readonly gid: number },
): boolean {
  if (directory.uid === ids.uid) return (directory.mode & constants.S_IXUSR) !== 0
  if (directory.gid === ids.gid) return (directory.mode & constants.S_IXGRP) !== 0
  return (directory.mode & constants.S_IXOTH) !== 0
}

/** `nobody` as this system counts it; initdb insists on an account that has an entry. */
async function findNobody(): Promise<{ uid: number; gid: number }> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const line = passwd.split('\n').find((entry) => entry.startsWith('nobody:'))
  const [, , uid, gid] = (line ?? '').split(':').map(Number)
  return uid !== undefined && gid !== undefined && uid > 0 ? { uid, gid } : NOBODY
}

/** The weakest traversing capability that this process has and can hand on. */
async function findCapability(): Promise<string | undefined> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const read = (field: string) =>
    BigInt(`0x${new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`)
  const usable = read('CapPrm') & read('CapBnd')
  if (((usable >> CAP_SETPCAP) & 1n) === 0n) return undefined
  return TRAVERSING.find((capability) => ((usable >> capability.bit) & 1n) === 1n)?.name
}

async function findOnPath(program: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, program)
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return path
  }
  return undefined
}
