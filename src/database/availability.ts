/**
 * SQLSTATE codes that say “not now” rather than “not so”: the same statement may succeed later.
 * Two characters name a whole class, five a single code.
 *
 * @see PostgreSQL manual, appendix A (error codes).
 */
const UNAVAILABLE_STATES = new Set([
  '08', // connection exception: never made, refused, broken off
  '53', // insufficient resources: disk full, out of memory, too many connections
  '57', // operator intervention: shutting down, starting up, cancelled by a time limit
  '58', // system error outside PostgreSQL: an I/O error
  '55P03', // lock not available: lock_timeout passed
  '25006', // read-only transaction: we reached a standby, or one that was just demoted
  '25P03', // the server ended a transaction that idled too long
  '25P04', // the server ended a transaction that took too long
  '28', // not let in: the password or the role was changed beside us, pg_hba.conf
  '3D000', // the database is not there: dropped, being restored, or never made
  '55000', // the database takes no connections (allow_connections is off)
])

/** System error codes of the way to the server, as Node names them. */
const UNAVAILABLE_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT', // the server's unix socket is gone
])

/** knex: no connection of the pool came free in time. */
const UNAVAILABLE_NAMES = new Set(['KnexTimeoutError', 'TimeoutError'])

/**
 * node-postgres (read in 8.23) throws these without any code when the socket ends under a query or
 * the server does not answer in time. It is the one place where we have nothing but text. knex puts
 * the statement in front, so the ends are compared; what the server itself says always has a code
 * and never comes here.
 */
const UNAVAILABLE_ENDINGS = [
  'timeout expired',
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
]

/**
 * Whether an error of a query says that the database cannot serve now, as opposed to a query that
 * is wrong. Callers answer 503 (so that the platform sends its push again) or try again later.
 *
 * Looks at the error and at its causes.
 */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return saysUnavailable(error) || isUnavailable(error.cause)
}

/**
 * Why the server answers and yet there is nothing to work with; undefined where that is not the case.
 * It lasts until a person does something.
 */
export function shutOutBy(error: unknown): 'no_entry' | 'no_database' | undefined {
  if (!(error instanceof Error)) return undefined
  const code = errorCode(error)
  if (code === '3D000') return 'no_database'
  return code?.length === 5 && code.startsWith('28') ? 'no_entry' : shutOutBy(error.cause)
}

function saysUnavailable(error: Error): boolean {
  const code = errorCode(error)
  if (code === undefined) {
    return (
      UNAVAILABLE_NAMES.has(error.name) ||
      UNAVAILABLE_ENDINGS.some((ending) => error.message.endsWith(ending))
    )
  }
  return (
    UNAVAILABLE_SYSTEM_CODES.has(code) ||
    (code.length === 5 &&
      (UNAVAILABLE_STATES.has(code) || UNAVAILABLE_STATES.has(code.slice(0, 2))))
  )
}

/** The SQLSTATE or system code that an error carries. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
