import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../src/database/connection.ts'
import { startEmbeddedServer } from '../../src/database/embedded-server.ts'
import { migrate } from '../../src/database/migrate.ts'
import { isAlive, stopPostmaster } from '../../src/database/postgres-process.ts'
import { createLog } from '../../src/foundation/log.ts'
import { runOnServer, urlOfDatabase, type TestServer } from './database.ts'

const log = createLog('silent')
const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

/** In the system's temporary folder; the process id of the run and random characters follow. */
const FOLDER = 'wcg-test-'

/**
 * Runs once before all test files: a PostgreSQL (the one at TEST_DATABASE_URL, whose user may
 * create databases; else one of our own in a temporary folder) and in it the migrated database that
 * every test file copies.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const compiled = await keepCompiled()
  const server = await openServer()
  const testServer = await createTemplate(server.url).catch(async (error: unknown) => {
    await server.close()
    throw error
  })
  project.provide('testServer', testServer)
  return async () => {
    await runOnServer(server.url, `drop database if exists ${testServer.template} with (force)`)
    await server.close()
    // a worker that ends late still writes into it
    await rm(compiled, { recursive: true, force: true, maxRetries: 10 })
  }
}

/**
 * Hundreds of gateways and commands are started, all from the same sources: node compiles them once.
 * It writes when a process ends, so one ends here: else the first gateways would take seconds to.
 */
async function keepCompiled(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`))
  process.env['NODE_COMPILE_CACHE'] = folder
  await promisify(execFile)(process.execPath, [MAIN, 'serve', '--help'])
  return folder
}

interface OpenServer {
  readonly url: string
  close(): Promise<void>
}

async function openServer(): Promise<OpenServer> {
  const url = process.env['TEST_DATABASE_URL']
  return url ? { url, close: () => Promise.resolve() } : startTemporaryServer()
}

/** Nothing here outlives the run, so it need not survive a power cut: fsync is off. */
async function startTemporaryServer(): Promise<OpenServer> {
  await removeAbandoned()
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`))
  const server = await startEmbeddedServer({
    directory: join(folder, 'postgres'),
    log,
    mode: 'own',
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '300',
    },
  })
  const removeAtExit = () => removeOnceStopped(folder)
  process.once('exit', removeAtExit)
  const close = async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
    process.removeListener('exit', removeAtExit)
  }
  return { url: server.url, close }
}

/**
 * For a run that is ended by a signal. The server's own handler came first and told it to stop; its
 * file goes when it has. Nothing can be awaited any more, so this blocks, for two seconds at most.
 */
function removeOnceStopped(folder: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let waited = 0; waited < 2_000; waited += 50) {
    if (!existsSync(join(folder, 'postgres', 'postmaster.pid'))) break
    Atomics.wait(pause, 0, 0, 50)
  }
  rmSync(folder, { recursive: true, force: true })
}

/** A run that was killed could not clean up; the next one does. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(/^wcg-test-(\d+)-/.exec(name)?.[1])
    if (Number.isNaN(pid) || isAlive(pid)) continue
    await stopPostmaster(join(tmpdir(), name, 'postgres'))
    await rm(join(tmpdir(), name), { recursive: true, force: true })
  }
}

/** Makes the database that every test file copies, and finds out how this server does so quickest. */
async function createTemplate(url: string): Promise<TestServer> {
  const template = `wcg_template_${randomBytes(6).toString('hex')}`
  await runOnServer(url, `create database ${template} template template0`)
  const db = openDatabase({ url: urlOfDatabase(url, template), log })
  try {
    await migrate(db)
    const { rows } = await db.raw<{ rows: { is_modern: boolean }[] }>(
      `select current_setting('server_version_num')::integer >= 150000 as is_modern`,
    )
    return { url, template, strategy: rows[0]?.is_modern ? 'strategy file_copy' : '' }
  } finally {
    await db.destroy()
  }
}
