import { z } from 'zod'
import { POPUP_RESULTS } from '../consent/answer-changes.ts'
import { DELIVERY_STATUSES } from '../delivery/delivery.ts'
import { PAUSED_REASONS } from '../delivery/endpoint-health.ts'
import { ENDPOINT_PURPOSES, endpointChangeSchema, newEndpointSchema } from '../delivery/endpoint.ts'
import {
  audienceBroadcastSchema,
  broadcastHeadSchema,
  broadcastLineSchema,
} from '../messages/broadcast-request.ts'
import { BROADCAST_STATUSES } from '../messages/broadcast.ts'
import { MESSAGE_STATUSES } from '../messages/message.ts'
import { sendRequestSchema } from '../messages/send-request.ts'
import { aliasBodySchema } from '../templates/alias.ts'
import { NO_FALLBACK } from '../messages/send-fallback.ts'
import { TEMPLATE_STATUSES } from '../templates/template.ts'
import { TEMPLATE_CHANNELS } from '../wechat/template-lists.ts'
import { scene } from '../wechat/channel-content.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'
import { templateId } from '../wechat/content-parts.ts'
import { RETRIES } from '../wechat/code-advice.ts'
import { CODE_PLATFORMS, ERROR_CLASSES } from '../wechat/error-codes.ts'
import { CODE_SPACES } from '../wechat/served-account.ts'
import { LIMIT_SOURCES, QUOTA_STATES } from '../wechat/quota.ts'

/** Every shape that goes in or out, by its name in the OpenAPI document. */

const instant = z.iso.datetime().describe('ISO 8601, UTC')
const nullable = <Schema extends z.ZodType>(schema: Schema) => z.union([schema, z.null()])

const status = z.enum(MESSAGE_STATUSES)
const channel = z.enum(CHANNEL_NAMES)
const messageId = z.uuid()

/** Of the path of the consent routes: an openid. */
export const subjectSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces')

const reason = z
  .string('must be text that says why; it is kept in the ledger')
  .trim()
  .min(1, 'must not be empty; it is kept in the ledger')
  .max(500, 'must be at most 500 characters')

const scope = z
  .string('must be a scope, such as follow, template:<id> or everything')
  .min(1, 'must be a scope, such as follow, template:<id> or everything')
  .max(160, 'must be at most 160 characters')

const acceptance = z.strictObject({
  id: messageId,
  account: z.string(),
  channel: channel.describe('of channel `auto`: the one that is planned'),
  status: z.enum(['scheduled', 'queued']),
  reason: nullable(z.enum(['quiet_hours'])).describe('why it is not sent at send_at'),
  until: nullable(instant).describe('when it is due instead; after expires_at it expires unsent'),
  send_at: instant,
  expires_at: instant,
  created_at: instant,
})

const message = z.strictObject({
  id: messageId,
  account: z.string(),
  to: nullable(z.string()).describe('null once the data of the person has been erased'),
  channel: channel.describe('of several, the one that it goes through now'),
  channels: nullable(z.array(channel)).describe('of channel `auto`: all of them in their order'),
  template_id: nullable(z.string()),
  purpose: nullable(z.string()),
  status,
  reason: nullable(z.string()),
  until: nullable(instant).describe('of one that waits with a reason: when it is due again'),
  missing_scope: nullable(z.string()).describe(
    'of a blocked message: the consent that was not there',
  ),
  msgid: nullable(z.string()).describe("the platform's id, all digits"),
  receipt: nullable(
    z.strictObject({
      status: z.enum(['delivered', 'not_delivered']),
      reason: nullable(z.string()),
      at: instant,
    }),
  ),
  attempt_count: z.int(),
  send_at: instant,
  expires_at: instant,
  created_at: instant,
  updated_at: instant,
  finished_at: nullable(instant),
})

const attempt = z.strictObject({
  number: z.int(),
  started_at: instant,
  finished_at: nullable(instant),
  outcome: nullable(z.enum(['sent', 'refused', 'retry', 'failed', 'unknown'])),
  errcode: nullable(z.int()),
  errmsg: nullable(z.string()),
  http_status: nullable(z.int()),
  rid: nullable(z.string()),
  msgid: nullable(z.string()),
  evidence: z.array(z.string()).describe('ids of the ledger rows that allowed it'),
})

