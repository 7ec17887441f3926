import type { EventRecord } from '../events/read-event.ts'
import {
  archiveScope,
  isScopeName,
  oneTimeScope,
  TENANT,
  templateScope,
  type ConsentChange,
} from './consent.ts'
import { because, granted } from './make-change.ts'

// What no push says by itself: the platform's answer to a call, or a redirect of the browser.

/** The platform's scenes are 0 to 10000. */
const SCENE = /^(?:\d{1,4}|10000)$/

/**
 * One send of one template, agreed to on the platform's page for one-time subscriptions
 * (一次性订阅消息), or declined. A second agreement to one scene replaces the first: they do not add up.
 *
 * @param answer of the redirect, after its `reserved` was found to be ours; nothing else in it is
 *   signed.
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/One-time_subscription_info.html
 */
export function oneTimeChanges(answer: {
  readonly action: string
  readonly scene: string
  readonly templateId: string
  readonly at: Date
}): ConsentChange[] {
  const { action, scene, templateId, at } = answer
  if ((action !== 'confirm' && action !== 'cancel') || !SCENE.test(scene)) return []
  return [
    {
      scope: oneTimeScope(scene),
      change: action === 'confirm' ? 'granted' : 'revoked',
      effectiveAt: at,
      reason: `one_time:${action}`,
      credits: action === 'confirm' ? 1 : null,
      expiresAt: null,
      templateId,
    },
  ]
}

/** What `wx.requestSubscribeMessage` tells the front end about one template. */
export const POPUP_RESULTS = ['accept', 'acceptWithAudio', 'reject', 'ban', 'filter'] as const
export type PopupResult = (typeof POPUP_RESULTS)[number]

/**
 * What a front end reports of a popup. It is the application's word, which it has signed, not the
 * platform's: the event of the same popup counts in its place, see `project_consents`. `ban` and `filter` are nobody's answer.
 *
 * @param report.at when the popup was answered.
 * @param report.longTerm templates whose acceptance is a standing right.
 * @see https://developers.weixin.qq.com/miniprogram/dev/api/open-api/subscribe-message/wx.requestSubscribeMessage.html
 */
export function reportedChanges(report: {
  readonly results: Readonly<Record<string, PopupResult>>
  readonly at: Date
  readonly longTerm: readonly string[]
}): ConsentChange[] {
  return Object.entries(report.results).flatMap(([templateId, result]): ConsentChange[] => {
    const change = {
      scope: templateScope(templateId),
      effectiveAt: report.at,
      reason: `popup_report:${result}:signed`,
      expiresAt: null,
    }
    switch (result) {
      case 'accept':
      case 'acceptWithAudio':
        return [
          {
            ...change,
            change: 'granted',
            credits: report.longTerm.includes(templateId) ? null : 1,
          },
        ]
      case 'reject':
        return [{ ...change, change: 'revoked', credits: null }]
      case 'ban':
      case 'filter':
        return []
    }
  })
}

/**
 * What the platform answers about one customer and the chat archive: the only way in which a refusal,
 * or its withdrawal, reaches us. `Default_Agree` is nobody's act, so nothing follows from it.
 *
 * @param answer.where the userid of the employee or the id of the group that was asked about.
 * @param answer.changedAt its `status_change_time`.
 * @see https://developer.work.weixin.qq.com/document/path/91782
 */
export function archiveChanges(answer: {
  readonly where: string
  readonly agreeStatus: string
  readonly changedAt: Date
}): ConsentChange[] {
  const status = answer.agreeStatus.trim().toLowerCase()
  if (!isScopeName(answer.where) || (status !== 'agree' && status !== 'disagree')) return []
  return [
    {
      scope: archiveScope(answer.where),
      change: status === 'agree' ? 'granted' : 'revoked',
      effectiveAt: answer.changedAt,
      reason: `msgaudit:${status}`,
      credits: null,
      expiresAt: null,
    },
  ]
}

/**
 * What a code was exchanged for: the right to act for the account or corp that the answer named. It
 * holds from the second of the event that brought the code, so a later withdrawal wins, however long
 * the exchange took.
 */
export function exchangedChanges(event: EventRecord): ConsentChange[] {
  return [because(granted(event, TENANT), 'exchanged')]
}
