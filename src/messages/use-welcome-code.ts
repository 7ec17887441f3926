import type { WelcomeCode } from '../consent/welcome-code.ts'
import { ConflictError, InvalidInputError, type Fault } from '../foundation/errors.ts'
import { idFor } from '../foundation/ids.ts'
import { CHANNELS } from '../wechat/channels.ts'
import { AUTO, type AutoRequest, type SendRequest } from './send-request.ts'

/** Finds the code that an event brought; the database answers it (compose passes it in). */
export type FindWelcomeCode = (event: {
  readonly accountId: number
  readonly eventId: string
}) => Promise<WelcomeCode | undefined>

/**
 * The id of the message that welcomes the customer of an event. It follows from the event, so one code
 * makes one message, whoever asks for it.
 */
export function welcomeMessageId(accountId: number, eventId: string, at: Date): string {
  return idFor(`welcome/${accountId}/${eventId}`, at)
}

/** When the code of an event is over; the platform's clock may be a little ahead of ours. */
export function welcomeEndsAt(at: Date, now: Date): Date {
  const beganMs = Math.min(at.getTime(), now.getTime())
  return new Date(beganMs + CHANNELS.wecom_welcome_message.validForMs)
}

/**
 * A request that names the event of a welcome code, with the code in its place; any other as it is. The
 * message expires with the code.
 *
 * @returns `messageId`: the only id that the message may have; null: a new one.
 * @throws InvalidInputError `invalid_request` when the event brought no code, or is about other people;
 *   ConflictError `welcome_code_expired`
 */
export async function useWelcomeCode(
  { findWelcomeCode, now }: { readonly findWelcomeCode: FindWelcomeCode; readonly now: Date },
  accountId: number,
  request: SendRequest | AutoRequest,
): Promise<{ readonly request: SendRequest | AutoRequest; readonly messageId: string | null }> {
  if (request.channel === AUTO || request.eventId === undefined) {
    return { request, messageId: null }
  }
  const { eventId, content, expiresAt } = request
  const found = await findWelcomeCode({ accountId, eventId })
  const faults = found ? misnamed(found, request) : [NO_CODE]
  if (!found || faults.length > 0) throw new InvalidInputError('invalid_request', faults)
  const endsAt = welcomeEndsAt(found.at, now)
  if (endsAt <= now) throw tooLate(endsAt)
  return {
    request: {
      ...request,
      sender: found.sender,
      content: { ...content, welcome_code: found.code },
      expiresAt: expiresAt !== null && expiresAt < endsAt ? expiresAt : endsAt,
    },
    messageId: welcomeMessageId(accountId, eventId, found.at),
  }
}

const NO_CODE: Fault = {
  field: 'event_id',
  rule:
    'is no event of this account that brought a welcome code within the last hour; there is none for ' +
    'an application where WeCom or the account (`welcome_message`) has a welcome of its own',
}

/** Userids are the same in any case, external_userids are not. */
function misnamed({ to, sender }: WelcomeCode, request: SendRequest): Fault[] {
  const isOther = request.sender?.toLowerCase() !== sender.toLowerCase()
  return [
    ...(request.to === to
      ? []
      : [{ field: 'to', rule: 'is not the customer of the event (`ExternalUserID`)' }]),
    ...(request.sender !== undefined && isOther
      ? [{ field: 'sender', rule: 'is not the employee of the event; it may be left out' }]
      : []),
  ]
}

function tooLate(endsAt: Date): ConflictError {
  return new ConflictError(
    'welcome_code_expired',
    `the welcome code of this event was good until ${endsAt.toISOString()}; nothing was sent. Ask within 20 seconds of the event, or write to the customer as a wecom_group_message`,
  )
}

/** What a second request for the same event is told. */
export function alreadyUsed(messageId: string): ConflictError {
  return new ConflictError(
    'welcome_code_used',
    `the welcome code of this event has been used by message ${messageId}; a code welcomes once`,
  )
}
