import { describe, expect, it } from 'vitest'
import { MESSAGE_STATUSES, firstStatus, isFinal } from '../../src/messages/message.ts'

describe('isFinal', () => {
  it('holds for every status but the three of a message under way', () => {
    expect(MESSAGE_STATUSES.filter((status) => !isFinal(status))).toEqual([
      'scheduled',
      'queued',
      'sending',
    ])
  })
})

describe('firstStatus', () => {
  it.each([
    ['queued', '2026-03-01T00:00:00Z'],
    ['scheduled', '2026-03-01T00:00:00.001Z'],
  ])('is %s when it is due at %s', (status, sendAt) => {
    const createdAt = new Date('2026-03-01T00:00:00Z')
    expect(firstStatus({ sendAt: new Date(sendAt), createdAt })).toBe(status)
  })
})
