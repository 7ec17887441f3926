import { describe, expect, it } from 'vitest'
import {
  groupChanges,
  nextQuestion,
  outcomeOfGroup,
  type GroupOutcome,
} from '../../src/follow-ups/group-result.ts'
import type { GroupState } from '../../src/wechat/group-message.ts'

const SENT_AT = new Date('2026-03-02T01:00:00Z')
const answeredAt = new Date('2026-03-02T09:00:00Z')
const taskAt = new Date('2026-03-02T08:00:00Z')
const itemAt = new Date('2026-03-02T08:00:01Z')

describe('nextQuestion', () => {
  it.each([
    [1, 4],
    [2, 15],
    [3, 60],
    [4, 180],
    [5, 360],
    [6, 720],
    [7, 1440],
    [20, 1440],
  ])('comes, after %i questions, %i minutes later', (asked, minutes) => {
    const next = nextQuestion({ asked, sentAt: SENT_AT, now: SENT_AT })
    expect(next?.getTime()).toBe(SENT_AT.getTime() + minutes * 60_000)
  })

  it('comes no more when the send is thirty days old', () => {
    const day = (number: number) => new Date(SENT_AT.getTime() + number * 86_400_000)
    expect(nextQuestion({ asked: 35, sentAt: SENT_AT, now: day(29) })).toEqual(day(30))
    expect(nextQuestion({ asked: 36, sentAt: SENT_AT, now: day(29.1) })).toBeNull()
  })
})

describe('outcomeOfGroup', () => {
  const told = (state: GroupState | null, times: { task?: Date; item?: Date } = {}) =>
    outcomeOfGroup({
      task: { userid: 'Li', isSent: true, sentAt: times.task ?? null },
      result: { externalUserid: 'wm1', userid: 'Li', state, sentAt: times.item ?? null },
      answeredAt,
    })

  it.each([
    ['sent', 'delivered', 'group_message_sent'],
    ['not_friends', 'not_delivered', 'not_friends'],
    ['monthly_limit', 'not_delivered', 'monthly_limit'],
  ] as const)('of %s is %s', (state, status, reason) => {
    expect(told(state)).toEqual({ status, reason, at: answeredAt })
  })

  it.each(['not_sent', null] as const)('of %s is none yet', (state) => {
    expect(told(state)).toBeNull()
  })

  it('is of the second that the platform names for the customer, else for the member', () => {
    expect(told('sent', { task: taskAt, item: itemAt })?.at).toEqual(itemAt)
    expect(told('not_friends', { task: taskAt })?.at).toEqual(taskAt)
  })
})

describe('groupChanges', () => {
  const outcome = (reason: GroupOutcome['reason']) =>
    groupChanges({ status: 'not_delivered', reason, at: taskAt }, 'Li')

  it('ends the relation of who is no friend, at that second', () => {
    expect(outcome('not_friends')).toMatchObject([
      { scope: 'external_contact:Li', change: 'revoked', effectiveAt: taskAt },
    ])
  })

  it.each(['monthly_limit', 'group_message_sent'] as const)('says nothing of %s', (reason) => {
    expect(outcome(reason)).toEqual([])
  })
})
