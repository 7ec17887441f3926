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

/** A send that the platform answered with an error code. */
export interface RefusedSend {
  readonly channel: Channel
  readonly templateId: string | null
  readonly errcode: number
  /** The platform's own words; they go into the ledger beside the code. */
  readonly errmsg: string
  /** The moment the platform said so, by its clock where it told us. */
  readonly at: Date
  readonly meaning: CodeMeaning
}

/**
 * What an error code of a send says about the person's consent; nothing for codes that are about us,
 * the content or the platform.
 *
 * Who does not follow, or has switched the account's messages off, gets no message of any kind until
 * a new act of theirs. 43004 and 40132 always end `follow`: that is the product's rule. The platform's current table calls
 * 40132 an invalid name, so the reason keeps the code and its words, and a new follow restores consent.
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
      return [CONVERSATION, CONVERSATION_ACTION].map((scope) => change(send, scope, 'revoked'))
    case 'invalid_recipient':
      return reliedOn(send).map((scope) => change(send, scope, 'suppressed'))
    default:
      return []
  }
}

/** The consents the channel relies on. A refused template says nothing about following. */
function reliedOn(send: RefusedSend): string[] {
  switch (send.channel) {
    case 'template_message':
      return send.meaning.row?.class === 'opt_out' && send.meaning.row.optOutScope === 'template'
        ? ownTemplate(send)
        : [FOLLOW]
    case 'subscription_message':
      return ownTemplate(send)
    case 'customer_service_message':
      return [CONVERSATION, CONVERSATION_ACTION]
  }
}

function ownTemplate(send: RefusedSend): string[] {
  return send.templateId === null ? [FOLLOW] : [templateScope(send.templateId)]
}

function change(send: RefusedSend, scope: string, to: ConsentState): ConsentChange {
  return {
    scope,
    change: to,
    effectiveAt: send.at,
    reason: `${send.errcode} ${send.errmsg}`.trim(),
    credits: null,
    expiresAt: null,
  }
}

function unique(scopes: readonly string[]): string[] {
  return [...new Set(scopes)]
}
