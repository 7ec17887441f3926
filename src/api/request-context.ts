import type { RequestHandler, Response } from 'express'
import type { Clock } from '../foundation/clock.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'

/** What is known about a request while it is served. */
export interface RequestContext {
  readonly requestId: string
  /** Every line of it carries the request's id. */
  readonly log: Log
  /** The route's pattern, never the path: that may hold an openid. */
  route: string
  application: string | undefined
  /** Whether the request was signed; undefined for applications that do not sign. */
  signed: boolean | undefined
}

/** Where Express keeps it for us. */
interface Locals {
  context?: RequestContext
}

/**
 * Lower case only: the id goes into every log line, and neither an openid nor one of our keys is
 * without capitals.
 */
const ACCEPTED_ID = /^[a-z0-9][a-z0-9.-]{0,63}$/

/**
 * Begins a request: gives it an id (the caller's own where it sent a usable `X-Request-Id`) and, when
 * it has been answered, writes its one log line and counts it.
 */
export function createRequestContext(deps: {
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
}): RequestHandler {
  return function beginRequest(req, res, next) {
    const startedMs = deps.clock.monotonicMs()
    const sent = req.headers['x-request-id']
    const requestId =
      typeof sent === 'string' && ACCEPTED_ID.test(sent) ? sent : newId(deps.clock.now())
    const context: RequestContext = {
      requestId,
      log: deps.log.child({ request_id: requestId }),
      route: 'none',
      application: undefined,
      signed: undefined,
    }
    const locals: Locals = res.locals
    locals.context = context
    res.set('x-request-id', requestId)
    res.once('close', () => {
      const durationMs = Math.round(deps.clock.monotonicMs() - startedMs)
      report(context, { method: req.method, res, durationMs, metrics: deps.metrics })
    })
    next()
  }
}

/** The context of a request that `createRequestContext` has begun. */
export function contextOf(res: Response): RequestContext | undefined {
  const locals: Locals = res.locals
  return locals.context
}

function report(
  context: RequestContext,
  answer: {
    readonly method: string
    readonly res: Response
    readonly durationMs: number
    readonly metrics: Metrics
  },
): void {
  const { method, res, durationMs, metrics } = answer
  const { route, application, signed } = context
  const status = res.statusCode
  metrics.apiAnswers.inc({ route, status: String(status) })
  context.log.info(
    {
      method,
      route,
      status,
      duration_ms: durationMs,
      application,
      signed,
      ...(!res.writableFinished && { aborted: true }),
    },
    'api.answered',
  )
}
