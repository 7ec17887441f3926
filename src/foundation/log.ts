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
const REDACTED = [
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
]

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
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: REDACTED.flatMap((name) => [name, `*.${name}`]),
      censor: '[redacted]',
    },
  }
  return destination ? pino(options, destination) : pino(options)
}
