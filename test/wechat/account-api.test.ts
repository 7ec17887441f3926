import { expect, it } from 'vitest'
import { createAccountApi } from '../../src/wechat/account-api.ts'
import type { PlatformCall } from '../../src/wechat/platform-client.ts'
import { accountOf } from '../support/token-desk.ts'

it('counts its calls for the account that makes them, a repeat with another token too', async () => {
  const calls: PlatformCall[] = []
  const api = createAccountApi({
    call: (call) => {
      calls.push(call)
      const errcode = calls.length === 1 ? 40001 : 0
      const answer = { errmsg: '', body: {}, httpStatus: 200, platformTime: null, rid: null }
      return Promise.resolve({ kind: 'answer', errcode, ...answer })
    },
    tokens: {
      getToken: () =>
        Promise.resolve({
          kind: 'token',
          token: 'a-token',
          version: '1',
          expiresAt: new Date('2026-01-31T04:00:00Z'),
        }),
      reportRejected: () => Promise.resolve(),
    },
  })
  await api(accountOf(7), { method: 'GET', path: '/cgi-bin/user/info' })
  expect(calls.map(({ accountId, path }) => [accountId, path])).toEqual([
    [7, '/cgi-bin/user/info'],
    [7, '/cgi-bin/user/info'],
  ])
})
