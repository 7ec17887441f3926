import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { isAesKey } from '../receiver/message-crypto.ts'

/** What tests, the demo and the control API may say to the sandbox: one schema for each. */

const text = z.string().min(1)
const milliseconds = z.number().min(0).max(600_000)

const aesKey = z
  .string()
  .refine(isAesKey, 'expected 43 letters and digits, as the platform’s page makes them')

const template = z.strictObject({
  template_id: text,
  title: z.string().default(''),
  /** Holds `{{thing1.DATA}}` placeholders; each of them must then be sent. */
  content: z.string().default(''),
  /** One acceptance is a standing right instead of one credit. */
  long_term: z.boolean().default(false),
  /** A template of device messages, which no other endpoint takes. */
  for_devices: z.boolean().default(false),
  /** `withdrawn`: not listed, sends answer 40037. `banned`: still listed, sends answer 43116. */
  status: z.enum(['live', 'withdrawn', 'banned']).default('live'),
  /** The only values that a field may have, by its name; of subscription messages. */
  choices: z.record(text, z.array(text)).default({}),
})

/** What every kind of callback has: where it goes, and the pair it is signed and sealed with. */
const callback = {
  token: text,
  aes_key: aesKey,
  callback_url: z.url({ protocol: /^https?$/ }).nullish(),
}

export const accountSchema = z
  .strictObject({
    app_id: text,
    kind: z.enum(['official_account', 'mini_program']).default('official_account'),
    secret: z.string().default(''),
    original_id: text,
    token: z.string().default(''),
    aes_key: aesKey.nullish(),
    mode: z.enum(['safe', 'compatible', 'plain']).default('safe'),
    /** What a Mini Program's documents are written in; Official Accounts know XML alone. */
    body_format: z.enum(['xml', 'json']).default('xml'),
    callback_url: z.url({ protocol: /^https?$/ }).nullish(),
    /** Its pushes go to this component's message URL while it is authorised. */
    component_app_id: text.optional(),
    /** Only these templates exist; with none listed, every template id exists. */
    templates: z.array(template).default([]),
    /** Addresses that may ask for tokens; absent means any. */
    ip_whitelist: z.array(text).optional(),
  })
  .superRefine((account, check) => {
    const refuse = (field: string, message: string) =>
      check.addIssue({ code: 'custom', path: [field], message })
    const owned = account.component_app_id === undefined
    if (owned && !account.secret) refuse('secret', 'expected a text')
    if (owned && !account.token) refuse('token', 'expected a text')
    if (owned && account.mode !== 'plain' && !account.aes_key)
      refuse('aes_key', 'expected an EncodingAESKey, because the mode is not plain')
    if (account.kind === 'official_account' && account.body_format === 'json')
      refuse('body_format', 'expected xml: only a Mini Program can have JSON')
  })

/** An Official Account or a Mini Program; field names as in `POST /sandbox/accounts`. */
export type AccountInput = z.input<typeof accountSchema>
export type AccountConfig = z.output<typeof accountSchema>
export type Template = z.output<typeof template>

/** An Open Platform component (第三方平台). */
export const componentSchema = z.strictObject({
  app_id: text,
  secret: text,
  ...callback,
  /** The message URL of the authorizers; `$APPID$` in it is the authorizer’s appid. */
  message_url: z
    .string()
    .regex(/^https?:/)
    .nullish(),
  tickets: z.enum(['on_demand', 'every_ten_minutes']).default('on_demand'),
  /** Addresses that may call; absent means any. */
  ip_whitelist: z.array(text).optional(),
})

export type ComponentInput = z.input<typeof componentSchema>
export type ComponentConfig = z.output<typeof componentSchema>

const corpApp = z.strictObject({ agent_id: text, secret: text, ...callback })

/** A corp of WeCom with its own apps, its people and its robots. */
export const corpSchema = z.strictObject({
  corp_id: text,
  name: z.string().default(''),
  apps: z.array(corpApp).default([]),
  /** WeChat customer service, with a secret and a callback of its own. */
  kf: z.strictObject({ secret: text, ...callback }).optional(),
  kf_accounts: z.array(text).default([]),
  /** Userids; every app may be seen by them until somebody says otherwise. */
  members: z.array(text).default([]),
  /** Members without a licence for third-party apps. */
  unlicensed: z.array(text).default([]),
  /** Departments and tags by their id, with the userids in them. */
  parties: z.record(text, z.array(text)).default({}),
  tags: z.record(text, z.array(text)).default({}),
  robots: z
    .array(
      z.strictObject({
        key: text,
        name: text,
        state: z.enum(['in_group', 'removed', 'disabled']).default('in_group'),
      }),
    )
    .default([]),
  /** Addresses that may call; absent means any. */
  trusted_ips: z.array(text).optional(),
})

