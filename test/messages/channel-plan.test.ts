import { describe, expect, it } from 'vitest'
import { bestOf, planChannel, type Verdict } from '../../src/messages/channel-plan.ts'
import type { DecideSend } from '../../src/messages/check-send.ts'
import { readSendRequest, waysOf } from '../../src/messages/send-request.ts'
import { templateSend } from '../api/served-api.ts'

const CONTENT = {
  customer_service_message: { msgtype: 'text', text: { content: 'Tea' } },
  template_message: { template_id: 'T1', data: {} },
  subscription_message: { template_id: 'S1', data: {} },
}
const ways = waysOf(readSendRequest(templateSend({ channel: 'auto', content: CONTENT })))
const occasion = { accountId: 1, subject: 'o_1', at: new Date(0) }

/** A gate that lets these channels through, and notes whom it was asked about. */
function gate(...allowed: readonly string[]) {
  const asked: string[] = []
  const decide: DecideSend = ({ channel }) => {
    asked.push(channel)
    const reason = allowed.includes(channel) ? null : 'stopped'
    return Promise.resolve({ allowed: reason === null, reason, scope: null, evidence: [] })
  }
  return { asked, decide }
}

describe('planChannel', () => {
  it.each([
    [['subscription_message', 'template_message'], 'subscription_message'],
    [['template_message', 'customer_service_message'], 'template_message'],
    [['customer_service_message'], 'customer_service_message'],
    [[], 'subscription_message'],
  ])('plans, of %j allowed, %s', async (allowed, channel) => {
    const { plan, request } = await planChannel(gate(...allowed).decide, ways, occasion)
    expect(plan.planned).toBe(channel)
    expect(request.channel).toBe(channel)
    expect(plan.ways.map((way) => way.channel)).toEqual([
      'subscription_message',
      'template_message',
      'customer_service_message',
    ])
  })

  it('asks no further than the first that is allowed', async () => {
    const { asked, decide } = gate('template_message')
    await planChannel(decide, ways, occasion)
    expect(asked).toEqual(['subscription_message', 'template_message'])
  })
})

describe('bestOf', () => {
  const verdict = (channel: Verdict['channel'], allowed: boolean): Verdict => ({
    channel,
    allowed,
    reason: null,
    scope: null,
    evidence: [],
  })

  it('is the first that is allowed, with the others in their order', () => {
    const [one, two, three] = [
      verdict('subscription_message', false),
      verdict('template_message', true),
      verdict('customer_service_message', true),
    ]
    expect(bestOf([one, two, three])).toEqual({ best: two, others: [one, three] })
  })

  it('is the first of all where none is', () => {
    const [one, two] = [verdict('subscription_message', false), verdict('template_message', false)]
    expect(bestOf([one, two])).toEqual({ best: one, others: [two] })
  })
})
