import { randomBytes } from 'node:crypto'
import { DEFAULT_SETTINGS, type AccountSettings } from '../../src/accounts/account.ts'
import { consentChanges } from '../../src/consent/consent-changes.ts'
import type { ConsentChange } from '../../src/consent/consent.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { readXml } from '../../src/receiver/xml.ts'
import { writeChange, writeEvent, writePopup, writeText } from '../../src/sandbox/documents.ts'

/** What a person does, at a second of the platform's clock. */
export type Act =
  | { readonly kind: 'subscribe' | 'unsubscribe' | 'menu' | 'scan'; readonly key: string }
  | { readonly kind: 'accept' | 'reject' | 'switch_off'; readonly templateId: string }
  | { readonly kind: 'say'; readonly text: string; readonly msgId: string }

const EVENTS = {
  subscribe: 'subscribe',
  unsubscribe: 'unsubscribe',
  menu: 'CLICK',
  scan: 'SCAN',
} as const

/** An openid nobody has yet. */
export function newOpenid(): string {
  return `o${randomBytes(20).toString('base64url').slice(0, 27)}`
}

/** The document that the platform pushes for an act; `at` in seconds since 1970. */
export function documentOf(
  head: { readonly originalId: string; readonly openid: string; readonly at: number },
  act: Act,
): string {
  switch (act.kind) {
    case 'accept':
    case 'reject':
      return writePopup(head, [{ template_id: act.templateId, status: act.kind }], '1')
    case 'switch_off':
      return writeChange(head, act.templateId)
    case 'say':
      return writeText(head, act.text, act.msgId)
    default:
      return writeEvent(head, EVENTS[act.kind], [{ name: 'EventKey', text: act.key }])
  }
}

/** What follows from a document for consent, by the production rules. */
export function changesOf(
  document: string,
  settings: Partial<AccountSettings> = {},
): readonly ConsentChange[] {
  const read = readXml(document)
  if (!read.ok) throw new Error('a test wrote a document that cannot be read')
  const push = { fields: read.fields, timestamp: undefined, receivedAt: new Date() }
  return consentChanges(readEvent({ source: 'official_account', ...push }), {
    ...DEFAULT_SETTINGS,
    ...settings,
  })
}
