import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { endOfCall, repeatableUntil, type FinishedCall } from '../../src/dispatch/outcome.ts'
import type { RetryCause } from '../../src/dispatch/retry-schedule.ts'
import { ERROR_CLASSES, lookUpErrorCode, type ErrorClass } from '../../src/wechat/error-codes.ts'
import type { CallOutcome } from '../../src/wechat/platform-client.ts'

const STARTED = new Date('2026-03-01T12:30:20Z')
const NOW = new Date('2026-03-01T12:30:21Z')
const NEXT_MINUTE = new Date('2026-03-01T12:31:00Z')
const NEXT_CHINA_DAY = new Date('2026-03-01T16:00:00Z')
const inMs = (ms: number) => new Date(NOW.getTime() + ms)

type Answer = Extract<CallOutcome, { kind: 'answer' }>

function answer(errcode: number, more: Partial<Answer> = {}): Answer {
  return {
    kind: 'answer',
    errcode,
    errmsg: errcode === 0 ? 'ok' : 'the words',
    body: {},
    httpStatus: 200,
    platformTime: new Date('2026-03-01T12:30:19Z'),
    rid: '69a43d2c-1a2b3c4d-5e6f7a8b',
    ...more,
  }
}

function ended(
  call: CallOutcome,
  more: Partial<Omit<FinishedCall, 'triesFor'>> & {
    tries?: Partial<Record<RetryCause, number>>
  } = {},
) {
  const { tries = {}, ...rest } = more
  return endOfCall({
    channel: 'template_message',
    templateId: 'T',
    consentScope: null,
    recipient: 'oPerson',
    space: 'oa',
    meaningOf: (errcode) => lookUpErrorCode(rest.space ?? 'oa', errcode),
    call,
    startedAt: STARTED,
    now: NOW,
    triesFor: (cause) => tries[cause] ?? 1,
    firstAttemptAt: STARTED,
    expiresAt: inMs(86_400_000),
    random: 0.5,
    ...rest,
  })
}

/** One code of each class, and what becomes of a first attempt. */
const FIRST_ATTEMPT: Readonly<
  Record<
    ErrorClass,
    {
      code: number
      outcome: string
      status: string
      reason: string | null
      credit: string
      dueAt?: Date
      pause?: Date
      tokenRejected?: boolean
      changes?: string[]
    }
  >
> = {
  ok: { code: 0, outcome: 'sent', status: 'sent', reason: null, credit: 'spent' },
  duplicate: { code: 45065, outcome: 'sent', status: 'sent', reason: 'duplicate', credit: 'spent' },
  token: {
    code: 42001,
    outcome: 'retry',
    status: 'queued',
    reason: 'token',
    credit: 'returned',
    dueAt: NOW,
    tokenRejected: true,
  },
  opt_out: {
    code: 43004,
    outcome: 'refused',
    status: 'refused',
    reason: 'opted_out',
    credit: 'returned',
    changes: ['follow revoked', 'conversation revoked', 'conversation:action revoked'],
  },
  window_closed: {
    code: 45015,
    outcome: 'failed',
    status: 'failed',
    reason: 'window_closed',
    credit: 'returned',
    changes: ['conversation revoked', 'conversation:action revoked'],
  },
  invalid_recipient: {
    code: 40003,
    outcome: 'failed',
    status: 'failed',
    reason: 'invalid_recipient',
    credit: 'returned',
    changes: ['follow suppressed'],
  },
  transient: {
    code: -1,
    outcome: 'retry',
    status: 'queued',
    reason: 'transient',
    credit: 'returned',
    dueAt: inMs(1_000),
  },
  rate_minute: {
    code: 45011,
    outcome: 'retry',
    status: 'queued',
    reason: 'rate_minute',
    credit: 'returned',
    dueAt: new Date(NEXT_MINUTE.getTime() + 2_500),
    pause: new Date(NEXT_MINUTE.getTime() + 2_500),
  },
  quota_daily: {
    code: 45009,
    outcome: 'retry',
    status: 'queued',
    reason: 'quota_daily',
    credit: 'returned',
    dueAt: new Date(NEXT_CHINA_DAY.getTime() + 30_000),
    pause: new Date(NEXT_CHINA_DAY.getTime() + 30_000),
  },
  blocked_account: {
    code: 48004,
    outcome: 'failed',
    status: 'failed',
    reason: 'blocked_account',
    credit: 'returned',
    pause: inMs(3_600_000),
  },
  template: {
    code: 40037,
    outcome: 'failed',
    status: 'failed',
    reason: 'template',
    credit: 'returned',
  },
  content: {
    code: 47003,
    outcome: 'failed',
    status: 'failed',
    reason: 'content',
    credit: 'returned',
  },
  permission: {
    code: 48001,
    outcome: 'failed',
    status: 'failed',
    reason: 'permission',
    credit: 'returned',
  },
  config: {
    code: 49001,
    outcome: 'failed',
    status: 'failed',
    reason: 'config',
    credit: 'returned',
  },
  ip_whitelist: {
    code: 40164,
    outcome: 'failed',
    status: 'failed',
    reason: 'ip_whitelist',
    credit: 'returned',
  },
  other: {
    code: 99_999_999,
    outcome: 'failed',
    status: 'failed',
    reason: 'other',
    credit: 'returned',
  },
}

