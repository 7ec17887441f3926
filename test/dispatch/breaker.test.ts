import { describe, expect, it } from 'vitest'
import { afterFailure, NO_FAILURES, reaches, REST_SECONDS } from '../../src/dispatch/breaker.ts'
import { isTooMuch, isTransient } from '../../src/dispatch/overload.ts'
import { lookUpErrorCode } from '../../src/wechat/error-codes.ts'
import type { CallOutcome } from '../../src/wechat/platform-client.ts'
import type { CodeSpace } from '../../src/wechat/served-account.ts'

const answer = (errcode: number): CallOutcome => ({
  kind: 'answer',
  errcode,
  errmsg: '',
  body: {},
  httpStatus: 200,
  platformTime: null,
  rid: null,
})
const unclear = (reason: string): CallOutcome => ({ kind: 'unclear', reason })
const notSent = (reason: string): CallOutcome => ({ kind: 'not_sent', reason })

/** How many failures of these accounts, one every so often, open a breaker; null: fifty do not. */
function opensAfter(
  whose: 'account' | 'host',
  accountIds: readonly number[],
  everyMs: number,
): number | null {
  let row = NO_FAILURES
  for (let failure = 0; failure < 50; failure += 1) {
    const accountId = accountIds[failure % accountIds.length] ?? 0
    const after = afterFailure(row, { atMs: failure * everyMs, accountId }, whose)
    if (after.opens) return failure + 1
    row = after.row
  }
  return null
}

describe('afterFailure', () => {
  it.each([
    { whose: 'account', accounts: [1], everyMs: 10, opens: 10 },
    { whose: 'account', accounts: [1], everyMs: 5_000, opens: 10 },
    { whose: 'account', accounts: [1], everyMs: 7_000, opens: null },
    { whose: 'host', accounts: [1, 2], everyMs: 10, opens: 20 },
    { whose: 'host', accounts: [1], everyMs: 10, opens: null },
  ] as const)(
    'opens the breaker of $whose after $opens failures of accounts $accounts, $everyMs ms apart',
    ({ whose, accounts, everyMs, opens }) => {
      expect(opensAfter(whose, accounts, everyMs)).toBe(opens)
    },
  )

  it('begins a new row when it has opened', () => {
    let row = NO_FAILURES
    for (let failure = 0; failure < 10; failure += 1) {
      row = afterFailure(row, { atMs: 0, accountId: 1 }, 'account').row
    }
    expect(row).toEqual(NO_FAILURES)
  })
})

describe('REST_SECONDS', () => {
  it('grows, from a second to a minute', () => {
    expect([...REST_SECONDS].sort((a, b) => a - b)).toEqual(REST_SECONDS)
    expect([REST_SECONDS[0], REST_SECONDS.at(-1)]).toEqual([1, 60])
  })
})

describe('reaches', () => {
  it.each([
    [answer(0), true],
    [answer(-1), true],
    [answer(48001), true],
    [unclear('timeout'), false],
    [unclear('http_502'), false],
    [notSent('ECONNREFUSED'), false],
    [notSent('connect_timeout'), false],
    [notSent('begun_too_late'), null],
    [notSent('quota_margin'), null],
  ])('%o: %s', (call, reached) => {
    expect(reaches(call)).toBe(reached)
  })
})

describe('what is too much', () => {
  const readIn = (space: CodeSpace) => ({
    space,
    classOf: (code: number) => lookUpErrorCode(space, code).class,
  })
  it.each([
    { call: answer(45011), space: 'oa', tooMuch: true, transient: false },
    { call: answer(45009), space: 'wecom', tooMuch: true, transient: false },
    { call: answer(45011), space: 'mini', tooMuch: true, transient: false },
    { call: answer(45009), space: 'oa', tooMuch: false, transient: false },
    // one person, one message
    { call: answer(43117), space: 'oa', tooMuch: false, transient: false },
    { call: answer(43117), space: 'mini', tooMuch: false, transient: false },
    { call: answer(43108), space: 'mini', tooMuch: false, transient: false },
    { call: answer(45033), space: 'wecom', tooMuch: false, transient: true },
    { call: answer(-1), space: 'oa', tooMuch: false, transient: true },
    { call: answer(0), space: 'oa', tooMuch: false, transient: false },
    { call: answer(43004), space: 'oa', tooMuch: false, transient: false },
    { call: unclear('http_429'), space: 'oa', tooMuch: true, transient: false },
    { call: unclear('http_502'), space: 'oa', tooMuch: false, transient: false },
  ] as const)('$call.errcode $call.reason of $space', ({ call, space, tooMuch, transient }) => {
    expect(isTooMuch(call, readIn(space))).toBe(tooMuch)
    expect(isTransient(call, readIn(space))).toBe(transient)
  })

  it('is not what an operator has taken for something else', () => {
    const classOf = () => 'content' as const
    expect(isTooMuch(answer(45011), { space: 'oa', classOf })).toBe(false)
    expect(isTransient(answer(45033), { space: 'wecom', classOf })).toBe(false)
  })
})
