import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import {
  BROADCAST_CHANNELS,
  CHANNELS,
  recipientFault,
  templateIdOf,
  type BroadcastChannel,
  type Channel,
} from '../wechat/channels.ts'
import { canonicalJson } from './canonical-json.ts'
import { readInput } from './input-faults.ts'
import { CALLBACK_URL, SEND_FIELDS, type SendRequest } from './send-request.ts'

const UNKNOWN_FIELD =
  'is not a field of a broadcast; the fields are account, channel, content, name, purpose, send_at, expires_at, callback_url, results'

const { to: recipient, ...SHARED_FIELDS } = SEND_FIELDS

/** What is posted to the `callback_url`: totals, or beside them the result of each message. */
const RESULTS = ['totals', 'each'] as const

const HEAD_FIELDS = {
  ...SHARED_FIELDS,
  name: z
    .string('must be text that names the broadcast')
    .min(1, 'must not be empty; leave it out instead')
    .max(200, 'must be at most 200 characters')
    .optional(),
  callback_url: CALLBACK_URL.describe('where its end is posted, signed; docs/delivery.md'),
  results: z
    .enum(RESULTS, { error: `must be one of ${RESULTS.join(', ')}` })
    .optional()
    .describe('each: the result of every message is posted to callback_url too'),
}

/** The consents that a message through each channel may rest on; `<…>` stands for a name. */
const CONSENTS_OF = {
  template_message: ['follow', 'template:<id>'],
  subscription_message: ['template:<id>'],
  customer_service_message: ['conversation', 'conversation:action'],
  wecom_app_message: ['member'],
} as const satisfies Record<BroadcastChannel, readonly string[]>

/** The scopes that an audience may be named by, as one reads them. */
export const AUDIENCE_SCOPES: readonly string[] = [...new Set(Object.values(CONSENTS_OF).flat())]

const AUDIENCE_SCOPE = new RegExp(
  `^(?:${AUDIENCE_SCOPES.map((scope) => scope.replace(/<[a-z]+>/, '[^\\s*]{1,128}')).join('|')})$`,
  'u',
)
const SCOPE_RULE = `must be the scope of a consent that a broadcast may rest on: ${AUDIENCE_SCOPES.join(', ')}`

/** Whether all who have given this consent can be an audience. */
export function isAudienceScope(scope: string): boolean {
  return AUDIENCE_SCOPE.test(scope)
}

const audience = z.strictObject(
  { scope: z.string(SCOPE_RULE).regex(AUDIENCE_SCOPE, SCOPE_RULE) },
  { error: 'must be {"scope": …}, for example {"scope": "follow"}' },
)

/** One schema per channel, with these fields on top. */
function throughEachChannel<More extends z.ZodRawShape>(more: More, unknownField: string) {
  const through = (channel: BroadcastChannel) =>
    z.strictObject(
      {
        ...HEAD_FIELDS,
        channel: z.literal(channel),
        content: CHANNELS[channel].content as z.ZodType<Readonly<Record<string, unknown>>>,
        ...more,
      },
      { error: (issue) => (issue.code === 'unrecognized_keys' ? unknownField : undefined) },
    )
  const [first, ...others] = BROADCAST_CHANNELS
  return z.discriminatedUnion('channel', [through(first), ...others.map(through)], {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? `must be one of ${BROADCAST_CHANNELS.join(', ')}; a broadcast has no other channels`
        : 'must be a JSON object',
  })
}

/** The first line of a list of recipients: what is sent to all of them. */
export const broadcastHeadSchema = throughEachChannel({}, UNKNOWN_FIELD)

/** A broadcast to everybody who has given a consent. */
export const audienceBroadcastSchema = throughEachChannel(
  { audience },
  `${UNKNOWN_FIELD}, audience`,
)

/** What is to be sent to many, valid in itself; the times are still to be looked at. */
export interface BroadcastHead extends Omit<SendRequest, 'to'> {
  readonly name: string | null
  readonly audienceScope: string | null
  readonly callbackUrl?: string
  /** Whether the result of each message is posted too. */
  readonly tellsEach?: boolean
}

/**
 * Reads the first line of a list.
 *
 * @throws InvalidInputError `invalid_request`, one fault per field.
 */
export function readBroadcastHead(value: unknown): BroadcastHead {
  const read = readInput(broadcastHeadSchema, value, 'invalid_request')
  return { ...headOf(read), audienceScope: null }
}

/**
 * Reads the body of a broadcast to an audience.
 *
 * @throws InvalidInputError `invalid_request`, one fault per field.
 */
export function readAudienceBroadcast(body: unknown): BroadcastHead {
  const read = readInput(audienceBroadcastSchema, body, 'invalid_request')
  return { ...headOf(read), audienceScope: read.audience.scope }
}

/** What nobody asked for is left out, as before there was such a thing: the digest stays the same. */
function headOf(read: z.output<typeof broadcastHeadSchema>) {
  const { callback_url: callbackUrl, results } = read
  if (results !== undefined && callbackUrl === undefined) {
    const rule = 'needs a callback_url, where results are posted'
    throw new InvalidInputError('invalid_request', [{ field: 'results', rule }])
  }
  return {
    account: read.account,
    channel: read.channel,
    content: read.content,
    templateId: templateIdOf(read.content),
    name: read.name ?? null,
    purpose: read.purpose ?? null,
    sendAt: read.send_at ?? null,
    expiresAt: read.expires_at ?? null,
    ...(callbackUrl !== undefined && { callbackUrl }),
    ...(results === 'each' && { tellsEach: true }),
  }
}

/** SHA-256 of what was asked; see `digestOf` of a single send. */
export function digestOfHead(head: BroadcastHead): Buffer {
  return sha256(canonicalJson(head))
}

/** A recipient as a line of a list names them. */
export interface ListedRecipient {
  readonly to: string
  /** Members that replace those of `content.data` with the same name; null when there are none. */
  readonly data: Readonly<Record<string, unknown>> | null
}

const UNKNOWN_LINE_FIELD = 'is not a field of a line; the fields are to, data'

const lineError = {
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === 'unrecognized_keys' ? UNKNOWN_LINE_FIELD : 'must be a JSON object',
}

/**
 * The reader of a list's lines. `data` is allowed where the channel's content has a `data`, and obeys
 * the channel's rules for it.
 *
 * @returns a function that throws InvalidInputError `invalid_request`.
 */
export function recipientReader(channel: Channel): (value: unknown) => ListedRecipient {
  const data = dataOf(channel)
  const schema = z.strictObject(
    {
      to: recipient.superRefine((to, context) => {
        const message = recipientFault(channel, to)
        if (message !== null) context.addIssue({ code: 'custom', message })
      }),
      data: data
        ? data.optional()
        : z.undefined(`the content of ${channel} has no data that a line could fill`).optional(),
    },
    lineError,
  )
  return (value) => {
    const read = readInput(schema, value, 'invalid_request')
    return { to: read.to, data: read.data ?? null }
  }
}

function dataOf(channel: Channel): z.ZodType<Readonly<Record<string, unknown>>> | undefined {
  const content: z.ZodType = CHANNELS[channel].content
  if (!(content instanceof z.ZodObject)) return undefined
  const shape = content.shape as Readonly<Record<string, z.ZodType>>
  return shape['data'] as z.ZodType<Readonly<Record<string, unknown>>> | undefined
}

/** A line of a list, for the description of the API; what `data` may hold depends on the channel. */
export const broadcastLineSchema = z.strictObject({
  to: recipient,
  data: z.record(z.string(), z.unknown()).optional(),
})
