import {
  CONVERSATION,
  CONVERSATION_ACTION,
  FOLLOW,
  templateScope,
  type ConsentChange,
  type ConsentState,
} from '../consent/consent.ts'
import type { Channel } from '../wechat/channels.ts'
import type { CodeMeaning } from '../wechat/error-codes.ts'

/** What a refused send relied on. */
interface Reliance {
  readonly channel: Channel
  readonly templateId: string | null
  /** The consent the message names; null where its channel alone says it, and for a group. */
  readonly consentScope: string | null
}

/** How the platform said it. */
interface Words {
  readonly errcode: number
  /** The platform's own words; they go into the ledger beside the code. */
  readonly errmsg: string
  /** The moment the platform said so, by its clock where it told us. */
  readonly at: Date
}

/** A send that the platform answered with an error code. */
export interface RefusedSend extends Reliance, Words {
  readonly meaning: CodeMeaning
}

/**
 * What an error code of a send says about the person's consent; nothing for codes that are about us,
 * the content or the platform.
 *
 * Who does not follow, or has switched the account's messages off, gets no message of any kind until
 * a new act of theirs. 43004 and 40132 always end `follow`: that is the product's rule. The platform's current table calls
 * 40132 an invalid name, so the reason keeps the code and its words, and a new follow restores consent.
 * In WeCom, which numbers its codes alone, no code of a send is an opt-out.
 */
export function refusalChanges(send: RefusedSend): ConsentChange[] {
  const row = send.meaning.row
  switch (send.meaning.class) {
    case 'opt_out':
      return row?.class === 'opt_out' && row.optOutScope === 'follow'
        ? unique([FOLLOW, CONVERSATION, CONVERSATION_ACTION, ...reliedOn(send)]).map((scope) =>
            change(send, scope, 'revoked'),
          )
        : reliedOn(send).map((scope) => change(send, scope, 'revoked'))
    case 'window_closed':
      return windowClosed(send)
    case 'invalid_recipient':
      return undeliverable(send, send)
    default:
      return []
  }
}

/** The recipient is none: nobody refused, and newer evidence lifts it. */
export function undeliverable(send: Reliance, words: Words): ConsentChange[] {
  return reliedOn(send).map((scope) => change(words, scope, 'suppressed'))
}

/**
 * What ends with a closed window. Of WeCom's windows only that of customer service is a consent, and
 * the same is said there by `msg_send_fail`: shut, not refused. A used welcome code says nothing.
 */
function windowClosed(send: RefusedSend): ConsentChange[] {
  switch (send.channel) {
    case 'wecom_kf_message':
      return undeliverable(send, send)
    case 'wecom_app_message':
    case 'wecom_welcome_message':
    case 'wecom_group_message':
    case 'wecom_robot_message':
      return []
    default:
      return [CONVERSATION, CONVERSATION_ACTION].map((scope) => change(send, scope, 'revoked'))
  }
}

/** The consents the channel relies on. A refused template says nothing about following. */
function reliedOn(send: Reliance & { readonly meaning?: CodeMeaning }): string[] {
  switch (send.channel) {
    case 'template_message':
      return send.meaning?.row?.class === 'opt_out' && send.meaning.row.optOutScope === 'template'
        ? ownTemplate(send)
        : [FOLLOW]
    case 'subscription_message':
      return ownTemplate(send)
    case 'customer_service_message':
      return [CONVERSATION, CONVERSATION_ACTION]
    default:
      return send.consentScope === null ? [] : [send.consentScope]
  }
}

function ownTemplate(send: Reliance): string[] {
  return send.templateId === null ? [FOLLOW] : [templateScope(send.templateId)]
}

function change(words: Words, scope: string, to: ConsentState): ConsentChange {
  return {
    scope,
    change: to,
    effectiveAt: words.at,
    reason: `${words.errcode} ${words.errmsg}`.trim(),
    credits: null,
    expiresAt: null,
  }
}

function unique(scopes: readonly string[]): string[] {
  return [...new Set(scopes)]
}
