import { STATUS_CODES } from 'node:http'
import { isUnavailable } from '../database/availability.ts'
import {
  AccessError,
  AppError,
  ConflictError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
  type Fault,
} from '../foundation/errors.ts'

/** The request cannot be read for a reason of HTTP itself. */
export class RequestError extends AppError {
  readonly status: 400 | 413 | 415

  constructor(status: 400 | 413 | 415, code: string, message: string) {
    super(code, message)
    this.status = status
  }
}

/** An error as it is answered: RFC 9457, with a stable `code` and, where there are some, faults. */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  /** Names the log lines of this request. */
  readonly request_id: string
  readonly faults?: readonly Fault[]
  /** Of `not_cancellable`: where the message is. */
  readonly message_status?: string
}

/** Seconds after which trying again makes sense while a dependency is away. */
const RETRY_AFTER_SECONDS = 5

/** A problem with the headers that belong to it. */
export interface ProblemAnswer {
  readonly problem: Problem
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The one place where a failure becomes an HTTP status. What we did not foresee is 500 and tells
 * nothing but the id under which the log has the rest.
 */
export function toProblem(error: unknown, requestId: string): ProblemAnswer {
  const answer = (status: number, code: string, detail: string) => ({
    problem: {
      type: 'about:blank' as const,
      title: STATUS_CODES[status] ?? 'Error',
      status,
      code,
      detail,
      request_id: requestId,
    },
    headers: {},
  })

  if (error instanceof InvalidInputError)
    return withFaults(answer(400, error.code, SEE_FAULTS), error)
  if (error instanceof RequestError) return answer(error.status, error.code, error.message)
  if (error instanceof NotFoundError) return answer(404, error.code, error.message)
  if (error instanceof ConflictError) {
    return withMessageStatus(answer(409, error.code, error.message), error)
  }
  if (error instanceof AccessError) {
    const headers: Record<string, string> =
      error.status === 401 ? { 'www-authenticate': 'Bearer' } : {}
    return { ...answer(error.status, error.code, error.message), headers }
  }
  if (error instanceof UnavailableError) {
    return { ...answer(503, error.code, error.message), headers: retryAfter(error) }
  }
  if (isUnavailable(error)) {
    const detail = 'the database does not answer now; send the same request again'
    const headers = { 'retry-after': String(RETRY_AFTER_SECONDS) }
    return { ...answer(503, 'database_unavailable', detail), headers }
  }
  if (error instanceof URIError) {
    return answer(400, 'malformed_path', 'the path holds a % sequence that is not UTF-8')
  }
  return answer(500, 'internal_error', 'the gateway failed; its log has the cause under request_id')
}

const SEE_FAULTS = 'the request breaks a rule; `faults` names each field and what is expected there'

function withFaults(answer: ProblemAnswer, error: InvalidInputError): ProblemAnswer {
  const faults = error.faults.map(({ field, rule }) => ({ field, rule }))
  return { ...answer, problem: { ...answer.problem, faults } }
}

function withMessageStatus(answer: ProblemAnswer, error: ConflictError): ProblemAnswer {
  const status = error.details?.['message_status']
  if (typeof status !== 'string') return answer
  return { ...answer, problem: { ...answer.problem, message_status: status } }
}

function retryAfter(error: UnavailableError): Record<string, string> {
  const seconds = error.details?.['retry_after_seconds']
  return { 'retry-after': String(typeof seconds === 'number' ? seconds : RETRY_AFTER_SECONDS) }
}
