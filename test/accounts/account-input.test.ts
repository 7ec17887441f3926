import { describe, expect, it } from 'vitest'
import {
  readBodyFormat,
  readMode,
  readNewAccount,
  readRotation,
  readSettings,
  type NewAccountInput,
} from '../../src/accounts/account-input.ts'
import { valueOf } from '../../src/accounts/account-rules.ts'
import { InvalidInputError } from '../../src/foundation/errors.ts'

const GOOD: NewAccountInput = {
  name: 'acme',
  kind: 'official_account',
  appId: 'wx1234567890abcdef',
  originalId: 'gh_0123456789ab',
  mode: 'safe',
  token: 'callbackToken1',
  aesKey: 'a'.repeat(43),
  secret: 'topsecret0123456789',
}

describe('readNewAccount', () => {
  it('reads what the platform’s page shows', () => {
    expect(valueOf(readNewAccount(GOOD))).toEqual({
      name: 'acme',
      kind: 'official_account',
      appId: 'wx1234567890abcdef',
      originalId: 'gh_0123456789ab',
      agentId: null,
      providerCorpId: null,
      mode: 'safe',
      bodyFormat: 'xml',
      token: 'callbackToken1',
      aesKey: 'a'.repeat(43),
      secret: 'topsecret0123456789',
      moreSecrets: {},
      settings: {},
    })
  })

  it('takes the safe mode when none is named', () => {
    expect(valueOf(readNewAccount({ ...GOOD, mode: undefined })).mode).toBe('safe')
  })

  it('needs no AES key in plain mode, and keeps one that is given', () => {
    const plain = { ...GOOD, mode: 'plain' }
    expect(valueOf(readNewAccount({ ...plain, aesKey: undefined })).aesKey).toBeNull()
    expect(valueOf(readNewAccount(plain)).aesKey).toBe('a'.repeat(43))
  })

  it.each<[keyof NewAccountInput, string | undefined, ...string[]]>([
    ['name', undefined, 'NAME', 'is required', '必须填写'],
    ['name', 'Acme', 'NAME', 'lower-case', '小写'],
    ['name', '-acme', 'NAME', 'begin with', '开头'],
    ['name', 'a'.repeat(64), 'NAME', '63', '63'],
    ['name', '../acme', 'NAME', 'lower-case', '小写'],
    ['kind', undefined, '--kind', 'is required', '必须填写'],
    ['kind', 'wecom_robot', '--kind', 'official_account', 'wecom_kf'],
    ['kind', 'authorizer', '--kind', 'authorises a component', '自动创建'],
    ['kind', 'wecom_authorizer', '--kind', 'authorises a wecom_suite', '自动创建'],
    ['appId', undefined, '--app-id', 'is required', '必须填写'],
    ['appId', 'wx1 ', '--app-id', 'white space', '空白'],
    ['appId', 'w'.repeat(65), '--app-id', 'at most 64', '64'],
    ['originalId', 'acme_shop', '--original-id', 'gh_', 'gh_'],
    ['originalId', 'gh_', '--original-id', 'gh_', 'gh_'],
    ['mode', 'encrypted', '--mode', '安全模式', '明文模式'],
    ['token', 'ab', '--token', '3 to 32', '2 个字符'],
    ['token', 'abc-def', '--token', '3 to 32', '字母或数字'],
    ['token', 'a'.repeat(33), '--token', '33 characters arrived', '33'],
    ['token', 'abc def', '--token', 'white space', '空白'],
    ['aesKey', undefined, '--aes-key', 'required in safe mode', 'safe'],
    ['aesKey', 'a'.repeat(42), '--aes-key', '42 characters arrived', '42'],
    ['aesKey', `${'a'.repeat(42)}=`, '--aes-key', 'exactly 43', '43'],
    ['aesKey', `${'a'.repeat(43)}\n`, '--aes-key', 'white space', '空白'],
    ['secret', '', '--secret', 'is required', '必须填写'],
    ['secret', 'top secret', '--secret', 'white space', '空格'],
    ['freshness', '-1', '--freshness', '0 to 86400', '86400'],
    ['freshness', '86401', '--freshness', '0 to 86400', '86400'],
    ['sendsPerSecond', '10001', '--sends-per-second', '0 to 10000', '10000'],
    ['sendsPerSecond', '1.5', '--sends-per-second', '0 to 10000', '10000'],
    ['quietHours', '22-8', '--quiet-hours', '22:00-08:00', '中国时间'],
    ['quietHours', '22:00-24:00', '--quiet-hours', 'two times of day', '时刻'],
    ['quietHours', '08:00-08:00', '--quiet-hours', 'always or never', '不能相同'],
    ['marketingPerPersonPerDay', '1001', '--marketing-per-person-per-day', '0 to 1000', '1000'],
    ['marketingPerPersonPerDay', '-1', '--marketing-per-person-per-day', '0 to 1000', '1000'],
    ['tokenKind', 'new', '--token-kind', 'stable, classic', 'stable'],
    ['corpTokenFrom', 'dk', '--corp-token-from', 'auto, gettoken', '以下之一'],
  ])('refuses %s = %j and names %s and the rule', (key, value, ...words) => {
    const [field, english, chinese] = words
    const reading = readNewAccount({ ...GOOD, [key]: value })
    const faults = reading.ok ? [] : reading.faults
    expect(faults.map((fault) => fault.field)).toEqual([field])
    expect(faults[0]?.rule).toContain(english)
    expect(faults[0]?.ruleZh).toContain(chinese)
  })

  it('reads when, how much and how quickly a person is written to', () => {
    const reading = readSettings({
      quietHours: '22:00-08:00',
      marketingPerPersonPerDay: '3',
      recipientPerMinute: ['template_message=1', 'wecom_app_message=0'],
      channelSendsPerSecond: ['template_message=20'],
    })
    expect(reading).toEqual({
      ok: true,
      value: {
        quiet_hours: '22:00-08:00',
        marketing_per_person_per_day: 3,
        recipient_per_minute: { template_message: 1, wecom_app_message: 0 },
        sends_per_second_by_channel: { template_message: 20 },
      },
    })
    expect(readSettings({ quietHours: 'off' })).toEqual({ ok: true, value: { quiet_hours: null } })
    const faulty = readSettings({ recipientPerMinute: ['template_message'] })
    expect(faulty).toMatchObject({ ok: false, faults: [{ field: '--recipient-per-minute' }] })
  })

  it('says everything that is wrong at once', () => {
    const reading = readNewAccount({ mode: 'x' })
    expect(reading.ok ? [] : reading.faults.map((fault) => fault.field).sort()).toEqual([
      '--app-id',
      '--kind',
      '--mode',
      '--original-id',
      '--secret',
      '--token',
      'NAME',
    ])
  })

  it('never repeats a secret in a fault', () => {
    const reading = readNewAccount({
      ...GOOD,
      token: 'hunter2-token',
      aesKey: 'hunter2',
      secret: 'hunter2 hunter2',
    })
    expect(reading.ok ? [] : reading.faults).toHaveLength(3)
    expect(JSON.stringify(reading)).not.toContain('hunter2')
  })
})

