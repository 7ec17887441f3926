import knexPackage, { type Knex } from 'knex'
import type { Client } from 'pg'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  readonly log: Log
  /** Connections this process may hold; PostgreSQL's own default limit for everybody is 100. */
  readonly poolMax?: number
  /** Shown in `pg_stat_activity`, so that an operator sees which process holds what. */
  readonly applicationName?: string
}

const DEFAULT_POOL_MAX = 10

/**
 * How long a caller waits for a connection, or a connection for its server. The platform allows
 * five seconds for a whole push, so a database that hangs must be known well before.
 */
const CONNECT_TIMEOUT_MS = 2_000

/**
 * For queries that the platform waits behind: after this the connection is thrown away, whatever
 * became of it. A line that died without a word (a failover, a forgotten firewall state) would
 * otherwise hold its caller until TCP gives up, a quarter of an hour later.
 */
export const QUICK_QUERY_MS = 3_500

/** No statement of ours runs longer than this on purpose; migrations set their own. */
const STATEMENT_TIMEOUT_MS = 15_000

/** Below the statement's limit, so that a blocked statement says that it waited for a lock. */
const LOCK_TIMEOUT_MS = 5_000

/** A process that hangs inside a transaction would otherwise keep its row locks for ever. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 20_000

/**
 * PostgreSQL compiles statements that it takes for expensive, where it was built with LLVM, as in the
 * packages of the distributions. Up to version 17 it takes our functions for that (they rule plans
 * out by `enable_seqscan`, which it then reckons as cost), and compiles them anew at every call: a
 * push costs three times as much.
 */
const NO_COMPILING = '-c jit=off'

/** Unused connections go back to the server after this long. */
const IDLE_CONNECTION_MS = 30_000

/**
 * A pool of connections to PostgreSQL. It opens nothing until it is first asked; `destroy()` closes
 * it. `bigint` and `numeric` arrive as strings, `timestamptz` as `Date`, `jsonb` parsed. The message
 * of a failed statement shows the statement without its values; `detail` of the same error may show
 * a row, so log the message and the code, never the whole error.
 *
 * The limits above travel as start-up parameters of each connection, so a transaction can still
 * widen them with `set local`.
 */
export function openDatabase(options: DatabaseOptions): Knex {
  const connection = {
    connectionString: options.url,
    application_name: options.applicationName ?? 'wcg',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    options: NO_COMPILING,
  }
  return knexPackage.knex({
    client: 'pg',
    connection,
    acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
    pool: {
      min: 0,
      max: options.poolMax ?? DEFAULT_POOL_MAX,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      afterCreate: reportLostConnections(options.log),
    },
    // knex writes the failed statement into the error's message: without this, with its values
    compileSqlOnError: false,
    log: knexLog(options.log),
  })
}

/** A connection that breaks while idle would end the process if nobody listened. */
function reportLostConnections(log: Log) {
  return (connection: Client, done: (error: Error | null, connection: Client) => void) => {
    connection.on('error', (error) => {
      log.warn({ error: describeError(error) }, 'database.connection_lost')
    })
    done(null, connection)
  }
}

/** knex's own remarks, as lines of our log instead of coloured text on the console. */
function knexLog(log: Log): Knex.Logger {
  const write = (level: 'debug' | 'warn' | 'error') => (message: unknown) => {
    log[level]({ message: String(message) }, 'database.knex_remarked')
  }
  return {
    debug: write('debug'),
    warn: write('warn'),
    error: write('error'),
    deprecate: write('warn'),
  }
}
