import { describe, expect, it } from 'vitest'
import { ADVICE_ZH } from '../../src/wechat/code-advice-zh.ts'
import { CLASS_WORDS } from '../../src/wechat/code-advice.ts'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { ERROR_CLASSES } from '../../src/wechat/error-codes.ts'
import { explainCode } from '../../src/wechat/explain-code.ts'

describe('explainCode', () => {
  it('says what a code means, what follows and what to do, in both languages', () => {
    expect(explainCode('wecom', 93000)).toEqual({
      code: 93000,
      platform: 'wecom',
      foundIn: 'wecom',
      class: 'config',
      name: { en: 'invalid webhook url', zh: '机器人webhookurl不合法或者机器人已经被移除出群' },
      effect: CLASS_WORDS.config,
      retry: 'never',
      override: null,
      advice: {
        en: 'robot key wrong or robot removed from the group: disable this webhook',
        zh: '群机器人的 webhook 地址不正确，或机器人已被移出群：停用此 webhook，换用新的地址',
      },
      source:
        'https://developer.work.weixin.qq.com/document/path/91770 + https://developer.work.weixin.qq.com/document/path/90313',
    })
  })

  it.each([
    ['oa', 43004, 'oa', 'opt_out'],
    ['wecom', 43004, 'wecom', 'invalid_recipient'],
    ['wecom', 40132, 'wecom', 'permission'],
    ['oa', 40001, 'oa', 'token'],
    ['wecom', 40001, 'wecom', 'config'],
    ['wecom', 84061, 'wecom', 'invalid_recipient'],
    ['wecom', 81013, 'wecom', 'invalid_recipient'],
    ['mini', 40014, 'oa', 'token'],
    ['open', 61023, 'open', 'permission'],
    ['wecom', -1, 'any', 'transient'],
  ] as const)('%s %i is found in %s: %s', (platform, code, foundIn, errorClass) => {
    expect(explainCode(platform, code)).toMatchObject({ foundIn, class: errorClass })
  })

  it('says of WeCom codes that are opt-outs elsewhere that they are none', () => {
    for (const code of [43004, 40132, 48002]) {
      const { advice } = explainCode('wecom', code)
      expect(advice.en).toContain('NOT an opt-out')
      expect(advice.zh).toContain('不是拒收')
    }
  })

  it('says so when no table has the code', () => {
    expect(explainCode('wecom', 43101)).toMatchObject({
      foundIn: null,
      name: null,
      class: 'other',
      source: null,
    })
  })

  it('has words in both languages for every row', () => {
    for (const { platform, code } of ERROR_CODES) {
      const { name, effect, advice } = explainCode(platform === 'any' ? 'oa' : platform, code)
      const words = [name?.en, name?.zh, effect.en, effect.zh, advice.en, advice.zh]
      expect(words.every(Boolean), `${platform}:${code}`).toBe(true)
    }
  })
})

describe('CLASS_WORDS', () => {
  it('has every class and no other', () => {
    expect(Object.keys(CLASS_WORDS)).toEqual([...ERROR_CLASSES])
  })
})

describe('ADVICE_ZH', () => {
  it('says in Chinese what to do about every code of the table, in its order', () => {
    expect(Object.keys(ADVICE_ZH)).toEqual(ERROR_CODES.map((row) => `${row.platform}:${row.code}`))
    for (const [key, words] of Object.entries(ADVICE_ZH)) {
      // some Chinese in each, and none of the marks of Latin text behind it
      expect(words, key).toMatch(/\p{Script=Han}/u)
      expect(words, key).not.toMatch(/\p{Script=Han}[,;:?]|[,;:?]\p{Script=Han}/u)
    }
  })

  it('is what is said about a code, not the words of its class', () => {
    expect(explainCode('oa', 40137).advice.zh).toBe('换用支持的图片格式')
    expect(explainCode('mini', 61058).advice.zh).toBe('ticket 无效：使用最新的一个')
  })
})
