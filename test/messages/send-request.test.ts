import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/foundation/errors.ts'
import { digestOf, planSchedule, readSendRequest } from '../../src/messages/send-request.ts'
import { templateSend } from '../api/served-api.ts'

/** The fields that are named as wrong. */
function faultyFields(body: unknown): string[] {
  try {
    readSendRequest(body)
    return []
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    expect(error.code).toBe('invalid_request')
    return error.faults.map((fault) => fault.field)
  }
}

describe('readSendRequest', () => {
  it('reads every field', () => {
    const body = templateSend({
      purpose: 'order shipped',
      send_at: '2026-03-01T09:00:00+08:00',
      expires_at: '2026-03-01T02:00:00Z',
    })
    expect(readSendRequest(body)).toEqual({
      account: 'acme',
      to: 'o_invented_openid_1',
      channel: 'template_message',
      content: { template_id: 'T1', data: { thing1: { value: 'Tea' } } },
      templateId: 'T1',
      purpose: 'order shipped',
      sendAt: new Date('2026-03-01T01:00:00Z'),
      expiresAt: new Date('2026-03-01T02:00:00Z'),
    })
  })

  it('reads the priority, and leaves the digest of a request without one as it was', () => {
    expect(readSendRequest(templateSend({ priority: 'marketing' }))).toHaveProperty(
      'priority',
      'marketing',
    )
    expect(readSendRequest(templateSend())).not.toHaveProperty('priority')
    expect(faultyFields(templateSend({ priority: 'urgent' }))).toEqual(['priority'])
  })

  it('reads a channel without templates', () => {
    const content = { msgtype: 'text', text: { content: 'hello' } }
    const read = readSendRequest(templateSend({ channel: 'customer_service_message', content }))
    expect(read).toMatchObject({ content, templateId: null, purpose: null, sendAt: null })
  })

  it.each<[string, Record<string, unknown>, string[]]>([
    ['an unknown field', { colour: 'red' }, ['colour']],
    ['two unknown fields', { a: 1, b: 2 }, ['a', 'b']],
    ['no account', { account: undefined }, ['account']],
    ['no recipient', { to: undefined }, ['to']],
    ['an empty recipient', { to: '' }, ['to']],
    ['a recipient with a space', { to: 'o 1' }, ['to']],
    ['a recipient of 129 characters', { to: 'o'.repeat(129) }, ['to']],
    ['a recipient that is a number', { to: 17 }, ['to']],
    ['a recipient with a line break', { to: 'o1\n' }, ['to']],
    ['no channel', { channel: undefined }, ['channel']],
    ['a channel we do not have', { channel: 'email' }, ['channel']],
    ['no content', { content: undefined }, ['content']],
    [
      'content of another channel',
      { content: { msgtype: 'text' } },
      ['content.template_id', 'content.data', 'content.msgtype'],
    ],
    [
      'the recipient inside the content',
      {
        content: { template_id: 'T1', data: {}, touser: 'o1' },
      },
      ['content.touser'],
    ],
    [
      'a value that is no text',
      { content: { template_id: 'T1', data: { a: { value: 1 } } } },
      ['content.data.a.value'],
    ],
    ['an empty purpose', { purpose: '' }, ['purpose']],
    ['a purpose of 201 characters', { purpose: 'p'.repeat(201) }, ['purpose']],
    ['a time without offset', { send_at: '2026-03-01T09:00:00' }, ['send_at']],
    ['a time that does not exist', { expires_at: '2026-02-30T09:00:00Z' }, ['expires_at']],
    ['a time as a number', { send_at: 1772326800 }, ['send_at']],
    ['two wrong fields', { to: '', send_at: 'soon' }, ['to', 'send_at']],
  ])('refuses %s', (_what, changes, fields) => {
    const body = JSON.parse(JSON.stringify(templateSend(changes))) as unknown
    expect(faultyFields(body).sort()).toEqual(fields.sort())
  })

  it.each([[null], [[]], ['text'], [7], [undefined]])('refuses a body that is %j', (body) => {
    expect(faultyFields(body)).toHaveLength(1)
  })

  it('repeats no value that was sent', () => {
    try {
      readSendRequest(templateSend({ to: 'a secret person', channel: 'secret channel' }))
      expect.unreachable()
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain('secret')
    }
  })
})

describe('digestOf', () => {
  const digest = (changes: Record<string, unknown>) =>
    digestOf(readSendRequest(templateSend(changes))).toString('hex')

  it('is the same for the same request written differently', () => {
    const asSent = templateSend({ send_at: '2026-03-01T09:00:00+08:00' })
    const backwards = Object.fromEntries(Object.entries(asSent).reverse())
    backwards['send_at'] = '2026-03-01T01:00:00.000Z'
    expect(digestOf(readSendRequest(backwards))).toEqual(digestOf(readSendRequest(asSent)))
  })

  it.each([
    [{ to: 'o2' }],
    [{ account: 'other' }],
    [{ content: { template_id: 'T1', data: { thing1: { value: 'Coffee' } } } }],
    [{ purpose: 'p' }],
    [{ expires_at: '2026-03-01T01:00:00Z' }],
  ])('differs when %j differs', (changes) => {
    expect(digest(changes)).not.toBe(digest({}))
  })
})

describe('planSchedule', () => {
  const now = new Date('2026-03-01T00:00:00Z')
  const plan = (sendAt: string | null, expiresAt: string | null) =>
    planSchedule(
      {
        channel: 'template_message',
        sendAt: sendAt ? new Date(sendAt) : null,
        expiresAt: expiresAt ? new Date(expiresAt) : null,
      },
      { now, lifetimeHours: 24 },
    )

  it.each([
    ['nothing said', null, null, '2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z'],
    ['a later time', '2026-03-05T00:00:00Z', null, '2026-03-05T00:00:00Z', '2026-03-06T00:00:00Z'],
    [
      'a time that has passed',
      '2026-02-01T00:00:00Z',
      null,
      '2026-03-01T00:00:00Z',
      '2026-03-02T00:00:00Z',
    ],
    [
      'exactly 30 days',
      '2026-03-31T00:00:00Z',
      null,
      '2026-03-31T00:00:00Z',
      '2026-04-01T00:00:00Z',
    ],
    ['an early end', null, '2026-03-01T00:00:01Z', '2026-03-01T00:00:00Z', '2026-03-01T00:00:01Z'],
  ])('plans %s', (...[, sendAt, expiresAt, due, end]) => {
    expect(plan(sendAt, expiresAt)).toEqual({
      kind: 'planned',
      sendAt: new Date(due),
      expiresAt: new Date(end),
    })
  })

  it.each([
    ['more than 30 days ahead', '2026-03-31T00:00:00.001Z', null, ['send_at']],
    ['an end before the start', '2026-03-05T00:00:00Z', '2026-03-04T00:00:00Z', ['expires_at']],
    ['an end at the start', '2026-03-05T00:00:00Z', '2026-03-05T00:00:00Z', ['expires_at']],
    ['an end in the past', null, '2026-02-28T00:00:00Z', ['expires_at']],
    ['an end years ahead', null, '2036-03-01T00:00:00Z', ['expires_at']],
    ['both', '2027-03-05T00:00:00Z', '2026-03-04T00:00:00Z', ['send_at', 'expires_at']],
  ])('refuses %s', (...[, sendAt, expiresAt, fields]) => {
    const schedule = plan(sendAt, expiresAt)
    if (schedule.kind !== 'impossible') expect.unreachable()
    expect(schedule.faults.map((fault) => fault.field)).toEqual(fields)
  })
})