const aliasRecord = z.strictObject({
  name: z.string(),
  step: z.int().describe("0: the alias's own template; n: its nth fallback"),
  reason: nullable(z.enum(['withdrawn', 'banned', 'refused'])).describe(
    'why it is not the first template',
  ),
  fallback_of: nullable(messageId).describe('the message in whose place it is'),
  fallback: nullable(messageId).describe('the message that took its place'),
  no_fallback: nullable(z.enum(NO_FALLBACK)).describe(
    'why none did although its template was refused',
  ),
})

const template = z.strictObject({
  template_id: z.string(),
  channel: z.enum(TEMPLATE_CHANNELS),
  title: z.string(),
  content: z.string().describe('with its placeholders, as the platform lists it'),
  example: z.string(),
  type: nullable(z.enum(['one_time', 'long_term'])),
  fields: z.array(
    z.strictObject({
      name: z.string(),
      type: nullable(z.string()),
      label: z.string(),
      rule: nullable(z.string()).describe('null: any text'),
      choices: z.array(z.string()).describe('the values it may have; empty: no fixed choice'),
    }),
  ),
  status: z.enum(TEMPLATE_STATUSES),
  status_at: instant,
  first_seen_at: instant,
  last_seen_at: instant,
  changed_at: nullable(instant),
  aliases: z.array(z.string()),
})

const templateAlias = z.strictObject({
  alias: z.string(),
  channel: z.enum(TEMPLATE_CHANNELS),
  template_id: z.string(),
  fallbacks: z.array(
    z.strictObject({
      template_id: z.string(),
      map: nullable(
        z.record(z.string(), z.union([z.string(), z.strictObject({ value: z.string() })])),
      ).describe('null: fields of the same names'),
    }),
  ),
  actor: z.string(),
  updated_at: instant,
})

const verdict = z.strictObject({
  channel,
  allowed: z.boolean(),
  reason: nullable(z.string()),
  until: nullable(instant).describe(
    'of quiet_hours, person_cap, recipient_pace and a channel that rests: how long it lasts',
  ),
  scope: nullable(z.string()),
  evidence: z.array(z.string()),
})

const nextCursor = nullable(z.string()).describe(
  'for the query field `cursor`; null on the last page',
)

const badLine = z.strictObject({ line: z.int(), reason: z.string() })

const broadcast = z.strictObject({
  id: messageId,
  account: z.string(),
  name: nullable(z.string()),
  purpose: nullable(z.string()),
  channel,
  template_id: nullable(z.string()),
  audience: nullable(z.strictObject({ scope: z.string() })).describe(
    'null where the recipients were listed',
  ),
  status: z.enum(BROADCAST_STATUSES),
  reason: nullable(z.string()).describe(
    'why it ended before its time, expired or interrupted; why it rests, quiet_hours or why its channel does',
  ),
  until: nullable(instant).describe('of one that rests: until when'),
  lines: z.strictObject({
    accepted: z.int().describe('recipients, each once'),
    duplicate: z.int(),
    bad: z.int(),
    complete: z.boolean().describe('whether the list is complete; nothing is sent before'),
  }),
  send_at: instant,
  expires_at: instant,
  created_at: instant,
  started_at: nullable(instant),
  finished_at: nullable(instant),
})

const recipientCounts = z.strictObject({
  waiting: z.int().describe('no message has been made for them yet'),
  ...(Object.fromEntries(MESSAGE_STATUSES.map((name) => [name, z.int()])) as Record<
    (typeof MESSAGE_STATUSES)[number],
    z.ZodInt
  >),
})

const ledgerEntry = z.strictObject({
  ledger_id: z.string(),
  scope: z.string(),
  change: z.enum(['granted', 'revoked', 'suppressed', 'reserved', 'spent', 'returned']),
  effective_at: instant,
  recorded_at: instant,
  kind: z.string().describe('what says so: event, attempt, api, operator, sync, import or report'),
  event_id: nullable(z.string()),
  attempt_id: nullable(z.string()),
  actor: nullable(z.string()),
  reason: z.string(),
  credits: nullable(z.int()),
  expires_at: nullable(instant),
  template_id: nullable(z.string()).describe('of a one-time subscription: what was agreed to'),
})

