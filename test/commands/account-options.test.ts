import { describe, expect, it } from 'vitest'
import { refuseBadWelcome } from '../../src/commands/account-options.ts'

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
