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
})

export const accountSchema = z
  .strictObject({
    app_id: text,
    secret: text,
    original_id: text,
    token: text,
    aes_key: aesKey.nullish(),
    mode: z.enum(['safe', 'compatible', 'plain']).default('safe'),
    callback_url: z.url({ protocol: /^https?$/ }).nullish(),
    /** Only these templates exist; with none listed, every template id exists. */
    templates: z.array(template).default([]),
    /** Addresses that may ask for tokens; absent means any. */
    ip_whitelist: z.array(text).optional(),
  })
  .refine((account) => account.mode === 'plain' || account.aes_key, {
    path: ['aes_key'],
    error: 'expected an EncodingAESKey, because the mode is not plain',
  })

/** An Official Account as the platform's page has it; field names as in `POST /sandbox/accounts`. */
export type AccountInput = z.input<typeof accountSchema>
export type AccountConfig = z.output<typeof accountSchema>
export type Template = z.output<typeof template>

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

export const TAMPERINGS = [
  'bad_signature',
  'unsigned',
  'wrong_receive_id',
  'foreign_key',
  'stale_timestamp',
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
