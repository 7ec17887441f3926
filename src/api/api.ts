import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Router, type Request, type RequestHandler, type Response } from 'express'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { answerNotFound, createErrorAnswer } from './answer-errors.ts'
import { authenticateHeader, type Authenticate } from './authenticate.ts'
import { broadcastRoutes, type BroadcastRouteDeps } from './broadcast-routes.ts'
import { consentRoutes, type ConsentRouteDeps } from './consent-routes.ts'
import { endpointRoutes, type EndpointRouteDeps } from './endpoint-routes.ts'
import { errorCodeRoutes, type ErrorCodeRouteDeps } from './error-code-routes.ts'
import { eventRoutes, type EventRouteDeps } from './event-routes.ts'
import { messageRoutes, type MessageRouteDeps } from './message-routes.ts'
import { oneTimeRoutes, type OneTimeRouteDeps } from './one-time-routes.ts'
import { OPENAPI_ROUTE, openApiDocument } from './openapi.ts'
import { proveRequest, type ProveDeps } from './prove-request.ts'
import { quotaRoutes, type QuotaRouteDeps } from './quota-routes.ts'
import { readJsonBody } from './read-json-body.ts'
import { contextOf, createRequestContext } from './request-context.ts'
import { expressPath, type Answer, type Route } from './route.ts'
import { templateRoutes, type TemplateRouteDeps } from './template-routes.ts'
import { tokenRoutes, type TokenRouteDeps } from './token-routes.ts'

export interface ApiDeps
  extends
    MessageRouteDeps,
    BroadcastRouteDeps,
    ConsentRouteDeps,
    OneTimeRouteDeps,
    EventRouteDeps,
    TokenRouteDeps,
    QuotaRouteDeps,
    EndpointRouteDeps,
    ErrorCodeRouteDeps,
    TemplateRouteDeps,
    ProveDeps {
  readonly authenticate: Authenticate
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Log
}

/**
 * The HTTP surface for business applications: everything under `/v1`, its failures included. Mount
 * it at the root, before any body parser.
 */
export function createApi(deps: ApiDeps): Router {
  const router = Router({ caseSensitive: true, strict: true })
  router.use('/v1', createRequestContext(deps))
  for (const route of apiRoutes(deps)) {
    router[route.method](expressPath(route.path), serve(deps, route))
  }
  router.get(OPENAPI_ROUTE.path, answerDocument(deps))
  router.use('/v1', refuseUnknown(deps))
  router.use(
    '/v1',
    createErrorAnswer(deps.log, (res) => contextOf(res)?.requestId ?? 'none'),
  )
  return router
}

/** Every route that an application calls with its key. */
function apiRoutes(deps: ApiDeps): readonly Route[] {
  return [
    ...messageRoutes(deps),
    ...broadcastRoutes(deps),
    ...consentRoutes(deps),
    ...oneTimeRoutes(deps),
    ...eventRoutes(deps),
    ...tokenRoutes(deps),
    ...quotaRoutes(deps),
    ...endpointRoutes(deps),
    ...errorCodeRoutes(deps),
    ...templateRoutes(deps),
  ]
}

/** First who asks, then what: a body is read only for somebody we know. */
function serve(deps: ApiDeps, route: Route): RequestHandler {
  return async function serveRoute(req, res) {
    note(res, { route: route.path })
    const application = await identify(deps, req, res)
    const takesLines = route.lines !== undefined
    const asked = { application, req, res, takesLines }
    const { isSigned, lines, bytes } = await proveRequest(deps, asked)
    if (application.signatures !== 'off') note(res, { signed: isSigned })
    const body = route.body && !lines ? await readJsonBody(req, res, bytes) : undefined
    const answer = await route.handle({
      application,
      isSigned,
      params: textParams(req),
      query: req.query,
      body,
      lines,
      idempotencyKey: req.get('idempotency-key'),
      log: contextOf(res)?.log ?? deps.log,
    })
    await write(res, answer)
  }
}

/** An unknown route tells a stranger no more than a known one does. */
function refuseUnknown(deps: ApiDeps): RequestHandler {
  return async function refuseUnknownRoute(req, res, next) {
    const application = await identify(deps, req, res)
    await proveRequest(deps, { application, req, res, takesLines: false })
    await answerNotFound(req, res, next)
  }
}

async function identify(deps: ApiDeps, req: Request, res: Response) {
  const application = await authenticateHeader(req.headers.authorization, deps.authenticate)
  note(res, { application: application.name })
  return application
}

/** Open to everybody: it holds nothing but what is in the repository. */
function answerDocument(deps: ApiDeps): RequestHandler {
  const document = openApiDocument([...apiRoutes(deps), OPENAPI_ROUTE])
  return function answerOpenApi(_req, res) {
    note(res, { route: OPENAPI_ROUTE.path })
    res.json(document)
  }
}

function textParams(req: Request): Record<string, string> {
  return Object.fromEntries(
    Object.entries(req.params).map(([name, value]) => [name, String(value)]),
  )
}

function note(
  res: Response,
  known: { readonly route?: string; readonly application?: string; readonly signed?: boolean },
) {
  Object.assign(contextOf(res) ?? {}, known)
}

async function write(res: Response, answer: Answer): Promise<void> {
  // Answers hold people's ids and tokens: nothing between us and the application keeps them.
  res.status(answer.status).set({ 'cache-control': 'no-store', ...answer.headers })
  if ('body' in answer) res.json(answer.body)
  else await stream(res, answer.text)
}

/** As fast as the application reads; one that goes away before the end is nobody's fault. */
async function stream(res: Response, text: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(text, { objectMode: false }), res)
  } catch (error) {
    if (!isPrematureClose(error)) throw error
  }
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}
