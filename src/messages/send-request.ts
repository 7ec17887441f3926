import { z } from 'zod'
import { InvariantError, type Fault } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import {
  AUTO_CHANNELS,
  CHANNELS,
  CHANNEL_NAMES,
  templateIdOf,
  type AutoChannel,
  type Channel,
  type Content,
} from '../wechat/channels.ts'
import { canonicalJson } from './canonical-json.ts'
import { readInput } from './input-faults.ts'

/** How far ahead a message may be scheduled: beyond it nobody remembers what was asked. */
const MAX_DAYS_AHEAD = 30

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

const UNKNOWN_FIELD =
  'is not a field of a send; the fields are account, to, channel, content, purpose, priority, send_at, expires_at, callback_url, for a wecom_welcome_message event_id and sender, for a wecom_robot_message robot_key, for auto order'

/** An instant with its offset, as a Date. Without an offset nobody could say which instant it is. */
const instant = z.iso
  .datetime({
    offset: true,
    error: 'must be an ISO 8601 time with an offset, such as 2026-03-01T09:00:00+08:00',
  })
  .transform((text) => new Date(text))

/** The fields of a send that do not depend on its channel. */
export const SEND_FIELDS = {
  account: z
    .string('must be the name of an account')
    .min(1, 'must be the name of an account')
    .max(64),
  to: z
    .string('must be the recipient, such as an openid')
    .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces'),
  purpose: z
    .string('must be text that says what the message is for')
    .min(1, 'must not be empty; leave it out instead')
    .max(200, 'must be at most 200 characters')
    .optional(),
  send_at: instant.optional(),
  expires_at: instant.optional(),
}

/** Who goes first where several wait; the first is meant where a request names none. */
export const PRIORITIES = ['transactional', 'marketing'] as const
export type Priority = (typeof PRIORITIES)[number]

/** Where somebody wants to be told what became of it; whether it may go there is looked at apart. */
export const CALLBACK_URL = z
  .string('must be an https address')
  .max(2_000, 'must be at most 2000 characters')
  .optional()

/** What a send of its own has beside these; a line of a broadcast has not. */
const SINGLE_FIELDS = {
  priority: z.enum(PRIORITIES, { error: `must be one of ${PRIORITIES.join(', ')}` }).optional(),
  callback_url: CALLBACK_URL.describe('where every result is posted, signed; docs/delivery.md'),
}

/** What a channel wants beside the platform's own body. */
const OWN_FIELDS = {
  wecom_welcome_message: {
    sender: z
      .string('must be the userid of the employee: `UserID` of the event with the welcome code')
      .regex(/^\S{1,128}$/, 'must be a userid')
      .optional(),
    event_id: z
      .string('must be the `id` of the event that brought the welcome code')
      .regex(/^[1-9][0-9]{0,17}$/, 'must be the `id` of an event, as it was delivered and listed')
      .optional(),
  },
  wecom_robot_message: {
    robot_key: z
      .string("must be the key of the robot: what stands behind `key=` in its webhook's address")
      .regex(/^[\w-]{1,128}$/, 'must be the key alone, without the address'),
  },
} as const

type Shape = typeof SEND_FIELDS &
  typeof SINGLE_FIELDS & {
    readonly channel: z.ZodLiteral<Channel>
    readonly content: z.ZodType<Content>
    readonly sender: z.ZodOptional<z.ZodString>
    readonly event_id: z.ZodOptional<z.ZodString>
    readonly robot_key: z.ZodOptional<z.ZodString>
  }

/** The body of a send through one channel. */
function sendThrough(channel: Channel) {
  const own = channel in OWN_FIELDS ? OWN_FIELDS[channel as keyof typeof OWN_FIELDS] : {}
  const content: z.ZodType<Content> = CHANNELS[channel].content
  const shape = { ...SEND_FIELDS, ...SINGLE_FIELDS, channel: z.literal(channel), content, ...own }
  // a field that a channel does not have is optional to whoever reads any of them
  const body = z.strictObject(shape as unknown as Shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? UNKNOWN_FIELD : undefined),
  })
  return channel === 'wecom_welcome_message' ? body.superRefine(needsOneCode) : body
}

