import { describe, expect, it } from 'vitest'
import { refuseBadWelcome, refuseUnknownChannels } from '../../src/commands/account-options.ts'

describe('refuseUnknownChannels', () => {
  it('names the channels that there are', () => {
    expect(() => refuseUnknownChannels({ recipient_per_minute: { sms: 1 } })).toThrow(
      'wecom_app_message',
    )
    expect(() =>
      refuseUnknownChannels({ recipient_per_minute: { template_message: 1 } }),
    ).not.toThrow()
    expect(() => refuseUnknownChannels({ sends_per_second_by_channel: { sms: 1 } })).toThrow(
      '--sends-per-second',
    )
    expect(() => refuseUnknownChannels({})).not.toThrow()
  })
})

describe('refuseBadWelcome', () => {
  it.each([
    [{ text: { content: '欢迎' } }],
    [{ attachments: [{ msgtype: 'image', image: { media_id: 'm' } }] }],
  ])('takes what the channel can send: %j', (welcome_message) => {
    expect(() => refuseBadWelcome({ welcome_message })).not.toThrow()
  })

  it.each([
    [{}, 'needs `text` or `attachments`'],
    [{ text: { content: '' } }, 'welcome_message.text.content'],
    [{ text: { content: '欢迎' }, welcome_code: 'c' }, 'welcome_message.welcome_code'],
  ])('refuses %j', (welcome_message, rule) => {
    expect(() => refuseBadWelcome({ welcome_message })).toThrow(rule)
  })

  it.each([{}, { welcome_message: null }])('has nothing to say about %j', (settings) => {
    expect(() => refuseBadWelcome(settings)).not.toThrow()
  })
})
