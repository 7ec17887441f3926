import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino'

/**
 * JSON lines, one per outcome, named `noun.past_tense`; fields are snake_case and match the columns
 * of the database, so that a value in a log finds its row.
 */
export type Log = Logger

/**
 * Names under which a secret could slip into a line. pino replaces their values; the tests run the
 * whole road and search every line for the secrets themselves.
 */
const REDACTED = new Set([
  'secret',
  'token',
  'aes_key',
  'access_token',
  'openid',
  'subject',
  'touser',
  'to',
  'document',
  'content',
  'key',
  'authorization',
  'password',
])
const CENSOR = '[redacted]'

/**
 * The fields of a line with every value of a redacted name hidden, on the first two levels. pino's own
 * redaction takes twice as long as writing the line; this takes nothing where there is nothing to hide.
 */
function redact(fields: Record<string, unknown>): Record<string, unknown> {
  let clean = fields
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    const shown = REDACTED.has(name) ? CENSOR : redactInside(value)
    if (shown === value) continue
    if (clean === fields) clean = { ...fields }
    clean[name] = shown
  }
  return clean
}

function redactInside(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const names = Object.keys(value).filter((name) => REDACTED.has(name))
  if (names.length === 0) return value
  return { ...value, ...Object.fromEntries(names.map((name) => [name, CENSOR])) }
}

/**
 * The log of a process.
 *
 * @param level pino's names: trace, debug, info, warn, error, fatal, silent.
 * @param destination where the lines go; standard output when absent.
 */
export function createLog(level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: redact },
  }
  return destination ? pino(options, destination) : pino(options)
}