/** A welcome names the event whose code it uses, or brings the code itself, and then the employee. */
function needsOneCode(
  send: Pick<z.output<z.ZodObject<Shape>>, 'content' | 'event_id' | 'sender'>,
  context: z.core.$RefinementCtx,
): void {
  const fault = (field: string, message: string) => {
    context.addIssue({ code: 'custom', path: [field], message })
  }
  const hasCode = 'welcome_code' in send.content
  if (hasCode === (send.event_id !== undefined)) {
    fault('event_id', 'must name the event that brought the welcome code; or content has the code')
  }
  if (hasCode && send.sender === undefined) fault('sender', 'must be the userid of the employee')
}

/** The name that stands for “the first of these channels that is allowed”. */
export const AUTO = 'auto'

const autoContent = z
  .strictObject(
    {
      subscription_message: CHANNELS.subscription_message.content.optional(),
      template_message: CHANNELS.template_message.content.optional(),
      customer_service_message: CHANNELS.customer_service_message.content.optional(),
    } satisfies Record<AutoChannel, z.ZodType>,
    { error: notAutoContent },
  )
  .refine((contents) => Object.keys(contents).length > 0, {
    error: `must have the content of at least one of ${AUTO_CHANNELS.join(', ')}`,
  })

function notAutoContent(issue: z.core.$ZodRawIssue): string {
  return issue.code === 'unrecognized_keys'
    ? `is no channel to choose from; those are ${AUTO_CHANNELS.join(', ')}`
    : 'must be an object with the content of each channel by its name'
}

/** The body of a send through the first of several channels that is allowed. */
const autoSend = z
  .strictObject(
    {
      ...SEND_FIELDS,
      ...SINGLE_FIELDS,
      channel: z.literal(AUTO),
      content: autoContent,
      order: z
        .array(z.enum(AUTO_CHANNELS, `must be one of ${AUTO_CHANNELS.join(', ')}`))
        .optional(),
    },
    { error: (issue) => (issue.code === 'unrecognized_keys' ? UNKNOWN_FIELD : undefined) },
  )
  .refine(({ content, order }) => order === undefined || namesEach(order, Object.keys(content)), {
    error: 'must name each channel of content once; leave it out for the usual order',
    path: ['order'],
  })

function namesEach(order: readonly string[], channels: readonly string[]): boolean {
  return order.length === channels.length && channels.every((channel) => order.includes(channel))
}

const [first, ...others] = CHANNEL_NAMES

/** The body of `POST /v1/messages` and of `POST /v1/messages:check`. */
export const sendRequestSchema = z.discriminatedUnion(
  'channel',
  [sendThrough(first), ...others.map(sendThrough), autoSend],
  { error: notASend },
)

function notASend(issue: z.core.$ZodRawIssue): string {
  return issue.code === 'invalid_union'
    ? `must be one of ${CHANNEL_NAMES.join(', ')}, or ${AUTO}`
    : 'must be a JSON object'
}

/** A send as an application asked for it, valid in itself; the times are still to be looked at. */
export interface SendRequest {
  readonly account: string
  readonly to: string
  readonly channel: Channel
  readonly content: Content
  readonly templateId: string | null
  /** Of a welcome message: the employee whose contact the customer is. */
  readonly sender?: string
  /** Of a welcome message: the event whose code it uses; absent when `content` has the code. */
  readonly eventId?: string
  /** Of a group robot: its key, which is a credential. */
  readonly robotKey?: string
  readonly purpose: string | null
  /** Only where the request names one: a retry has the digest of its first try, also of long ago. */
  readonly priority?: Priority
  /** Where the results are posted. Absent without one: the digest of a request must stay what it was. */
  readonly callbackUrl?: string
  readonly sendAt: Date | null
  readonly expiresAt: Date | null
}

/** The same through the first of several channels that is allowed; never an empty list. */
export interface AutoRequest {
  readonly account: string
  readonly channel: typeof AUTO
  /** One request for each channel, the preferred one first; they differ in nothing else. */
  readonly ways: readonly [SendRequest, ...SendRequest[]]
}

