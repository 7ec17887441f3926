import { describe, expect, it } from 'vitest'
import { refusalChanges } from '../../src/dispatch/refusal-changes.ts'
import { CHANNEL_NAMES, type Channel } from '../../src/wechat/channels.ts'
import type { CodeSpace } from '../../src/wechat/served-account.ts'
import { ROAD_CHANNELS } from '../support/send-road.ts'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { ERROR_CLASSES, lookUpErrorCode } from '../../src/wechat/error-codes.ts'

const AT = new Date('2026-03-01T00:00:00Z')

/** The consent that each of the other channels names. */
const NAMED: Partial<Record<Channel, string>> = {
  one_time_subscription: 'one_time:7',
  device_message: 'template:T',
  wecom_app_message: 'member',
  wecom_welcome_message: 'external_contact:LiXiaoMing',
  wecom_group_message: 'external_contact:LiXiaoMing',
  wecom_kf_message: 'kf:wk1',
}

function changesOf(
  channel: Channel,
  errcode: number,
  templateId: string | null = 'T',
  space: CodeSpace = 'oa',
) {
  return refusalChanges({
    channel,
    templateId: channel === 'customer_service_message' ? null : templateId,
    consentScope: NAMED[channel] ?? null,
    errcode,
    errmsg: 'the words rid: 1',
    at: AT,
    meaning: lookUpErrorCode(space, errcode),
  })
}

function linesOf(channel: Channel, errcode: number, space: CodeSpace = 'oa'): string[] {
  return changesOf(channel, errcode, 'T', space).map(({ scope, change }) => `${scope} ${change}`)
}

/** What each kind of code means on each channel. */
const FOLLOWER = ['follow revoked', 'conversation revoked', 'conversation:action revoked']
const FOLLOW_OPT_OUT = {
  template_message: FOLLOWER,
  subscription_message: [...FOLLOWER, 'template:T revoked'],
  customer_service_message: FOLLOWER,
}
const TEMPLATE_OPT_OUT = {
  template_message: ['template:T revoked'],
  subscription_message: ['template:T revoked'],
  customer_service_message: ['conversation revoked', 'conversation:action revoked'],
}
const WINDOW = ['conversation revoked', 'conversation:action revoked']
const WINDOW_CLOSED = {
  template_message: WINDOW,
  subscription_message: WINDOW,
  customer_service_message: WINDOW,
}
const INVALID_RECIPIENT = {
  template_message: ['follow suppressed'],
  subscription_message: ['template:T suppressed'],
  customer_service_message: ['conversation suppressed', 'conversation:action suppressed'],
}

/** Every code that says something about a person; a code added to the table must be added here. */
const EXPECTED = new Map([
  ...[10700, 10703, 40132, 43004, 43006, 48002, 50005].map(
    (code) => [code, FOLLOW_OPT_OUT] as const,
  ),
  [43101, TEMPLATE_OPT_OUT] as const,
  ...[10706, 45015, 45037, 45047, 45080, 65413].map((code) => [code, WINDOW_CLOSED] as const),
  ...[
    40003, 40031, 43005, 43019, 46004, 49003, 50002, 61101, 62751, 65302, 65315, 70000, 9001006,
  ].map((code) => [code, INVALID_RECIPIENT] as const),
])

const ABOUT_PEOPLE = ERROR_CODES.filter(
  (row) =>
    (row.platform === 'oa' || row.platform === 'any') &&
    ['opt_out', 'window_closed', 'invalid_recipient'].includes(row.class),
)

