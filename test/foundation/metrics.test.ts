import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/foundation/metrics.ts'

describe('createMetrics', () => {
  it('gives a registry of its own, so that several gateways can live in one process', async () => {
    const [one, other] = [createMetrics(), createMetrics()]
    one.pushes.inc({ account: 'acme', kind: 'message.text', outcome: 'recorded' })
    const line = 'wcg_pushes_total{account="acme",kind="message.text",outcome="recorded"} 1'
    expect(await one.registry.metrics()).toContain(line)
    expect(await other.registry.metrics()).not.toContain(line)
  })

  it('names all of ours wcg_, with a unit or _total, and says what each is', async () => {
    const all = await createMetrics().registry.getMetricsAsJSON()
    const ours = all.filter(({ name }) => name.startsWith('wcg_'))
    expect(ours.length).toBeGreaterThan(10)
    for (const { name, help } of ours) {
      expect(name).toMatch(
        /^wcg_([a-z_]+_)?(total|seconds|pushes|messages|jobs|open|ratio|broadcasts|recipients|endpoints)$/,
      )
      expect(help).not.toBe('')
    }
  })

  it('never sums what every process reads from the same database', async () => {
    const all = await createMetrics().registry.getMetricsAsJSON()
    const gauges = all.filter(({ name, type }) => name.startsWith('wcg_') && `${type}` === 'gauge')
    // each process has places of its own
    const ofProcesses = ['wcg_send_limit_messages', 'wcg_send_in_hand_messages']
    const shared = gauges.filter(({ name }) => !ofProcesses.includes(name))
    expect(shared.map(({ aggregator }) => aggregator)).toEqual(Array(15).fill('max'))
  })

  it('has no label that could name a person', async () => {
    const metrics = createMetrics()
    metrics.consentChanges.inc({ account: 'acme', scope: 'follow', change: 'granted' })
    const text = await metrics.registry.metrics()
    expect(text).not.toMatch(/\{[^}]*(openid|subject|recipient|touser)/)
  })
})