const consent = z.strictObject({
  scope: z.string(),
  state: z.enum(['granted', 'revoked', 'suppressed']),
  effective_at: instant,
  live: z
    .boolean()
    .describe('whether a send may rely on it at this moment; none while everything is stopped'),
  credits: nullable(z.int()),
  expires_at: nullable(instant),
  evidence: ledgerEntry,
})

const event = z.strictObject({
  id: z.string(),
  account: z.string(),
  kind: z.string(),
  name: z.string(),
  subject: nullable(z.string()),
  occurred_at: instant,
  received_at: instant,
  erased_at: nullable(instant),
  document: z
    .string()
    .optional()
    .describe('only with include=document; empty once the person has been erased'),
})

const bilingual = z.strictObject({ en: z.string(), zh: z.string() })

const errorCode = z.strictObject({
  code: z.int(),
  platform: z.enum(CODE_SPACES).describe('whose answers it was looked up for'),
  found_in: nullable(z.enum(CODE_PLATFORMS)).describe('whose row it is; null: in no table'),
  class: z.enum(ERROR_CLASSES).describe('decides what the gateway does; docs/errors.md'),
  name: nullable(bilingual).describe("the platform's own words"),
  effect: bilingual.describe('what the gateway does'),
  retry: z.enum(RETRIES).describe('when the gateway calls again'),
  action: bilingual.describe('what a person can do'),
  source: nullable(z.string()),
  override: nullable(
    z.strictObject({
      replaces: z.enum(ERROR_CLASSES),
      actor: z.string(),
      reason: z.string(),
      created_at: instant,
    }),
  ).describe('an operator of the gateway gave the code another class for this account'),
})

const quotaOfPath = z.strictObject({
  path: z.string(),
  calls: z.int().describe('by this gateway, since 00:00 China time or the last clearing'),
  calls_elsewhere: z.int().describe('by other systems, when the platform was last asked'),
  daily_limit: nullable(z.int()),
  limit_source: nullable(z.enum(LIMIT_SOURCES)).describe(
    'platform: read from it; refusal: it said 45009 there; published: unconfirmed for this account',
  ),
  limit_read_at: nullable(instant),
  used_ratio: nullable(z.number()),
  state: z.enum(QUOTA_STATES),
})

const quota = z.strictObject({
  account: z.string(),
  day: z.iso.date().describe('the natural day in China'),
  resets_at: instant,
  clears: nullable(
    z.strictObject({ used: z.int().describe('by this gateway'), per_month: z.int() }),
  ).describe("the month's clearings of all counters; null in WeCom"),
  paths: z.array(quotaOfPath).describe('the fullest first'),
})

const endpoint = z.strictObject({
  id: z.uuid(),
  application: z.string(),
  account: nullable(z.string()).describe('null for callbacks'),
  purpose: z.enum(ENDPOINT_PURPOSES),
  url: nullable(z.string()).describe('null for callbacks: it stands in each message'),
  events: z.array(z.string()).describe('kinds of events, or *'),
  created_at: instant,
  updated_at: instant,
  disabled_at: nullable(instant),
  disabled_reason: nullable(z.enum(['by_request', 'gone', 'application_revoked'])),
  paused_at: nullable(instant).describe('nothing is posted, and what is for it waits'),
  paused_reason: nullable(z.enum(PAUSED_REASONS)),
  failing_since: nullable(instant).describe('the first failure behind its last success'),
  previous_secret_until: nullable(instant).describe('so long the secret before signs too'),
})

const delivery = z.strictObject({
  id: z.uuid().describe('the webhook-id, the same at every try'),
  endpoint_id: z.uuid(),
  event_id: nullable(z.string()),
  message_id: nullable(messageId),
  broadcast_id: nullable(messageId),
  status: z.enum(DELIVERY_STATUSES),
  attempt_count: z.int(),
  http_status: nullable(z.int()).describe('of the last try'),
  reason: nullable(z.string()).describe('why the last try failed, or nothing is tried'),
  created_at: instant,
  next_attempt_at: nullable(instant),
  finished_at: nullable(instant),
})

