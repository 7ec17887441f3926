import type { EnvelopeKey } from '../receiver/message-crypto.ts'
import type { DocumentFormat } from './document-writer.ts'

/** The kinds of callback, named like the accounts of a gateway that own them. */
export type PlaceKind =
  | 'official_account'
  | 'mini_program'
  | 'component'
  | 'authorizer'
  | 'wecom_app'
  | 'wecom_kf'
  | 'wecom_suite'
  | 'wecom_authorizer'

/** A callback as it is configured when a push leaves for it (callbacks.md §1). */
export interface PushPlace {
  readonly kind: PlaceKind
  /** What the record calls the owner: appid, corpid or suite id. */
  readonly ownerId: string
  /** Null when nothing is configured: the push goes nowhere. */
  readonly url: string | null
  /** The same callback of another authorizer or corp; null where there is one path alone. */
  readonly otherUrl: string | null
  readonly mode: 'safe' | 'compatible' | 'plain'
  readonly format: DocumentFormat
  /** Which query parameters it has: those of Official Accounts, or those of WeCom. */
  readonly query: 'official' | 'wecom'
  readonly token: string
  /** Null only in plain mode. */
  readonly key: EnvelopeKey | null
  readonly receiveId: string
  /** The receive id that a neighbouring callback would have. */
  readonly relatedReceiveId: string
  /** What stands in the body beside `Encrypt`. */
  readonly outer: readonly (readonly [name: string, text: string])[]
  /** Which answers count (callbacks.md §5): status 200 always, and this body. */
  readonly answer: 'success_or_empty' | 'success' | 'any'
}

/** Whether the owner took the push: status 200 and the right body; no quotes, no JSON, no 201. */
export function isAcknowledgement(
  accepted: PushPlace['answer'] | 'reply',
  answer: { readonly status: number; readonly text: string },
): boolean {
  const { status, text } = answer
  if (status !== 200) return false
  if (accepted === 'any' || text === 'success') return true
  if (text === '') return accepted !== 'success'
  return accepted === 'reply' && text.startsWith('<xml>')
}

/** Puts the id where the address says it goes: `$APPID$` or `$CORPID$`, as it is or encoded. */
export function fillPath(url: string, name: '$APPID$' | '$CORPID$', id: string): string {
  return url.replaceAll(name, id).replaceAll(encodeURIComponent(name), id)
}
