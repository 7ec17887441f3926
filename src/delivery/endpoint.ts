import { z } from 'zod'
import { isEventKind } from '../events/catalogue.ts'
import { plainAddressFault, type PrivateAddresses } from './address-guard.ts'
import type { PausedReason } from './endpoint-health.ts'

/*
 * Where an application wants to be told, and of what.
 */

/**
 * - `events`: what the platform said about an account.
 * - `reply`: asked for the passive reply to a push, while the platform waits.
 * - `callbacks`: what became of the messages that named a `callback_url`; one per application.
 */
export const ENDPOINT_PURPOSES = ['events', 'reply', 'callbacks'] as const
export type EndpointPurpose = (typeof ENDPOINT_PURPOSES)[number]

/** Every kind of event; of a `reply` endpoint, every kind that may be answered. */
export const EVERY_KIND = '*'

/** Why nothing is delivered to an endpoint; `null` while something is. */
export type DisabledReason = 'by_request' | 'gone' | 'application_revoked'

/** An endpoint as its application sees it; secrets are no part of it. */
export interface Endpoint {
  readonly id: string
  readonly application: string
  /** The account's name; null for `callbacks`. */
  readonly account: string | null
  readonly purpose: EndpointPurpose
  /** Null for `callbacks`: the address stands in each message. */
  readonly url: string | null
  readonly events: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly disabledAt: Date | null
  readonly disabledReason: DisabledReason | null
  /** While it is paused nothing is posted to it, and what is for it waits. */
  readonly pausedAt: Date | null
  readonly pausedReason: PausedReason | null
  /** The first failure behind its last success; null while it takes what it is given. */
  readonly failingSince: Date | null
  /** Until when the secret before the last rotation signs as well. */
  readonly previousSecretUntil: Date | null
}

/** How long the secret before a rotation goes on signing beside the new one. */
export const SECRET_OVERLAP_MS = 24 * 3_600_000

const MAX_URL_LENGTH = 2_000

const unknownField = (issue: z.core.$ZodRawIssue) =>
  issue.code === 'unrecognized_keys' ? 'is not a field of this request' : undefined

const url = z
  .string('must be an https address')
  .max(MAX_URL_LENGTH, 'must be at most 2000 characters')

const NO_KIND =
  'must be the kind of an event, such as message.text, or *; docs/events.md lists them'

const events = z
  .array(
    z.string(NO_KIND).refine((kind) => kind === EVERY_KIND || isEventKind(kind), NO_KIND),
    'must be a list of kinds of events, or ["*"]',
  )
  .min(1, 'must name at least one kind of event, or *')
  .max(100, 'must name at most 100 kinds of events')

const account = z
  .string('must be the name of an account')
  .min(1, 'must be the name of an account')
  .max(64)

/** The body of `POST /v1/endpoints`. */
export const newEndpointSchema = z
  .strictObject(
    {
      account: account.optional().describe('of every purpose but callbacks'),
      url: url.optional().describe('of every purpose but callbacks'),
      purpose: z
        .enum(ENDPOINT_PURPOSES, `must be one of ${ENDPOINT_PURPOSES.join(', ')}`)
        .default('events'),
      events: events.default([EVERY_KIND]),
    },
    { error: unknownField },
  )
  .superRefine((asked, context) => {
    const isForMessages = asked.purpose === 'callbacks'
    for (const field of ['account', 'url'] as const) {
      if ((asked[field] === undefined) === isForMessages) continue
      const message = isForMessages
        ? 'does not belong to callbacks: each message names its own callback_url'
        : 'is required'
      context.addIssue({ code: 'custom', path: [field], message })
    }
  })

/** The body of `PATCH /v1/endpoints/{id}`. */
export const endpointChangeSchema = z
  .strictObject(
    {
      url: url.optional(),
      events: events.optional(),
      disabled: z.boolean('must be true or false').optional(),
      paused: z
        .boolean('must be true or false')
        .optional()
        .describe('true: nothing is posted, and what is for it waits; false: all of it is posted'),
    },
    { error: unknownField },
  )
  .refine((change) => Object.keys(change).length > 0, 'must change url, events, disabled or paused')

/**
 * What is wrong with an address that is to be delivered to, in words for whoever typed it; null when
 * nothing can be seen. Where its name leads is only known when it is called, and looked at then.
 */
export function urlFault(text: string, allowed: PrivateAddresses): string | null {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  if (text.length > MAX_URL_LENGTH) return 'must be at most 2000 characters'
  if (parsed?.protocol !== 'https:' && parsed?.protocol !== 'http:') {
    return 'must be an https address'
  }
  if (parsed.username || parsed.password) {
    return 'must not hold a user name or password: what is delivered is signed, check the signature'
  }
  if (parsed.hash) return 'must not have a fragment (#…): it would never be sent'
  return plainAddressFault(parsed, allowed)
}
