import express, { type Express } from 'express'
import { answerNotFound, createErrorAnswer } from './api/answer-errors.ts'
import { createApi, type ApiDeps } from './api/api.ts'
import { createOperatingRouter, type OperatingDeps } from './api/operating.ts'
import { newId } from './foundation/ids.ts'
import { createCallbackRoutes, type CallbackDeps } from './receiver/callback-routes.ts'
import { createOneTimeRoute, type OneTimeDeps } from './receiver/one-time-route.ts'

/**
 * The HTTP surface of the gateway, not yet listening. Nothing parses a body before the routes do:
 * the platform's signatures are over the raw bytes.
 */
export function createApp(deps: CallbackDeps & OneTimeDeps & ApiDeps & OperatingDeps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(createOneTimeRoute(deps))
  app.use(createCallbackRoutes(deps))
  app.use(createApi(deps))
  app.use(createOperatingRouter(deps))
  app.use(answerNotFound)
  app.use(createErrorAnswer(deps.log, () => newId(deps.clock.now())))
  return app
}
