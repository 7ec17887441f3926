import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ADVICE_ZH } from '../../src/wechat/code-advice-zh.ts'
import { CLASS_WORDS } from '../../src/wechat/code-advice.ts'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import {
  CODE_PLATFORMS,
  ERROR_CLASSES,
  lookUpErrorCode,
  type ErrorCode,
} from '../../src/wechat/error-codes.ts'
import { readCsv } from '../support/read-csv.ts'

const LIST = readText('../fixtures/errcodes.csv')
const PAGE = readText('../../docs/errors.md')

function readText(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8')
}

/** The cells of the table under a heading of the page, without its two head lines. */
function tableUnder(heading: string): string[][] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

describe('ERROR_CODES', () => {
  it('agrees with the list that was read from the platforms, row by row and both ways', () => {
    const [head, ...listed] = readCsv(LIST)
    expect(head).toEqual(['code', 'platform', 'name_zh', 'name_en', 'class', 'action', 'source'])
    const rows = ERROR_CODES.map((row) => [
      String(row.code),
      row.platform,
      row.nameZh,
      row.nameEn,
      row.class,
      row.action,
      row.source,
    ])
    expect(rows).toEqual(listed)
    expect(rows.length).toBe(630)
  })

  it('has each code of a platform once', () => {
    const keys = ERROR_CODES.map((row) => `${row.platform}:${row.code}`)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('uses every class and every platform, and no other', () => {
    expect(new Set(ERROR_CODES.map((row) => row.class))).toEqual(new Set(ERROR_CLASSES))
    expect(new Set(ERROR_CODES.map((row) => row.platform))).toEqual(new Set(CODE_PLATFORMS))
  })

  it('names every fact in words', () => {
    for (const row of ERROR_CODES) {
      expect([row.nameZh, row.nameEn, row.action, row.source].every(Boolean)).toBe(true)
    }
  })

  it('has no opt-out among the codes of WeCom, where the same numbers mean something else', () => {
    const classOf = (code: number) => lookUpErrorCode('wecom', code).class
    expect(
      ERROR_CODES.filter((row) => row.platform === 'wecom' && row.class === 'opt_out'),
    ).toEqual([])
    expect(classOf(40001)).toBe('config')
    expect(classOf(43004)).toBe('invalid_recipient')
    expect(classOf(40132)).toBe('permission')
    expect(classOf(48002)).toBe('permission')
    expect(classOf(84061)).toBe('invalid_recipient')
    expect(classOf(81013)).toBe('invalid_recipient')
    expect(classOf(45009)).toBe('rate_minute')
    expect(classOf(93000)).toBe('config')
  })

  it('says how far each opt-out of an official account reaches', () => {
    const scopes = ERROR_CODES.flatMap((row) =>
      row.platform === 'oa' && row.class === 'opt_out' ? [[row.code, row.optOutScope]] : [],
    )
    expect(Object.fromEntries(scopes)).toEqual({
      10700: 'follow',
      10703: 'follow',
      40132: 'follow',
      43004: 'follow',
      43006: 'follow',
      43101: 'template',
      48002: 'follow',
      50005: 'follow',
    })
  })
})

describe('lookUpErrorCode', () => {
  it.each([
    ['the platform itself', 'oa', 43004, 'oa', 'opt_out'],
    ['the same number with another meaning', 'wecom', 43004, 'wecom', 'invalid_recipient'],
    ['the number space that is shared', 'oa', 61009, 'open', 'other'],
    ['the number space that is shared, the other way', 'open', 40013, 'oa', 'config'],
    ['a Mini Program before the Official Account', 'mini', 43101, 'mini', 'opt_out'],
    ['what is the same everywhere', 'wecom', -1, 'any', 'transient'],
    ['success', 'oa', 0, 'any', 'ok'],
    [
      'an Official Account before the Open Platform, for a Mini Program',
      'mini',
      61004,
      'oa',
      'ip_whitelist',
    ],
    [
      'an Official Account before a Mini Program, for a component',
      'open',
      45015,
      'oa',
      'window_closed',
    ],
    [
      'a Mini Program last but one, for an Official Account',
      'oa',
      43107,
      'mini',
      'blocked_account',
    ],
    ['the Open Platform last, for a Mini Program', 'mini', 61007, 'open', 'permission'],
  ] as const)('finds %s', (_name, platform, code, foundIn, errorClass) => {
    const meaning = lookUpErrorCode(platform, code)
    expect(meaning).toMatchObject({ known: true, class: errorClass, row: { platform: foundIn } })
    expect(meaning.row?.code).toBe(code)
  })

  it('finds every row of the table under its own platform', () => {
    for (const row of ERROR_CODES) {
      if (row.platform !== 'any') expect(lookUpErrorCode(row.platform, row.code).row).toBe(row)
    }
  })

  it.each([
    ['a number nobody has', 'oa', 123_456_789],
    ['a number that only the other family has', 'wecom', 43101],
    ['and the other way', 'oa', 84061],
  ] as const)(
    'takes %s for class other, and says that it is not known',
    (_name, platform, code) => {
      expect(lookUpErrorCode(platform, code)).toEqual({ known: false, row: null, class: 'other' })
    },
  )

  it.each([40001, 40014, 41001, 42001, 48012])('takes %i for a refused token', (code) => {
    expect(lookUpErrorCode('oa', code).class).toBe('token')
  })
})

describe('docs/errors.md', () => {
  it('explains every class, and no other, in the order of the code', () => {
    const table = tableUnder('What each class does')
    expect(table.map(([name]) => name)).toEqual([...ERROR_CLASSES])
    const inChinese = ERROR_CLASSES.map((name) => CLASS_WORDS[name].zh)
    expect(table.map(([, , words]) => words)).toEqual(inChinese)
  })

  it('has every code of an Official Account and no other, in numeric order', () => {
    const rows = ERROR_CODES.filter((row) => row.platform === 'oa' || row.platform === 'any')
    const cells = rows.sort((one, other) => one.code - other.code).map(cellsOf)
    expect(tableUnder('Every code of Official Accounts')).toEqual(cells)
  })

  it.each([
    ['mini', 'Every code of Mini Programs'],
    ['open', 'Every code of the Open Platform'],
    ['wecom', 'Every code of WeCom'],
  ])('has every code of %s and no other, in numeric order', (platform, heading) => {
    const rows = ERROR_CODES.filter((row) => row.platform === platform)
    const cells = rows.sort((one, other) => one.code - other.code).map(cellsOf)
    expect(tableUnder(heading)).toEqual(cells)
  })

  it('states the product rule and what the platform says', () => {
    expect(PAGE).toContain('43004 and 40132 always mark the user as opted out.')
    expect(lookUpErrorCode('oa', 40132).row?.nameEn).toBe('invalid username')
    expect(PAGE).toContain('40132 is called an invalid name (`invalid username`)')
    expect(PAGE).toContain("The ledger row keeps the code and the platform's own words")
  })
})

function cellsOf(row: ErrorCode): string[] {
  const { code, platform, nameZh, nameEn, action } = row
  const inChinese = ADVICE_ZH[`${platform}:${code}`] ?? ''
  const plain = [String(code), platform, nameZh, nameEn, row.class, action, inChinese]
  // As Markdown wants it: a backslash is written twice.
  return plain.map((cell) => cell.replaceAll('\\', '\\\\'))
}