const BASE: NewAccountInput = {
  name: 'acme',
  aesKey: 'a'.repeat(43),
  secret: 'topsecret',
  token: 'Tok1',
}
const KINDS = {
  mini_program: { ...BASE, appId: 'wx1', originalId: 'gh_1' },
  component: { ...BASE, appId: 'wx1' },
  wecom_app: { ...BASE, corpId: 'ww1', agentId: '1000007', token: 'T' },
  wecom_suite: { ...BASE, suiteId: 'ww1', providerCorpId: 'ww2', token: 'T' },
  wecom_kf: { ...BASE, corpId: 'ww1', token: 'T' },
} as const satisfies Record<string, NewAccountInput>
type OtherKind = keyof typeof KINDS

describe('readNewAccount, by kind', () => {
  it.each<[OtherKind, object]>([
    ['mini_program', { appId: 'wx1', originalId: 'gh_1', bodyFormat: 'xml' }],
    ['component', { appId: 'wx1', originalId: null }],
    ['wecom_app', { appId: 'ww1', agentId: '1000007' }],
    ['wecom_suite', { appId: 'ww1', providerCorpId: 'ww2', agentId: null }],
    ['wecom_kf', { appId: 'ww1', agentId: null, providerCorpId: null }],
  ])('reads a %s', (kind, expected) => {
    const account = valueOf(readNewAccount({ ...KINDS[kind], kind }))
    expect(account).toMatchObject({ kind, mode: 'safe', ...expected })
  })

  it('reads the choices of a mini program and the secret of a provider', () => {
    const mini = { ...KINDS.mini_program, kind: 'mini_program', dataFormat: 'json', mode: 'plain' }
    expect(valueOf(readNewAccount(mini))).toMatchObject({ bodyFormat: 'json', mode: 'plain' })
    const suite = { ...KINDS.wecom_suite, kind: 'wecom_suite', providerSecret: 'ps' }
    expect(valueOf(readNewAccount({ ...suite, emptyReceiveId: true }))).toMatchObject({
      moreSecrets: { provider_secret: 'ps' },
      settings: { empty_receive_id: true },
    })
  })

  const all: NewAccountInput = {
    ...{ appId: 'wx1', corpId: 'ww1', suiteId: 'ww1', originalId: 'gh_1', agentId: '1' },
    ...{ providerCorpId: 'ww2', providerSecret: 'ps', dataFormat: 'json', mode: 'plain' },
    emptyReceiveId: true,
    ...{ welcomeMessage: '{}', archiveAccount: 'archive', corpTokenFrom: 'gettoken' },
  }
  it.each<[OtherKind, string]>([
    [
      'mini_program',
      '--agent-id --archive-account --corp-id --corp-token-from --empty-receive-id --provider-corp-id --provider-secret --suite-id --welcome-message',
    ],
    [
      'component',
      '--agent-id --archive-account --corp-id --corp-token-from --data-format --empty-receive-id --mode --original-id --provider-corp-id --provider-secret --suite-id --welcome-message',
    ],
    [
      'wecom_app',
      '--app-id --corp-token-from --data-format --empty-receive-id --mode --original-id --provider-corp-id --provider-secret --suite-id',
    ],
    [
      'wecom_suite',
      '--agent-id --app-id --archive-account --corp-id --data-format --mode --original-id --welcome-message',
    ],
    [
      'wecom_kf',
      '--agent-id --app-id --archive-account --corp-token-from --data-format --empty-receive-id --mode --original-id --provider-corp-id --provider-secret --suite-id --welcome-message',
    ],
  ])('names everything that does not belong to a %s', (kind, fields) => {
    const reading = readNewAccount({ ...KINDS[kind], ...all, kind })
    const faults = reading.ok ? [] : reading.faults
    expect(faults.map((fault) => fault.field).sort()).toEqual(fields.split(' '))
    for (const fault of faults) expect(fault.rule + fault.ruleZh).toContain(kind)
  })

  it.each<[OtherKind, string]>([
    ['mini_program', '--app-id --original-id'],
    ['component', '--app-id'],
    ['wecom_app', '--agent-id --corp-id'],
    ['wecom_suite', '--provider-corp-id --suite-id'],
    ['wecom_kf', '--corp-id'],
  ])('names what a %s needs', (kind, fields) => {
    const reading = readNewAccount({ kind })
    const faults = reading.ok ? [] : reading.faults
    expect(faults.map((fault) => fault.field).sort()).toEqual([
      ...['--aes-key', ...fields.split(' '), '--secret', '--token', 'NAME'].sort(),
    ])
  })

  it.each<[OtherKind, NewAccountInput, ...string[]]>([
    ['wecom_app', { agentId: '1000007x' }, '--agent-id', 'AgentId', 'AgentId'],
    ['wecom_app', { agentId: ' 1000007' }, '--agent-id', 'white space', '空白'],
    ['wecom_app', { corpId: 'ww 1' }, '--corp-id', 'white space', '空白'],
    ['wecom_app', { token: 'a'.repeat(33) }, '--token', '1 to 32', '1 到 32'],
    ['wecom_app', { token: 'a_b' }, '--token', '1 to 32', '1 到 32'],
    ['component', { token: 'ab' }, '--token', '3 to 32', '3 到 32'],
    ['mini_program', { dataFormat: 'yaml' }, '--data-format', 'xml, json', 'xml、json'],
    ['wecom_suite', { providerSecret: '' }, '--provider-secret', 'required', '必须填写'],
  ])('refuses a %s with %j', (kind, changes, field, english, chinese) => {
    const reading = readNewAccount({ ...KINDS[kind], ...changes, kind })
    const faults = reading.ok ? [] : reading.faults
    expect(faults.map((fault) => fault.field)).toEqual([field])
    expect(faults[0]?.rule).toContain(english)
    expect(faults[0]?.ruleZh).toContain(chinese)
  })
})

