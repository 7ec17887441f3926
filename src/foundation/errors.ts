/**
 * The failures of the gateway, one class for each thing a caller can do about them.
 *
 * Expected outcomes are values, not errors; these classes are for what a caller did not ask for.
 * `code` is stable, lower case and never reused for another meaning; `message` says what was
 * expected, what arrived and what to try, and never holds a secret, a token, a decrypted text or a
 * full openid.
 */
export class AppError extends Error {
  readonly code: string
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(
    code: string,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = options.details
  }
}

/** One thing wrong with what somebody typed, sent or configured. */
export interface Fault {
  /** The field as the person wrote it: `--aes-key`, `content.template_id`, `WCG_MASTER_KEY`. */
  readonly field: string
  /** What is expected there, and what to do. */
  readonly rule: string
}

/** The settings cannot be used: the process must not start. Holds every fault, not the first. */
export class ConfigError extends AppError {
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super('bad_settings', faults.map((fault) => `${fault.field}: ${fault.rule}`).join('\n'))
    this.faults = faults
  }
}

/** The caller's input breaks a rule; repeating it unchanged cannot help. Answered as 4xx. */
export class InvalidInputError extends AppError {
  readonly faults: readonly Fault[]

  constructor(code: string, faults: readonly Fault[]) {
    super(code, faults.map((fault) => `${fault.field}: ${fault.rule}`).join('; '))
    this.faults = faults
  }
}

/** The thing named does not exist, or not for this caller. Answered as 404. */
export class NotFoundError extends AppError {}

/** What is asked contradicts what is stored. Answered as 409. */
export class ConflictError extends AppError {}

/** The caller did not prove who it is (401), or may not do this (403). */
export class AccessError extends AppError {
  readonly status: 401 | 403

  constructor(status: 401 | 403, code: string, message: string) {
    super(code, message)
    this.status = status
  }
}

/** A dependency did not do its part now; the same call may succeed later. Answered as 503. */
export class UnavailableError extends AppError {}

/** Our own mistake: something that cannot be, is. Logged with its stack. Answered as 500. */
export class InvariantError extends AppError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('invariant_broken', message, options)
  }
}

/** Closes a `switch` over a union: a case that was forgotten does not compile. */
export function assertNever(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}

/**
 * What a log line may hold of anything thrown; never decide from it. The database repeats values of
 * the statement in its messages, and a parser repeats its input: of those only name and code.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (error instanceof AppError) return `${error.code}: ${error.message}`
  if ('severity' in error || error instanceof SyntaxError) {
    return [error.name, code].filter((part) => part !== undefined).join(' ')
  }
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${code}: ${error.message}`
}
