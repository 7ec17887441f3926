import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { errorCode } from '../database/availability.ts'
import { AppError, NotFoundError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { toProblem } from './problem.ts'

/** Ends a request that no route wanted. */
export const answerNotFound: RequestHandler = () => {
  throw new NotFoundError(
    'route_not_found',
    'there is no such route; GET /v1/openapi.json lists them',
  )
}

/**
 * The error middleware: writes the problem, and a log line where somebody must look.
 *
 * @param requestIdOf the id that the log lines of this request carry.
 */
export function createErrorAnswer(
  log: Log,
  requestIdOf: (res: Response) => string,
): ErrorRequestHandler {
  // Express knows an error middleware by its four parameters.
  // eslint-disable-next-line max-params
  return (error: unknown, _req, res, next) => {
    const requestId = requestIdOf(res)
    const { problem, headers } = toProblem(error, requestId)
    if (problem.status >= 500) logFailure(log, { error, requestId, status: problem.status })
    if (res.headersSent) return next(error)
    res.status(problem.status).set(headers).type('application/problem+json')
    res.send(JSON.stringify(problem))
  }
}

function logFailure(
  log: Log,
  failure: { readonly error: unknown; readonly requestId: string; readonly status: number },
): void {
  const fields = {
    request_id: failure.requestId,
    status: failure.status,
    ...traceOf(failure.error),
  }
  if (failure.status === 503) log.warn(fields, 'api.unavailable')
  else log.error(fields, 'api.failed')
}

/**
 * What a log may hold of an error: its name, its code and where it was thrown. Its message only when
 * it is one of ours: that of a database error repeats the values of the statement.
 */
function traceOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error_name: typeof error }
  return {
    error_name: error.name,
    error_code: error instanceof AppError ? error.code : errorCode(error),
    ...(error instanceof AppError && { error_message: error.message }),
    frames: (error.stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 12),
    ...(error.cause !== undefined && { cause: traceOf(error.cause) }),
  }
}
