import { Client } from 'pg'
import { sleep } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { isAlive } from './postgres-process.ts'

/**
 * Who uses an embedded server is kept where it cannot go stale: in advisory locks, which PostgreSQL
 * drops with the connection of whoever held them.
 *
 * - Every user holds `USED` together with the others; whoever can have it alone may stop the server.
 * - The one gateway of a folder holds `OWNED` alone.
 *
 * The first number keeps them apart from all other advisory locks of the database.
 */
const LOCKS = 724_701
const USED = 1
const OWNED = 2

/** After a lost connection (the server restarted itself), how often to try to come back. */
const RETURN_EVERY_MS = 1_000

export type ServerMode = 'own' | 'join'

/** A process as a user of an embedded server. */
export interface ServerUser {
  /**
   * Stops being one.
   *
   * @returns whether nobody else is left, or the server cannot be reached by anybody. If so nobody
   *   can enter any more until `close`, and the caller stops the server.
   */
  leave(): Promise<boolean>
  close(): Promise<void>
}

export type Entry =
  | { readonly kind: 'entered'; readonly user: ServerUser }
  /** To be tried again in a moment: the last user is stopping the server, or its owner just went. */
  | { readonly kind: 'closing' }
  /** Another gateway owns this folder; its process id where it can be told. */
  | { readonly kind: 'owned'; readonly pid: number | undefined }

export interface EnterOptions {
  readonly url: string
  readonly mode: ServerMode
  readonly log: Log
}

/** Becomes a user of a running server, and its owner if so asked. */
export async function enterServer(options: EnterOptions): Promise<Entry> {
  const client = await connect(options)
  const refusal = await takeLocks(client, options.mode)
  if (refusal) {
    await client.end()
    return refusal
  }
  return { kind: 'entered', user: stay(client, options) }
}

/** The name tells an operator, and a refused second gateway, which process this is. */
async function connect(options: EnterOptions): Promise<Client> {
  const client = new Client({
    connectionString: options.url,
    application_name: `wcg ${options.mode} ${process.pid}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  })
  client.on('error', () => undefined) // `end` follows every error and is what we act on
  await client.connect()
  return client
}

async function takeLocks(
  client: Client,
  mode: ServerMode,
): Promise<Exclude<Entry, { kind: 'entered' }> | undefined> {
  if (!(await ask(client, 'pg_try_advisory_lock_shared', USED))) return { kind: 'closing' }
  if (mode === 'join' || (await ask(client, 'pg_try_advisory_lock', OWNED))) return undefined
  const owner = await findOwner(client)
  return owner ? { kind: 'owned', pid: owner.pid } : { kind: 'closing' }
}

type LockFunction =
  'pg_try_advisory_lock' | 'pg_try_advisory_lock_shared' | 'pg_advisory_unlock_shared'

async function ask(client: Client, lockFunction: LockFunction, lock: number): Promise<boolean> {
  const answer = await client.query<{ yes: boolean }>(
    `select ${lockFunction}($1::int, $2::int) as yes`,
    [LOCKS, lock],
  )
  return answer.rows[0]?.yes ?? false
}

/** Undefined when the owner has gone since it was in the way, whether or not PostgreSQL has noticed. */
async function findOwner(client: Client): Promise<{ pid: number | undefined } | undefined> {
  const answer = await client.query<{ application_name: string }>(
    `select activity.application_name
     from pg_locks as held
     join pg_stat_activity as activity on activity.pid = held.pid
     where held.locktype = 'advisory'
       and held.classid = $1
       and held.objid = $2
       and held.granted`,
    [LOCKS, OWNED],
  )
  const [owner] = answer.rows
  if (!owner) return undefined
  const named = /^wcg own (\d+)$/.exec(owner.application_name)?.[1]
  const pid = named === undefined ? undefined : Number(named)
  return pid === undefined || isAlive(pid) ? { pid } : undefined
}

/** Keeps the locks; comes back when the server threw everybody out, as it does after a crash. */
function stay(first: Client, options: EnterOptions): ServerUser {
  const leaving = new AbortController()
  let client = first

  const comeBack = async () => {
    while (!leaving.signal.aborted) {
      options.log.warn({ mode: options.mode }, 'database.server_lock_lost')
      await sleep(RETURN_EVERY_MS, leaving.signal)
      const next = await tryAgain(options)
      if (!next) continue
      client = next
      watch()
      return
    }
  }
  const watch = () => {
    client.once('end', () => {
      if (!leaving.signal.aborted) void comeBack()
    })
  }
  watch()

  return {
    async leave() {
      leaving.abort()
      const last = await isLast(client)
      if (last !== undefined) return last
      const next = await tryAgain(options) // our connection broke, which says nothing of others
      client = next ?? client
      return next ? ((await isLast(next)) ?? true) : true
    },
    close: () => client.end().catch(() => undefined),
  }
}

/** Gives up our share and asks for all of it; undefined when the connection is broken. */
async function isLast(client: Client): Promise<boolean | undefined> {
  try {
    await ask(client, 'pg_advisory_unlock_shared', USED)
    return await ask(client, 'pg_try_advisory_lock', USED)
  } catch {
    return undefined
  }
}

async function tryAgain(options: EnterOptions): Promise<Client | undefined> {
  try {
    const client = await connect(options)
    if (!(await takeLocks(client, options.mode))) return client
    await client.end()
  } catch (error) {
    options.log.debug({ error: describeError(error) }, 'database.server_unreachable')
  }
  return undefined
}
