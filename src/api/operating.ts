import { Router } from 'express'
import type { Metrics } from '../foundation/metrics.ts'

/** Whether this process can do its work, part by part. */
export interface Readiness {
  readonly ready: boolean
  readonly checks: {
    readonly database: boolean
    readonly migrations: boolean
    readonly workers: boolean
  }
}

export interface OperatingDeps {
  readonly readiness: () => Promise<Readiness>
  readonly metrics: Metrics
  /** Prometheus text of all processes behind this port; this one's alone when absent. */
  readonly sumMetrics?: (() => Promise<string>) | undefined
}

/**
 * For the people and machines that operate the gateway; no key is needed, nothing in it is personal.
 *
 * - `GET /healthz`: 200 while the process answers at all.
 * - `GET /readyz`: 200 when it can take work, else 503, with the checks.
 * - `GET /metrics`: Prometheus text.
 */
export function createOperatingRouter(deps: OperatingDeps): Router {
  const router = Router()
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' })
  })
  router.get('/readyz', async (_req, res) => {
    const readiness = await deps.readiness()
    res.status(readiness.ready ? 200 : 503).json(readiness)
  })
  router.get('/metrics', async (_req, res) => {
    const { registry } = deps.metrics
    const text = await (deps.sumMetrics?.() ?? registry.metrics())
    res.type(registry.contentType).send(text)
  })
  return router
}
