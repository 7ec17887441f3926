import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Knex } from 'knex'
import { createAccountStore, type AccountStore } from '../src/accounts/account-store.ts'
import { openDatabase } from '../src/database/connection.ts'
import { startEmbeddedServer } from '../src/database/embedded-server.ts'
import { migrate } from '../src/database/migrate.ts'
import { binariesAt } from '../src/database/postgres-binaries.ts'
import { createLog } from '../src/foundation/log.ts'
import { createSecretBox, parseMasterKey } from '../src/foundation/sealed-secrets.ts'
import { MASTER_KEY } from './children.ts'
import { ACCOUNT } from './pushes.ts'

const log = createLog('error')

/**
 * What an operator sets on any server of some size, after PostgreSQL's own advice; the defaults are
 * those of a machine of twenty years ago. Nothing here makes a commit less durable.
 */
const SETTINGS = { shared_buffers: '1GB', max_wal_size: '4GB', min_wal_size: '2GB' }

/** A PostgreSQL of this run alone, in a temporary folder. */
export interface BenchServer {
  /** A new database with the whole schema and the account of the run. */
  createDatabase(name: string): Promise<BenchDatabase>
  /**
   * Has this many files of the log ready, 16 MB each, as a server has that has run for a day: it writes
   * into those it no longer needs. A new one must first be filled with zeros, while everybody waits.
   */
  layOutLog(files: number): Promise<void>
  /** Stops it and removes its files. */
  stop(): Promise<void>
}

export interface BenchDatabase {
  readonly url: string
  readonly db: Knex
}

/**
 * Starts a server as the gateway starts its own on a development machine, with `SETTINGS` and
 * `more`. It is durable: fsync, full_page_writes and synchronous_commit stay on.
 *
 * @param folder of another PostgreSQL than the one that came with `npm install`.
 */
export async function startServer(
  more: Readonly<Record<string, string>> = {},
  folder: string | null = null,
): Promise<BenchServer> {
  const data = await mkdtemp(join(tmpdir(), 'wcg-bench-'))
  const server = await startEmbeddedServer({
    directory: join(data, 'postgres'),
    log,
    mode: 'own',
    settings: { ...SETTINGS, ...more },
    ...(folder !== null && { binaries: binariesAt(folder) }),
  })
  const pools: Knex[] = []
  const open = (url: string) => {
    const db = openDatabase({ url, log, applicationName: 'wcg-bench', poolMax: 4 })
    pools.push(db)
    return db
  }
  const root = open(server.url)
  return {
    async createDatabase(name) {
      await root.raw(`create database ${name} template template0`)
      const url = new URL(server.url)
      url.pathname = `/${name}`
      const db = open(url.href)
      await migrate(db)
      await addAccount(db)
      return { url: url.href, db }
    },
    async layOutLog(files) {
      for (let file = 0; file < files; file++) await leaveLogFile(root)
      await root.raw(`checkpoint`)
      // those before a checkpoint are made ready for use by the next
      await leaveLogFile(root)
      await root.raw(`checkpoint`)
    },
    async stop() {
      // The server first: it ends statements under way, for which the pools would wait.
      await server.stop()
      await Promise.all(pools.map((pool) => pool.destroy()))
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Goes on to the next file of the log; one that nothing was written to would be stayed in. */
async function leaveLogFile(db: Knex): Promise<void> {
  await db.raw(`select pg_logical_emit_message(false, 'bench', '')`)
  await db.raw(`select pg_switch_wal()`)
}

/** The accounts of a database of the bench. */
export function accountsOf(db: Knex): AccountStore {
  const masterKey = parseMasterKey(MASTER_KEY.toString('hex'))
  if (!masterKey) throw new Error('the master key of the bench has 32 bytes')
  const box = createSecretBox([masterKey])
  return createAccountStore({ db, box, onUnreadable: () => undefined })
}

async function addAccount(db: Knex): Promise<void> {
  const { name, appId, originalId, token, aesKey, secret } = ACCOUNT
  await accountsOf(db).add({
    name,
    kind: 'official_account',
    appId,
    originalId,
    mode: 'safe',
    token,
    aesKey,
    secret,
    settings: {},
  })
}
