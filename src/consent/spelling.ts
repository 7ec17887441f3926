import type { Account } from '../accounts/account.ts'
import { textOf } from '../events/document.ts'
import type { EventRecord } from '../events/read-event.ts'
import { readIdentifier } from '../events/read-values.ts'
import {
  externalContactScope,
  isScopeName,
  parseScope,
  severity,
  type ConsentState,
} from './consent.ts'

/*
 * A userid of WeCom is the same in any case (developer.work.weixin.qq.com/document/path/90195:
 * 不区分大小写), and the platform itself does not always answer in the case it was made in. One form per
 * member is on record: the one that came first. An external_userid is exact.
 */

/** A consent on record, as far as it says how somebody is spelled. */
export interface SpelledConsent {
  readonly subject: string
  readonly scope: string
  readonly state: ConsentState
}

/** How the people of some pushes or acts are spelled on record; who is not on record, as they came. */
export interface Spellings {
  subjectOf(subject: string): string
  /** Of a scope that names an employee; every other one stays as it is. */
  scopeOf(subject: string, scope: string): string
}

/** The kinds of account whose people are members. */
export function hasMembers({ kind }: Pick<Account, 'kind'>): boolean {
  return kind === 'wecom_app' || kind === 'wecom_authorizer'
}

/**
 * Reads the spellings from what is on record. Where there are several of one userid, the one that allows
 * least stands for all, so that no refusal is passed by.
 */
export function spellingsOf(held: readonly SpelledConsent[]): Spellings {
  const strictestFirst = held.toSorted((one, other) => {
    return severity(other.state) - severity(one.state) || (one.subject < other.subject ? -1 : 1)
  })
  return {
    subjectOf(subject) {
      const isSame = likewise(subject)
      return (
        strictestFirst.find((one) => isOfMember(one.scope) && isSame(one.subject))?.subject ??
        subject
      )
    },
    scopeOf(subject, scope) {
      if (!namesEmployee(scope)) return scope
      const isSame = likewise(scope)
      const known = strictestFirst.find((one) => one.subject === subject && isSame(one.scope))
      return known?.scope ?? scope
    },
  }
}

/** The event with its member and employee as they are spelled on record. Its document stays as it came. */
export function respell(event: EventRecord, spellings: Spellings): EventRecord {
  if (event.subject === null) return event
  const subject = spellings.subjectOf(event.subject)
  const userid = readIdentifier(textOf(event.fields, 'UserID'))
  if (userid === null || !isScopeName(userid)) return { ...event, subject }
  const isMember = likewise(userid)(subject)
  const employee = parseScope(spellings.scopeOf(subject, externalContactScope(userid)))
  const known = employee?.family === 'external_contact' ? employee.user : userid
  return { ...event, subject, fields: { ...event.fields, UserID: isMember ? subject : known } }
}

function isOfMember(scope: string): boolean {
  return scope === 'member' || scope === 'everything'
}

function namesEmployee(scope: string): boolean {
  const family = parseScope(scope)?.family
  return family === 'external_contact' || family === 'msgaudit'
}

function likewise(text: string): (other: string) => boolean {
  const folded = text.toLowerCase()
  return (other) => other.toLowerCase() === folded
}