export type CorpInput = z.input<typeof corpSchema>
export type CorpConfig = z.output<typeof corpSchema>

/** A third-party suite of WeCom. */
export const suiteSchema = z.strictObject({
  suite_id: text,
  secret: text,
  provider_corp_id: text,
  /** With it the provider has a token of its own. */
  provider_secret: text.optional(),
  ...callback,
  /** The 数据回调 URL; `$CORPID$` in it is the authorised corp’s id. */
  data_url: z
    .string()
    .regex(/^https?:/)
    .nullish(),
  tickets: z.enum(['on_demand', 'every_ten_minutes']).default('on_demand'),
})

export type SuiteInput = z.input<typeof suiteSchema>
export type SuiteConfig = z.output<typeof suiteSchema>

export const templateSchema = template

export const clockSchema = z.strictObject({ advance_seconds: z.number() })

export const followersSchema = z.strictObject({
  count: z.int().min(1).max(2_000_000).optional(),
  openids: z.array(text).optional(),
  follows: z.boolean().default(true),
})

export const eventSchema = z.strictObject({
  document: text,
  openid: text.optional(),
  timestamp: text.optional(),
  nonce: text.optional(),
  mode: z.enum(['safe', 'compatible', 'plain']).optional(),
  receive_id: z.string().optional(),
  repeats: z.int().min(0).max(10).optional(),
})

/** How a document of your own is pushed; what is absent is as the platform does it. */
export type EventInput = z.input<typeof eventSchema>

export const apiFaultSchema = z.strictObject({
  app_id: text.optional(),
  path: text.optional(),
  openid: text.optional(),
  errcode: z.int().optional(),
  errmsg: z.string().optional(),
  http_status: z.int().min(200).max(599).optional(),
  delay_ms: milliseconds.optional(),
  reset: z.enum(['before', 'after']).optional(),
  /** `Status` of the template receipt, or `ErrorStatus` of the subscription one. */
  receipt: text.optional(),
  probability: z.number().min(0).max(1).default(1),
  times: z.int().min(1).optional(),
})

/** A fault of the API: which calls it meets, and what happens to them. */
export type ApiFaultInput = z.input<typeof apiFaultSchema>

/**
 * What can be wrong with a push. Every one must be refused, but for `stale_timestamp`, which is
 * rightly signed. What a push cannot have wrong (a receive id in plain mode, another path where
 * there is one alone) is a bad signature instead.
 */
export const TAMPERINGS = [
  'bad_signature',
  'unsigned',
  'wrong_receive_id',
  'foreign_key',
  'stale_timestamp',
  // The id of a neighbour of the callback: the authorizer’s, the corp’s, the suite’s.
  'related_receive_id',
  'empty_receive_id',
  // At the address of another authorizer or another corp.
  'other_path',
  // Without its envelope, as in plain mode.
  'downgraded',
  // The signature that covers no body, in the place of the one that does.
  'plain_signature',
  'repeated_parameter',
  'broken_length',
  'broken_padding',
  'doctype',
] as const
export type Tampering = (typeof TAMPERINGS)[number]

export const pushFaultSchema = z.strictObject({
  app_id: text.optional(),
  event: text.optional(),
  times: z.int().min(1).default(1),
  /** So many copies beside the first. */
  duplicate: z.int().min(1).max(100).optional(),
  /** The copies leave at the same moment instead of one after the other. */
  concurrent: z.boolean().default(false),
  delay_ms: milliseconds.optional(),
  /** Holds the `times` pushes back, at most so long, and sends them in another order. */
  shuffle_ms: milliseconds.optional(),
  drop: z.boolean().optional(),
  tamper: z.enum(TAMPERINGS).optional(),
})

/** A fault of the pushes: which it meets, how many, and what happens to them. */
export type PushFaultInput = z.input<typeof pushFaultSchema>

/**
 * What a schema makes of an outside value.
 *
 * @throws InvalidInputError with a sentence for each field that is not as expected.
 */
export function readInput<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => ({
    field: issue.path.join('.') || 'body',
    rule: issue.message,
  }))
  throw new InvalidInputError('invalid_sandbox_input', faults)
}
