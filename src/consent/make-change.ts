import type { AccountSettings } from '../accounts/account.ts'
import type { EventRecord } from '../events/read-event.ts'
import { EVERYTHING, type ConsentChange } from './consent.ts'

/** How many messages an act of the person allows, and for how long. */
export interface Window {
  readonly cap: number
  readonly seconds: number
}

/** What an event grants, in its own second, with its kind as the reason. */
export function granted(event: EventRecord, scope: string): ConsentChange {
  return {
    scope,
    change: 'granted',
    effectiveAt: event.effectiveAt,
    reason: event.kind,
    credits: null,
    expiresAt: null,
  }
}

/** What an event ends: the person, or the platform for them, said no. */
export function revoked(event: EventRecord, scope: string): ConsentChange {
  return { ...granted(event, scope), change: 'revoked' }
}

/** What an event makes undeliverable without anybody's refusal. */
export function suppressed(event: EventRecord, scope: string): ConsentChange {
  return { ...granted(event, scope), change: 'suppressed' }
}

/** The change with a window that opens in its second. */
export function windowOf(change: ConsentChange, window: Window): ConsentChange {
  const expiresAt = new Date(change.effectiveAt.getTime() + window.seconds * 1000)
  return { ...change, credits: window.cap, expiresAt }
}

/** The change with a word more about why. */
export function because(change: ConsentChange, detail: string): ConsentChange {
  return { ...change, reason: `${change.reason}:${detail}` }
}

/** The stop, where a text is one of the account's words for it; nothing else is. */
export function stopAt(
  event: EventRecord,
  said: string | undefined,
  settings: AccountSettings,
): ConsentChange[] {
  const text = asKeyword(said ?? '')
  const isWord = text !== '' && settings.opt_out_keywords.some((word) => asKeyword(word) === text)
  return isWord ? [{ ...revoked(event, EVERYTHING), reason: 'keyword' }] : []
}

/** NFKC makes the full-width letters of Chinese keyboards (ＴＤ) equal to the plain ones. */
function asKeyword(text: string): string {
  return text.normalize('NFKC').trim().toLowerCase()
}
