import { describe, expect, it } from 'vitest'
import type { KindRow, KindsTally } from '../../src/commands/demo-kinds.ts'
import { tellTally } from '../../src/commands/demo-report.ts'
import { tallyAnswer, tallyRun } from '../../src/commands/demo-tally.ts'
import type { SandboxReport } from '../../src/sandbox/report.ts'

const row: KindRow = {
  kind: 'authorizer',
  pushes: 2,
  scope: 'follow',
  before: 'granted',
  after: 'granted',
  channel: 'template_message',
  first: { status: 'sent', reason: null },
  second: { status: 'blocked', reason: 'tenant_revoked' },
}
const rows: readonly KindRow[] = [
  row,
  { ...row, kind: 'component', scope: 'tenant', channel: null, first: null, second: null },
  {
    ...{ ...row, kind: 'wecom_kf', scope: 'kf:wkT3pXBgAAmR8yLc', after: null },
    second: { status: 'cancelled', reason: 'erased' },
  },
]
const kinds: KindsTally = { rows, sent: { gateway: 2, sandbox: 2 }, holds: true }
const report: SandboxReport = {
  accounts: { wx1: { sent: 1 }, ww2: {} },
  ...{ sent: 1, duplicate_messages: 0, duplicates: [], sends_after_opt_out: [] },
  ...{ sends_after_refusal_answer: [], tampered_accepted: 0, unfinished_pushes: 0 },
  forgotten: { calls: 0, pushes: 0, messages: 0 },
}
const message = { id: '1', channel: 'template_message', status: 'sent', reason: null }
const tally = (more: object = {}) =>
  tallyRun({ messages: [message], asked: 1, kinds, report, appId: 'wx1', ...more })

describe('tallyRun', () => {
  it('agrees where both sides say the same', () => {
    expect(tally().agrees).toBe(true)
    expect(tally().kinds).toBe(rows)
  })

  it.each([
    ['a message was not stored', { asked: 2 }],
    ['a kind was not stopped', { kinds: { ...kinds, holds: false } }],
    ['a kind’s message is missing', { kinds: { ...kinds, sent: { gateway: 2, sandbox: 1 } } }],
    ['a message is missing', { report: { ...report, accounts: {} } }],
    ['a message came twice', { report: { ...report, duplicate_messages: 1 } }],
    ['a forgery was let through', { report: { ...report, tampered_accepted: 1 } }],
    [
      'a push of another kind was given up',
      { report: { ...report, accounts: { ...report.accounts, ww2: { 'push:given_up': 1 } } } },
    ],
    [
      'the record is not whole',
      { report: { ...report, forgotten: { ...report.forgotten, calls: 1 } } },
    ],
  ])('does not agree when %s', (_, more) => {
    expect(tally(more).agrees).toBe(false)
  })
})

describe('tallyAnswer', () => {
  it('has the names of the public contract', () => {
    const blocked = { ...message, id: '2', status: 'blocked', reason: 'follow_unknown' }
    const answer = tallyAnswer(tally({ messages: [message, blocked], asked: 2 }))
    expect(answer).toMatchObject({
      channels: [{ channel: 'template_message', asked: 2, sent: 1, not_delivered: 0, blocked: 1 }],
      blocked_reasons: { follow_unknown: 1 },
    })
    expect(JSON.stringify(answer)).not.toMatch(/"(notDelivered|blockedReasons)"/)
  })
})

describe('tellTally', () => {
  it('has a line for each kind, without ids, in both languages', () => {
    const [english, chinese] = [tellTally(tally(), 'en'), tellTally(tally(), 'zh')]
    for (const [text, erased] of [
      [english, 'erased'],
      [chinese, '已删除'],
    ] as const) {
      const lines = text.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '))
      expect(lines).toContain(
        'authorizer | 2 | follow: granted → granted | template_message: sent | blocked: tenant_revoked',
      )
      expect(lines).toContain('component | 2 | tenant: granted → granted | – | –')
      expect(lines).toContain(
        `wecom_kf | 2 | kf: granted → ${erased} | template_message: sent | cancelled: erased`,
      )
      expect(text).not.toContain('wkT3pXBgAAmR8yLc')
    }
    expect(english).toContain('Every number agrees.')
    expect(chinese).toContain('全部数字一致。')
  })
})
