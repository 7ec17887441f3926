import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import {
  channelsOf,
  contentSchemaOf,
  recipientFault,
  type Channel,
  type Content,
  type Sender,
} from '../wechat/channels.ts'
import { readInput } from './input-faults.ts'
import { AUTO, type AutoRequest, type SendRequest } from './send-request.ts'

/** Finds what an account is; undefined while it is disabled. Accounts answer it (compose passes it in). */
export type FindSender = (accountId: number) => Promise<Sender | undefined>

/** What is asked of an account; `to` is absent where there are many. */
interface Asked {
  readonly channel: Channel
  readonly content: Content
  readonly to?: string
}

/** The same of a request with several channels; every one of them must fit. */
export function refuseMisfits(
  request: SendRequest | AutoRequest,
  sender: Sender | undefined,
): void {
  if (request.channel !== AUTO) return refuseMisfit(request, sender)
  for (const way of request.ways) refuseMisfit(way, sender, { isOneOfSeveral: true })
}

/**
 * Refuses what this kind of account cannot send, before anything is stored. Nothing is said about a
 * disabled account: its messages wait until it serves again.
 *
 * @throws InvalidInputError `channel_not_available` when the account has no such channel,
 *   `invalid_request` when its kind has no such content, or the channel no such recipient.
 */
export function refuseMisfit(
  asked: Asked,
  sender: Sender | undefined,
  { isOneOfSeveral = false } = {},
): void {
  if (!sender) return
  const { channel, content, to } = asked
  const schema = contentSchemaOf(channel, sender)
  if (!schema) throw notAvailable(sender, isOneOfSeveral ? `content.${channel}` : 'channel')
  if (isOneOfSeveral) {
    const inPlace = z.object({ content: z.object({ [channel]: schema }) })
    readInput(inPlace, { content: { [channel]: content } }, 'invalid_request')
  } else {
    readInput(z.object({ content: schema }), { content }, 'invalid_request')
  }
  if (channel === 'wecom_app_message' && !sender.agentId) {
    refuse('account', 'has no agentid yet; it is known once the corp has authorised the suite')
  }
  const fault = to === undefined ? null : recipientFault(channel, to)
  if (fault !== null) refuse('to', fault)
}

/**
 * Refuses an account whose kind has no such channel.
 *
 * @throws InvalidInputError `channel_not_available`
 */
export function refuseOtherChannels(channel: Channel, sender: Sender | undefined): void {
  if (sender && !contentSchemaOf(channel, sender)) throw notAvailable(sender)
}

function notAvailable({ kind, serves }: Sender, field = 'channel'): InvalidInputError {
  const channels = channelsOf(kind, serves)
  const rule =
    channels.length > 0
      ? `this account is of kind ${kind} and sends ${channels.join(', ')}`
      : `this account is of kind ${kind}, which sends no messages`
  return new InvalidInputError('channel_not_available', [{ field, rule }])
}

function refuse(field: string, rule: string): never {
  throw new InvalidInputError('invalid_request', [{ field, rule }])
}
