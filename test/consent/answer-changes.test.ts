import { describe, expect, it } from 'vitest'
import {
  archiveChanges,
  exchangedChanges,
  oneTimeChanges,
} from '../../src/consent/answer-changes.ts'
import { supersedes } from '../../src/consent/consent.ts'
import { readEvent } from '../../src/events/read-event.ts'

const AT = new Date('2026-01-02T00:00:00Z')
const nothing = { credits: null, expiresAt: null }

describe('oneTimeChanges', () => {
  it.each(['0', '1000', '10000'])('gives one send for scene %s', (scene) => {
    expect(oneTimeChanges({ action: 'confirm', scene, templateId: 'T', at: AT })).toEqual([
      {
        scope: `one_time:${scene}`,
        change: 'granted',
        effectiveAt: AT,
        reason: 'one_time:confirm',
        credits: 1,
        expiresAt: null,
        templateId: 'T',
      },
    ])
  })

  it('takes a cancellation for a refusal of that template', () => {
    expect(oneTimeChanges({ action: 'cancel', scene: '7', templateId: 'T', at: AT })).toEqual([
      {
        scope: 'one_time:7',
        change: 'revoked',
        effectiveAt: AT,
        reason: 'one_time:cancel',
        credits: null,
        expiresAt: null,
        templateId: 'T',
      },
    ])
  })

  it.each([
    ['', '1000'],
    ['Cancel', '1000'],
    ['Confirm', '1000'],
    ['confirm', ''],
    ['confirm', '10001'],
    ['confirm', '-1'],
    ['confirm', '1e3'],
    ['confirm', '*'],
  ])('gives nothing for action %j and scene %j', (action, scene) => {
    expect(oneTimeChanges({ action, scene, templateId: 'T', at: AT })).toEqual([])
  })
})

describe('archiveChanges', () => {
  it.each([
    ['Agree', 'granted', 'msgaudit:agree'],
    ['Disagree', 'revoked', 'msgaudit:disagree'],
    [' disagree ', 'revoked', 'msgaudit:disagree'],
  ])('records %j as %s', (agreeStatus, change, reason) => {
    const changes = archiveChanges({ where: 'LiXiaoMing', agreeStatus, changedAt: AT })
    expect(changes).toEqual([
      { scope: 'msgaudit:LiXiaoMing', change, effectiveAt: AT, reason, ...nothing },
    ])
  })

  it.each([
    ['Default_Agree', 'LiXiaoMing'],
    ['', 'LiXiaoMing'],
    ['Agree', ''],
    ['Agree', '*'],
  ])('takes %j about %j for nobody’s act', (agreeStatus, where) => {
    expect(archiveChanges({ where, agreeStatus, changedAt: AT })).toEqual([])
  })
})

describe('exchangedChanges', () => {
  const event = (InfoType: string, TimeStamp: string) =>
    readEvent({
      source: 'wecom_suite',
      fields: { InfoType, TimeStamp, AuthCode: 'ac_7Hd2Kx9Vq4Ln1Rz6Tb3Wm8' },
      timestamp: undefined,
      receivedAt: AT,
    })

  it('holds from the second of the event, so that a later withdrawal wins', () => {
    const [change] = exchangedChanges(event('create_auth', '1767311900'))
    expect(change).toEqual({
      scope: 'tenant',
      change: 'granted',
      effectiveAt: new Date(1767311900_000),
      reason: 'suite.create_auth:exchanged',
      ...nothing,
    })
    const withdrawn = { state: 'revoked', effectiveAt: new Date(1767311900_000) } as const
    const exchanged = { state: change?.change ?? 'revoked', effectiveAt: change?.effectiveAt ?? AT }
    expect(supersedes(exchanged, withdrawn)).toBe(false)
    expect(supersedes(withdrawn, exchanged)).toBe(true)
  })
})