describe('refusalChanges', () => {
  it('has a case here for every code of the table that is about a person', () => {
    const codes = ABOUT_PEOPLE.map((row) => row.code).sort((a, b) => a - b)
    expect(codes).toEqual([...EXPECTED.keys()].sort((a, b) => a - b))
  })

  it.each(
    [...EXPECTED].flatMap(([code, byChannel]) =>
      ROAD_CHANNELS.map((channel) => [code, channel, byChannel[channel]] as const),
    ),
  )('knows what %i on a %s says', (code, channel, expected) => {
    expect(linesOf(channel, code)).toEqual(expected)
  })

  it.each([43004, 40132])('marks the person as opted out at %i on every channel', (code) => {
    for (const channel of ROAD_CHANNELS) {
      expect(linesOf(channel, code)).toContain('follow revoked')
    }
  })

  it.each<readonly [Channel, number, CodeSpace, string[]]>([
    ['one_time_subscription', 43101, 'oa', ['one_time:7 revoked']],
    ['one_time_subscription', 40003, 'oa', ['one_time:7 suppressed']],
    ['one_time_subscription', 43004, 'oa', [...FOLLOWER, 'one_time:7 revoked']],
    ['device_message', 43101, 'mini', ['template:T revoked']],
    ['device_message', 40003, 'mini', ['template:T suppressed']],
    ['wecom_app_message', 81013, 'wecom', ['member suppressed']],
    ['wecom_app_message', 43004, 'wecom', ['member suppressed']],
    ['wecom_app_message', 40132, 'wecom', []],
    ['wecom_app_message', 48002, 'wecom', []],
    ['wecom_app_message', 40001, 'wecom', []],
    ['wecom_app_message', 42052, 'wecom', []],
    ['wecom_group_message', 84061, 'wecom', ['external_contact:LiXiaoMing suppressed']],
    ['wecom_welcome_message', 41050, 'wecom', []],
    ['wecom_welcome_message', 84061, 'wecom', ['external_contact:LiXiaoMing suppressed']],
    ['wecom_kf_message', 95001, 'wecom', ['kf:wk1 suppressed']],
    ['wecom_kf_message', 95018, 'wecom', ['kf:wk1 suppressed']],
    ['wecom_kf_message', 40003, 'wecom', ['kf:wk1 suppressed']],
    ['wecom_robot_message', 40003, 'wecom', []],
    ['wecom_robot_message', 93000, 'wecom', []],
  ])('knows what a %s says at %i of the space %s', (channel, code, space, expected) => {
    expect(linesOf(channel, code, space)).toEqual(expected)
  })

  it('finds no opt-out in any code of WeCom', () => {
    const codes = ERROR_CODES.filter(({ platform }) => platform === 'wecom').map(({ code }) => code)
    const lines = codes.flatMap((code) =>
      CHANNEL_NAMES.filter((channel) => channel.startsWith('wecom')).flatMap((channel) =>
        linesOf(channel, code, 'wecom'),
      ),
    )
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => line.endsWith('revoked'))).toEqual([])
  })

  it('says nothing about following when one template was refused', () => {
    for (const channel of ROAD_CHANNELS) {
      expect(linesOf(channel, 43101).join()).not.toContain('follow')
    }
  })

  it('counts a refused template that the message does not name as a refusal of the account', () => {
    expect(changesOf('subscription_message', 43101, null).map(({ scope }) => scope)).toEqual([
      'follow',
    ])
  })

  it.each(
    ERROR_CLASSES.filter(
      (name) => !['opt_out', 'window_closed', 'invalid_recipient'].includes(name),
    ),
  )('finds nothing about the person in a code of class %s', (errorClass) => {
    const row = ERROR_CODES.find((one) => one.class === errorClass && one.platform === 'oa')
    const code = row?.code ?? 0
    expect(CHANNEL_NAMES.flatMap((channel) => changesOf(channel, code))).toEqual([])
  })

  it('finds nothing in a code that no row has', () => {
    expect(CHANNEL_NAMES.flatMap((channel) => changesOf(channel, 99_999_999))).toEqual([])
  })

  it("keeps the code, the platform's words and its time", () => {
    expect(changesOf('template_message', 43004)[0]).toEqual({
      scope: 'follow',
      change: 'revoked',
      effectiveAt: AT,
      reason: '43004 the words rid: 1',
      credits: null,
      expiresAt: null,
    })
  })
})