/**
 * Reads the body of a send; every rule that does not depend on the time of day is checked here.
 *
 * @param body what the JSON parser returned.
 * @throws InvalidInputError `invalid_request`, one fault per field.
 */
export function readSendRequest(body: unknown): SendRequest | AutoRequest {
  const read = readInput(sendRequestSchema, body, 'invalid_request')
  if (read.channel !== AUTO) {
    return {
      ...through(read, read.channel, read.content),
      ...(read.sender !== undefined && { sender: read.sender }),
      ...(read.event_id !== undefined && { eventId: read.event_id }),
      ...(read.robot_key !== undefined && { robotKey: read.robot_key }),
    }
  }
  const order = read.order ?? AUTO_CHANNELS
  const [preferred, ...rest] = order.flatMap((channel) => {
    const content = read.content[channel]
    return content === undefined ? [] : [through(read, channel, content)]
  })
  if (!preferred) throw new InvariantError('a send through one of no channels')
  return { account: read.account, channel: AUTO, ways: [preferred, ...rest] }
}

/** The channels a request may go through, the preferred one first. */
export function waysOf(
  request: SendRequest | AutoRequest,
): readonly [SendRequest, ...SendRequest[]] {
  return request.channel === AUTO ? request.ways : [request]
}

type SharedFields = z.output<z.ZodObject<typeof SEND_FIELDS & typeof SINGLE_FIELDS>>

function through(read: SharedFields, channel: Channel, content: Content): SendRequest {
  return {
    account: read.account,
    to: read.to,
    channel,
    content,
    templateId: templateIdOf(content),
    purpose: read.purpose ?? null,
    ...(read.priority !== undefined && { priority: read.priority }),
    ...(read.callback_url !== undefined && { callbackUrl: read.callback_url }),
    sendAt: read.send_at ?? null,
    expiresAt: read.expires_at ?? null,
  }
}

/**
 * SHA-256 of what was asked. The order of keys, white space, the offset in which a time was written
 * and the hour of the request do not matter, so a retry has the digest of the first try.
 */
export function digestOf(request: SendRequest | AutoRequest): Buffer {
  return sha256(canonicalJson(request))
}

/** When a message is due and when it is too late; or why the times cannot be. */
export type Schedule =
  | { readonly kind: 'planned'; readonly sendAt: Date; readonly expiresAt: Date }
  | { readonly kind: 'impossible'; readonly faults: readonly Fault[] }

/**
 * The times of a send. A `send_at` that has passed means now; without `expires_at` a message may
 * wait for `lifetimeHours` after it became due.
 */
export function planSchedule(
  request: Pick<SendRequest, 'sendAt' | 'expiresAt' | 'channel'>,
  limits: { readonly now: Date; readonly lifetimeHours: number },
): Schedule {
  const { now, lifetimeHours } = limits
  const sendAt = request.sendAt !== null && request.sendAt > now ? request.sendAt : now
  const { validForMs } = CHANNELS[request.channel]
  const lifetimeMs = Math.min(validForMs ?? Infinity, lifetimeHours * HOUR_MS)
  const expiresAt = request.expiresAt ?? new Date(sendAt.getTime() + lifetimeMs)

  const faults: Fault[] = []
  if (validForMs !== null && expiresAt.getTime() - now.getTime() > validForMs) {
    const rule = `a ${request.channel} is sent within ${validForMs / 1000} seconds or not at all`
    faults.push({ field: request.expiresAt === null ? 'send_at' : 'expires_at', rule })
  }
  if (sendAt.getTime() - now.getTime() > MAX_DAYS_AHEAD * DAY_MS) {
    faults.push({ field: 'send_at', rule: `must be at most ${MAX_DAYS_AHEAD} days ahead` })
  }
  if (expiresAt <= sendAt) {
    faults.push({ field: 'expires_at', rule: 'must be later than send_at and later than now' })
  } else if (expiresAt.getTime() - sendAt.getTime() > MAX_DAYS_AHEAD * DAY_MS) {
    faults.push({
      field: 'expires_at',
      rule: `must be at most ${MAX_DAYS_AHEAD} days after the message is due`,
    })
  }
  return faults.length > 0 ? { kind: 'impossible', faults } : { kind: 'planned', sendAt, expiresAt }
}
