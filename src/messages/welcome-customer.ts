import { externalContactScope, isScopeName } from '../consent/consent.ts'
import type { Clock } from '../foundation/clock.ts'
import { personMark } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Content } from '../wechat/channels.ts'
import { placeOfMessageSecret, type Seal } from './message-secret.ts'
import type { MessageStore } from './message-store.ts'
import { firstStatus, type AccountRef } from './message.ts'
import { digestOf } from './send-request.ts'
import { welcomeEndsAt, welcomeMessageId } from './use-welcome-code.ts'

const CHANNEL = 'wecom_welcome_message'

/** A new customer, the code that came with the event, and what the account says to them. */
export interface Welcome {
  readonly account: AccountRef
  /** The event that brought the code: one event, one message. */
  readonly eventId: string
  readonly to: string
  /** The userid of the employee. */
  readonly sender: string
  readonly code: string
  readonly content: Content
  /** When the event happened, by the platform's clock; the code's 20 seconds count from there. */
  readonly at: Date
}

/**
 * Accepts the welcome that an account sends by itself: a message like any other, with consent asked
 * and an attempt recorded. Called again for the same event it accepts nothing; after 20 seconds there
 * is nothing left to send.
 */
export async function welcomeCustomer(
  deps: {
    readonly store: Pick<MessageStore, 'insert' | 'find'>
    readonly clock: Clock
    readonly log: Log
    readonly seal: Seal
  },
  welcome: Welcome,
): Promise<void> {
  const { account, to, sender, content, at } = welcome
  if (!isScopeName(sender)) return
  const now = deps.clock.now()
  const id = welcomeMessageId(account.id, welcome.eventId, at)
  const told = { message_id: id, account: account.name, openid_hash: personMark(to) }
  const expiresAt = welcomeEndsAt(at, now)
  if (expiresAt <= now) return deps.log.warn(told, 'welcome.too_late')
  if (await deps.store.find(id, [account.id])) return
  const times = { sendAt: now, createdAt: now, expiresAt }
  const isNew = await deps.store.insert({
    ...times,
    id,
    account,
    applicationId: null,
    to,
    channel: CHANNEL,
    templateId: null,
    alias: null,
    plan: null,
    content,
    consentScope: externalContactScope(sender),
    sealedSecret: deps.seal(welcome.code, placeOfMessageSecret(id)),
    purpose: 'welcome',
    idempotencyKey: null,
    requestDigest: digestOf({
      ...{ account: account.name, to, channel: CHANNEL, content, sender },
      ...{ templateId: null, purpose: 'welcome', sendAt: null, expiresAt },
    }),
  })
  if (isNew)
    deps.log.info({ ...told, channel: CHANNEL, status: firstStatus(times) }, 'welcome.accepted')
}
