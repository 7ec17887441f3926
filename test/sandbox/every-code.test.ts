import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { crowd } from '../support/send-road.ts'
import { startSandbox } from './start-sandbox.ts'

const PATH = '/cgi-bin/message/template/send'
/** Some of them are in the table more than once, for different platforms. */
const CODES = [...new Set(ERROR_CODES.map(({ code }) => code))].filter((code) => code !== 0)

describe('an errcode that somebody wants', () => {
  let setup: Awaited<ReturnType<typeof startSandbox>>
  beforeAll(async () => {
    setup = await startSandbox()
  })
  afterAll(() => setup.stop())

  it('is answered with words, whichever of the table it is, and nothing is sent', async () => {
    const people = setup.account.addFollowers(CODES.length)
    const answered = new Map<number, unknown>()
    await crowd(CODES, async (errcode, index) => {
      const openid = people[index] ?? ''
      setup.sandbox.addFault({ path: PATH, openid, errcode, times: 1 })
      const answer = await setup.json(await setup.sendTemplate(openid))
      answered.set(errcode, answer.errcode)
      expect(answer.errmsg, String(errcode)).toEqual(expect.stringMatching(/\w/))
    })
    expect(CODES.filter((errcode) => answered.get(errcode) !== errcode)).toEqual([])
    expect(setup.account.messages()).toEqual([])
  })
})
