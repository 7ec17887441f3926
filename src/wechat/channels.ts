import type { z } from 'zod'
import {
  customerServiceMessageContent,
  subscriptionMessageContent,
  templateMessageContent,
} from './channel-content.ts'
import type { PlatformCall } from './platform-client.ts'

interface ChannelFacts {
  readonly path: string
  /** The platform's own request body, without recipient, token and idempotency key. */
  readonly content: z.ZodType<Readonly<Record<string, unknown>>>
  /**
   * How long the platform remembers a `client_msg_id` and delivers its message only once; null where
   * it has no such memory, so that repeating a call can make a second message.
   */
  readonly repeatMemoryMs: number | null
}

/** The ways to send, one row each: where, what, and whether a repeated call is safe. */
export const CHANNELS = {
  template_message: {
    path: '/cgi-bin/message/template/send',
    content: templateMessageContent,
    // The platform's page: one delivery per openid and client_msg_id, valid for 10 minutes.
    repeatMemoryMs: 600_000,
  },
  subscription_message: {
    path: '/cgi-bin/message/subscribe/bizsend',
    content: subscriptionMessageContent,
    // client_msg_id stands in the page's sample only; that it is honoured is unconfirmed.
    repeatMemoryMs: null,
  },
  customer_service_message: {
    path: '/cgi-bin/message/custom/send',
    content: customerServiceMessageContent,
    repeatMemoryMs: null,
  },
} as const satisfies Record<string, ChannelFacts>

export type Channel = keyof typeof CHANNELS

/** The channels by name, in the order of the table; for schemas and lists. */
export const CHANNEL_NAMES: readonly [Channel, ...Channel[]] = [
  'template_message',
  'subscription_message',
  'customer_service_message',
]

/** A content that its channel's schema has accepted. */
export type Content = Readonly<Record<string, unknown>>

/** Whether repeating a call with the same `client_msg_id` cannot make a second message. */
export function deduplicates(channel: Channel): boolean {
  return CHANNELS[channel].repeatMemoryMs !== null
}

/**
 * The platform call that sends one message; the caller adds the token.
 *
 * @param send.to the recipient's openid.
 * @param send.content as accepted by the channel's schema.
 * @param send.clientMsgId our name for this message, the same for every attempt; left out where the
 *   platform does not look at it.
 */
export function buildRequest(send: {
  readonly channel: Channel
  readonly to: string
  readonly content: Content
  readonly clientMsgId: string
}): PlatformCall {
  return {
    method: 'POST',
    path: CHANNELS[send.channel].path,
    body: {
      ...send.content,
      touser: send.to,
      ...(deduplicates(send.channel) && { client_msg_id: send.clientMsgId }),
    },
  }
}

/** The template a content names; null for channels without templates. */
export function templateIdOf(content: Content): string | null {
  return typeof content.template_id === 'string' ? content.template_id : null
}

/**
 * The id under which the platform will report on a message, as text with all its digits.
 *
 * @param body an answer read with `parseJson`; long ids are strings in it already.
 * @returns null where the channel returns none (everything but template messages).
 */
export function msgidOf(body: Content): string | null {
  const msgid = body.msgid
  return typeof msgid === 'string' || typeof msgid === 'number' ? String(msgid) : null
}
