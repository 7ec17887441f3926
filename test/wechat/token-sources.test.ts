import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { lookUpErrorCode } from '../../src/wechat/error-codes.ts'
import {
  isParentTokenDead,
  TOKEN_SOURCE_NAMES,
  TOKEN_SOURCES,
  tokenSourceOf,
} from '../../src/wechat/token-sources.ts'

const PAGE = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

describe('TOKEN_SOURCES', () => {
  it('has its names in one list', () => {
    expect(Object.keys(TOKEN_SOURCES).sort()).toEqual([...TOKEN_SOURCE_NAMES].sort())
  })

  it('takes only codes for a dead token that the table has as such', () => {
    for (const name of TOKEN_SOURCE_NAMES) {
      const { space, deadCodes, ticketCodes } = TOKEN_SOURCES[name]
      for (const code of [...deadCodes, ...ticketCodes]) {
        expect([name, code, lookUpErrorCode(space, code).class]).toEqual([name, code, 'token'])
      }
      expect(deadCodes.filter((code) => ticketCodes.includes(code))).toEqual([])
    }
  })

  it('has every code of class token of the table in a list', () => {
    const listed = new Set(
      TOKEN_SOURCE_NAMES.flatMap((name) => {
        const { space, deadCodes, ticketCodes } = TOKEN_SOURCES[name]
        return [...deadCodes, ...ticketCodes].map((code) => `${space}:${code}`)
      }),
    )
    const table = ERROR_CODES.filter((row) => row.class === 'token')
    // A Mini Program has the tokens of an Official Account; the hardware interfaces are not ours.
    const space = (platform: string) => (platform === 'mini' ? 'oa' : platform)
    expect(
      table.map((row) => `${space(row.platform)}:${row.code}`).filter((key) => !listed.has(key)),
    ).toEqual(['wecom:710400', 'wecom:710401'])
  })

  it('never takes 40001 of WeCom for a dead token', () => {
    const wecom = TOKEN_SOURCE_NAMES.filter((name) => TOKEN_SOURCES[name].space === 'wecom')
    expect(wecom).toEqual(['wecom', 'suite', 'wecom_corp', 'wecom_agency', 'provider'])
    for (const name of wecom) expect(TOKEN_SOURCES[name].deadCodes).not.toContain(40001)
  })

  it('is what docs/errors.md shows', () => {
    const rows = PAGE.split('\n').filter((line) =>
      /\| `\/cgi-bin\/[a-z_/]+` \| \d+ s \|/.test(line),
    )
    const shown = rows.map((line) => line.split('|').map((cell) => cell.trim()))
    const cells = shown.map(([, , name, , path, before, dead]) => [name, path, before, dead])
    const asking = {
      appId: 'a',
      secret: 's',
      ticket: 't',
      refreshToken: 'r',
      permanentCode: 'p',
      parent: { appId: 'b', token: 'u' },
      force: false,
    }
    expect(cells.sort()).toEqual(
      TOKEN_SOURCE_NAMES.map((name) => {
        const { request, refreshBeforeEndMs, deadCodes } = TOKEN_SOURCES[name]
        return [
          `\`${name}\``,
          `\`${request(asking).path}\``,
          `${refreshBeforeEndMs / 1000} s`,
          deadCodes.join(', '),
        ]
      }).sort(),
    )
  })
})

describe('tokenSourceOf', () => {
  it.each([
    ['official_account', 'stable', 'stable'],
    ['official_account', 'classic', 'classic'],
    ['mini_program', 'classic', 'classic'],
    ['component', 'classic', 'component'],
    ['authorizer', 'stable', 'authorizer'],
    ['wecom_app', 'stable', 'wecom'],
    ['wecom_kf', 'stable', 'wecom'],
    ['wecom_suite', 'stable', 'suite'],
    ['wecom_authorizer', 'stable', 'wecom_corp'],
  ] as const)('%s (token_kind %s): %s', (kind, token_kind, source) => {
    expect(tokenSourceOf({ kind, settings: { ...DEFAULT_SETTINGS, token_kind } })).toBe(source)
  })

  it.each([
    ['gettoken', 'wecom_agency'],
    ['get_corp_token', 'wecom_corp'],
  ] as const)('wecom_authorizer (corp_token_from %s): %s', (corp_token_from, source) => {
    const settings = { ...DEFAULT_SETTINGS, corp_token_from }
    expect(tokenSourceOf({ kind: 'wecom_authorizer', settings })).toBe(source)
  })
})

describe('isParentTokenDead', () => {
  it.each([
    ['authorizer', 40001, true],
    ['authorizer', 42006, true],
    ['authorizer', 61023, false],
    ['authorizer', 61005, false],
    ['wecom_corp', 42009, true],
    ['wecom_corp', 40082, true],
    ['wecom_corp', 40001, false],
    ['stable', 40001, false],
    ['wecom', 40014, false],
  ] as const)('%s: %i: %s', (name, errcode, isDead) => {
    expect(isParentTokenDead(name, errcode)).toBe(isDead)
  })
})