describe('endOfCall', () => {
  it.each(ERROR_CLASSES)('knows what follows from a code of class %s', (errorClass) => {
    const expected = FIRST_ATTEMPT[errorClass]
    expect(lookUpErrorCode('oa', expected.code).class).toBe(errorClass)
    const end = ended(answer(expected.code))
    expect({
      outcome: end.outcome,
      status: end.status,
      reason: end.reason,
      credit: end.credit,
      dueAt: end.dueAt,
      pause: end.pause?.until ?? null,
      tokenRejected: end.tokenRejected,
      changes: end.changes.map(({ scope, change }) => `${scope} ${change}`),
      cause: end.cause,
      errcode: end.errcode,
    }).toEqual({
      outcome: expected.outcome,
      status: expected.status,
      reason: expected.reason,
      credit: expected.credit,
      dueAt: expected.dueAt ?? null,
      pause: expected.pause ?? null,
      tokenRejected: expected.tokenRejected ?? false,
      changes: expected.changes ?? [],
      cause: errorClass,
      errcode: expected.code,
    })
  })

  it.each(ERROR_CLASSES)('is told in docs/dispatch.md for class %s', async (errorClass) => {
    const page = await readFile('docs/dispatch.md', 'utf8')
    const row = page
      .split('\n')
      .find(
        (line) =>
          /^\| `/.test(line) &&
          line.split('|')[1]?.includes(`\`${errorClass}\``) &&
          line.split('|').length > 7,
      )
    const [, , outcome, status, credit] = (row ?? '').split('|').map((cell) => cell.trim())
    const expected = FIRST_ATTEMPT[errorClass]
    expect({ outcome, status, credit }).toEqual({
      outcome: `\`${expected.outcome}\``,
      status: `\`${expected.status}\``,
      credit: expected.credit,
    })
  })

  it('keeps the id under which the platform will report', () => {
    expect(ended(answer(0, { body: { msgid: '3141592653589793238' } })).msgid).toBe(
      '3141592653589793238',
    )
  })

  it.each([
    ['token', 42001, 2],
    ['transient', -1, 4],
    ['rate_minute', 45011, 11],
  ] as const)('fails when the tries for %s are used up', (cause, code, tries) => {
    const end = ended(answer(code), { tries: { [cause]: tries } })
    expect(end).toMatchObject({ outcome: 'failed', status: 'failed', reason: cause, dueAt: null })
  })

  it.each([
    ['token', 42001],
    ['transient', -1],
    ['rate_minute', 45011],
    ['quota_daily', 45009],
  ] as const)('fails instead of trying again after the message expires: %s', (reason, code) => {
    const end = ended(answer(code), { expiresAt: NOW })
    expect(end).toMatchObject({ outcome: 'failed', status: 'failed', reason, dueAt: null })
  })

  it.each([
    [45009, new Date(NEXT_CHINA_DAY.getTime() + 30_000)],
    [45011, new Date(NEXT_MINUTE.getTime() + 2_500)],
  ])('rests the channel at %i also when this message is too old to wait', (code, until) => {
    expect(ended(answer(code), { expiresAt: NOW }).pause?.until).toEqual(until)
  })

  it('delays one message, not the channel, when one person had too many', () => {
    expect(lookUpErrorCode('oa', 45061).class).toBe('rate_minute')
    expect(ended(answer(45061))).toMatchObject({ status: 'queued', pause: null })
  })

  it('reports a dead token also when it does not try again', () => {
    expect(ended(answer(42001), { tries: { token: 2 } }).tokenRejected).toBe(true)
  })

  describe('a call that never left', () => {
    const notSent: CallOutcome = { kind: 'not_sent', reason: 'ECONNREFUSED' }

    it.each(['template_message', 'subscription_message', 'customer_service_message'] as const)(
      'is made again for a %s until it expires',
      (channel) => {
        expect(ended(notSent, { channel, tries: { not_sent: 500 } })).toMatchObject({
          outcome: 'retry',
          status: 'queued',
          credit: 'returned',
          cause: 'not_sent',
          reason: 'ECONNREFUSED',
          errmsg: 'ECONNREFUSED',
          dueAt: inMs(300_000),
        })
        expect(ended(notSent, { channel, expiresAt: inMs(1_000) })).toMatchObject({
          outcome: 'failed',
          status: 'failed',
          reason: 'ECONNREFUSED',
        })
      },
    )
  })

  describe('a call without an answer', () => {
    const unclear: CallOutcome = { kind: 'unclear', reason: 'timeout' }

    it('is made again where the platform drops repeats', () => {
      expect(ended(unclear)).toMatchObject({
        outcome: 'unknown',
        status: 'queued',
        reason: 'timeout',
        dueAt: inMs(1_000),
        credit: 'kept',
        cause: 'unclear',
      })
    })

    it.each([
      ['its tries are used up', { tries: { unclear: 4 } }],
      ['the message expires first', { expiresAt: inMs(1_000) }],
      ['the platform has forgotten the first', { firstAttemptAt: inMs(-540_000) }],
    ])('stays unknown when %s', (_case, more) => {
      expect(ended(unclear, more)).toMatchObject({
        outcome: 'unknown',
        status: 'unknown',
        dueAt: null,
        credit: 'spent',
      })
    })

    it('is made again up to a minute before the platform forgets', () => {
      expect(ended(unclear, { firstAttemptAt: inMs(-538_000) }).status).toBe('queued')
    })

    it('is not repeated after another hindrance either, once the platform has forgotten it', () => {
      const busy: CallOutcome = answer(-1)
      const late = { tries: { unclear: 2 }, firstAttemptAt: inMs(-539_500) }
      expect(ended(busy, late)).toMatchObject({ status: 'failed', dueAt: null })
      expect(ended(busy, { ...late, tries: {} })).toMatchObject({ status: 'queued' })
    })

    it.each(['subscription_message', 'customer_service_message'] as const)(
      'stays unknown for a %s, whose repeat could be a second message',
      (channel) => {
        expect(ended(unclear, { channel })).toMatchObject({ status: 'unknown', credit: 'spent' })
      },
    )
  })

  describe("the platform's moment", () => {
    const at = (platformTime: Date | null) =>
      ended(answer(43004, { platformTime })).changes[0]?.effectiveAt

    it('is its Date header while that is within five minutes of ours', () => {
      expect(at(inMs(-300_000))).toEqual(inMs(-300_000))
      expect(at(inMs(300_000))).toEqual(inMs(300_000))
    })

    it.each([inMs(-301_000), inMs(301_000), null])(
      'is when our call began otherwise (%s)',
      (told) => {
        expect(at(told)).toEqual(STARTED)
      },
    )
  })

  it("takes the platform's words in a form that the database can hold", () => {
    const errmsg = `require\u0000 subscribe \uD800${'x'.repeat(5_000)}`
    const end = ended(answer(43004, { errmsg }))
    expect(end.errmsg).toMatch(/^require\uFFFD subscribe \uFFFDx+$/)
    expect(end.errmsg).toHaveLength(500)
    expect(end.changes[0]?.reason).toBe(`43004 ${end.errmsg}`)
  })
})

