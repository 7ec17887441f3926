import express from 'express'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { createOperatingRouter } from '../../src/api/operating.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'

function serve(ready: boolean) {
  const checks = { database: true, migrations: true, workers: ready }
  const readiness = () => Promise.resolve({ ready, checks })
  return express().use(createOperatingRouter({ readiness, metrics: createMetrics() }))
}

describe('GET /healthz', () => {
  it('answers while the process does, ready or not', async () => {
    const answer = await request(serve(false)).get('/healthz')
    expect([answer.status, answer.body]).toEqual([200, { status: 'ok' }])
  })
})

describe('GET /readyz', () => {
  it.each([
    [true, 200],
    [false, 503],
  ])('when ready is %s answers %i with the checks', async (ready, status) => {
    const answer = await request(serve(ready)).get('/readyz')
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({
      ready,
      checks: { database: true, migrations: true, workers: ready },
    })
  })
})

describe('GET /metrics', () => {
  it('answers in the form that Prometheus reads', async () => {
    const answer = await request(serve(true)).get('/metrics')
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toMatch(/^text\/plain/)
    expect(answer.text).toContain('# TYPE wcg_api_answers_total counter')
  })
})
