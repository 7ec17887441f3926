import { describe, expect, it } from 'vitest'
import { ACCOUNT_RULES } from '../../src/accounts/account-rules.ts'
import { COMMON_OPTIONS } from '../../src/commands/parse-arguments.ts'
import { COMMANDS } from '../../src/commands/table.ts'
import { chooseLanguage, speakIn, WORDS } from '../../src/commands/words.ts'

const CHINESE = /\p{Script=Han}/u
const holesOf = (text: string) => [...text.matchAll(/\{([a-z_]+)\}/g)].map((hole) => hole[1]).sort()

describe('WORDS', () => {
  it.each(Object.entries(WORDS))('%s has the same holes in both languages', (key, { en, zh }) => {
    expect(en).not.toBe('')
    expect(holesOf(zh)).toEqual(holesOf(en))
    // A platform's own name stays as it is.
    if (key !== 'access_token' && key !== 'app_id') expect(zh).toMatch(CHINESE)
  })
})

describe('ACCOUNT_RULES', () => {
  it.each(Object.entries(ACCOUNT_RULES))('%s is said in both languages', (_, { en, zh }) => {
    const values = {
      ...{ mode: 'x', kind: 'x', length: 1, most: 2 },
      ...{ parent: 'x', modes: 'x', formats: 'x', format: 'x', channels: 'x' },
    }
    expect(en(values)).toMatch(/[a-z]{3}/)
    expect(zh(values)).toMatch(CHINESE)
    expect(`${en(values)}${zh(values)}`).not.toContain('undefined')
  })
})

describe('COMMANDS', () => {
  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s and its options are explained in both languages',
    (_, { summary, options }) => {
      const texts = [
        summary,
        ...Object.values({ ...options, ...COMMON_OPTIONS }).map((o) => o.help),
      ]
      for (const { en, zh } of texts) {
        expect(en).toMatch(/\.$/)
        expect(zh).toMatch(CHINESE)
      }
    },
  )

  it('has no name twice', () => {
    const names = COMMANDS.map((command) => command.name)
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('speakIn', () => {
  it('fills the holes, with the values as they are', () => {
    expect(speakIn('en')('unknown_command', { command: '$& {guess}' })).toBe(
      'there is no command $& {guess}',
    )
  })
})

describe('chooseLanguage', () => {
  it.each([
    [undefined, {}, 'en'],
    [undefined, { LANG: 'zh_CN.UTF-8' }, 'zh'],
    [undefined, { LANG: 'zh_CN.UTF-8', LC_ALL: 'C' }, 'en'],
    [undefined, { LANG: 'de_DE.UTF-8', LC_ALL: '' }, 'en'],
    ['zh', { LANG: 'en_US.UTF-8' }, 'zh'],
    ['en', { LC_ALL: 'zh_TW' }, 'en'],
  ])('%s with %j is %s', (asked, env, language) => {
    expect(chooseLanguage(asked, env)).toBe(language)
  })
})