describe('an answer of WeCom with errcode 0', () => {
  const app = {
    channel: 'wecom_app_message',
    templateId: null,
    consentScope: 'member',
    recipient: 'LiXiaoMing',
    space: 'wecom',
  } as const

  it.each([
    ['names somebody else', { invaliduser: 'wangfang' }, 'sent', null, []],
    [
      'names the recipient as invalid',
      { invaliduser: 'lixiaoming' },
      'failed',
      'invalid_recipient',
      ['member suppressed'],
    ],
    [
      'names the recipient without a licence',
      { unlicenseduser: 'lixiaoming' },
      'failed',
      'unlicensed_recipient',
      [],
    ],
  ] as const)('that %s', (_what, body, status, reason, changes) => {
    const end = ended(answer(0, { body: { msgid: 'm', ...body } }), app)
    expect(end).toMatchObject({ status, reason, credit: status === 'sent' ? 'spent' : 'returned' })
    expect(end.changes.map(({ scope, change }) => `${scope} ${change}`)).toEqual(changes)
  })

  it('says the same of a customer in the fail_list of a group message', () => {
    const group = {
      ...app,
      channel: 'wecom_group_message',
      consentScope: 'external_contact:Li',
    } as const
    const end = ended(answer(0, { body: { fail_list: ['wmA'] } }), { ...group, recipient: 'wmA' })
    expect(end).toMatchObject({ status: 'failed', reason: 'invalid_recipient' })
    expect(end.changes.map(({ scope }) => scope)).toEqual(['external_contact:Li'])
  })

  it('rests the robot alone when it is switched off, and never asks for a new token', () => {
    const robot = { ...app, channel: 'wecom_robot_message', consentScope: null } as const
    expect(ended(answer(93004), robot).pause).toMatchObject({ every: false })
    expect(ended(answer(40014), robot)).toMatchObject({ status: 'failed', tokenRejected: false })
    expect(ended(answer(40014), app)).toMatchObject({ status: 'queued', tokenRejected: true })
    expect(ended(answer(40001), app)).toMatchObject({ status: 'failed', tokenRejected: false })
  })

  it('rests the channel at 45009, which is a limit of the minute here', () => {
    expect(ended(answer(45009), app)).toMatchObject({
      reason: 'rate_minute',
      pause: { every: false },
    })
  })
})

describe('repeatableUntil', () => {
  it('leaves a minute of the ten for the way and our clocks', () => {
    expect(repeatableUntil('template_message', NOW)).toEqual(inMs(540_000))
  })

  it.each(['subscription_message', 'customer_service_message'] as const)(
    'is never for a %s',
    (channel) => {
      expect(repeatableUntil(channel, NOW)).toBeNull()
    },
  )
})