describe('readSettings', () => {
  it('reads a welcome and the account of the chat archive, and empty texts take them away', () => {
    const settings = { welcomeMessage: '{"text":{"content":"欢迎"}}', archiveAccount: 'archive' }
    expect(valueOf(readSettings(settings))).toEqual({
      welcome_message: { text: { content: '欢迎' } },
      archive_account: 'archive',
    })
    expect(valueOf(readSettings({ welcomeMessage: '', archiveAccount: '' }))).toEqual({
      welcome_message: null,
      archive_account: null,
    })
  })

  it.each(['{', '[]', 'null', '"欢迎"'])('refuses the welcome %s', (welcomeMessage) => {
    const reading = readSettings({ welcomeMessage })
    expect(reading.ok ? [] : reading.faults.map(({ field }) => field)).toEqual([
      '--welcome-message',
    ])
  })

  it('holds only what was typed', () => {
    expect(valueOf(readSettings({}))).toEqual({})
    expect(
      valueOf(
        readSettings({
          freshness: '0',
          tokenKind: 'classic',
          keepTemplatesOnUnfollow: true,
          keepDataOnCancellation: true,
          eraseOnUnfollow: true,
          longTermTemplates: ['tpl_1', 'tpl_1', 'tpl-2'],
          optOutKeywords: ['退订', ' STOP '],
        }),
      ),
    ).toEqual({
      freshness_seconds: 0,
      token_kind: 'classic',
      keep_templates_on_unfollow: true,
      erase_on_cancellation: false,
      erase_on_unfollow: true,
      long_term_templates: ['tpl_1', 'tpl-2'],
      opt_out_keywords: ['退订', 'STOP'],
    })
  })

  it('empties a list with one empty text', () => {
    expect(valueOf(readSettings({ optOutKeywords: [''] }))).toEqual({ opt_out_keywords: [] })
  })

  it.each([
    [{ longTermTemplates: ['a b'] }, '--long-term-template'],
    [{ optOutKeywords: ['  '] }, '--opt-out-keyword'],
    [{ optOutKeywords: ['x'.repeat(65)] }, '--opt-out-keyword'],
  ])('refuses %j', (input, field) => {
    const reading = readSettings(input)
    expect(reading.ok ? [] : reading.faults.map((fault) => fault.field)).toEqual([field])
  })
})

describe('readRotation', () => {
  it('leaves out what stays', () => {
    expect(valueOf(readRotation({ token: 'newToken' }))).toEqual({
      token: 'newToken',
      aesKey: undefined,
      secret: undefined,
    })
  })

  it('refuses a rotation of nothing, and one with a bad key', () => {
    expect(() => valueOf(readRotation({}))).toThrow(InvalidInputError)
    expect(() => valueOf(readRotation({ aesKey: 'short' }))).toThrow('43')
    expect(() => valueOf(readRotation({ secret: '' }))).toThrow('required')
  })

  it('may only drop the previous pair', () => {
    expect(readRotation({ dropPrevious: true }).ok).toBe(true)
  })
})

describe('readBodyFormat', () => {
  it('knows XML and JSON and no other', () => {
    expect(valueOf(readBodyFormat('json'))).toBe('json')
    expect(readBodyFormat('JSON').ok).toBe(false)
  })
})

describe('readMode', () => {
  it('knows the three modes and no other', () => {
    expect(valueOf(readMode('compatible'))).toBe('compatible')
    expect(readMode('Safe').ok).toBe(false)
  })
})
