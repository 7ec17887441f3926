import { IncomingMessage, ServerResponse, createServer, type Server } from 'node:http'
import express, { type Express } from 'express'
import { answerNotFound, createErrorAnswer } from './api/answer-errors.ts'
import { createApi, type ApiDeps } from './api/api.ts'
import { createOperatingRouter, type OperatingDeps } from './api/operating.ts'
import { newId } from './foundation/ids.ts'
import { addCallbackRoutes, type CallbackDeps } from './receiver/callback-routes.ts'
import { addOneTimeRoute, type OneTimeDeps } from './receiver/one-time-route.ts'

/**
 * The HTTP surface of the gateway, not yet listening. Nothing parses a body before the routes do:
 * the platform's signatures are over the raw bytes.
 */
export function createApp(deps: CallbackDeps & OneTimeDeps & ApiDeps & OperatingDeps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  addOneTimeRoute(app, deps)
  addCallbackRoutes(app, deps)
  app.use(createApi(deps))
  app.use(createOperatingRouter(deps))
  app.use(answerNotFound)
  app.use(createErrorAnswer(deps.log, () => newId(deps.clock.now())))
  return app
}

/**
 * A server for the app, not yet listening. Express gives every request and answer its own prototype,
 * which makes each of them slower from then on; here they are born with it.
 */
export function createAppServer(app: Express): Server {
  class Incoming extends IncomingMessage {}
  class Outgoing extends ServerResponse {}
  Object.setPrototypeOf(Incoming.prototype, app.request)
  Object.setPrototypeOf(Outgoing.prototype, app.response)
  app.request = Incoming.prototype as typeof app.request
  app.response = Outgoing.prototype as typeof app.response
  return createServer({ IncomingMessage: Incoming, ServerResponse: Outgoing }, app)
}