export const SCHEMAS = {
  SendRequest: sendRequestSchema,
  Acceptance: acceptance,
  Message: message,
  MessageWithAttempts: message.extend({
    alias: nullable(aliasRecord).describe('null where no alias was named'),
    attempts: z.array(attempt),
  }),
  MessageList: z.strictObject({ messages: z.array(message), next_cursor: nextCursor }),
  AudienceBroadcast: audienceBroadcastSchema,
  BroadcastHead: broadcastHeadSchema,
  BroadcastLine: broadcastLineSchema,
  Broadcast: broadcast,
  AcceptedBroadcast: broadcast.extend({
    bad_lines: z.array(badLine).describe('the first twenty; the report has them all'),
  }),
  BroadcastProgress: broadcast.extend({
    messages: recipientCounts,
    rate_per_second: nullable(z.number()).describe('recipients taken by the workers lately'),
    estimated_end_at: nullable(instant),
  }),
  BroadcastList: z.strictObject({ broadcasts: z.array(broadcast), next_cursor: nextCursor }),
  BroadcastReport: z.string().describe('CSV with headings, RFC 4180'),
  SendDecision: verdict.extend({
    best_channel: nullable(channel).describe('the first allowed one; null when none is'),
    alternatives: z.array(verdict).describe("the account's other channels to this person"),
  }),
  ConsentView: z.strictObject({
    account: z.string(),
    subject: z.string(),
    consents: z.array(consent),
    history: z.array(ledgerEntry).describe('newest first'),
  }),
  OptOut: z.strictObject({ scope: scope.default('everything'), reason }, { error: unknownField }),
  PopupReport: z.strictObject(
    {
      results: z
        .record(
          z.string().regex(/^[^\s*]{1,128}$/, 'must be a template id'),
          z.enum(POPUP_RESULTS, `must be one of ${POPUP_RESULTS.join(', ')}`),
        )
        .refine((results) => Object.keys(results).length > 0, 'must name at least one template')
        .refine((results) => Object.keys(results).length <= 20, 'must name at most 20 templates'),
      requested_at: z.iso
        .datetime({ offset: true, error: 'must be an ISO 8601 time with an offset' })
        .transform((text) => new Date(text)),
    },
    { error: unknownField },
  ),
  OneTimeLinkRequest: z.strictObject(
    {
      template_id: templateId,
      scene,
      to: subjectSchema.optional().describe('the only person who may answer'),
      return_url: z
        .url({ protocol: /^https$/, error: 'must be an https address' })
        .max(1000, 'must be at most 1000 characters')
        .optional()
        .describe('where the browser goes afterwards, with `action` added'),
    },
    { error: unknownField },
  ),
  OneTimeLink: z.strictObject({ url: z.string(), expires_at: instant }),
  OptIn: z.strictObject({ scope, reason }, { error: unknownField }),
  EventList: z.strictObject({ events: z.array(event), next_cursor: nextCursor }),
  AccessToken: z.strictObject({ access_token: z.string(), expires_at: instant }),
  ErrorCodeList: z.strictObject({ error_codes: z.array(errorCode), next_cursor: nextCursor }),
  Quota: quota,
  RefreshedQuota: quota.extend({
    not_read: z
      .array(z.strictObject({ path: z.string(), code: z.string(), detail: z.string() }))
      .describe('the APIs of which the platform said nothing, and why'),
  }),
  QuotaClear: z.strictObject(
    {
      confirm: z
        .boolean('must be true or false')
        .default(false)
        .describe('must be true: one of the ten clearings of the month is used'),
      v2: z
        .boolean('must be true or false')
        .default(false)
        .describe('by AppSecret instead of by token: where no token can be had any more'),
    },
    { error: unknownField },
  ),
  QuotaCleared: z.strictObject({
    account: z.string(),
    cleared: z.literal(true),
    interface: z.enum(['clear_quota', 'clear_quota/v2']),
    left: z.int().describe('clearings of the month, as far as this gateway knows'),
  }),
  RememberedCall: z.strictObject({
    account: z.string(),
    rid: z.string(),
    invoke_time: z.int().describe('Unix seconds'),
    invoked_at: instant,
    cost_in_ms: z.int(),
    request_url: z.string().describe('the platform masks secrets'),
    request_body: z.string(),
    response_body: z.string(),
    client_ip: z.string(),
  }),
  NewEndpoint: newEndpointSchema,
  EndpointChange: endpointChangeSchema,
  Endpoint: endpoint,
  EndpointWithSecret: endpoint.extend({
    secret: z.string().describe('whsec_…; shown this once'),
  }),
  EndpointList: z.strictObject({ endpoints: z.array(endpoint), next_cursor: nextCursor }),
  Delivery: delivery,
  DeliveryList: z.strictObject({ deliveries: z.array(delivery), next_cursor: nextCursor }),
  TemplateList: z.strictObject({ account: z.string(), templates: z.array(template) }),
  TemplateAliasRequest: aliasBodySchema,
  TemplateAlias: templateAlias,
  TemplateAliasList: z.strictObject({ account: z.string(), aliases: z.array(templateAlias) }),
  OpenApiDocument: z.looseObject({ openapi: z.literal('3.1.0') }),
  Problem: z.looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('stable; decide by it'),
    detail: z.string().describe('for people'),
    request_id: z.string(),
    faults: z.array(z.strictObject({ field: z.string(), rule: z.string() })).optional(),
    message_status: status.optional(),
  }),
} as const satisfies Record<string, z.ZodType>

export type SchemaName = keyof typeof SCHEMAS

const limit = z.coerce
  .number('must be a whole number from 1 to 200')
  .int('must be a whole number from 1 to 200')
  .min(1, 'must be a whole number from 1 to 200')
  .max(200, 'must be a whole number from 1 to 200')
  .default(50)

const cursor = z.string('must be given once').max(200).optional()

const queryInstant = z.iso
  .datetime({ offset: true, error: 'must be an ISO 8601 time with an offset; write + as %2B' })
  .transform((text) => new Date(text))
  .optional()

export const messageQuery = z.strictObject(
  {
    account: z.string('must be given once').optional(),
    to: subjectSchema.optional(),
    status: z.enum(MESSAGE_STATUSES, `must be one of ${MESSAGE_STATUSES.join(', ')}`).optional(),
    channel: z.enum(CHANNEL_NAMES, `must be one of ${CHANNEL_NAMES.join(', ')}`).optional(),
    created_after: queryInstant,
    created_before: queryInstant,
    cursor,
    limit,
  },
  { error: unknownField },
)

export const broadcastQuery = z.strictObject(
  { account: z.string('must be given once').optional(), cursor, limit },
  { error: unknownField },
)

export const endpointQuery = z.strictObject(
  { account: z.string('must be given once').optional(), cursor, limit },
  { error: unknownField },
)

export const deliveryQuery = z.strictObject(
  {
    status: z.enum(DELIVERY_STATUSES, `must be one of ${DELIVERY_STATUSES.join(', ')}`).optional(),
    cursor,
    limit,
  },
  { error: unknownField },
)

export const eventQuery = z.strictObject(
  {
    account: z.string('must be given once').optional(),
    kind: z.string('must be given once').max(128).optional(),
    subject: subjectSchema.optional(),
    include: z.literal('document', 'can only be `document`').optional(),
    cursor,
    limit,
  },
  { error: unknownField },
)

export const errorCodeQuery = z.strictObject(
  {
    account: z.string('must be given once').optional(),
    platform: z.enum(CODE_SPACES, `must be one of ${CODE_SPACES.join(', ')}`).optional(),
    code: z
      .string('must be given once')
      .regex(/^-?\d{1,9}$/, 'must be an errcode: a whole number')
      .transform(Number)
      .optional(),
    cursor,
    limit,
  },
  { error: unknownField },
)

function unknownField(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'unrecognized_keys' ? 'is not a field of this request' : undefined
}
